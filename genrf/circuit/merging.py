"""Resistors in series are one resistor, inductors in series one inductor: nobody draws two."""

from __future__ import annotations

from genrf.circuit.ports import ports_of
from genrf.circuit.topology import GROUND, SUPPLY, Circuit, Device, Topology

MERGED = ("resistor", "inductor")
"""Kinds whose values add in series. Capacitors in series leave a net without direct voltage, which is not legal."""


def merged_circuit(circuit: Circuit) -> Circuit:
    """The circuit with every two resistors or inductors that alone meet at a net made one, with the sum of their values."""
    parts = list(zip(circuit.topology.devices, circuit.values, strict=True))
    outer = {GROUND, SUPPLY, *ports_of(circuit.topology.circuit_class).names}
    while True:
        touching: dict[str, list[int]] = {}
        for index, (device, _) in enumerate(parts):
            for net in device.nets:
                touching.setdefault(net, []).append(index)
        for net, places in touching.items():
            if net in outer or len(places) != 2 or places[0] == places[1]:
                continue
            (first, one), (second, other) = parts[places[0]], parts[places[1]]
            ends = [end for device in (first, second) for end in device.nets if end != net]
            if first.kind == second.kind and first.kind in MERGED and len(set(ends)) == 2:
                parts[places[0]] = Device(first.kind, (ends[0], ends[1])), one + other
                del parts[places[1]]
                break
        else:
            break
    if len(parts) == len(circuit.values):
        return circuit
    devices = tuple(device for device, _ in parts)
    return Circuit(Topology(circuit.topology.circuit_class, devices), tuple(value for _, value in parts))


def merged(topology: Topology) -> Topology:
    """The same of a topology."""
    return merged_circuit(Circuit(topology, (0.0,) * len(topology.devices))).topology
