"""The nodes of a topology as direct current sees them."""

from __future__ import annotations

from genrf.circuit.graph import BIAS_VOLTAGE, FIRST_PORT_NET, GROUND_NET, HBT, INDUCTOR, RESISTOR, SUPPLY_NET, NetGraph


class DcNodes:
    """The nodes of a topology as direct current sees them: inductors join nets, capacitors part them.

    A node has the number of one of its nets; ground, supply and bias nets give theirs.
    """

    def __init__(self, graph: NetGraph) -> None:
        node = list(range(len(graph.names)))
        self.sources = {
            nets[0]: device
            for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True))
            if kind == BIAS_VOLTAGE
        }
        """Bias source on each bias net."""
        rank = dict.fromkeys(self.sources, 1) | {GROUND_NET: 0, SUPPLY_NET: 0}
        for kind, nets in zip(graph.kinds, graph.nets, strict=True):
            if kind == INDUCTOR:
                first, second = sorted((node[nets[0]], node[nets[1]]), key=lambda net: (rank.get(net, 2), net))
                if first != second:
                    node = [first if member == second else member for member in node]
        # The testbench holds ports at 0 V.
        self.grounded = {GROUND_NET, *(node[port] for port in range(FIRST_PORT_NET, graph.first_internal))}
        self.transistors = {
            device: (node[nets[0]], node[nets[1]], node[nets[2]])
            for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True))
            if kind == HBT
        }
        """Collector, base and emitter node of each transistor."""
        resistors = {
            device: (node[nets[0]], node[nets[1]])
            for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True))
            if kind == RESISTOR and node[nets[0]] != node[nets[1]]
        }
        self.resistors = self._conducting(resistors)
        """Nodes of each resistor that can carry direct current."""
        self.neighbours: dict[int, list[tuple[int, int]]] = {}
        """Resistors at each node, with the node at the other end."""
        for device, (first, second) in self.resistors.items():
            self.neighbours.setdefault(first, []).append((device, second))
            self.neighbours.setdefault(second, []).append((device, first))
        self.stacks = self._stacks()
        """Chains of transistors that share a current, each from the bottom up."""

    def _conducting(self, resistors: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
        held = {node for nodes in self.transistors.values() for node in nodes}
        held |= self.grounded | {SUPPLY_NET} | self.sources.keys()
        while True:
            count: dict[int, int] = {}
            for nodes in resistors.values():
                for node in nodes:
                    count[node] = count.get(node, 0) + 1
            ended = [
                device
                for device, nodes in resistors.items()
                if any(count[node] < 2 and node not in held for node in nodes)
            ]
            if not ended:
                return {device: nodes for device, nodes in resistors.items() if not self.grounded.issuperset(nodes)}
            for device in ended:
                del resistors[device]

    def _stacks(self) -> list[list[int]]:
        above: dict[int, int] = {}
        bottoms = []
        for device, (_, _, emitter) in self.transistors.items():
            linked = {emitter} | {other for _, other in self.neighbours.get(emitter, ())}
            lower = [
                other
                for other, (collector, _, _) in self.transistors.items()
                if other != device and collector in linked and collector not in (GROUND_NET, SUPPLY_NET)
            ]
            if GROUND_NET in linked or not lower or lower[0] in above:
                bottoms.append(device)
            else:
                above[lower[0]] = device
        stacks = []
        for bottom in bottoms:
            stack = [bottom]
            while stack[-1] in above and above[stack[-1]] not in stack:
                stack.append(above[stack[-1]])
            stacks.append(stack)
        rest = self.transistors.keys() - {device for stack in stacks for device in stack}
        return stacks + [[device] for device in sorted(rest)]
