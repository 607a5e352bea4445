"""Tests of the second simulator; those that need the program are skipped, loudly, where it is not installed."""

from __future__ import annotations

from typing import Any

import pytest

from genrf.simulation.vacask.locate import REMEDY, installed

_SKIPPED = f"VACASK is not installed, so the second simulator is NOT tested; {REMEDY}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``vacask`` need the program."""
    for item in items:
        if item.get_closest_marker("vacask") and not installed():
            item.add_marker(pytest.mark.skip(reason=_SKIPPED))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say once more at the end what was not tested."""
    if not installed():
        terminalreporter.section("second simulator")
        terminalreporter.line(_SKIPPED)
