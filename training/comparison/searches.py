"""Searching from scratch: what an optimizer does with nothing but the specification and a simulator.

A share of the calls goes to random circuits from the class's grammar with first-order values. The topologies of the best
are then sized one after another by an optimizer (`training.comparison.cma_search`, `training.comparison.botorch_search`)
that starts from what was simulated of them, moves normalised values (`genrf.circuit.normalise`) within the process's legal
ranges, and gives way to the next best topology once it makes no progress. When the best topologies are used up, more are
drawn.

A circuit that fails to simulate costs a call and ranks below every circuit that does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.normalise import normalise
from genrf.circuit.tokens import KIND_TOKENS
from genrf.circuit.topology import Circuit, Topology
from genrf.metrics import Metrics
from genrf.spec import DesignSpec
from genrf.technology.base import Technology
from training.data.breeding import fitting_topology, within_rules

VERSION = 1
"""Version of all searches from scratch; a change of their outcome is a new one."""
EXPLORED_SHARE = 0.25
"""Share of the calls that random circuits get before the first topology is sized."""
MOST_EXPLORED = 256
"""Random circuits drawn at a time, however many calls there are."""
STARTS = 8
"""Topologies that are sized before more are drawn."""
BATCH = 16
"""Random circuits simulated at once."""

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Start:
    """What an optimizer is given of one topology; d devices, c constraints, n circuits simulated so far."""

    low: Array
    """Smallest legal normalised values, (d,)."""
    high: Array
    """Largest legal normalised values, (d,)."""
    points: Array
    """Normalised values, (n, d), of at least one circuit that simulated."""
    slacks: Array
    """Relative slack of each constraint, (n, c)."""
    draw: Callable[[], Array]
    """Draws first-order values of the topology, normalised, (d,)."""


class Optimizer(Protocol):
    """Sizes one topology by asking for simulations of points and being told their slacks."""

    @property
    def stalled(self) -> bool:
        """Whether it makes no progress any more."""
        ...

    def ask(self, most: int) -> Array:
        """The next points to simulate, (n, d), 1 to ``most`` of them."""
        ...

    def tell(self, points: Array, slacks: Array) -> None:
        """Learn the slacks, (n, c), of the points asked for, (n, d); a row of NaN where the circuit failed."""
        ...


OptimiserFactory = Callable[[Start, int, np.random.Generator], Optimizer]
"""Makes an optimizer from what it starts with, the calls that the whole search may spend, and its source of randomness."""


def worst(slacks: Array) -> Array:
    """Worst relative slack of each row, (n,), of (n, c); minus infinity where the circuit failed."""
    return np.where(np.isnan(slacks).any(axis=1), -np.inf, slacks.min(axis=1, initial=np.inf))


def shortfall(slacks: Array) -> Array:
    """Total by which each row misses its constraints, (n,), of (n, c); infinity where the circuit failed."""
    return np.where(np.isnan(slacks).any(axis=1), np.inf, -np.minimum(slacks, 0.0).sum(axis=1))


class FirstOrderDraw:
    """Draws normalised first-order values of one topology, (d,). A class, so that a search can be pickled."""

    def __init__(self, topology: Topology, spec: DesignSpec, technology: Technology, rng: np.random.Generator) -> None:
        self._topology, self._spec, self._technology, self._rng = topology, spec, technology, rng

    def circuit(self) -> Circuit:
        """First-order values, legal in the technology."""
        definition = classes.get(self._spec.circuit_class)
        values = definition.first_order_values(self._topology, self._spec.conditions, self._rng)
        return within_rules(Circuit(self._topology, tuple(values)), self._spec.conditions, self._technology)

    def __call__(self) -> Array:
        circuit = self.circuit()
        return normalise(kind_numbers(circuit.topology), circuit.values, self._spec.conditions.frequency_hz)


class FromScratch:
    """One search for one specification, asked for circuits and told their metrics; can be pickled between the two.

    Args:
        spec: what to look for.
        technology: whose ranges and grids to keep to.
        rng: source of all randomness.
        calls: SPICE calls that the whole search may spend; sets how much of it explores.
        optimizer: sizes one topology.
    """

    def __init__(
        self,
        spec: DesignSpec,
        technology: Technology,
        rng: np.random.Generator,
        calls: int,
        optimizer: OptimiserFactory,
    ) -> None:
        self._spec = spec
        self._technology = technology
        self._rng = rng
        self._calls = calls
        self._make = optimizer
        self._to_explore = self._exploration = max(1, min(MOST_EXPLORED, math.ceil(EXPLORED_SHARE * calls)))
        self._found: list[tuple[float, Circuit, Array]] = []
        """Margin, circuit and slacks of random circuits whose topologies were not sized yet."""
        self._started = 0
        self._optimizer: Optimizer | None = None
        self._topology: Topology | None = None
        self._asked: list[Circuit] = []
        self._points: Array | None = None

    def ask(self, most: int) -> list[Circuit]:
        """The next circuits to simulate, 1 to ``most`` of them."""
        if self._to_explore == 0 and (self._optimizer is None or self._optimizer.stalled):
            self._start_next()
        if self._to_explore > 0:
            self._points = None
            self._asked = [self._random() for _ in range(min(most, self._to_explore, BATCH))]
        else:
            assert self._optimizer is not None
            assert self._topology is not None
            self._points = self._optimizer.ask(most)
            self._asked = [self._circuit(self._topology, point) for point in self._points]
        return self._asked

    def tell(self, outcomes: Sequence[Metrics | None]) -> None:
        """Learn the metrics of the circuits last asked for, in order; none for a circuit that failed."""
        slacks = np.array([self._slacks(metrics) for metrics in outcomes])
        if self._points is not None:
            assert self._optimizer is not None
            self._optimizer.tell(self._points, slacks)
            return
        self._to_explore -= len(outcomes)
        for circuit, row, margin in zip(self._asked, slacks, worst(slacks), strict=True):
            if np.isfinite(margin):
                self._found.append((float(margin), circuit, row))

    def _start_next(self) -> None:
        """Size the best topology that is left, or draw more."""
        if not self._found or self._started == STARTS:
            self._found, self._started, self._optimizer = [], 0, None
            self._to_explore = self._exploration
            return
        best = max(range(len(self._found)), key=lambda index: self._found[index][0])
        _, circuit, slacks = self._found.pop(best)
        self._started += 1
        self._topology = circuit.topology
        kinds, frequency = kind_numbers(circuit.topology), self._spec.conditions.frequency_hz
        allowed = self._rules.ranges
        ranges = np.array([allowed[device.kind] for device in circuit.topology.devices])
        start = Start(
            low=normalise(kinds, ranges[:, 0], frequency),
            high=normalise(kinds, ranges[:, 1], frequency),
            points=normalise(kinds, circuit.values, frequency)[None],
            slacks=slacks[None],
            draw=FirstOrderDraw(circuit.topology, self._spec, self._technology, self._rng),
        )
        self._optimizer = self._make(start, self._calls, self._rng)

    def _random(self) -> Circuit:
        topology = fitting_topology(self._spec.circuit_class, self._spec.conditions.supply_v, self._rng)
        return FirstOrderDraw(topology, self._spec, self._technology, self._rng).circuit()

    def _circuit(self, topology: Topology, point: Array) -> Circuit:
        return self._rules.sized(topology, point)

    @property
    def _rules(self) -> DesignRules:
        return DesignRules(self._spec.circuit_class, self._spec.conditions, self._technology)

    def _slacks(self, metrics: Metrics | None) -> list[float]:
        if metrics is None:
            return [math.nan] * len(self._spec.constraints)
        return list(self._spec.margins(metrics).values())


def kind_numbers(topology: Topology) -> NDArray[np.int64]:
    """Number of each device's kind, (devices,)."""
    return np.array([KIND_TOKENS[device.kind] for device in topology.devices])
