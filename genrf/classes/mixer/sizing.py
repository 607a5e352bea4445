"""First-order values for mixers: a bias point, then reactances around the frequency that their position is for.

Inductors and capacitors on the side of RF and LO are log-normal around a reactance at f0, those at the IF port and in
the collectors' loads around one at f0/10. Devices of one kind that are in one position are mostly drawn alike, because
balance needs it.
"""

from __future__ import annotations

import math

import numpy as np

from genrf.circuit.graph import (
    CAPACITOR,
    DIODE,
    FIRST_PORT_NET,
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
from genrf.classes.mixer.bias import mixer_bias
from genrf.conditions import Conditions

IF = 0.1
"""Intermediate frequency relative to f0."""
_ALIKE = 0.85
"""Share of devices that have the value of the others in their position."""
_PASSIVES = (RESISTOR, INDUCTOR, CAPACITOR)

# Median impedance in Ohm, at f0 or at the IF, and spread (natural logarithm); of resistors only those that the bias
# leaves open.
_AT_F0 = {
    "emitter": {RESISTOR: (20.0, 0.7), INDUCTOR: (12.0, 0.7), CAPACITOR: (15.0, 0.8)},
    "feed": {RESISTOR: (400.0, 0.6), INDUCTOR: (150.0, 0.6), CAPACITOR: (4.0, 0.7)},
    "shunt": {RESISTOR: (200.0, 0.8), INDUCTOR: (80.0, 0.7), CAPACITOR: (100.0, 0.8)},
    "series": {RESISTOR: (60.0, 0.8), INDUCTOR: (40.0, 0.7), CAPACITOR: (20.0, 0.8)},
}
_AT_IF = {
    "load": {RESISTOR: (250.0, 0.6), INDUCTOR: (150.0, 0.6), CAPACITOR: (150.0, 0.8)},
    "shunt": {RESISTOR: (250.0, 0.8), INDUCTOR: (100.0, 0.7), CAPACITOR: (120.0, 0.8)},
    "series": {RESISTOR: (30.0, 0.8), INDUCTOR: (25.0, 0.7), CAPACITOR: (15.0, 0.7)},
}
_LOAD = ("if", "load")
_LARGEST_CHARGING = 10.0
"""Time constant of a load resistor and a capacitor at the IF, in radians of the IF."""
_DIODE_DROP_V = (0.68, 0.84)
"""Bias of a diode that a LO of 0 dBm switches."""
_DIODE_EMITTERS = (1.0, 12.0)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values for any legal topology.

    Returns:
        One value a device, in SI units, in device order; not yet held to a technology's range and grid.
    """
    graph = net_graph(topology)
    bias = mixer_bias(graph, conditions.supply_v, rng)
    values = dict(bias.values)
    _bias_diodes(graph, values, rng)
    omega = 2.0 * math.pi * conditions.frequency_hz
    drawn: dict[tuple[str, str, int], float] = {}
    positions = _positions(graph)
    slowest = max(
        (
            values[d]
            for d, position in enumerate(positions)
            if position == _LOAD and graph.kinds[d] == RESISTOR and d in values
        ),
        default=0.0,
    )
    for device, (side, position) in enumerate(positions):
        kind = graph.kinds[device]
        if device in values:
            continue
        key = (side, position, kind)
        if key not in drawn or rng.random() > _ALIKE:
            drawn[key] = _draw(kind, side, position, omega, rng)
            if side == "if" and kind == CAPACITOR:
                # A capacitor charges through the load resistor: not much longer than a period of the IF.
                drawn[key] = min(drawn[key], _LARGEST_CHARGING / (IF * omega * max(slowest, 1.0)))
        values[device] = drawn[key]
    return tuple(values[device] for device in range(len(graph.kinds)))


def _draw(kind: int, side: str, position: str, omega: float, rng: np.random.Generator) -> float:
    if kind in (DIODE, VARACTOR):
        low, high = _DIODE_EMITTERS
        return float(max(1, round(low * (high / low) ** rng.random())))
    table, omega = (_AT_IF[position], IF * omega) if side == "if" else (_AT_F0[position], omega)
    ohm, spread = table[kind]
    ohm *= math.exp(spread * rng.normal())
    return {RESISTOR: ohm, INDUCTOR: ohm / omega, CAPACITOR: 1.0 / (omega * ohm)}[kind]


def _bias_diodes(graph: NetGraph, values: dict[int, float], rng: np.random.Generator) -> None:
    """Set the sources that feed diodes to what opens a chain of them halfway, and the resistors on the way."""
    edges: dict[int, list[tuple[int, int, int]]] = {}
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind in (RESISTOR, INDUCTOR, DIODE):
            for here, there in (nets, nets[::-1]):
                edges.setdefault(here, []).append((device, kind, there))
    held = graph.fixed_nets() | set(range(FIRST_PORT_NET, graph.first_internal))
    transistors = {net for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind == HBT for net in nets}
    for source, net in (
        (device, nets[0]) for device, nets in enumerate(graph.nets) if len(nets) == 1 and nets[0] not in transistors
    ):
        # Fewest diodes on a way to ground, breadth first over resistors, inductors and diodes.
        found: tuple[int, list[int]] | None = None
        queue: list[tuple[int, int, list[int]]] = [(net, 0, [])]
        seen = {net}
        for here, count, resistors in queue:
            for device, kind, there in edges.get(here, ()):
                if there in seen:
                    continue
                seen.add(there)
                diodes = count + (kind == DIODE)
                path = [*resistors, device] if kind == RESISTOR else resistors
                if there == GROUND_NET or (there in held and there not in graph.fixed_nets()):
                    if diodes and found is None:
                        found = (diodes, path)
                elif there not in held and there not in transistors:
                    queue.append((there, diodes, path))
        if found is None:
            continue
        diodes, path = found
        low, high = _DIODE_DROP_V
        current = 10.0 ** rng.uniform(-4.3, -3.0)
        for device in path:
            values[device] = 10.0 ** rng.uniform(1.5, 2.9)
        drop = diodes * (low + (high - low) * rng.random()) + current * sum(values[device] for device in path)
        values[source] = min(drop, 3.0)


def _positions(graph: NetGraph) -> list[tuple[str, str]]:
    """Side ("rf" or "if") and position of each device, judged by the nets it joins."""
    fixed = graph.fixed_nets()
    transistors = [nets for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind == HBT]
    emitters = {nets[2] for nets in transistors} - fixed
    collectors = {nets[0] for nets in transistors} - fixed - emitters
    sink = graph.first_internal - 1
    to_output = _distances(graph, {sink}, fixed)
    to_input = _distances(graph, set(range(FIRST_PORT_NET, sink)), fixed)
    far = len(graph.names)
    slow = {
        net
        for net in range(FIRST_PORT_NET, far)
        if net not in fixed
        and (
            to_output.get(net, far) < to_input.get(net, far)
            or (net in collectors and net not in to_output and net not in to_input)
        )
    }
    bias = graph.bias_nets()
    positions = []
    for nets in graph.nets:
        ends = set(nets)
        if ends & slow and len(nets) == 2:
            if SUPPLY_NET in ends:
                positions.append(("if", "load"))
            else:
                positions.append(("if", "shunt" if ends & fixed or ends <= collectors else "series"))
        elif ends & emitters and GROUND_NET in ends:
            positions.append(("rf", "emitter"))
        elif ends & (bias | {SUPPLY_NET}):
            positions.append(("rf", "feed"))
        else:
            positions.append(("rf", "shunt" if GROUND_NET in ends else "series"))
    return positions


def _distances(graph: NetGraph, start: set[int], fixed: set[int]) -> dict[int, int]:
    """Passive devices from the start to each net that they reach."""
    distance = dict.fromkeys(start, 0)
    queue = list(start)
    for net in queue:
        for kind, nets in zip(graph.kinds, graph.nets, strict=True):
            if kind in _PASSIVES and net in nets:
                other = nets[0] if nets[1] == net else nets[1]
                if other not in fixed and other not in distance:
                    distance[other] = distance[net] + 1
                    queue.append(other)
    return distance
