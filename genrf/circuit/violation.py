"""What a broken electrical rule is reported as."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from genrf.circuit.graph import NetGraph
from genrf.circuit.topology import Topology


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule."""

    rule: str
    device: str | None
    """Designator of the device that breaks the rule, if one does."""
    net: str | None
    """Net at which the rule is broken, if one is."""
    message: str


Rule = Callable[[Topology, NetGraph], Iterable[Violation]]
"""Looks at a topology and its numbered form and says what is broken."""
