"""First-order values for low-noise amplifiers: a bias point, then reactances around the centre frequency.

Resistors, emitters and bias voltages come from `genrf.circuit.biasing`. Inductors and capacitors are log-normal around
a reactance at f0 that their position suggests: tens of Ohm where they match or resonate, a few Ohm where they block or
bypass. Of several draws the one is taken that amplifies and matches best in a hybrid-pi model.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import BiasPoint, bias_point
from genrf.circuit.graph import (
    CAPACITOR,
    INDUCTOR,
    RESISTOR,
    NetGraph,
    net_graph,
)
from genrf.circuit.positions import positions
from genrf.circuit.small_signal import SmallSignal
from genrf.circuit.topology import Topology
from genrf.conditions import Conditions


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values for any legal topology.

    Returns:
        One value a device, in SI units, in device order; not yet held to a technology's range and grid.
    """
    graph = net_graph(topology)
    bias = bias_point(graph, conditions.supply_v, rng)
    median, spread = _centre(graph, bias, 2.0 * math.pi * conditions.frequency_hz)
    ports = (conditions.source_ohm, conditions.load_ohm)
    model = SmallSignal(graph, bias.current_a, conditions.frequency_hz, ports)
    for width, count in _ROUNDS:
        candidates = median * np.exp(width * spread * rng.normal(size=(count, len(median))))
        median = candidates[int(np.argmax(_score(model.scattering(candidates))))]
    return tuple(median.tolist())


def _centre(graph: NetGraph, bias: BiasPoint, omega: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and spread (natural logarithm) of every device's value, (devices,) each; the bias is not spread again."""
    median = np.empty(len(graph.kinds))
    spread = np.zeros(len(graph.kinds))
    for device, (kind, position) in enumerate(zip(graph.kinds, positions(graph), strict=True)):
        if device in bias.values:
            median[device] = bias.values[device]
            continue
        ohm, spread[device] = _IMPEDANCE[position][kind]
        median[device] = {RESISTOR: ohm, INDUCTOR: ohm / omega, CAPACITOR: 1.0 / (omega * ohm)}[kind]
    return median, spread


def _score(scattering: NDArray[np.complex128]) -> NDArray[np.float64]:
    """How far each candidate is from amplifying and being matched, in dB summed; 0 if it does and is, (candidates,)."""
    decibel = 20.0 * np.log10(np.abs(scattering) + 1e-9)
    shortfall = np.minimum(decibel[:, 1, 0] - _WANTED_GAIN_DB, 0.0)
    for port in (0, 1):
        shortfall += np.minimum(_WANTED_MATCH_DB - decibel[:, port, port], 0.0)
        # A reflection above 1 is a negative resistance.
        shortfall -= 100.0 * (decibel[:, port, port] > 0.0)
    return shortfall


_ROUNDS = ((1.0, 16), (0.5, 12), (0.25, 12))
"""Width, relative to the spread, and number of the candidates of each round; the next starts from the best of one.
More would make more circuits useful, and all of them alike."""
_WANTED_GAIN_DB = 10.0
_WANTED_MATCH_DB = -10.0

# Median impedance in Ohm at f0 and spread (natural logarithm); of resistors only those without direct current.
_IMPEDANCE = {
    "emitter": {RESISTOR: (50.0, 0.8), INDUCTOR: (10.0, 0.8), CAPACITOR: (10.0, 1.0)},
    "bypass": {RESISTOR: (140.0, 1.0), INDUCTOR: (60.0, 0.8), CAPACITOR: (3.0, 0.8)},
    "feed": {RESISTOR: (1500.0, 1.0), INDUCTOR: (150.0, 0.8), CAPACITOR: (3.0, 0.8)},
    "load": {RESISTOR: (220.0, 0.9), INDUCTOR: (60.0, 0.8), CAPACITOR: (80.0, 0.8)},
    "shunt": {RESISTOR: (220.0, 1.0), INDUCTOR: (80.0, 0.8), CAPACITOR: (100.0, 0.8)},
    "series": {RESISTOR: (220.0, 1.0), INDUCTOR: (40.0, 0.8), CAPACITOR: (20.0, 1.1)},
}
