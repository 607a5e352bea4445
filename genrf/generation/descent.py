"""Sizings improved by simulation: damped least squares on the constraints that are missed, many circuits side by side.

symbol   variable     meaning                                                                     unit
m        margins      slack of each part of each constraint, relative to its metric's useful range   1
tau      target       slack that is wanted of each                                                1
x        x            values as variables: logarithms, bias voltages by `_BIAS_V`                 1
J        jacobian     slopes of m by x, by differences in the simulator                           1
d        step         the change that makes sum max(0, tau - m - J d)^2 + lambda |D d|^2 smallest     1

Levenberg and Marquardt's method (Nocedal and Wright, Numerical Optimization, 2nd ed., section 10.3) on residuals of one
sign. Every circuit tries three dampings at a time and keeps the best point that it has seen. Numbers of emitters are whole:
their slope is that of the next larger transistor, and a step rounds to what can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.devices import KINDS
from genrf.circuit.topology import Circuit
from genrf.simulation.batched.bench import Parts
from genrf.spec import DesignSpec, is_required, label_constraints, slack_of_all

Simulate = Callable[[Sequence[Circuit]], Parts]
"""Label metrics of circuits as `genrf.simulation.batched.bench.SmallSignalBench.parts` has them; not a number where a
circuit has none."""

_BIAS_V = 0.05
"""Change of a bias voltage that counts as much as a factor e of another value."""
_STEP = 1e-4
"""Relative change for a difference."""
_LARGEST_STEP = 0.6
_DAMPINGS = (0.1, 1.0, 10.0)
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-7, 1e4
_NEARLY = 1e-8
"""Cost at which a circuit goes further: what is missing is a ten-thousandth."""
_REQUIRED_SLACK, _REQUIRED_WEIGHT = 1e-6, 30.0
"""Of what every specification of the class requires, such as stability: to be held, and more is worth nothing."""
_PASSES = 6
"""Times that a step finds out which constraints it will miss."""


@dataclass(frozen=True)
class Aim:
    """What a descent wants: slack of each of `Descent.constraints`, and how much what is missing of it counts."""

    slack: NDArray[np.float64]
    """Minus infinity where nothing is wanted, (constraints,)."""
    weight: NDArray[np.float64]
    """(constraints,)."""
    further: NDArray[np.float64] | None = None
    """Slack wanted beyond that each time that a circuit has nearly what is wanted, (constraints,); none to stop there."""


class Start(NamedTuple):
    """A circuit to begin with, and where it is to go."""

    circuit: Circuit
    aim: Aim


@dataclass
class Descended:
    """Circuits on the grid, best margin first, and what they cost."""

    circuits: list[Circuit]
    slacks: NDArray[np.float64]
    """Of each constraint, (circuits, constraints)."""
    simulated: int
    """Circuits simulated on the way."""

    @property
    def margins(self) -> NDArray[np.float64]:
        """The worst slack of each circuit, (circuits,)."""
        return worst(self.slacks)


class _Margins(NamedTuple):
    """Slack of circuits, not a number where one does not simulate."""

    parts: NDArray[np.float64]
    """Of each part of each constraint, (circuits, parts)."""
    constraint: NDArray[np.int64]
    """The constraint that each part is of, (parts,)."""


class Descent:
    """Improves sizings for one specification.

    Args:
        spec: constraints on label metrics; others are ignored.
        rules: bounds and grid of values.
        simulate: measures circuits.
    """

    def __init__(self, spec: DesignSpec, rules: DesignRules, simulate: Simulate) -> None:
        self._spec = spec
        self._rules = rules
        self._simulate = simulate
        self._simulated = 0
        self.constraints = label_constraints(spec)

    def aim(self, slack: float) -> Aim:
        """The same slack of every constraint; what the class requires is only to be held."""
        required = np.array([is_required(self._spec, constraint) for constraint in self.constraints], bool)
        return Aim(np.where(required, _REQUIRED_SLACK, slack), np.where(required, _REQUIRED_WEIGHT, 1.0))

    def slacks(self, circuits: Sequence[Circuit]) -> NDArray[np.float64]:
        """Slack of each constraint, (circuits, constraints); minus infinity where a circuit does not simulate."""
        if not circuits:
            return np.zeros((0, len(self.constraints)))
        parts, constraint = self._margins(circuits)
        whole = np.full((len(circuits), len(self.constraints)), np.inf)
        for number in range(len(self.constraints)):
            whole[:, number] = parts[:, constraint == number].min(axis=1)
        return np.where(np.isnan(parts).any(axis=1, keepdims=True), -np.inf, whole)

    def rated(self, circuits: Sequence[Circuit]) -> list[tuple[float, Circuit]]:
        """Circuits with their worst margins; minus infinity where one does not simulate."""
        return list(zip(worst(self.slacks(circuits)).tolist(), circuits, strict=True))

    def run(self, starts: Sequence[Start], *, iterations: int, enough: int | None = None) -> Descended:
        """Descend from circuits, those that do not simulate left out.

        Args:
            starts: of any topologies.
            iterations: at most; a circuit that has what is wanted goes no further than its aim says.
            enough: circuits that have it, with which the others stop too.
        """
        self._simulated = 0
        if not starts:
            return self._built([])
        states = [_State(start.circuit, self._rules) for start in starts]
        margins = self._margins([state.circuit for state in states])
        for state, start, own in zip(states, starts, margins.parts, strict=True):
            state.begin(own, start.aim, margins.constraint)
            state.go_further()
        states = [state for state in states if np.isfinite(state.cost)]
        for _ in range(iterations):
            active = [state for state in states if state.cost > 0.0 and state.damping < _MOST_DAMPING]
            if not active or (enough is not None and len(states) - len(active) >= enough):
                break
            self._differentiate(active)
            trials = [trial for state in active for trial in state.trials()]
            found = self._margins([circuit for _, circuit in trials]).parts
            for index, state in enumerate(active):
                part = slice(index * len(_DAMPINGS), (index + 1) * len(_DAMPINGS))
                state.choose(trials[part], found[part])
                state.go_further()
        return self._built([circuit for state in states for circuit in (*state.stations, state.circuit)])

    def _differentiate(self, states: Sequence[_State]) -> None:
        """The slopes of all margins by all values."""
        found = self._margins([circuit for state in states for circuit in state.neighbours()]).parts
        start = 0
        for state in states:
            state.differentiate(found[start : start + len(state.x)])
            start += len(state.x)

    def _margins(self, circuits: Sequence[Circuit]) -> _Margins:
        self._simulated += len(circuits)
        parts = self._simulate(circuits)
        metrics = classes.get(self._spec.circuit_class).metrics
        slacks = [slack_of_all(metrics[c.metric], c, parts[c.metric]) for c in self.constraints]
        constraint = np.repeat(np.arange(len(slacks)), [slack.shape[1] for slack in slacks])
        return _Margins(np.concatenate([np.zeros((len(circuits), 0)), *slacks], axis=1), constraint)

    def _built(self, circuits: Sequence[Circuit]) -> Descended:
        """The circuits as they would be built."""
        built = list(dict.fromkeys(self._rules.kept(circuit) for circuit in circuits))
        slacks = self.slacks(built)
        order = np.argsort(-worst(slacks), kind="stable")
        return Descended([built[place] for place in order], slacks[order], self._simulated)


def worst(slacks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least of each circuit's slacks (circuits, constraints), infinite where nothing is wanted, (circuits,)."""
    return slacks.min(axis=1, initial=np.inf)


class _State:
    """One circuit on its way."""

    def __init__(self, circuit: Circuit, rules: DesignRules) -> None:
        self._technology = rules.technology
        self._kinds = kinds = [device.kind for device in circuit.topology.devices]
        self._log = np.array([KINDS[kind].scale == "log" for kind in kinds])
        self._whole = np.array([kind in rules.technology.transistor_kinds for kind in kinds])
        low, high = np.array([rules.ranges[kind] for kind in kinds]).T
        self._low, self._high = self._variables(low), self._variables(high)
        self._bounds = low, high
        values = np.clip(np.array(circuit.values), low, high)
        self.circuit = circuit.with_values(values.tolist())
        self.x = self._variables(values)
        self.cost = np.inf
        self.damping = _FIRST_DAMPING
        self.stations: list[Circuit] = []
        """Where it had nearly what was wanted, and more was then."""
        self._target = self._weight = self._further = self._margins = np.zeros(0)
        self._jacobian = np.zeros((0, 0))
        self._steps = np.zeros(0)

    def begin(self, margins: NDArray[np.float64], aim: Aim, constraint: NDArray[np.int64]) -> None:
        """Start from margins (parts,), towards an aim, where each part is of a constraint (parts,)."""
        self._target, self._weight = aim.slack[constraint], aim.weight[constraint]
        self._further = np.zeros(0) if aim.further is None else aim.further[constraint]
        self._take(margins)

    def go_further(self) -> None:
        """Want more where the aim is nearly reached."""
        while self._further.any() and self.cost <= _NEARLY:
            self.stations.append(self.circuit)
            self._target = self._target + self._further
            self._take(self._margins)

    def neighbours(self) -> list[Circuit]:
        """The circuit with each value a little larger, or smaller at its upper bound."""
        small = np.where(self.x + _STEP <= self._high, _STEP, -_STEP)
        values = np.array(self.circuit.values)
        larger = np.where(np.log(np.maximum(values + 1.0, 1.0)) <= self._high, values + 1.0, values - 1.0)
        whole = np.log(np.where(self._whole, self._drawable(larger), 1.0)) - self.x
        self._steps = np.where(self._whole, whole, small)
        return [self._at(self.x + step * unit) for step, unit in zip(self._steps, np.eye(len(self.x)), strict=True)]

    def differentiate(self, margins: NDArray[np.float64]) -> None:
        """Slopes (constraints, values) from the margins of `neighbours`, (values, constraints)."""
        steps = np.where(self._steps == 0.0, np.inf, self._steps)
        slopes = (margins - self._margins) / steps[:, None]
        self._jacobian = np.where(np.isfinite(slopes), slopes, 0.0).T

    def trials(self) -> list[tuple[float, Circuit]]:
        """Dampings, and the circuit that each leads to."""
        found = []
        for factor in _DAMPINGS:
            damping = max(self.damping * factor, _LEAST_DAMPING)
            found.append((damping, self._at(self.x + self._step(damping))))
        return found

    def choose(self, trials: Sequence[tuple[float, Circuit]], margins: NDArray[np.float64]) -> None:
        """Go on from the best of the trials, or with more damping from here."""
        costs = [self._cost(own) for own in margins]
        best = int(np.argmin(costs))
        if costs[best] < self.cost:
            self.damping, self.circuit = trials[best]
            self.x = self._variables(np.array(self.circuit.values))
            self._take(margins[best])
        else:
            self.damping *= 100.0

    def _take(self, margins: NDArray[np.float64]) -> None:
        """Be at a point with these margins."""
        self._margins, self.cost = margins, self._cost(margins)

    def _missing(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """What margins (parts,) lack, weighted; negative where they have more."""
        return self._weight * (self._target - margins)

    def _cost(self, margins: NDArray[np.float64]) -> float:
        """Infinite where a circuit does not simulate."""
        return float((np.maximum(self._missing(margins), 0.0) ** 2).sum()) if np.isfinite(margins).all() else np.inf

    def _step(self, damping: float) -> NDArray[np.float64]:
        missing = self._missing(self._margins)
        slopes = self._weight[:, None] * self._jacobian
        scale = np.maximum((slopes**2).sum(axis=0), 1e-4)
        least = np.maximum(self._low - self.x, -_LARGEST_STEP)
        most = np.minimum(self._high - self.x, _LARGEST_STEP)
        step, free = np.zeros(len(self.x)), np.ones(len(self.x), bool)
        for _ in range(_PASSES):
            missed = missing - slopes @ step > 0.0
            own = slopes[missed][:, free]
            wanted = missing[missed] - slopes[missed] @ np.where(free, 0.0, step)
            step[free] = np.linalg.solve(own.T @ own + np.diag(damping * scale[free]), own.T @ wanted)
            # What would leave its bounds stays on them, and the others make up for it.
            free &= (step > least) & (step < most)
            step = np.clip(step, least, most)
        return step

    def _variables(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self._log, np.log(np.where(self._log, values, 1.0)), values / _BIAS_V)

    def _at(self, x: NDArray[np.float64]) -> Circuit:
        values = np.where(self._log, np.exp(np.where(self._log, x, 0.0)), x * _BIAS_V)
        # The logarithm of a bound may come back as a little more.
        values = np.clip(values, *self._bounds)
        return self.circuit.with_values(self._drawable(values).tolist())

    def _drawable(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values, emitters in numbers that can be drawn."""
        snap = self._technology.snap
        drawn = zip(self._kinds, self._whole, values.tolist(), strict=True)
        return np.array([snap(kind, value) if whole else value for kind, whole, value in drawn])
