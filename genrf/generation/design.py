"""What a search returns: designs that were simulated, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto, technology
from genrf.circuit.topology import Circuit
from genrf.metrics import Metrics
from genrf.signoff import SignedOff
from genrf.spec import DesignSpec


@dataclass(frozen=True, kw_only=True)
class Design:
    """A simulated circuit held against the specification it was generated for."""

    circuit: Circuit
    metrics: Metrics
    met: bool
    """Whether it meets every constraint, with no tolerance."""
    margin: float
    """Worst relative slack over the constraints, see `genrf.spec.relative_slack`."""
    pareto: bool = False
    """Whether it is on the front that `ranked` describes."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where it came from: order of simulation, source, seed, model bundle, versions."""

    @classmethod
    def judged(
        cls, circuit: Circuit, metrics: Metrics, spec: DesignSpec, provenance: dict[str, Any], *, pareto: bool = False
    ) -> Design:
        """A circuit whose metrics were measured, with the verdict that a specification gives."""
        return cls(
            circuit=circuit,
            metrics=metrics,
            met=spec.meets(metrics),
            margin=spec.worst_margin(metrics),
            pareto=pareto,
            provenance=provenance,
        )

    @property
    def technology(self) -> str:
        """Name of the process that it was simulated in."""
        return str(self.provenance.get("technology", technology.DEFAULT))


class FailedCircuit(NamedTuple):
    """A circuit that gave no metrics."""

    circuit: Circuit
    cause: str


@dataclass(frozen=True, kw_only=True)
class DesignResult:
    """All that one search simulated."""

    spec: DesignSpec
    designs: tuple[Design, ...]
    """Those that simulated, met first, then by margin."""
    simulated: int
    """SPICE calls spent."""
    failed: dict[str, int]
    """Calls that gave no metrics, by cause."""
    first_met: int | None
    """How many calls it took to meet the specification; none if it was not met."""
    seconds: dict[str, float]
    """Wall time by stage."""
    explored: int = 0
    """Circuits simulated on the way to those, in descents; they are no calls."""
    failed_circuits: tuple[FailedCircuit, ...] = ()
    """The circuits that gave no metrics, in order."""
    objectives: tuple[str, ...] = ()
    """The metrics that the Pareto front is over; empty for all specification metrics of the class."""
    refined_from: int | None = None
    """Calls after which refinement began; none without it."""
    hypervolume: tuple[float, float] | None = None
    """Volume that designs which meet the specification dominate in the objectives, before and after refinement, in standard
    deviations of the training data; none without refinement, or where nothing meets the specification."""

    signed_off: tuple[SignedOff, ...] = ()
    """The first designs by both simulators, in order; empty unless asked for."""

    @classmethod
    def of_one(cls, spec: DesignSpec, design: Design) -> DesignResult:
        """A single design as the result of the one simulation that measured it."""
        first = 1 if design.met else None
        return cls(spec=spec, designs=(design,), simulated=1, failed={}, first_met=first, seconds={})

    def front_before_refinement(self) -> list[Design]:
        """The Pareto front in the objectives of the designs that met the specification before refinement."""
        met = [d for d in self.designs if d.met and d.provenance["order"] <= (self.refined_from or 0)]
        marks = pareto_front(self.spec.circuit_class, [design.metrics for design in met], self.objectives)
        return [design for design, mark in zip(met, marks, strict=True) if mark]


def ranked(designs: Sequence[Design], spec: DesignSpec, objectives: Sequence[str] = ()) -> tuple[Design, ...]:
    """The designs with their Pareto front marked, met first, then by margin.

    Args:
        objectives: metrics that the front is over, of the designs that meet the specification if any do: a trade-off is
            between circuits that can be used. The front then comes before other designs that meet the specification.
            Without any, the front is that of all designs in all specification metrics.
    """
    compared = [design.met for design in designs] if objectives else []
    if not any(compared):
        compared = [True] * len(designs)
    front = np.zeros(len(designs), dtype=bool)
    front[compared] = pareto_front(
        spec.circuit_class,
        [design.metrics for design, included in zip(designs, compared, strict=True) if included],
        objectives,
    )
    marked = [
        Design(
            circuit=design.circuit,
            metrics=design.metrics,
            met=design.met,
            margin=design.margin,
            pareto=bool(on_front),
            provenance=design.provenance,
        )
        for design, on_front in zip(designs, front, strict=True)
    ]
    first = bool(objectives)
    return tuple(sorted(marked, key=lambda d: (not d.met, first and d.met and not d.pareto, -d.margin)))


def over_objectives(result: DesignResult, objectives: tuple[str, ...]) -> DesignResult:
    """The result with its front marked in other metrics."""
    return replace(result, designs=ranked(result.designs, result.spec, objectives), objectives=objectives)


def pareto_front(circuit_class: str, metrics: Sequence[Metrics], objectives: Sequence[str] = ()) -> NDArray[np.bool_]:
    """Which of the circuits no other one dominates in the objectives, by default the specification metrics, (N,)."""
    return pareto.front(maximized(circuit_class, metrics, objectives))


def maximized(circuit_class: str, metrics: Sequence[Metrics], names: Sequence[str] = ()) -> NDArray[np.float64]:
    """Metrics, by default the specification metrics, on their own scale, signed so that larger is better, (N, n)."""
    definition = classes.get(circuit_class)
    wanted = [definition.metrics[name] for name in names or definition.specification_metrics]
    return np.array([[metric.sign * metric.normalise(m[metric.name]) for metric in wanted] for m in metrics]).reshape(
        len(metrics), len(wanted)
    )
