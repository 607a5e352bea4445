"""Several circuits joined into one: the output net of each is the input net of the next, the supply is shared."""

from __future__ import annotations

from collections.abc import Sequence

from genrf.circuit.ports import ports_of
from genrf.circuit.topology import GROUND, SUPPLY, Circuit, Device, Topology

LINK_OHM = 100e3
"""Resistance from every net between two blocks to ground: blocks with capacitors at their ports leave it without direct
voltage. It changes a 50 Ohm system's gain and noise figure by about 0.002 dB."""


def joined(circuits: Sequence[Circuit], circuit_class: str) -> Circuit:
    """One circuit of a class, whose ports it takes: the first is the chain's input, the last its output.

    A block's first port is its input, its last port its output. Other ports, which only the last block may have, keep
    their names. Internal nets are called ``b1n1``, ``b1n2`` ... by block; nets between blocks ``link1`` ... The circuit
    may have more devices than a generated one: only testbenches see it.
    """
    ports = ports_of(circuit_class).names
    devices: list[Device] = []
    values: list[float] = []
    for number, circuit in enumerate(circuits, start=1):
        topology = circuit.topology
        own = ports_of(topology.circuit_class).names
        names = {GROUND: GROUND, SUPPLY: SUPPLY} | {port: port for port in own[1:-1]}
        names[own[0]] = ports[0] if number == 1 else f"link{number - 1}"
        names[own[-1]] = ports[-1] if number == len(circuits) else f"link{number}"
        internal = (net for net in topology.nets if net not in names)
        names |= {net: f"b{number}n{index}" for index, net in enumerate(internal, start=1)}
        devices += [Device(device.kind, tuple(names[net] for net in device.nets)) for device in topology.devices]
        values += circuit.values
        if number < len(circuits):
            devices.append(Device("resistor", (f"link{number}", GROUND)))
            values.append(LINK_OHM)
    return Circuit(Topology(circuit_class, tuple(devices)), tuple(values))
