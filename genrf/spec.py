"""What a circuit must do: `DesignSpec`, from YAML or from Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrf import classes, technology
from genrf.conditions import Conditions, Constraint
from genrf.errors import InvalidInputError
from genrf.fields import mapping, quantity, read_yaml, refuse_unknown
from genrf.metrics import Metric, current_name


@dataclass(frozen=True, kw_only=True)
class DesignSpec:
    """A circuit class, the conditions to work under, and constraints on any of the class's metrics."""

    circuit_class: str
    conditions: Conditions
    constraints: tuple[Constraint, ...] = field(default_factory=tuple)
    name: str = "design"

    def __post_init__(self) -> None:
        bounds: dict[tuple[str, str], float] = {}
        for constraint in self.constraints:
            metric = _metric(self.circuit_class, constraint.metric)
            where = f"constraints.{metric.name}"
            if not math.isfinite(constraint.bound):
                raise InvalidInputError(f"{where}: expected a finite number, got {constraint.bound!r}")
            if metric.scale == "log" and constraint.bound <= 0.0:
                raise InvalidInputError(f"{where}: expected a number above 0, got {constraint.bound!r}")
            harder = constraint.sense == metric.sense
            if metric.limit is not None and harder and constraint.slack(metric.limit) < 0.0:
                raise InvalidInputError(
                    f"{where}: {constraint.sense} {constraint.bound:g} cannot be met, "
                    f"as {metric.limit:g} {metric.unit} is the best that is ever measured"
                )
            if (metric.name, constraint.sense) in bounds:
                raise InvalidInputError(f"{where}: bounded twice with {constraint.sense}")
            bounds[metric.name, constraint.sense] = constraint.bound
            low, high = bounds.get((metric.name, ">="), -math.inf), bounds.get((metric.name, "<="), math.inf)
            if low > high:
                raise InvalidInputError(f"{where}: min {low:g} is above max {high:g}, which no circuit can meet")

    @property
    def needs_signoff(self) -> bool:
        """Whether it bounds a metric of ngspice that is measured only when asked for."""
        vocabulary = classes.get(self.circuit_class).metrics
        return any(
            vocabulary[constraint.metric].signoff and not vocabulary[constraint.metric].second
            for constraint in self.constraints
        )

    @property
    def second_metrics(self) -> tuple[str, ...]:
        """The metrics among those bounded that only the second simulator measures."""
        vocabulary = classes.get(self.circuit_class).metrics
        return tuple(dict.fromkeys(c.metric for c in self.constraints if vocabulary[c.metric].second))

    @property
    def screen(self) -> DesignSpec:
        """What must be met before sign-off is worth its time: the same, with estimates where sign-off has them.

        What only the second simulator measures is no part of it. A specification whose other sign-off metrics have no
        estimates keeps those: they are measured at once.
        """
        vocabulary = classes.get(self.circuit_class).metrics
        first = tuple(c for c in self.constraints if not vocabulary[c.metric].second)
        estimated = tuple(
            replace(c, metric=estimate) if (estimate := vocabulary[c.metric].estimate) else c for c in first
        )
        if any(vocabulary[constraint.metric].signoff for constraint in estimated):
            return self if first == self.constraints else replace(self, constraints=first)
        hardest: dict[tuple[str, str], Constraint] = {}
        for constraint in estimated:
            known = hardest.setdefault((constraint.metric, constraint.sense), constraint)
            if constraint.slack(known.bound) < 0.0:
                hardest[constraint.metric, constraint.sense] = constraint
        return replace(self, constraints=tuple(hardest.values()))

    def meets(self, metrics: Mapping[str, float]) -> bool:
        """Whether measured metrics satisfy every constraint, with no tolerance; what was not signed off does not."""
        return all(
            constraint.metric in metrics and constraint.slack(metrics[constraint.metric]) >= 0.0
            for constraint in self.constraints
        )

    def margins(self, metrics: Mapping[str, float]) -> dict[Constraint, float]:
        """Slack of each constraint relative to the size of its metric's useful range (see `relative_slack`).

        A constraint on what was not signed off, because it was missed before, has the slack of its estimate; without one it
        has none, and is not among them.
        """
        vocabulary = classes.get(self.circuit_class).metrics
        slacks = {}
        for constraint in self.constraints:
            metric = vocabulary[constraint.metric]
            known = metric.name if metric.name in metrics else metric.estimate
            if known is not None:
                slacks[constraint] = relative_slack(metric, constraint, metrics[known])
        return slacks

    def worst_margin(self, metrics: Mapping[str, float]) -> float:
        """Smallest relative slack: at least 0 exactly when the specification is met; infinite without constraints.

        What the class requires, such as stability, counts where it is missed: more of it is worth nothing.
        """
        slacks = self.margins(metrics)
        wanted = [slack for constraint, slack in slacks.items() if slack < 0.0 or not is_required(self, constraint)]
        worst = min(wanted or slacks.values(), default=math.inf)
        return worst if worst < 0.0 or self.meets(metrics) else -math.ulp(0.0)

    @classmethod
    def from_yaml(cls, path: Path | str) -> DesignSpec:
        """Read a specification file.

        Raises:
            InvalidInputError: naming file and field, if the file is missing, is not YAML, or says something unknown.
        """
        path = Path(path)
        content = read_yaml(path)
        try:
            return cls.from_dict(content, name=path.stem)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, content: Any, name: str = "design") -> DesignSpec:
        """Build a specification from plain data; quantities are numbers in SI units or text such as ``"28 GHz"``.

        Raises:
            InvalidInputError: naming the field, for a missing, unknown or malformed one.
        """
        content = mapping("the specification", content)
        refuse_unknown(content, _FIELDS.keys() | {"class", "name", "constraints"}, "")
        for required in ("class", "frequency", "supply"):
            if required not in content:
                raise InvalidInputError(f"{required}: missing")
        circuit_class = content["class"]
        if not isinstance(circuit_class, str):
            raise InvalidInputError(f"class: expected one of {', '.join(classes.names())}, got {circuit_class!r}")
        classes.get(circuit_class)
        conditions = {
            field_name: quantity(key, content[key], unit)
            for key, (field_name, unit) in _FIELDS.items()
            if key in content
        }
        constraints = []
        listed = content.get("constraints")
        for metric, given in mapping("constraints", {} if listed is None else listed).items():
            metric = current_name(metric) if isinstance(metric, str) else metric
            unit = _metric(circuit_class, metric).unit
            bounds = mapping(f"constraints.{metric}", given)
            refuse_unknown(bounds, {"min", "max"}, f"constraints.{metric}.")
            if not bounds:
                raise InvalidInputError(f"constraints.{metric}: give min, max or both")
            for bound, sense in (("min", ">="), ("max", "<=")):
                if bound in bounds:
                    value = quantity(f"constraints.{metric}.{bound}", bounds[bound], unit)
                    constraints.append(Constraint(metric, sense, value))  # type: ignore[arg-type]
        return cls(
            circuit_class=circuit_class,
            conditions=_conditions(conditions),
            constraints=(
                *constraints,
                *_on_frequency(circuit_class, constraints),
                *_implied(circuit_class, constraints),
            ),
            name=str(content.get("name", name)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back to an equal specification."""
        constraints: dict[str, dict[str, float]] = {}
        for constraint in self.constraints:
            bound = "min" if constraint.sense == ">=" else "max"
            constraints.setdefault(constraint.metric, {})[bound] = constraint.bound
        return {
            "class": self.circuit_class,
            "name": self.name,
            **{
                key: value
                for key, (name, _) in _FIELDS.items()
                if (value := getattr(self.conditions, name)) is not None
            },
            "constraints": constraints,
        }


RELATIVE_TO = {"linear": 10.0, "log": 1.0}
"""Slack that counts as 1: ten units of a ``linear`` metric (10 dB, 10 %), one decade of a ``log`` one."""


def relative_slack(metric: Metric, constraint: Constraint, value: float) -> float:
    """Slack of a measured value, in units of `RELATIVE_TO` on the metric's own scale."""
    if metric.scale == "linear":
        return constraint.slack(value) / RELATIVE_TO["linear"]
    difference = metric.normalise(value) - metric.normalise(constraint.bound)
    slack = difference if constraint.sense == ">=" else -difference
    # The logarithm rounds: a bound that is met or missed by the last digit must not change sides.
    return max(slack, 0.0) if constraint.slack(value) >= 0.0 else min(slack, -math.ulp(0.0))


def is_required(spec: DesignSpec, constraint: Constraint) -> bool:
    """Whether a constraint is on what every specification of the class requires, such as stability: to be held, no more."""
    requirements = classes.get(spec.circuit_class).requirements
    return any((r.metric, r.sense) == (constraint.metric, constraint.sense) for r in requirements)


def label_constraints(spec: DesignSpec) -> list[Constraint]:
    """The constraints of a specification that label metrics decide."""
    labels = classes.get(spec.circuit_class).label_metrics
    return [constraint for constraint in spec.constraints if constraint.metric in labels]


def slack_of_all(metric: Metric, constraint: Constraint, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`relative_slack` of values of any shape, but for its last digits."""
    slack = (metric.normalise_all(values) - metric.normalise(constraint.bound)) / RELATIVE_TO[metric.scale]
    return slack if constraint.sense == ">=" else -slack


_FIELDS = {
    "frequency": ("frequency_hz", "Hz"),
    "supply": ("supply_v", "V"),
    "source_impedance": ("source_ohm", "Ohm"),
    "load_impedance": ("load_ohm", "Ohm"),
    "temperature": ("temperature_c", "C"),
    "corner": ("corner", ""),
    "tone_spacing": ("tone_spacing_hz", "Hz"),
}
"""Key in the file -> field of `Conditions` and its unit."""


LARGEST_ERROR_PERCENT = 1.0
"""How far a circuit with a frequency of its own may be from the one asked for, where the specification does not say."""


def _on_frequency(circuit_class: str, constraints: Sequence[Constraint]) -> list[Constraint]:
    """The bound that the frequency asked for is, unless the specification bounds the circuit's own frequency itself."""
    own = classes.get(circuit_class).own_frequency
    if own is None or any(constraint.metric in own for constraint in constraints):
        return []
    return [Constraint(own.error_percent, "<=", LARGEST_ERROR_PERCENT)]


def _implied(circuit_class: str, constraints: Sequence[Constraint]) -> list[Constraint]:
    """What bounded metrics carry along, unless the specification bounds that itself."""
    implied = classes.get(circuit_class).implied
    own = {(constraint.metric, constraint.sense) for constraint in constraints}
    along = [other for constraint in constraints for other in implied.get(constraint.metric, ())]
    return [other for other in dict.fromkeys(along) if (other.metric, other.sense) not in own]


def _metric(circuit_class: str, name: Any) -> Metric:
    vocabulary = classes.get(circuit_class).metrics
    if name not in vocabulary:
        raise InvalidInputError(
            f"constraints.{name}: not a metric of class {circuit_class}; choose from {', '.join(vocabulary)}"
        )
    return vocabulary[name]


def _conditions(values: dict[str, Any]) -> Conditions:
    try:
        conditions = Conditions(**values)
    except InvalidInputError as error:
        # `Conditions` names its field; the reader of a file knows the key.
        name, _, rest = str(error).partition(":")
        keys = {field_name: key for key, (field_name, _) in _FIELDS.items()}
        raise InvalidInputError(f"{keys.get(name, name)}:{rest}") from error
    _known_corner(conditions.corner)
    return conditions


def _known_corner(name: str) -> None:
    """Refuse a corner that no process has; which process a circuit is made for is not said in its specification."""
    known = dict.fromkeys(corner for process in technology.names() for corner in technology.get(process).corners)
    if name not in known:
        raise InvalidInputError(f"corner: unknown corner {name!r}; known: {', '.join(known)}")
