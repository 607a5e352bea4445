"""A topology seen as a draughtsman sees it: transistors, and chains of two-terminal devices between the nets that
matter.

A net that only joins two two-terminal devices needs no place of its own on the sheet: its devices are drawn in one
line, as a `Chain`. Ground, the supply and the nets of bias voltages are rails: they are drawn as a symbol wherever
they are used. So are ports beside the signal's way, such as a tuning voltage or a local oscillator.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from genrf.circuit.topology import GROUND, SUPPLY, Topology

HBT = "hbt"
BIAS_VOLTAGE = "bias_voltage"
COLLECTOR, BASE, EMITTER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Chain:
    """Two-terminal devices in series."""

    devices: tuple[int, ...]
    """Indices of the devices, from the first net to the last."""
    nets: tuple[str, ...]
    """Nets along the chain, one more than devices."""

    @property
    def ends(self) -> tuple[str, str]:
        """The nets at both ends."""
        return self.nets[0], self.nets[-1]

    @property
    def reversed(self) -> Chain:
        """The same chain, read from its other end."""
        return Chain(self.devices[::-1], self.nets[::-1])

    def starting_at(self, net: str) -> Chain:
        """The same chain, read from the end that is on this net."""
        return self if self.nets[0] == net else self.reversed

    def other_end(self, net: str) -> str:
        """The net at the far end, seen from one end."""
        return self.starting_at(net).nets[-1]


class CircuitGraph:
    """Chains, transistors and rails of a topology, with the questions that a placement asks.

    Args:
        topology: what to draw.
        ports: names of the port nets, the input first and the output last; a single one is an output.
        held: those of them that the testbench holds at a DC voltage.
    """

    def __init__(self, topology: Topology, ports: tuple[str, ...], held: tuple[str, ...] = ()) -> None:
        self.topology = topology
        self.ports = tuple(port for port in ports if port in topology.nets)
        signal = [port for port in ports if port not in held]
        self.source = signal[0] if len(signal) > 1 and signal[0] in topology.nets else None
        """The port from which the signal comes."""
        self.sink = signal[-1] if signal and signal[-1] in topology.nets else None
        """The port to which it goes."""
        self.side_ports = set(self.ports) - {self.source, self.sink}
        bias_nets = {device.nets[0] for device in topology.devices if device.kind == BIAS_VOLTAGE}
        self.bias_nets = bias_nets - set(ports) - {GROUND, SUPPLY}
        self.rails = {GROUND, SUPPLY} | self.bias_nets | self.side_ports
        self.transistors = tuple(i for i, device in enumerate(topology.devices) if device.kind == HBT)
        self.stray_sources = tuple(
            i for i, device in enumerate(topology.devices)
            if device.kind == BIAS_VOLTAGE and device.nets[0] not in self.bias_nets
        )  # fmt: skip
        """Bias voltages on a port, which no legal topology has, but which are drawn all the same."""
        self.chains = self._find_chains()
        self.chains_at: dict[str, list[Chain]] = defaultdict(list)
        for chain in self.chains:
            for net in dict.fromkeys(chain.ends):
                self.chains_at[net].append(chain)
        self.transistors_at: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """Net -> (device index, terminal) of the transistors on it."""
        for index in self.transistors:
            for terminal, net in enumerate(topology.devices[index].nets):
                self.transistors_at[net].append((index, terminal))
        self.distance_to_output = self._distances()

    def _find_chains(self) -> list[Chain]:
        two_terminal = {i: d for i, d in enumerate(self.topology.devices) if len(d.nets) == 2}
        at: dict[str, list[int]] = defaultdict(list)
        terminals: dict[str, int] = defaultdict(int)
        for index, device in enumerate(self.topology.devices):
            for net in device.nets:
                terminals[net] += 1
            if index in two_terminal:
                for net in device.nets:
                    at[net].append(index)

        def passes_through(net: str) -> bool:
            return (
                net not in self.rails and net not in self.ports
                and terminals[net] == 2 and len(at[net]) == 2 and at[net][0] != at[net][1]
            )  # fmt: skip

        used: set[int] = set()

        def walk(index: int, net: str) -> tuple[list[int], list[str]]:
            devices, nets = [], []
            while True:
                used.add(index)
                a, b = two_terminal[index].nets
                net = b if net == a else a
                devices.append(index)
                nets.append(net)
                onward = [i for i in at[net] if i not in used]
                if not passes_through(net) or not onward:
                    return devices, nets
                index = onward[0]

        chains = []
        for index, device in two_terminal.items():
            if index in used:
                continue
            start = device.nets[0]
            # Walk back to the chain's first net, then forward over the whole of it.
            devices, nets = walk(index, device.nets[1])
            used.difference_update(devices)
            first, start = devices[-1], nets[-1]
            devices, nets = walk(first, start)
            chains.append(Chain(tuple(devices), (start, *nets)))
        return chains

    def _distances(self) -> dict[str, int]:
        """Hops from each signal net to the output."""
        neighbours: dict[str, set[str]] = defaultdict(set)
        for chain in self.chains:
            a, b = chain.ends
            if a not in self.rails and b not in self.rails:
                neighbours[a].add(b)
                neighbours[b].add(a)
        for index in self.transistors:
            collector, base, emitter = self.topology.devices[index].nets
            for source, drain in ((base, collector), (emitter, collector), (base, emitter)):
                if source not in self.rails and drain not in self.rails:
                    neighbours[drain].add(source)
        distance = dict.fromkeys([self.sink] if self.sink is not None else [], 0)
        queue = deque(distance)
        while queue:
            net = queue.popleft()
            for other in sorted(neighbours[net]):
                if other not in distance:
                    distance[other] = distance[net] + 1
                    queue.append(other)
        return distance

    def is_dead_end(self, net: str, source: str) -> bool:
        """Whether a net, entered from another, leads to rails only, as in a bias or decoupling network."""
        if net in self.ports or net in self.rails or self.transistors_at[net]:
            return False
        others = [chain.other_end(net) for chain in self.chains_at[net]]
        return others.count(source) == 1 and all(other in self.rails for other in others if other != source)

    def leads_to_transistor(self, net: str, source: str) -> bool:
        """Whether a base or emitter is reachable over chains from a net without passing the net it was entered from."""
        seen = {source, net}
        queue = deque([net])
        while queue:
            here = queue.popleft()
            if any(terminal != COLLECTOR for _, terminal in self.transistors_at[here]):
                return True
            for chain in self.chains_at[here]:
                other = chain.other_end(here)
                if other not in seen and other not in self.rails:
                    seen.add(other)
                    queue.append(other)
        return False
