"""Sign-off in a second simulator: which figures both have, and where they differ.

VACASK is asked for the same circuits under the same conditions as the judge (`genrf.simulation.judge`). Two simulators that
agree may both be wrong, but they share no code: VBIC 1.3 and harmonic balance there, our own VBIC for small signal and
ngspice's transients here. A difference beyond `tolerance` is marked for the reader to judge; nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from genrf import classes, technology
from genrf.cores import cores
from genrf.errors import MissingToolError
from genrf.metrics import Metric
from genrf.simulation.engine import with_second
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.locate import REMEDY, installed
from genrf.spec import DesignSpec
from genrf.technology.base import Technology
from genrf.technology.varied import VariedTechnology

MISSING = f"not signed off in a second simulator: VACASK is not installed; {REMEDY}"

_RELATIVE = {"W": 0.05, "Hz": 0.01}
"""Tolerance of a unit, relative to the larger value."""
_ABSOLUTE = {"dB": 0.5, "dBm": 0.5, "dBc": 1.0, "%": 2.0, "": 0.05, "dBc/Hz": 2.0}
"""Tolerance of a unit."""
_OF_METRIC = {"nf_db": 0.1, "frequency_error_percent": 1.0}
_MATCH_DB = -20.0
"""Reflections and isolations below are cancellations: only that both are so low counts."""
_CANCELLING = ("s11_db", "s22_db", "s12_db")


def require_second_simulator(spec: DesignSpec) -> None:
    """Refuse a specification that bounds what only VACASK measures, where it is not installed.

    Raises:
        MissingToolError: naming the constraint and the remedy.
    """
    if spec.second_metrics and not installed():
        raise MissingToolError(
            f"constraints.{spec.second_metrics[0]}: measured by the simulator VACASK, which is not installed; {REMEDY}"
        )


def second_opinions(simulations: Sequence[Simulation], technologies: Sequence[str]) -> list[Outcome | None]:
    """What VACASK says of circuits, as many at a time as there are cores; None for classes that it cannot measure.

    Args:
        simulations: circuits, conditions and variations.
        technologies: process of each.

    Raises:
        MissingToolError: if VACASK is not installed.
    """

    def one(simulation: Simulation, name: str) -> Outcome | None:
        definition = classes.get(simulation.circuit.topology.circuit_class)
        if not definition.has_second_opinion:
            return None
        process: Technology = technology.get(name)
        if simulation.variation is not None:
            process = VariedTechnology(process, simulation.variation)
        try:
            measured = definition.second_opinion(simulation.circuit, simulation.conditions, process)
        except SimulationFailure as failure:
            return Outcome(None, Failure(failure.cause, failure.detail))
        return Outcome(measured.metrics, None, {}, measured.notes)

    # Threads: each waits for VACASK's processes.
    with ThreadPoolExecutor(max_workers=cores()) as threads:
        return list(threads.map(one, simulations, technologies))


def joined(spec: DesignSpec, first: Outcome, second: Outcome | None) -> Outcome:
    """The judge's outcome, and of VACASK's the metrics that only it measures."""
    if first.metrics is None or second is None or second.metrics is None:
        return first
    metrics = with_second(classes.get(spec.circuit_class).metrics, first.metrics, second.metrics)
    return replace(first, metrics=metrics)


@dataclass(frozen=True, slots=True)
class SignedOff:
    """One circuit by both simulators."""

    first: Outcome
    """The judge's, sign-off metrics included."""
    second: Outcome | None
    """VACASK's; none where it is not installed or cannot measure the class."""

    def content(self) -> dict[str, Any]:
        """Plain data."""
        found = {"judge": self.first, "vacask": self.second}
        return {name: _content(outcome) for name, outcome in found.items() if outcome is not None}


def _content(outcome: Outcome) -> dict[str, Any]:
    if outcome.metrics is None:
        return {
            "failure": {"cause": outcome.failure.cause, "detail": outcome.failure.detail} if outcome.failure else {}
        }
    return {"metrics": dict(outcome.metrics), "notes": list(outcome.notes)}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure by both simulators."""

    metric: Metric
    first: float | None
    """The judge's; none if it has not measured it."""
    second: float | None
    """VACASK's."""

    @property
    def difference(self) -> float | None:
        """VACASK's less the judge's, in the metric's unit."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def tolerance(self) -> float:
        """Difference up to which they agree, in the metric's unit."""
        largest = max(abs(value) for value in (self.first, self.second, 0.0) if value is not None)
        return tolerance(self.metric, largest)

    @property
    def differs(self) -> bool:
        """Whether they disagree by more than the tolerance."""
        if self.first is None or self.second is None:
            return False
        if self.metric.name in _CANCELLING and max(self.first, self.second) <= _MATCH_DB:
            return False
        return not abs(self.second - self.first) <= self.tolerance


def tolerance(metric: Metric, value: float) -> float:
    """Difference up to which two simulators count as agreeing on a metric of about that size, in its unit."""
    if metric.name in _OF_METRIC:
        return _OF_METRIC[metric.name]
    if metric.unit in _RELATIVE:
        return _RELATIVE[metric.unit] * abs(value)
    return _ABSOLUTE.get(metric.unit, 0.0)


def compared(circuit_class: str, first: Outcome, second: Outcome) -> list[Compared]:
    """Every metric that VACASK has, or that the judge has measured for sign-off only, in the class's order."""
    rows = []
    one_has, other_has = (dict(outcome.metrics or {}) for outcome in (first, second))
    for name, metric in classes.get(circuit_class).metrics.items():
        one, other = one_has.get(name), other_has.get(name)
        if metric.second:
            # Within the judge's own results it is VACASK's as well.
            one = None
        if other is not None or (metric.signoff and one is not None):
            rows.append(Compared(metric, one, other))
    return rows
