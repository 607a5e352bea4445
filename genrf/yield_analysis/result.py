"""What the runs say: yield with its confidence interval, each constraint's failures, spread and worst case by metric."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from genrf import classes
from genrf.conditions import Constraint
from genrf.simulation.outcome import Outcome
from genrf.spec import DesignSpec
from genrf.yield_analysis.study import YieldStudy

CONFIDENCE = 0.95
ASSUMPTIONS = (
    "Process and mismatch are the PDK's own statistics, about its typical corner; the transit time does not vary there.",
    "Inductors do not vary: the model is ours, and metal geometry is taken as exact. Bias voltages are ideal.",
    "A resistor's mismatch is that of a rppd strip 2 um wide: a schematic has no layout.",
)
TEMPERATURE_CAVEAT = (
    "Over temperature transistors, resistors and capacitors follow the PDK's coefficients; bias voltages and inductors do "
    "not move."
)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One metric over the runs that simulated."""

    mean: float
    deviation: float
    """Standard deviation, with n - 1."""
    lowest: float
    highest: float
    worst: float
    """Farthest from the bound on its wrong side; without a bound, farthest from what a designer wants."""
    worst_run: int
    """Number of the run that it happened in."""


@dataclass(frozen=True, kw_only=True)
class YieldResult:
    """A study's runs, judged."""

    study: YieldStudy
    outcomes: Sequence[Outcome]
    """Outcomes of the runs, by number."""
    corners: Mapping[str, Outcome]
    """Outcome of the design at each corner, under its nominal conditions."""

    @property
    def spec(self) -> DesignSpec:
        """What the runs are held against."""
        return self.study.spec

    @property
    def passed(self) -> int:
        """Runs that simulate and meet every constraint."""
        return sum(outcome.metrics is not None and self.spec.meets(outcome.metrics) for outcome in self.outcomes)

    @property
    def share(self) -> float:
        """The yield, from 0 to 1."""
        return self.passed / len(self.outcomes)

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the yield."""
        return wilson_interval(self.passed, len(self.outcomes), CONFIDENCE)

    @property
    def failed(self) -> dict[str, int]:
        """Runs that gave no metrics, by cause; all of them count against the yield."""
        return dict(Counter(outcome.failure.cause for outcome in self.outcomes if outcome.failure is not None))

    def misses(self, constraint: Constraint) -> int:
        """Runs that simulate and miss one constraint."""
        name = constraint.metric
        return sum(o.metrics is not None and constraint.slack(o.metrics[name]) < 0.0 for o in self.outcomes)

    def values(self, metric: str) -> np.ndarray:
        """One metric of the runs that simulated, shape (runs that simulated,)."""
        return np.array([outcome.metrics[metric] for outcome in self.outcomes if outcome.metrics is not None])

    def spread(self, metric: str) -> Spread | None:
        """One metric's spread; none if no run simulated."""
        values = self.values(metric)
        if not len(values):
            return None
        bounds = [constraint for constraint in self.spec.constraints if constraint.metric == metric]
        if bounds:
            margins = np.min([[c.slack(value) for value in values.tolist()] for c in bounds], axis=0)
        else:
            margins = classes.get(self.spec.circuit_class).metrics[metric].sign * values
        worst = int(np.argmin(margins))
        runs = [number for number, outcome in enumerate(self.outcomes) if outcome.metrics is not None]
        return Spread(
            mean=float(values.mean()),
            deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            lowest=float(values.min()),
            highest=float(values.max()),
            worst=float(values[worst]),
            worst_run=runs[worst],
        )

    def content(self) -> dict[str, Any]:
        """Plain data."""
        measured = next((o.metrics for o in (*self.outcomes, *self.corners.values()) if o.metrics is not None), None)
        spreads = {name: self.spread(name) for name in measured or ()}
        return {
            "specification": self.spec.to_dict(),
            "study": self.study.identity(),
            "runs": len(self.outcomes),
            "passed": self.passed,
            "yield": self.share,
            "confidence": CONFIDENCE,
            "yield_interval": list(self.interval),
            "failed": self.failed,
            "constraints": [
                {"metric": c.metric, "sense": c.sense, "bound": c.bound, "missed": self.misses(c)}
                for c in self.spec.constraints
            ],
            "metrics": {
                name: {slot: getattr(spread, slot) for slot in spread.__dataclass_fields__}
                for name, spread in spreads.items()
                if spread is not None
            },
            "corners": {name: self._verdict(outcome) for name, outcome in self.corners.items()},
            "assumptions": self.assumptions,
        }

    @property
    def assumptions(self) -> list[str]:
        """What the figures rest on."""
        return [*ASSUMPTIONS, *((TEMPERATURE_CAVEAT,) if self.study.temperature_c else ())]

    def _verdict(self, outcome: Outcome) -> dict[str, Any]:
        if outcome.metrics is None:
            failure = outcome.failure
            return {"failure": {"cause": failure.cause, "detail": failure.detail} if failure else {}, "met": False}
        return {"metrics": dict(outcome.metrics), "met": self.spec.meets(outcome.metrics)}


def wilson_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Score interval of a binomial proportion (Wilson, JASA 22(158), 1927, without continuity correction).

    Raises:
        ValueError: without trials, or with more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = successes / trials
    scale = 1.0 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1.0 - share) / trials + z**2 / (4 * trials**2))
    # At the ends the formula is exact but its arithmetic is not.
    return (0.0 if successes == 0 else centre - half, 1.0 if successes == trials else centre + half)
