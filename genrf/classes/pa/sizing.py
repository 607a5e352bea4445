"""First-order values for power amplifiers: a bias point, then reactances that bring the load line about.

symbol  variable    meaning                                                     unit
V_max   -           largest amplitude of V_CE: its DC value less the knee       V
I_max   -           largest amplitude of I_C: the DC current in class A, half of what the emitters stand towards B  A

Of several draws the one is taken that, in a hybrid-pi model, amplifies, is matched at the input and delivers the most
power for the current that it draws before the first transistor reaches V_max or I_max (the load line; Cripps, RF Power
Amplifiers for Wireless Communications, 2nd ed., 2.2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import BiasPoint, BiasRanges, bias_point
from genrf.circuit.graph import CAPACITOR, HBT, INDUCTOR, RESISTOR, NetGraph, net_graph
from genrf.circuit.positions import positions
from genrf.circuit.small_signal import THERMAL_V, SmallSignal
from genrf.circuit.topology import Topology
from genrf.conditions import Conditions

RANGES = BiasRanges(
    density_a=(0.08e-3, 2.0e-3), emitters=(4.0, 40.0), largest_current_a=60e-3, base_resistor_ohm=(30.0, 600.0)
)
"""Class B to A; base feeds of low resistance, as power transistors need, which settle within tens of periods."""


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values for any legal topology.

    Returns:
        One value a device, in SI units, in device order; not yet held to a technology's range and grid.
    """
    graph = net_graph(topology)
    bias = bias_point(graph, conditions.supply_v, rng, RANGES)
    median, spread = _centre(graph, bias, 2.0 * math.pi * conditions.frequency_hz)
    ports = (conditions.source_ohm, conditions.load_ohm)
    model = SmallSignal(graph, bias.current_a, conditions.frequency_hz, ports)
    for width, count in _ROUNDS:
        candidates = median * np.exp(width * spread * rng.normal(size=(count, len(median))))
        median = candidates[int(np.argmax(_score(model, graph, bias, conditions, candidates)))]
    return tuple(median.tolist())


def _centre(graph: NetGraph, bias: BiasPoint, omega: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and spread (natural logarithm) of every device's value, (devices,) each; the bias is not spread again."""
    median = np.empty(len(graph.kinds))
    spread = np.zeros(len(graph.kinds))
    for device, (kind, position) in enumerate(zip(graph.kinds, positions(graph), strict=True)):
        if device in bias.values:
            median[device] = bias.values[device]
            continue
        ohm, spread[device] = _IMPEDANCE[position].get(kind, (1.0, 0.0))
        median[device] = {RESISTOR: ohm, INDUCTOR: ohm / omega, CAPACITOR: 1.0 / (omega * ohm)}.get(kind, _JUNCTIONS)
    return median, spread


def _score(
    model: SmallSignal, graph: NetGraph, bias: BiasPoint, conditions: Conditions, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far each candidate falls short of gain, match, efficiency and power, in dB summed, (candidates,)."""
    voltages = model.voltages(values)
    decibel = 20.0 * np.log10(np.abs(model.to_scattering(voltages)) + 1e-9)
    driven = np.concatenate([voltages[:, :, 0], np.zeros((len(values), 1))], axis=1)  # row -1: signal ground
    scale = np.full(len(values), np.inf)
    currents = []
    for device, kind in enumerate(graph.kinds):
        if kind != HBT:
            continue
        collector, base, emitter = (driven[:, model.row[net]] for net in graph.nets[device])
        emitters, quiescent = values[:, device], bias.current_a[device]
        transconductance = 1.0 / (THERMAL_V / quiescent + _EMITTER_OHM / emitters)
        current = np.abs(transconductance * (base - emitter)) + 1e-12
        swing = max(bias.collector_emitter_v[device] - _KNEE_V, 0.1)
        most = np.maximum(quiescent, _CLASS_B_DENSITY_A * emitters)
        scale = np.minimum(scale, np.minimum(swing / (np.abs(collector - emitter) + 1e-9), most / current))
        currents.append((current, quiescent, _is_bottom(graph, device)))
    output_w = (scale * np.abs(driven[:, 1])) ** 2 / (2.0 * conditions.load_ohm)
    # A half-wave rectified current of amplitude 2 I has the mean 2 I / pi.
    drawn_w = conditions.supply_v * sum(
        np.maximum(quiescent, 2.0 / math.pi * scale * current) for current, quiescent, bottom in currents if bottom
    )
    efficiency_db = 10.0 * np.log10(output_w / drawn_w + 1e-6)
    power_dbm = 10.0 * np.log10(output_w / 1e-3 + 1e-6)
    shortfall = np.minimum(decibel[:, 1, 0] - _WANTED_GAIN_DB, 0.0)
    shortfall += np.minimum(_WANTED_MATCH_DB - decibel[:, 0, 0], 0.0)
    shortfall += np.minimum(efficiency_db - _WANTED_EFFICIENCY_DB, 0.0)
    shortfall += 0.5 * np.minimum(power_dbm - _WANTED_POWER_DBM, 0.0)
    # A reflection above 1 is a negative resistance.
    return shortfall - 100.0 * ((decibel[:, 0, 0] > 0.0) | (decibel[:, 1, 1] > 0.0))


def _is_bottom(graph: NetGraph, device: int) -> bool:
    """Whether a transistor draws a current that no other transistor below it has drawn already."""
    emitter = graph.nets[device][2]
    return not any(kind == HBT and nets[0] == emitter for kind, nets in zip(graph.kinds, graph.nets, strict=True))


_ROUNDS = ((1.0, 20), (0.5, 16), (0.25, 12))
"""Width, relative to the spread, and number of the candidates of each round; the next starts from the best of one."""
_WANTED_GAIN_DB = 12.0
_WANTED_MATCH_DB = -10.0
_WANTED_EFFICIENCY_DB = -4.5
_WANTED_POWER_DBM = 12.0
_KNEE_V = 0.3
_CLASS_B_DENSITY_A = 1.0e-3
_EMITTER_OHM = 37.0
_JUNCTIONS = 8.0

# Median impedance in Ohm at f0 and spread (natural logarithm); of resistors only those without direct current.
_IMPEDANCE = {
    "emitter": {RESISTOR: (20.0, 0.8), INDUCTOR: (4.0, 0.8), CAPACITOR: (4.0, 1.0)},
    "bypass": {RESISTOR: (140.0, 1.0), INDUCTOR: (60.0, 0.8), CAPACITOR: (6.0, 1.0)},
    "feed": {RESISTOR: (200.0, 1.0), INDUCTOR: (150.0, 0.8), CAPACITOR: (6.0, 0.8)},
    "load": {RESISTOR: (300.0, 0.9), INDUCTOR: (45.0, 0.9), CAPACITOR: (50.0, 0.8)},
    "shunt": {RESISTOR: (300.0, 1.0), INDUCTOR: (60.0, 0.8), CAPACITOR: (60.0, 0.9)},
    "series": {RESISTOR: (150.0, 1.0), INDUCTOR: (25.0, 0.9), CAPACITOR: (15.0, 1.0)},
}
