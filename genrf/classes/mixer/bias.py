"""A bias point for mixers: `genrf.circuit.biasing` with currents that part between transistors, and fast bias feeds.

A switching pair shares the current of the transistor below it, so currents follow the tree of transistors, from the
ground up. Transistors of one level are alike, as balance needs. Bias resistors are hundreds of Ohm, not thousands: the
LO moves the bias, and with the coupling capacitors they must settle within some periods of the IF.
"""

from __future__ import annotations

import math

import numpy as np

from genrf.circuit.biasing import (
    Biasing,
    BiasPoint,
    BiasRanges,
    base_emitter_voltage,
)
from genrf.circuit.graph import GROUND_NET, SUPPLY_NET, NetGraph

_CURRENT_A = (0.8e-3, 8e-3)
"""Collector current of a transistor of the lowest level."""
_DENSITY_A = (0.15e-3, 1.2e-3)
_SWITCH_DENSITY_A = (0.1e-3, 1.2e-3)
_LARGEST_V_CE = 1.35
_LEAST_V_CE = 0.4
_FEED_OHM = (150.0, 1200.0)
_LARGEST_DIVIDER_OHM = 2000.0
_RANGES = BiasRanges(base_resistor_ohm=_FEED_OHM)


def mixer_bias(graph: NetGraph, supply_v: float, rng: np.random.Generator) -> BiasPoint:
    """Draw a bias point for a legal topology."""
    return _MixerBiasing(graph, supply_v, rng, _RANGES).solve()


class _MixerBiasing(Biasing):
    def solve(self) -> BiasPoint:
        below = self._below()
        level = self._levels(below)
        height = max(level.values(), default=0)
        if height:
            self._transistors(below, level, height)
        self._bias_sources()
        self._free_nodes()
        self._resistors()
        self._quicken()
        return self.point

    def _below(self) -> dict[int, list[int]]:
        """Transistors that feed each transistor's emitter, directly or through a resistor."""
        below = {}
        for device, (_, _, emitter) in self.transistors.items():
            linked = {emitter} | {other for _, other in self.neighbours.get(emitter, ())}
            below[device] = [
                other
                for other, (collector, _, _) in self.transistors.items()
                if other != device and collector in linked and collector not in (GROUND_NET, SUPPLY_NET)
            ]
            if GROUND_NET in linked:
                below[device] = []
        return below

    def _levels(self, below: dict[int, list[int]]) -> dict[int, int]:
        """Height of each transistor above ground, from 1; a loop of transistors counts once."""
        level = dict.fromkeys(self.transistors, 1)
        for _ in self.transistors:
            for device, lower in below.items():
                level[device] = min(max((level[other] + 1 for other in lower), default=1), len(self.transistors))
        return level

    def _transistors(self, below: dict[int, list[int]], level: dict[int, int], height: int) -> None:
        # A follower's collector is on the supply without a stack of its own.
        drop = self._uniform(0.1, 0.5) * max(self.supply_v - 0.5 * height, 0.1)
        drop = max(drop, self.supply_v - _LARGEST_V_CE * height - 0.1)
        if any(self.transistors[device][0] == SUPPLY_NET and level[device] == height for device in level):
            drop = 0.0
        foot = self._uniform(0.03, 0.2)
        current: dict[int, float] = {}
        shared = self._log_uniform(*_CURRENT_A)
        densities = {
            floor: self._log_uniform(*(_DENSITY_A if floor == 1 else _SWITCH_DENSITY_A))
            for floor in range(1, height + 1)
        }
        for device in sorted(self.transistors, key=lambda device: level[device]):
            collector, base, emitter = self.transistors[device]
            if below[device]:
                # Every transistor on the same collectors has an equal share of their current.
                siblings = sum(set(other) & set(below[device]) != set() for other in below.values())
                current[device] = sum(current.get(other, shared) for other in below[device]) / max(siblings, 1)
            else:
                current[device] = shared
            emitters = max(1, round(current[device] / densities[level[device]]))
            low = self.potential.get(emitter)
            known = self._known_base(base)
            if low is None:
                low = foot if known is None else max(known - base_emitter_voltage(current[device] / emitters), 0.02)
                self.potential[emitter] = low
            elif known is not None and base in self.potential:
                # The base is held (a direct connection): as many emitters as carry the current at that voltage.
                emitters = self._emitters_at(known - low, current[device])
            emitters = min(max(emitters, math.ceil(current[device] / 2.4e-3)), 40)
            top = self.supply_v - drop if level[device] == height else None
            if collector not in self.potential:
                above = height - level[device]
                end = self.supply_v - drop if top is None else top
                self.potential[collector] = max(
                    low + (end - low) / (above + 1), min(low + _LEAST_V_CE, self.supply_v - 0.05)
                )
            self._settle_base(base, low + base_emitter_voltage(current[device] / emitters), current[device])
            self.point.values[device] = float(emitters)
            self.point.current_a[device] = current[device]

    def _emitters_at(self, voltage: float, current: float) -> int:
        """Emitters that carry a current at a base-emitter voltage, within reason."""
        counts = range(1, 41)
        return min(counts, key=lambda count: abs(base_emitter_voltage(max(current / count, 1e-6)) - voltage))

    def _known_base(self, base: int) -> float | None:
        """As in general, and a base that resistors join to the supply alone is at the supply."""
        known = super()._known_base(base)
        around = self.neighbours.get(base, ())
        if known is None and len(around) == 1 and around[0][1] == SUPPLY_NET and not self._is_loaded(base):
            self.point.values[around[0][0]] = self._log_uniform(*_FEED_OHM)
            self.potential[base] = known = self.supply_v
        return known

    def _is_loaded(self, node: int) -> bool:
        """Whether a collector or emitter is at a node."""
        return any(node in (nodes[0], nodes[2]) for nodes in self.transistors.values())

    def _quicken(self) -> None:
        """Hold feeds to a thousand and dividers to a few thousand Ohm, all resistors of one node by the same factor."""
        for node, around in self.neighbours.items():
            if self._is_loaded(node) or node in self.sources or node in (GROUND_NET, SUPPLY_NET):
                continue
            least = min(self.point.values[device] for device, _ in around)
            largest = _LARGEST_DIVIDER_OHM if len(around) > 1 else _FEED_OHM[1]
            if least > largest:
                for device, _ in around:
                    self.point.values[device] *= largest / least
