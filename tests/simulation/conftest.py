"""One pool of simulation workers for the whole session, and ways to break a worker on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genrf.simulation.pool import SimulatorPool

SABOTAGE = """
import os, sys
if any("genrf.simulation.worker" in argument for argument in sys.orig_argv):
    from genrf.errors import MissingToolError
    from genrf.simulation import library

    original = library.Library.run

    def run(self, deck):
        text = "\\n".join(deck.netlist)
        if " 66601\\n" in text:
            while True:
                pass
        if " 66602\\n" in text:
            os.abort()
        if " 66603\\n" in text:
            self._on_exit(1, False, False, 0, 0)
        if " 66604\\n" in text:
            import time
            time.sleep(3600)
        if " 66605\\n" in text:
            raise RuntimeError("a defect in the testbench")
        original(self, deck)

    library.Library.run = run
"""
"""Run by Python in every worker: certain resistances make the simulator hang, crash, ask to exit, sleep or raise."""


@pytest.fixture(scope="session")
def pool() -> Iterator[SimulatorPool]:
    with SimulatorPool(workers=1) as running:
        yield running


@pytest.fixture
def sabotaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers started in the test misbehave on the resistances of `SABOTAGE`."""
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
