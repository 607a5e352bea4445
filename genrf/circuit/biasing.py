"""A bias point for any topology: potentials and currents first, then the resistors and bias voltages that give them.

symbol  variable    meaning                                                     unit
j       density     collector current an emitter                                A
V_BE    -           base to emitter voltage, measured from npn13G2 at 27 degrees Celsius and V_CE = 1 V
beta    BETA        current gain, about

Inductors join their nets into one DC node. Every transistor is given a current density; stacked ones share a current.
Node potentials follow from V_BE and a share of the supply for every transistor, resistors from Kirchhoff's current law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from genrf.circuit.dc_nodes import DcNodes
from genrf.circuit.graph import GROUND_NET, SUPPLY_NET, NetGraph, net_graph
from genrf.circuit.topology import Topology

BETA = 600.0
_V_BE = np.array([0.74, 0.76, 0.78, 0.80, 0.82, 0.84, 0.86, 0.88, 0.90, 0.92, 0.94, 0.96])
_LOG_DENSITY = np.log(
    np.array([0.0165, 0.0346, 0.0711, 0.141, 0.264, 0.460, 0.736, 1.092, 1.520, 2.009, 2.551, 3.139]) * 1e-3
)
LARGEST_V_CE = 1.5
STACK_TOLERANCE_V = 0.05
"""What a transistor between supply and ground bears beyond that, in V: supplies come in steps that are larger."""
_SMALLEST_V_CE = 0.45
_LARGEST_DENSITY_A = 2.4e-3
_FEED_DROP_V = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class BiasRanges:
    """What a class of circuits draws its bias from: lowest and highest, log-uniform between."""

    density_a: tuple[float, float] = (0.12e-3, 1.8e-3)
    """Collector current an emitter, in A."""
    emitters: tuple[float, float] = (2.0, 30.0)
    largest_current_a: float = 25e-3
    """Collector current of one transistor, in A."""
    base_resistor_ohm: tuple[float, float] = (500.0, 20e3)
    """Resistance that feeds a base, in Ohm."""


DEFAULT_RANGES = BiasRanges()


def base_emitter_voltage(density_a: float) -> float:
    """V_BE in V at a collector current an emitter, in A."""
    return float(np.interp(math.log(density_a), _LOG_DENSITY, _V_BE))


def current_density(base_emitter_v: float) -> float:
    """Collector current an emitter in A, at V_BE in V; held within the measured range."""
    return float(math.exp(np.interp(base_emitter_v, _V_BE, _LOG_DENSITY)))


@dataclass
class BiasPoint:
    """What the bias determines; device numbers are those of the graph."""

    values: dict[int, float] = field(default_factory=dict)
    """Emitters, bias voltages and the resistors that carry direct current."""
    current_a: dict[int, float] = field(default_factory=dict)
    """Collector current of each transistor."""
    collector_emitter_v: dict[int, float] = field(default_factory=dict)
    """V_CE of each transistor, in V."""


def bias_point(
    graph: NetGraph, supply_v: float, rng: np.random.Generator, ranges: BiasRanges = DEFAULT_RANGES
) -> BiasPoint:
    """Draw a bias point for a legal topology."""
    return Biasing(graph, supply_v, rng, ranges).solve()


def fits_supply(topology: Topology, supply_v: float) -> bool:
    """Whether every stack of transistors can keep its collector-emitter voltages within limits at a supply.

    A stack that only inductors join to supply and ground has all of the supply across it; a resistor can drop some.
    """
    nodes = DcNodes(net_graph(topology))
    for stack in nodes.stacks:
        top, bottom = nodes.transistors[stack[-1]][0], nodes.transistors[stack[0]][2]
        if supply_v < _SMALLEST_V_CE * len(stack) + 0.1:
            return False
        if (
            top == SUPPLY_NET
            and bottom in nodes.grounded
            and supply_v > (LARGEST_V_CE + STACK_TOLERANCE_V) * len(stack)
        ):
            return False
    return True


class Biasing:
    """What is known so far of one topology's bias."""

    def __init__(
        self, graph: NetGraph, supply_v: float, rng: np.random.Generator, ranges: BiasRanges = DEFAULT_RANGES
    ) -> None:
        nodes = DcNodes(graph)
        self.supply_v, self.rng, self.ranges = supply_v, rng, ranges
        self.point = BiasPoint()
        self.sources, self.transistors = nodes.sources, nodes.transistors
        self.resistors, self.neighbours, self.stacks = nodes.resistors, nodes.neighbours, nodes.stacks
        self.potential: dict[int, float] = dict.fromkeys(nodes.grounded, 0.0) | {SUPPLY_NET: supply_v}

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random() if high > low else low

    def _log_uniform(self, low: float, high: float) -> float:
        return low * (high / low) ** self.rng.random()

    def solve(self) -> BiasPoint:
        for stack in self.stacks:
            self._bias_stack(stack)
        self._bias_sources()
        self._free_nodes()
        self._resistors()
        for device, (collector, _, emitter) in self.transistors.items():
            voltage = self.potential.get(collector, self.supply_v) - self.potential.get(emitter, 0.0)
            self.point.collector_emitter_v[device] = voltage
        return self.point

    def _known_base(self, base: int) -> float | None:
        """Potential of a base that is settled already: directly, or through resistors from a bias source in use."""
        if base in self.potential:
            return self.potential[base]
        source, _ = self._feed(base)
        return self.potential.get(source) if source is not None else None

    def _feed(self, base: int) -> tuple[int | None, list[int]]:
        """The bias source that alone feeds a base through resistors, and the resistors on the way."""
        path: dict[int, list[int]] = {base: []}
        queue = [base]
        found: int | None = None
        for node in queue:
            for device, other in self.neighbours.get(node, ()):
                if other in path:
                    continue
                if other in (GROUND_NET, SUPPLY_NET):
                    return None, []
                path[other] = [*path[node], device]
                if other not in self.sources:
                    queue.append(other)
                elif found is None:
                    found = other
        return found, path[found] if found is not None else []

    def _bias_stack(self, stack: list[int]) -> None:
        supply = self.supply_v
        height = len(stack)
        emitters = round(self._log_uniform(*self.ranges.emitters))
        density = min(self._log_uniform(*self.ranges.density_a), self.ranges.largest_current_a / emitters)
        top_collector = self.transistors[stack[-1]][0]
        top = self.potential.get(top_collector)
        _, base, emitter = self.transistors[stack[0]]
        low = self.potential.get(emitter)
        known = self._known_base(base)
        # Potential of the lowest emitter.
        if low is None:
            least = max(0.03, (top if top is not None else 0.0) - LARGEST_V_CE * height)
            most = max(least, min(0.3 * supply, (top if top is not None else supply) - _SMALLEST_V_CE * height))
            low = self._log_uniform(least, most) if most > least else least
            if known is not None:
                low = max(0.02, known - base_emitter_voltage(density))
            self.potential[emitter] = low
        if known is not None:
            density = self._density_for(known - low, density, emitters, fixed=base in self.potential)
        # Potential of the highest collector: given by an inductive load, chosen for a resistive one.
        if top is None:
            most = min(low + LARGEST_V_CE * height, supply - 0.03)
            top = self._uniform(min(low + (_SMALLEST_V_CE + 0.1) * height, most), most)
            self.potential.setdefault(top_collector, top)
        current = density * emitters
        for level, device in enumerate(stack):
            if level:
                emitters = self._stacked_emitters(emitters, current)
            _, base, emitter = self.transistors[device]
            low = self.potential.get(emitter, low)
            self._settle_base(base, low + base_emitter_voltage(current / emitters), current)
            self.point.values[device] = float(emitters)
            self.point.current_a[device] = current
            if level + 1 < height:
                self._middle(stack, level, low, top, current / emitters)

    def _density_for(self, voltage: float, density: float, emitters: int, *, fixed: bool) -> float:
        """Current density nearest to the one wanted that a source `voltage` above the emitter can give.

        Without a resistor (`fixed`) it is given; the largest feed resistor bounds it from below, and none from above.
        """
        most = min(current_density(voltage), _LARGEST_DENSITY_A)
        if fixed:
            return most
        least, upper = 0.0, most
        for _ in range(10):
            middle = 0.5 * (least + upper)
            drop = middle * emitters / BETA * self.ranges.base_resistor_ohm[1]
            if base_emitter_voltage(max(middle, 1e-6)) + drop < voltage:
                least = middle
            else:
                upper = middle
        return min(max(density, least), most)

    def _stacked_emitters(self, below: int, current: float) -> int:
        """Emitters of a transistor that carries the current of the one below: often as many."""
        if self.rng.random() < 0.5:
            below = round(min(max(below * math.exp(self.rng.normal(0.0, 0.5)), 1.0), 40.0))
        return max(below, math.ceil(current / _LARGEST_DENSITY_A))

    def _middle(self, stack: list[int], level: int, low: float, top: float, density: float) -> None:
        """Settle the nodes between a transistor of a stack and the next."""
        collector = self.transistors[stack[level]][0]
        _, base, emitter = self.transistors[stack[level + 1]]
        remaining = len(stack) - level
        known = self._known_base(base)
        if known is not None:
            middle = known - base_emitter_voltage(density)
        else:
            span = top - low
            share = span / remaining * self._uniform(0.75, 1.25)
            middle = low + min(max(share, span - (remaining - 1) * LARGEST_V_CE), LARGEST_V_CE)
        self.potential.setdefault(emitter, middle)
        if collector != emitter:
            self.potential.setdefault(collector, self.potential[emitter] - 0.03)

    def _settle_base(self, base: int, voltage: float, current: float) -> None:
        """Give a base its potential; size the resistors of its feed, and set the source if no other base has."""
        if base in self.potential:
            return
        self.potential[base] = voltage
        source, feed = self._feed(base)
        if source is None:
            return
        low, high = self.ranges.base_resistor_ohm
        base_current = current / BETA
        free = [device for device in feed if device not in self.point.values]
        if source in self.potential:
            total = min(max((self.potential[source] - voltage) / base_current, low), high)
        else:
            total = self._log_uniform(low, min(high, max(_FEED_DROP_V / base_current, 1.2 * low)))
        for device in free:
            self.point.values[device] = total / len(free)
        drop = sum(self.point.values[device] for device in feed) * base_current
        self.potential.setdefault(source, voltage + drop)

    def _bias_sources(self) -> None:
        for node, source in self.sources.items():
            self.point.values[source] = self.potential.setdefault(node, self._uniform(0.8, 1.0))

    def _base_currents(self) -> dict[int, float]:
        drawn: dict[int, float] = {}
        for device, (_, base, _) in self.transistors.items():
            drawn[base] = drawn.get(base, 0.0) + self.point.current_a.get(device, 0.0) / BETA
        return drawn

    def _free_nodes(self) -> None:
        """Potentials of nodes between resistors only: somewhere between their neighbours'."""
        free = [node for node in self.neighbours if node not in self.potential]
        for _ in range(3):
            for node in free:
                around = [self.potential[other] for _, other in self.neighbours[node] if other in self.potential]
                if around and node not in self.potential:
                    self.potential[node] = self._uniform(min(around), max(around))

    def _resistors(self) -> None:
        """Give the remaining resistors the currents that Kirchhoff's law asks for, nodes with small currents first."""
        demand = self._base_currents()
        for device, (collector, _, emitter) in self.transistors.items():
            current = self.point.current_a.get(device, 0.0)
            demand[collector] = demand.get(collector, 0.0) + current
            demand[emitter] = demand.get(emitter, 0.0) - current
        values = self.point.values
        nodes = [node for node in self.neighbours if node not in (GROUND_NET, SUPPLY_NET) and node not in self.sources]
        for node in sorted(nodes, key=lambda node: (abs(demand.get(node, 0.0)) == 0.0, abs(demand.get(node, 0.0)))):
            here = self.potential.get(node, 0.0)
            wanted = demand.get(node, 0.0)  # current that the resistors have to bring in, net
            inward, outward = [], []
            for device, other in self.neighbours[node]:
                difference = self.potential.get(other, 0.0) - here
                if device in values:
                    wanted -= difference / values[device]
                elif difference >= 0.0:
                    inward.append((device, max(difference, 0.005)))
                else:
                    outward.append((device, -difference))
            if inward and outward:
                through = abs(wanted) * self._log_uniform(3.0, 15.0) if abs(wanted) < 1e-4 else abs(wanted) * 0.2
                through = max(through, 5e-6)
                self._share(inward, through + max(wanted, 0.0))
                self._share(outward, through + max(-wanted, 0.0))
            elif inward:
                self._share(inward, max(wanted, 2e-6))
            elif outward:
                self._share(outward, max(-wanted, 2e-6))
        for device in self.resistors:
            values.setdefault(device, self._log_uniform(*self.ranges.base_resistor_ohm))

    def _share(self, resistors: list[tuple[int, float]], current: float) -> None:
        weights = self.rng.uniform(0.5, 1.5, len(resistors))
        for (device, difference), weight in zip(resistors, weights / weights.sum(), strict=True):
            self.point.values[device] = max(difference / (current * weight), 1.0)
