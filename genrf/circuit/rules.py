"""Electrical rules: what a topology must satisfy before it is worth a simulation.

Fixed nets are ground, the supply and every net held by an ideal bias source; they carry no signal. Ports are DC coupled
to 0 V through the testbench's resistors. A class may add rules of its own (`CircuitClass.rules`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from genrf import classes
from genrf.circuit.graph import (
    BIAS_VOLTAGE,
    DIODE,
    FIRST_PORT_NET,
    GROUND_NET,
    HBT,
    INDUCTOR,
    RESISTOR,
    NetGraph,
    NetGroups,
    net_graph,
)
from genrf.circuit.tokens import MAX_DEVICES, MAX_INTERNAL_NETS
from genrf.circuit.topology import Topology
from genrf.circuit.transistor_rules import transistor_bias
from genrf.circuit.violation import Rule, Violation

__all__ = ["Rule", "Violation", "is_legal", "violations"]


def violations(topology: Topology) -> list[Violation]:
    """Every rule that the topology breaks, general rules first; empty for a legal topology."""
    return list(_broken(topology))


def is_legal(topology: Topology) -> bool:
    """Whether the topology breaks no rule."""
    return next(_broken(topology), None) is None


def _broken(topology: Topology) -> Iterator[Violation]:
    graph = net_graph(topology)
    for group in (_STRUCTURE, _ELECTRICAL, classes.get(topology.circuit_class).rules):
        sound = True
        for rule in group:
            for violation in rule(topology, graph):
                sound = False
                yield violation
        # Later groups assume what earlier ones check, and would only repeat a defect in other words.
        if not sound:
            return


def _size(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """The circuit fits the token slots."""
    if not graph.kinds:
        yield Violation("size", None, None, "the topology has no devices")
    if len(graph.kinds) > MAX_DEVICES:
        yield Violation("size", None, None, f"{len(graph.kinds)} devices, at most {MAX_DEVICES} are allowed")
    internal = len(graph.names) - graph.first_internal
    if internal > MAX_INTERNAL_NETS:
        yield Violation("size", None, None, f"{internal} internal nets, at most {MAX_INTERNAL_NETS} are allowed")


def _shorted_device(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """No device has two terminals on one net."""
    for device, nets in enumerate(graph.nets):
        if len(set(nets)) < len(nets):
            net = next(net for net in nets if nets.count(net) > 1)
            name = topology.designators[device]
            yield Violation(
                "shorted_device", name, graph.names[net], f"{name} has two terminals on net {graph.names[net]}"
            )


def _dangling_net(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """Every internal net joins two terminals at least, every port one."""
    last: list[int] = [0] * len(graph.names)
    count = [0] * len(graph.names)
    for device, nets in enumerate(graph.nets):
        for net in nets:
            count[net] += 1
            last[net] = device
    for net in range(FIRST_PORT_NET, len(graph.names)):
        name = graph.names[net]
        if net < graph.first_internal:
            if count[net] == 0 and net not in graph.optional:
                yield Violation("dangling_net", None, name, f"nothing is connected to port {name}")
        elif count[net] < 2:
            designator = topology.designators[last[net]]
            yield Violation("dangling_net", designator, name, f"net {name} ends at {designator}")


def _shorted_source(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """No bias source on ground, supply, a port or another source's net."""
    held: set[int] = set()
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind == BIAS_VOLTAGE:
            net = nets[0]
            name, net_name = topology.designators[device], graph.names[net]
            if net < graph.first_internal:
                yield Violation("shorted_source", name, net_name, f"{name} is a voltage source directly on {net_name}")
            elif net in held:
                message = f"{name} is in parallel with another source on {net_name}"
                yield Violation("shorted_source", name, net_name, message)
            held.add(net)


def _idle_device(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """No device has all its terminals on fixed nets, where it can carry no signal."""
    fixed = graph.fixed_nets()
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind != BIAS_VOLTAGE and nets[0] in fixed and fixed.issuperset(nets):
            name = topology.designators[device]
            net = graph.names[nets[0]]
            yield Violation("idle_device", name, net, f"{name} joins only fixed nets: {', '.join(_names(graph, nets))}")


def _source_loop(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """No loop of inductors and voltage sources (the supply included): its direct current has no limit."""
    groups = NetGroups(len(graph.names))
    for net in graph.fixed_nets():
        groups.join(GROUND_NET, net)
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind == INDUCTOR and not groups.join(nets[0], nets[1]):
            name, (one, other) = topology.designators[device], _names(graph, nets)
            message = f"{name} closes a loop of inductors and voltage sources between {one} and {other}"
            yield Violation("source_loop", name, one, message)


def _dc_path(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """Every net has a DC path to ground or supply; two capacitors in series leave none and the matrix singular."""
    groups = NetGroups(len(graph.names))
    for net in graph.fixed_nets() | set(range(FIRST_PORT_NET, graph.first_internal)):
        groups.join(GROUND_NET, net)
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind in (RESISTOR, INDUCTOR, DIODE):
            groups.join(nets[0], nets[1])
        elif kind == HBT:
            groups.join(nets[0], nets[1])
            groups.join(nets[1], nets[2])
    ground = groups.find(GROUND_NET)
    for net in range(graph.first_internal, len(graph.names)):
        if groups.find(net) != ground:
            name = graph.names[net]
            device = topology.designators[graph.incidence()[net][0]]
            yield Violation("dc_path", device, name, f"net {name} at {device} has no DC path to ground or supply")


def _port_dc(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """No DC path from a port to supply, bias or a transistor: the circuit brings its own blocking capacitors."""
    forbidden = {net: "a fixed voltage" for net in graph.fixed_nets() if net != GROUND_NET}
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind == HBT:
            for terminal, net in zip(("collector", "base", "emitter"), nets, strict=True):
                if net != GROUND_NET:
                    forbidden.setdefault(net, f"the {terminal} of {topology.designators[device]}")
    for port in range(FIRST_PORT_NET, graph.first_internal):
        if port in graph.held:
            continue
        port_name = graph.names[port]
        if port in forbidden:
            yield Violation("port_dc", None, port_name, f"port {port_name} is directly on {forbidden[port]}")
            continue
        reached = {port}
        queue = [port]
        for net in queue:
            for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
                if kind in (RESISTOR, INDUCTOR, DIODE) and net in nets:
                    other = nets[0] if nets[1] == net else nets[1]
                    if other in reached or other == GROUND_NET:
                        continue
                    reached.add(other)
                    if other in forbidden:
                        name, net_name = topology.designators[device], graph.names[other]
                        message = f"{name} gives port {port_name} a DC path to {forbidden[other]} on net {net_name}"
                        yield Violation("port_dc", name, net_name, message)
                    else:
                        queue.append(other)


def _connected(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """All devices hang together, and on the ports, without the help of fixed nets."""
    fixed = graph.fixed_nets()
    groups = NetGroups(len(graph.names))
    for nets in graph.nets:
        live = [net for net in nets if net not in fixed]
        for net in live[1:]:
            groups.join(live[0], net)
    main = groups.find(FIRST_PORT_NET)
    reported: set[int] = set()
    for net in range(FIRST_PORT_NET + 1, len(graph.names)):
        group = groups.find(net)
        if net not in fixed | graph.open_ports() and group != main and group not in reported:
            reported.add(group)
            name, port = graph.names[net], graph.names[FIRST_PORT_NET]
            device = topology.designators[graph.incidence()[net][0]]
            yield Violation("connected", device, name, f"no signal path from port {port} to net {name} at {device}")


def _dead_branch(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """No part hangs on the circuit by one net only: it could carry no current (Tarjan's articulation points)."""
    fixed = graph.fixed_nets()
    # One root stands for all fixed nets; every port returns to it through the testbench.
    neighbours: list[set[int]] = [set() for _ in graph.names]
    for port in range(FIRST_PORT_NET, graph.first_internal):
        neighbours[port].add(GROUND_NET)
        neighbours[GROUND_NET].add(port)
    for nets in graph.nets:
        merged = [GROUND_NET if net in fixed else net for net in nets]
        for net in merged:
            for other in merged:
                if net != other:
                    neighbours[net].add(other)
    entered = [0] * len(graph.names)
    clock = 0
    found: list[tuple[int, int]] = []

    def visit(net: int, parent: int) -> int:
        nonlocal clock
        clock += 1
        entered[net] = lowest = clock
        for other in neighbours[net]:
            if other == parent:
                continue
            if entered[other]:
                lowest = min(lowest, entered[other])
            else:
                below = visit(other, net)
                lowest = min(lowest, below)
                if below >= entered[net] and net != GROUND_NET:
                    found.append((net, other))
        return lowest

    visit(GROUND_NET, -1)
    for net, branch in sorted(found):
        device = next(index for index, nets in enumerate(graph.nets) if branch in nets)
        name = topology.designators[device]
        message = f"the branch with {name} hangs on net {graph.names[net]} alone and carries no current"
        yield Violation("dead_branch", name, graph.names[net], message)


def _names(graph: NetGraph, nets: Iterable[int]) -> list[str]:
    return [graph.names[net] for net in nets]


_STRUCTURE: tuple[Rule, ...] = (_size, _shorted_device, _dangling_net, _shorted_source)
_ELECTRICAL: tuple[Rule, ...] = (
    _idle_device,
    _source_loop,
    _dc_path,
    _port_dc,
    transistor_bias,
    _connected,
    _dead_branch,
)
