"""First-order values for voltage-controlled oscillators: a bias point, then a resonator that grows at f0.

Resistors, emitters and bias voltages come from `genrf.circuit.biasing`. Inductors, capacitors and varactors are drawn
log-normally around impedances that their position suggests. The natural modes of a hybrid-pi model (as in
`genrf.circuit.small_signal`, with its figures) say at which frequency a draw would oscillate: the resonator's values are
scaled until that is f0, and of several draws the one is taken that grows well and tunes. The model is rough; what a
circuit does is said by simulation only.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import BETA, BiasRanges, bias_point
from genrf.circuit.graph import (
    CAPACITOR,
    DIODE,
    GROUND_NET,
    HBT,
    INDUCTOR,
    RESISTOR,
    SUPPLY_NET,
    VARACTOR,
    NetGraph,
    net_graph,
)
from genrf.circuit.topology import Topology
from genrf.classes.vco.rules import OUTPUT_NET
from genrf.conditions import Conditions

_DRAWS = 6
_SCALINGS = 3
_WANTED_GROWTH = (0.03, 0.3)
"""Growth over omega between which an oscillator starts surely without being driven deep into saturation."""
_PULL = 1.07
"""Small-signal over large-signal frequency: the swing adds capacitance. The median of 49 random oscillators."""
_VARACTOR_F = 1.6e-15
"""Capacitance of a reverse-biased collector junction with its substrate's share, an emitter."""
_RELATIVE_C = (1.2, 0.8)
"""A varactor's capacitance at both ends of tuning, of that in the middle, about."""

_BIAS = BiasRanges(base_resistor_ohm=(300.0, 2500.0))
"""Base resistors small enough for the bias to follow the oscillation's start within some tens of periods."""
# Impedance in Ohm at f0 and spread (natural logarithm).
_TANK_INDUCTOR = (35.0, 0.5)
_CHOKE = (200.0, 0.5)
_TANK_CAPACITOR = (60.0, 0.7)
_COUPLING = (30.0, 0.8)
_BYPASS = (10.0, 0.5)
_VARACTOR = (55.0, 0.5)
_RESISTOR = (600.0, 0.5)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values for any legal topology.

    Returns:
        One value a device, in SI units, in device order; not yet held to a technology's range and grid.
    """
    graph = net_graph(topology)
    omega = 2.0 * math.pi * conditions.frequency_hz * _PULL
    best: tuple[float, NDArray[np.float64]] | None = None
    for _ in range(_DRAWS):
        bias = bias_point(graph, conditions.supply_v, rng, _BIAS)
        values, scaled = _draw(graph, bias.values, omega, rng)
        model = _HybridPi(graph, bias.current_a, conditions.load_ohm)
        for _ in range(_SCALINGS):
            mode = model.growing_mode(values, omega)
            if mode is None:
                break
            ratio = min(max(abs(mode) / omega, 0.4), 2.5)
            values[scaled] *= ratio
        score = _score(model, values, omega, graph)
        if best is None or score > best[0]:
            best = score, values
        if score > 0.9:
            break
    assert best is not None
    return tuple(best[1].tolist())


def _score(model: _HybridPi, values: NDArray[np.float64], omega: float, graph: NetGraph) -> float:
    """1 for a draw that grows well at the wanted frequency and tunes, less for others."""
    mode = model.growing_mode(values, omega)
    if mode is None:
        return -1.0
    low, high = _WANTED_GROWTH
    growth = mode.real / abs(mode)
    score = -abs(math.log(abs(mode) / omega))
    score += min(growth / low, 1.0) if growth < low else min(high / growth, 1.0)
    varactors = np.array(graph.kinds) == VARACTOR
    ends = []
    for share in _RELATIVE_C:
        tuned = values.copy()
        tuned[varactors] *= share
        end = model.growing_mode(tuned, omega)
        if end is None:
            return score - 0.5
        ends.append(abs(end) / omega)
    return score - 0.5 * max(0.0, 0.04 - abs(ends[1] - ends[0])) / 0.04


def _draw(
    graph: NetGraph, biased: dict[int, float], omega: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values, (devices,), and which of them are the resonator's and scale with its frequency."""
    fixed = graph.fixed_nets()
    emitters = {nets[2] for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind == HBT}
    resonant = _resonant_nets(graph)
    values = np.empty(len(graph.kinds))
    scaled = np.zeros(len(graph.kinds), dtype=bool)

    def spread(figures: tuple[float, float]) -> float:
        return figures[0] * math.exp(figures[1] * rng.normal())

    # Like parts of a symmetrical circuit get like values: one draw for each signature.
    drawn: dict[tuple[object, ...], float] = {}
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        live = [net for net in nets if net not in fixed]
        if kind == HBT or (device in biased and kind not in (INDUCTOR, CAPACITOR, VARACTOR, DIODE)):
            values[device] = biased[device]
            continue
        on_tank = sum(net in resonant for net in live)
        signature = (kind, on_tank, len(live), OUTPUT_NET in nets, any(net in emitters for net in live))
        if kind == RESISTOR:
            ohm = spread(_RESISTOR)
        elif kind == INDUCTOR:
            to_emitter = any(net in emitters and net not in resonant for net in live)
            tail = GROUND_NET in nets and not on_tank
            ohm = spread(_CHOKE if to_emitter or tail else _TANK_INDUCTOR)
            scaled[device] = on_tank > 0 and not to_emitter
        elif kind == CAPACITOR:
            if not on_tank and len(live) == 1:
                ohm = spread(_BYPASS)
            elif OUTPUT_NET in nets or (on_tank == 1 and len(live) == 2):
                ohm = spread(_COUPLING)
                scaled[device] = OUTPUT_NET not in nets and on_tank > 0
            else:
                ohm = spread(_TANK_CAPACITOR)
                scaled[device] = on_tank > 0
        else:
            ohm = spread(_VARACTOR)
            scaled[device] = True
        ohm = drawn.setdefault(signature, ohm)
        if kind == RESISTOR:
            values[device] = ohm
        elif kind == INDUCTOR:
            values[device] = ohm / omega
        elif kind == CAPACITOR:
            values[device] = 1.0 / (omega * ohm)
        else:
            values[device] = min(max(1.0 / (omega * ohm * _VARACTOR_F), 4.0), 200.0)
    return values, scaled


def _resonant_nets(graph: NetGraph) -> set[int]:
    """Nets with an inductor that leads to supply or another net with a transistor or varactor on it."""
    fixed = graph.fixed_nets()
    active = {
        net
        for kind, nets in zip(graph.kinds, graph.nets, strict=True)
        if kind in (HBT, VARACTOR, CAPACITOR)
        for net in nets
    } - fixed
    resonant: set[int] = set()
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind == INDUCTOR and (SUPPLY_NET in nets or active.issuperset(set(nets) - fixed)):
            resonant |= set(nets) & active
    return resonant


class _HybridPi:
    """Nodal equations (G + s C) v = 0 of a topology at one bias; inductor currents and base nodes are unknowns too."""

    _EMITTER_OHM, _BASE_OHM, _C_BE_F, _TRANSIT_S, _C_BC_F, _C_CS_F = 37.0, 120.0, 3.0e-15, 0.13e-12, 1.2e-15, 1.1e-15
    _THERMAL_V = 0.0259
    _INDUCTOR_OHM_PER_H, _INDUCTOR_PARALLEL_OHM = 1.94e9, 902.0

    def __init__(self, graph: NetGraph, current_a: dict[int, float], load_ohm: float) -> None:
        fixed = graph.fixed_nets()
        live = [net for net in range(2, len(graph.names)) if net not in fixed]
        self.row = {net: index for index, net in enumerate(live)}
        self.graph, self.current_a, self.load_ohm = graph, current_a, load_ohm
        self.size = len(live) + sum(kind in (INDUCTOR, HBT) for kind in graph.kinds)

    def growing_mode(self, values: NDArray[np.float64], omega: float) -> complex | None:
        """The fastest growing mode s within a factor of 4 of omega, in 1/s; None if none grows."""
        conductance, capacitance = self._matrices(values, omega)
        # v = -(G + s0 C)^-1 C (s - s0) v: eigenvalues 1 / (s0 - s), in units of omega.
        shift = 0.6
        try:
            inverse = np.linalg.eigvals(np.linalg.solve(conductance + shift * capacitance, capacitance))
        except np.linalg.LinAlgError:
            return None
        s = shift - 1.0 / inverse[np.abs(inverse) > 1e-6]
        s = s[(s.imag >= 0.0) & (s.real > 0.0) & (np.abs(s) > 0.25) & (np.abs(s) < 4.0)]
        return complex(s[np.argmax(s.real)] * omega) if len(s) else None

    def _matrices(self, values: NDArray[np.float64], omega: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """G and omega C, (size, size) each."""
        g = np.zeros((self.size + 1, self.size + 1))  # the last row and column stand for signal ground
        c = np.zeros_like(g)
        ground = self.size

        def branch(matrix: NDArray[np.float64], one: int, other: int, admittance: float) -> None:
            matrix[one, one] += admittance
            matrix[other, other] += admittance
            matrix[one, other] -= admittance
            matrix[other, one] -= admittance

        extra = len(self.row)
        branch(g, self.row[OUTPUT_NET], ground, 1.0 / self.load_ohm)
        for device, (kind, nets) in enumerate(zip(self.graph.kinds, self.graph.nets, strict=True)):
            rows = [self.row.get(net, ground) for net in nets]
            value = float(values[device])
            if kind == RESISTOR:
                branch(g, rows[0], rows[1], 1.0 / value)
            elif kind == CAPACITOR:
                branch(c, rows[0], rows[1], omega * value)
                if ground not in rows:
                    for row in rows:
                        branch(c, row, ground, omega * value * 0.01)
            elif kind == INDUCTOR:
                one, other = rows
                series = value * self._INDUCTOR_OHM_PER_H + (omega * value) ** 2 / self._INDUCTOR_PARALLEL_OHM
                for node, sign in ((one, 1.0), (other, -1.0)):
                    g[node, extra] += sign
                    g[extra, node] += sign
                    branch(c, node, ground, omega * (6e-15 + 14e-6 * value))
                g[extra, extra] -= series
                c[extra, extra] -= omega * value
                extra += 1
            elif kind in (VARACTOR, DIODE):
                branch(c, rows[0], rows[1], omega * value * (_VARACTOR_F if kind == VARACTOR else self._C_BE_F))
            elif kind == HBT:
                collector, base, emitter = rows
                current = max(self.current_a.get(device, 1e-6), 1e-6)
                transconductance = 1.0 / (self._THERMAL_V / current + self._EMITTER_OHM / value)
                branch(g, base, extra, value / self._BASE_OHM)
                branch(g, extra, emitter, transconductance / BETA)
                branch(c, extra, emitter, omega * (self._C_BE_F * value + self._TRANSIT_S * transconductance))
                branch(c, extra, collector, omega * self._C_BC_F * value)
                branch(c, collector, ground, omega * self._C_CS_F * value)
                for to, sign in ((collector, 1.0), (emitter, -1.0)):
                    g[to, extra] += sign * transconductance
                    g[to, emitter] -= sign * transconductance
                extra += 1
        return g[:-1, :-1], c[:-1, :-1]
