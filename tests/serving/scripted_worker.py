"""A designing process with scripted circuits for trained models: ``python -m tests.serving.scripted_worker [BEHAVIOUR]``.

Behaviours: ``slow`` waits in searches for specifications called wait, checking now and then whether it is cancelled; ``deaf``
waits without; ``broken`` fails in each search; ``hopeless`` has no circuit that simulates; ``other`` is a second bundle, whose
circuits do not meet the specification; ``late`` takes long to be ready; ``half`` says it designs power amplifiers as well, and
has none.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from genrf.errors import GenRFError
from genrf.generation.design import DesignResult
from genrf.spec import DesignSpec
from serving.worker import work
from tests.amplifiers import CASCODE, COMMON_EMITTER, MATCHED_28GHZ
from tests.scripted_designer import ScriptedDesigner

SLOW_S = 30.0
CIRCUITS = {
    "hopeless": [COMMON_EMITTER.with_values([9e9] * 10)],
    "other": [CASCODE],
}


class Behaving(ScriptedDesigner):
    """Designs in the way that it was told, once it is warm."""

    def __init__(self, behaviour: str) -> None:
        if behaviour == "late":
            time.sleep(100.0)
        super().__init__(CIRCUITS.get(behaviour, [CASCODE, MATCHED_28GHZ, COMMON_EMITTER]))
        self._behaviour = behaviour

    @property
    def circuit_classes(self) -> tuple[str, ...]:
        return (*super().circuit_classes, *(["pa"] if self._behaviour == "half" else []))

    @property
    def provenance(self) -> dict[str, str]:
        return {"bundle": ("1" if self._behaviour == "other" else "0") * 64, "precision": "fp32"}

    def design(self, spec: DesignSpec, *, progress: Any = None, **options: Any) -> DesignResult:
        if spec.name != "warm-up":
            if self._behaviour == "broken":
                raise GenRFError("libngspice: gone")
            end = time.monotonic() + SLOW_S
            while self._behaviour in ("slow", "deaf") and spec.name.startswith("wait") and time.monotonic() < end:
                time.sleep(0.02)
                if self._behaviour == "slow":
                    progress(0, options["calls"])
        return super().design(spec, progress=progress, **options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("behaviour", nargs="?", default="plain")
    parser.add_argument("--version", default="7")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--long", action="store_true")
    arguments = parser.parse_args()
    sys.exit(work(lambda: Behaving(arguments.behaviour), ("genrf", arguments.version), arguments.number))
