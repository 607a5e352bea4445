"""What refinement improves: the metrics to trade for each other, and a specification on the scale that models work in.

symbol  variable   meaning                                                        unit
y       outputs    metrics that are modelled, standardised                        1
s       slack      relative slack of a constraint, slope * y + offset             see `genrf.spec.relative_slack`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto
from genrf.conditioning import Conditioning
from genrf.errors import InvalidInputError
from genrf.generation.design import Design
from genrf.metrics import Metrics
from genrf.spec import RELATIVE_TO, DesignSpec

MOST_OBJECTIVES = 4
"""Beyond these the boxes of a dominated volume become too many to integrate over."""


def choose_objectives(spec: DesignSpec, names: Sequence[str] = ()) -> tuple[str, ...]:
    """The metrics whose trade-off is wanted: the given ones, or those that designers of the class trade.

    Raises:
        InvalidInputError: for a name that is not a metric of the class, is named twice or would not be measured, or for fewer
            than two or more than `MOST_OBJECTIVES` objectives.
    """
    definition = classes.get(spec.circuit_class)
    chosen = tuple(names) or definition.trade_off
    for name in chosen:
        if name not in definition.metrics:
            raise InvalidInputError(
                f"pareto: {name!r} is not a metric of class {spec.circuit_class}; "
                f"choose from {', '.join(definition.metrics)}"
            )
        if definition.metrics[name].second:
            raise InvalidInputError(
                f"pareto: {name} is measured by a second simulator, and only for circuits that meet everything else; "
                "bound it instead"
            )
        if definition.metrics[name].signoff and not spec.needs_signoff:
            raise InvalidInputError(
                f"pareto: {name} is a sign-off metric, which is measured only where the specification bounds one; "
                f"add a bound on {name} to the specification"
            )
        if definition.metrics[name].estimate:
            raise InvalidInputError(
                f"pareto: {name} is measured only for circuits that meet everything else; "
                f"trade off {definition.metrics[name].estimate} instead"
            )
        if chosen.count(name) > 1:
            raise InvalidInputError(f"pareto: {name} is named twice")
    if not 2 <= len(chosen) <= MOST_OBJECTIVES:
        raise InvalidInputError(f"pareto: expected 2 to {MOST_OBJECTIVES} metrics, got {len(chosen)}")
    return chosen


def parse_objectives(spec: DesignSpec, text: str | None) -> tuple[str, ...]:
    """The objectives that a list of names separated by commas stands for, or the class's own without one.

    Raises:
        InvalidInputError: as `choose_objectives`, and for a list without names.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if text is not None and not names:
        raise InvalidInputError(
            f"pareto: names no metric; choose from {', '.join(classes.get(spec.circuit_class).metrics)}"
        )
    return choose_objectives(spec, names)


def in_small_signal(spec: DesignSpec, objectives: Sequence[str]) -> bool:
    """Whether the batched simulator measures all that is traded off or bounded: then a front is refined by descents."""
    definition = classes.get(spec.circuit_class)
    names = {*objectives, *(constraint.metric for constraint in spec.constraints)}
    return definition.small_signal is not None and names <= set(definition.label_metrics)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The metrics that are modelled: objectives and bounded metrics, standardised; n of them."""

    spec: DesignSpec
    names: tuple[str, ...]
    centre: NDArray[np.float64]
    """Subtracted from a metric on its own scale, (n,)."""
    scale: NDArray[np.float64]
    """What the difference is divided by, (n,)."""
    known: tuple[int | None, ...]
    """Place of each in the surrogate's prediction; none for a sign-off metric, which it does not know."""

    @classmethod
    def of(
        cls, spec: DesignSpec, objectives: Sequence[str], conditioning: Conditioning, measured: Sequence[Metrics]
    ) -> Outputs:
        """Standardised as the surrogate does it; sign-off metrics by their mean and deviation over what was measured."""
        names = tuple(dict.fromkeys([*objectives, *(constraint.metric for constraint in spec.constraints)]))
        position = conditioning.classes.index(spec.circuit_class)
        vocabulary = classes.get(spec.circuit_class).metrics
        centre, scale = [], []
        known: list[int | None] = []
        for name in names:
            if name in conditioning.metrics:
                index = conditioning.metrics.index(name)
                centre.append(conditioning.mean[position][index])
                scale.append(conditioning.deviation[position][index])
                known.append(index)
            else:
                values = [vocabulary[name].normalise(metrics[name]) for metrics in measured] or [0.0]
                centre.append(float(np.mean(values)))
                scale.append(max(float(np.std(values)), 1e-3))
                known.append(None)
        return cls(spec=spec, names=names, centre=np.array(centre), scale=np.array(scale), known=tuple(known))

    def standardised(self, metrics: Mapping[str, float]) -> NDArray[np.float64]:
        """Measured metrics as outputs, (n,); unlike the surrogate's labels not clipped, so that better is better."""
        vocabulary = classes.get(self.spec.circuit_class).metrics
        values = np.array([vocabulary[name].normalise(metrics[name]) for name in self.names])
        return (values - self.centre) / self.scale

    def signed(self, objectives: Sequence[str], measured: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Objectives of circuits as outputs, signed so that larger is better, (N, k)."""
        index = [self.names.index(name) for name in objectives]
        rows = [self.standardised(metrics)[index] * self.signs[index] for metrics in measured]
        return np.array(rows).reshape(len(rows), len(index))

    def metrics(self, objectives: Sequence[str], signed: NDArray[np.float64]) -> dict[str, float]:
        """The metrics that one row (k,) of `signed` stands for."""
        index = [self.names.index(name) for name in objectives]
        values = signed * self.signs[index] * self.scale[index] + self.centre[index]
        vocabulary = classes.get(self.spec.circuit_class).metrics
        return {
            name: float(10.0**value if vocabulary[name].scale == "log" else value)
            for name, value in zip(objectives, values, strict=True)
        }

    def volumes(
        self, objectives: Sequence[str], reference: NDArray[np.float64], designs: Sequence[Design], calls: int
    ) -> tuple[float, float]:
        """What the designs that meet the specification dominate above a reference (k,): those of the first calls, and all."""
        met = [design for design in designs if design.met]
        reached = self.signed(objectives, [design.metrics for design in met])
        first = np.array([design.provenance["order"] <= calls for design in met], bool)
        return pareto.volume(reached[first], reference), pareto.volume(reached, reference)

    @property
    def signs(self) -> NDArray[np.float64]:
        """1 where a higher output is better, -1 where a lower one is, (n,)."""
        vocabulary = classes.get(self.spec.circuit_class).metrics
        return np.array([vocabulary[name].sign for name in self.names])

    @property
    def slacks(self) -> list[tuple[int, float, float]]:
        """Output that each constraint bounds, with slope and offset of its relative slack."""
        vocabulary = classes.get(self.spec.circuit_class).metrics
        lines = []
        for constraint in self.spec.constraints:
            index, metric = self.names.index(constraint.metric), vocabulary[constraint.metric]
            sign = 1.0 if constraint.sense == ">=" else -1.0
            unit = sign / RELATIVE_TO[metric.scale]
            bound = metric.normalise(constraint.bound)
            lines.append((index, float(unit * self.scale[index]), float(unit * (self.centre[index] - bound))))
        return lines

    def reference(self, objectives: Sequence[str], front: NDArray[np.float64]) -> NDArray[np.float64]:
        """The point that dominated volume is counted from, signed so that larger is better, (k,).

        In an objective that the specification bounds it is the bound: whatever is worse cannot be used. In another it is the
        front's worst value less the front's extent, or a standard deviation where that is more: the first front is narrow, and
        circuits beyond its ends are wanted too.

        Args:
            front: signed objectives of the designs on the front, (F, k).
        """
        worst, best = front.min(axis=0), front.max(axis=0)
        point = worst - np.maximum(best - worst, 1.0)
        vocabulary = classes.get(self.spec.circuit_class).metrics
        for column, name in enumerate(objectives):
            index, metric = self.names.index(name), vocabulary[name]
            for constraint in self.spec.constraints:
                if constraint.metric == name and constraint.sense == metric.sense:
                    bound = (metric.normalise(constraint.bound) - self.centre[index]) / self.scale[index]
                    point[column] = metric.sign * bound
        return point
