"""First-order values for low-noise amplifiers: a bias point, then reactances around the centre frequency.

Resistors, emitters and bias voltages come from `genrf.circuit.biasing`. Inductors and capacitors are log-normal around a
reactance at f0 that their place suggests: tens of Ohm where they match or resonate, a few Ohm where they block or bypass.
"""

from __future__ import annotations

import math

import numpy as np

from genrf.circuit.biasing import bias_point
from genrf.circuit.graph import (
    BIAS_VOLTAGE,
    CAPACITOR,
    GROUND_NET,
    HBT,
    INDUCTOR,
    RESISTOR,
    SUPPLY_NET,
    NetGraph,
    net_graph,
)
from genrf.circuit.topology import Topology
from genrf.spec import Conditions


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values for any legal topology.

    Returns:
        One value a device, in SI units, in device order; not yet held to a technology's range and grid.
    """
    graph = net_graph(topology)
    values = bias_point(graph, conditions.supply_v, rng).values
    omega = 2.0 * math.pi * conditions.frequency_hz
    places = _places(graph)
    for device, kind in enumerate(graph.kinds):
        if kind == INDUCTOR:
            values[device] = _reactance(places[device], kind, rng) / omega
        elif kind == CAPACITOR:
            values[device] = 1.0 / (omega * _reactance(places[device], kind, rng))
        elif kind == RESISTOR and device not in values:
            values[device] = 50.0 * math.exp(rng.normal(*_DAMPING[places[device]]))
    return tuple(values[device] for device in range(len(graph.kinds)))


# Median reactance in Ohm and spread (natural logarithm) of inductors and of capacitors, by place.
_REACTANCE = {
    "emitter": {INDUCTOR: (10.0, 0.8), CAPACITOR: (10.0, 1.0)},
    "bypass": {INDUCTOR: (60.0, 0.8), CAPACITOR: (3.0, 0.8)},
    "feed": {INDUCTOR: (150.0, 0.8), CAPACITOR: (3.0, 0.8)},
    "load": {INDUCTOR: (60.0, 0.8), CAPACITOR: (80.0, 0.8)},
    "shunt": {INDUCTOR: (80.0, 0.8), CAPACITOR: (100.0, 0.8)},
    "series": {INDUCTOR: (40.0, 0.8), CAPACITOR: (20.0, 1.1)},
}
_DAMPING = {
    "emitter": (0.0, 0.8),
    "bypass": (1.0, 1.0),
    "feed": (3.5, 1.0),
    "load": (1.5, 0.9),
    "shunt": (1.5, 1.0),
    "series": (1.5, 1.0),
}
"""Natural logarithm of the median, relative to 50 Ohm, and spread of resistors without direct current."""


def _places(graph: NetGraph) -> list[str]:
    """What each device is there for, judged by the nets it joins."""
    bias = graph.bias_nets()
    fixed = bias | {GROUND_NET, SUPPLY_NET}
    emitters = {nets[2] for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind == HBT} - fixed
    touching = graph.incidence()
    # A net that joins resistors and capacitors only carries a bias, and its capacitor to ground bypasses it.
    quiet = {
        net
        for net in range(graph.first_internal, len(graph.names))
        if net not in emitters and sum(graph.kinds[device] == RESISTOR for device in touching[net]) >= 1
        and all(graph.kinds[device] in (RESISTOR, CAPACITOR, BIAS_VOLTAGE, HBT) for device in touching[net])
        and sum(graph.kinds[device] == CAPACITOR for device in touching[net]) == 1
    }
    places = []
    for nets in graph.nets:
        ends = set(nets)
        if ends & emitters and GROUND_NET in ends:
            places.append("emitter")
        elif GROUND_NET in ends and ends & quiet:
            places.append("bypass")
        elif ends & bias:
            places.append("feed")
        elif SUPPLY_NET in ends:
            places.append("load")
        elif GROUND_NET in ends:
            places.append("shunt")
        else:
            places.append("series")
    return places


def _reactance(place: str, kind: int, rng: np.random.Generator) -> float:
    median, spread = _REACTANCE[place][kind]
    return median * math.exp(spread * rng.normal())
