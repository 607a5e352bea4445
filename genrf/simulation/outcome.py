"""What is to be simulated, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.testbench import Cause, Curve, Trace
from genrf.technology.variation import Variation


@dataclass(frozen=True, slots=True)
class Simulation:
    """A circuit and the conditions to measure it under."""

    circuit: Circuit
    conditions: Conditions
    signoff: bool = False
    """Whether the sign-off metrics are measured too, which may take many times as long."""
    variation: Variation | None = None
    """How the manufactured circuit differs from the design; none: not at all."""
    second: bool = False
    """Whether the metrics that only the second simulator, VACASK, measures are measured too."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a circuit has no metrics."""

    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either metrics or a failure."""

    metrics: Metrics | None
    failure: Failure | None = None
    curves: Mapping[str, Curve | Trace] = field(default_factory=dict)
    """Only where they were asked for."""
    notes: tuple[str, ...] = ()
    """See `genrf.simulation.testbench.Measurement`."""
