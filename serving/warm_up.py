"""Show that a designer designs, before anybody is told that it is ready."""

from __future__ import annotations

from collections import Counter

from genrf.conditions import Conditions
from genrf.errors import GenRFError
from genrf.generation.designer import Designer
from genrf.spec import DesignSpec

CALLS = 1
SEEDS = 16
"""Searches that are tried before a server in which no circuit simulates is called broken."""


def warm_up(designer: Designer, circuit_class: str) -> None:
    """Design and simulate once, so that the first client finds everything loaded.

    Raises:
        GenRFError: if no circuit simulates.
    """
    spec = DesignSpec(
        circuit_class=circuit_class, conditions=Conditions(frequency_hz=10e9, supply_v=2.0), name="warm-up"
    )
    failed: Counter[str] = Counter()
    for seed in range(SEEDS):
        result = designer.design(spec, calls=CALLS, seed=seed)
        if result.designs:
            return
        failed.update(result.failed)
    causes = ", ".join(f"{count} {cause}" for cause, count in failed.items()) or "no legal circuit was generated"
    raise GenRFError(f"warm-up: no circuit of class {circuit_class} simulates ({causes}); check the bundle and ngspice")
