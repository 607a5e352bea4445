"""A topology as small integers, the form that canonical labelling, electrical rules and mutation work on.

Net numbers: 0 ground, 1 supply, 2.. the class's ports in order, then internal nets by first appearance.
"""

from __future__ import annotations

from dataclasses import dataclass

from genrf.circuit.devices import KINDS
from genrf.circuit.ports import ports_of
from genrf.circuit.topology import GROUND, SUPPLY, Topology

GROUND_NET = 0
SUPPLY_NET = 1
FIRST_PORT_NET = 2

KIND_NAMES = tuple(KINDS)
RESISTOR, INDUCTOR, CAPACITOR, HBT, BIAS_VOLTAGE, DIODE, VARACTOR = range(7)
"""Positions in `KINDS`."""

_KIND_INDEX = {name: index for index, name in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class NetGraph:
    """Devices as kind numbers and net numbers, beside the nets' names."""

    kinds: list[int]
    nets: list[tuple[int, ...]]
    """Net numbers at each device's terminals."""
    names: list[str]
    """Name of each net number; nets that are fixed by the class are present whether used or not."""
    port_count: int
    held: frozenset[int] = frozenset()
    """Ports that the class's testbench holds at a DC voltage."""
    optional: frozenset[int] = frozenset()
    """Ports that a topology of the class may leave open."""

    @property
    def first_internal(self) -> int:
        """Number of the first internal net."""
        return FIRST_PORT_NET + self.port_count

    def incidence(self) -> list[list[int]]:
        """Devices with a terminal on each net, each device once."""
        touching: list[list[int]] = [[] for _ in self.names]
        for device, nets in enumerate(self.nets):
            for net in set(nets):
                touching[net].append(device)
        return touching

    def bias_nets(self) -> set[int]:
        """Nets held by an ideal bias source."""
        return {nets[0] for kind, nets in zip(self.kinds, self.nets, strict=True) if kind == BIAS_VOLTAGE}

    def fixed_nets(self) -> set[int]:
        """Ground, supply, held ports and the nets of ideal bias sources: they carry no signal."""
        return self.bias_nets() | {GROUND_NET, SUPPLY_NET} | self.held

    def open_ports(self) -> set[int]:
        """Optional ports that nothing is connected to."""
        return set(self.optional).difference(*self.nets)


class NetGroups:
    """Nets joined into groups (disjoint sets)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, net: int) -> int:
        parent = self._parent
        while parent[net] != net:
            parent[net] = parent[parent[net]]
            net = parent[net]
        return net

    def join(self, first: int, second: int) -> bool:
        """Join the groups of two nets; False if they were joined already."""
        first, second = self.find(first), self.find(second)
        if first == second:
            return False
        self._parent[second] = first
        return True


def reach(start: set[int], edges: list[tuple[int, int]], one_way: list[tuple[int, int]], fixed: set[int]) -> set[int]:
    """Nets that direct current reaches from a fixed net: over edges either way, over `one_way` from first to second."""
    reached = set(start)
    grown = True
    while grown:
        grown = False
        for first, second in edges:
            if first in reached and second not in reached and second not in fixed:
                reached.add(second)
                grown = True
            elif second in reached and first not in reached and first not in fixed:
                reached.add(first)
                grown = True
        for first, second in one_way:
            if first in reached and second not in reached and second not in fixed:
                reached.add(second)
                grown = True
    return reached


def net_graph(topology: Topology) -> NetGraph:
    """Number the nets of a topology.

    Raises:
        InvalidInputError: for a circuit class that does not exist.
    """
    ports = ports_of(topology.circuit_class)
    names = [GROUND, SUPPLY, *ports.names]
    port_count = len(names) - FIRST_PORT_NET
    number = {name: index for index, name in enumerate(names)}
    kinds = []
    nets = []
    for device in topology.devices:
        kinds.append(_KIND_INDEX[device.kind])
        for net in device.nets:
            if net not in number:
                number[net] = len(names)
                names.append(net)
        nets.append(tuple([number[net] for net in device.nets]))
    held, optional = (frozenset(number[port] for port in chosen) for chosen in (ports.held, ports.optional))
    return NetGraph(kinds, nets, names, port_count, held, optional)
