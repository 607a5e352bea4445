"""First-order values for filters.

A ladder of one response gets the elements of a Butterworth or Chebyshev prototype. In any other topology reactances are
drawn around the port impedance at f0, tanks are tuned to f0 (with what couples them) and traps to f0/2 or 2 f0. Several
draws are held against each other in a small-signal model with lossy inductors, and the best are drawn around again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.graph import CAPACITOR, GROUND_NET, INDUCTOR, RESISTOR, NetGraph, net_graph
from genrf.circuit.small_signal import SmallSignal
from genrf.circuit.topology import Topology
from genrf.classes.filter.prototypes import branch, butterworth, chebyshev
from genrf.classes.filter.recognition import Ladder, recognise
from genrf.conditions import Conditions


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values for any legal topology.

    Returns:
        One value a device, in SI units, in device order; not yet held to a technology's range and grid.
    """
    graph = net_graph(topology)
    omega = 2.0 * math.pi * conditions.frequency_hz
    ohm = math.sqrt(conditions.source_ohm * conditions.load_ohm)
    ladder = recognise(graph)
    if ladder is not None:
        candidates = np.array([_prototype(graph, ladder, omega, ohm, rng) for _ in range(_DRAWS)])
    else:
        candidates = _tuned(graph, omega, ohm, rng)
    score = _Score(graph, conditions, side=int(rng.integers(-1, 2)))
    best = candidates[int(np.argmax(score(candidates)))]
    for width, count in _LADDER_ROUNDS if ladder is not None else _ROUNDS:
        candidates = best * np.exp(width * rng.normal(size=(count, len(best))))
        candidates[0] = best
        best = candidates[int(np.argmax(score(candidates)))]
    return tuple((best * np.exp(_JITTER * rng.normal(size=len(best)))).tolist())


class _Score:
    """How far values are from passing f0, matched, and rejecting the wanted side, in dB; 0 at best.

    Args:
        graph: the topology.
        conditions: give f0 and the port impedances.
        side: rejection is wanted at 2 f0 if 1, at f0/2 if -1, at either if 0: it differs from draw to draw, so that
            data shows what each topology can do.
    """

    def __init__(self, graph: NetGraph, conditions: Conditions, side: int) -> None:
        self._side = side
        live = range(graph.first_internal - graph.port_count, len(graph.names))
        # Inductors and capacitors have capacitance to the substrate, which often decides at high impedances.
        nets = [*graph.nets, *((net, GROUND_NET) for net in live)]
        kinds = [*graph.kinds, *[CAPACITOR] * len(live)]
        loaded = NetGraph(kinds, nets, graph.names, graph.port_count)
        self._model = SmallSignal(loaded, {}, conditions.frequency_hz, (conditions.source_ohm, conditions.load_ohm))
        touches = np.array([[net in nets for net in live] for nets in graph.nets], dtype=float)  # (devices, live)
        self._coils = touches * (np.array(graph.kinds) == INDUCTOR)[:, None]
        self._reactive = np.array(kinds) != RESISTOR

    def __call__(self, candidates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores, (N,), of values, (N, devices)."""
        substrate = candidates @ self._coils * _SIDE_F_PER_H + self._coils.sum(axis=0) * _SIDE_F + _SMALLEST_F
        values = np.concatenate([candidates, substrate], axis=1)
        # At r f0 a circuit is what r L and r C are at f0, but for the losses, which need not be as good.
        ratios = np.where(self._reactive, np.array(_RATIOS)[:, None], 1.0)  # (5, devices)
        scaled = (values * ratios[:, None, :]).reshape(-1, values.shape[1])
        scattering = self._model.scattering(scaled).reshape(len(_RATIOS), -1, 2, 2)
        below, low, centre, high, above = 20.0 * np.log10(np.abs(scattering) + 1e-9)  # (N, 2, 2) each
        passed = centre[:, 1, 0]
        shortfall = 2.0 * np.minimum(passed + _WANTED_LOSS_DB, 0.0)
        for inner in (low, centre, high):
            for port in (0, 1):
                shortfall += np.minimum(_WANTED_MATCH_DB - inner[:, port, port], 0.0) / 3.0
        rejections = passed - below[:, 1, 0], passed - above[:, 1, 0]
        rejection = np.maximum(*rejections) if self._side == 0 else rejections[int(self._side > 0)]
        return np.asarray(shortfall + 0.7 * np.minimum(rejection - _WANTED_REJECTION_DB, 0.0))


_RATIOS = (0.5, 0.96, 1.0, 1.04, 2.0)
"""Frequencies at which candidates are judged, relative to f0."""
_SIDE_F_PER_H, _SIDE_F = 14e-6, 6e-15
"""Capacitance of an inductor's end to the substrate, see `genrf.technology.sg13g2.inductor`."""
_SMALLEST_F = 1e-15
_WANTED_LOSS_DB = 3.0
_WANTED_MATCH_DB = -15.0
_WANTED_REJECTION_DB = 30.0
_DRAWS = 8
_LADDER_ROUNDS = ((0.12, 8),)
_ROUNDS = ((0.4, 12), (0.25, 12), (0.15, 12))
"""Width (natural logarithm) and number of the candidates of each round; the next starts from the best of one.
More would make more circuits useful, and all of them alike."""
_JITTER = 0.03
"""Standard deviation (natural logarithm) that every value gets in the end."""


def _prototype(graph: NetGraph, ladder: Ladder, omega: float, ohm: float, rng: np.random.Generator) -> list[float]:
    """Elements of a prototype with f0 in its pass band."""
    order = len(ladder.branches)
    flat = rng.random() < 0.5
    g = butterworth(order) if flat else chebyshev(order, float(np.exp(rng.uniform(math.log(0.02), math.log(0.5)))))
    edge = float(rng.uniform(1.1, 1.7))
    fraction = float(np.exp(rng.uniform(math.log(0.25), math.log(1.4))))
    centre = {
        "low-pass": omega * edge,
        "high-pass": omega / edge,
        "band-pass": omega,
        "band-stop": omega * float(rng.choice([0.5, 2.0])),
    }[ladder.response]
    values = np.zeros(len(graph.kinds))
    for number, (parts, element) in enumerate(zip(ladder.branches, g, strict=True)):
        series = ladder.starts_in_series == (number % 2 == 0)
        inductance, capacitance = branch(ladder.response, element, ohm, centre, fraction, series=series)
        if parts.inductor is not None and inductance is not None:
            values[parts.inductor] = inductance
        if parts.capacitor is not None and capacitance is not None:
            values[parts.capacitor] = capacitance
    return values.tolist()


def _tuned(graph: NetGraph, omega: float, ohm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random reactances, resonators tuned, (draws, devices)."""
    count = 2 * _DRAWS
    kinds = np.array(graph.kinds)
    # Impedance of each device at f0, in Ohm: shunt tanks are lower than the ports', what couples them higher.
    level = np.where([GROUND_NET in nets for nets in graph.nets], 0.5 * ohm, 1.4 * ohm)
    impedance = level * np.exp(0.7 * rng.normal(size=(count, len(kinds))))
    values = np.where(kinds == INDUCTOR, impedance / omega, 1.0 / (omega * impedance))
    loss = np.where(rng.random((count, len(kinds))) < 0.5, 0.2, 10.0)
    values = np.where(kinds == RESISTOR, ohm * loss * impedance / level, values)
    inductors, capacitors, touching = _by_net(graph)
    for net in range(graph.first_internal - graph.port_count, len(graph.names)):
        if touching[net] == 2 and len(inductors[net]) == len(capacitors[net]) == 1:
            # An inductor and a capacitor in series: a resonator in the signal's way, a trap to ground.
            (coil, ends), (plate, others) = inductors[net][0], capacitors[net][0]
            ratio = 1.0 if GROUND_NET not in (ends, others) else rng.choice([0.5, 2.0], size=count)
            values[:, plate] = 1.0 / ((omega * ratio) ** 2 * values[:, coil])
    for first, coil in _tanks(graph):
        if GROUND_NET not in graph.nets[coil]:
            # In the signal's way a tank is a trap.
            values[:, first] = 1.0 / ((omega * rng.choice([0.5, 2.0], size=count)) ** 2 * values[:, coil])
            continue
        net = next(n for n in graph.nets[coil] if n != GROUND_NET)
        coupled = sum((values[:, plate] for plate, other in capacitors[net] if other != GROUND_NET), np.zeros(count))
        tuned = 1.0 / (omega**2 * values[:, coil])
        values[:, first] = np.maximum(tuned - coupled, 0.2 * tuned)
    return values


def _by_net(
    graph: NetGraph,
) -> tuple[list[list[tuple[int, int]]], list[list[tuple[int, int]]], list[int]]:
    """Inductors and capacitors at each net, with the net at their other end; and how many devices touch it."""
    inductors: list[list[tuple[int, int]]] = [[] for _ in graph.names]
    capacitors: list[list[tuple[int, int]]] = [[] for _ in graph.names]
    touching = [0] * len(graph.names)
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        for net, other in ((nets[0], nets[1]), (nets[1], nets[0])):
            touching[net] += 1
            if kind == INDUCTOR:
                inductors[net].append((device, other))
            elif kind == CAPACITOR:
                capacitors[net].append((device, other))
    return inductors, capacitors, touching


def _tanks(graph: NetGraph) -> list[tuple[int, int]]:
    """Capacitor and inductor of each pair in parallel."""
    coils = {
        frozenset(nets): d
        for d, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True))
        if kind == INDUCTOR
    }
    return [
        (device, coils[frozenset(nets)])
        for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True))
        if kind == CAPACITOR and frozenset(nets) in coils
    ]
