"""Electrical rules of low-noise amplifiers, beyond those of every class."""

from __future__ import annotations

from collections.abc import Iterator

from genrf.circuit.graph import FIRST_PORT_NET, HBT, NetGraph
from genrf.circuit.rules import Violation, fixed_nets
from genrf.circuit.topology import Topology


def amplifies(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """A signal gets from the input to the output through a transistor, base or emitter first."""
    if HBT not in graph.kinds:
        yield Violation("no_transistor", None, None, "an amplifier needs at least one hbt")
        return
    fixed = fixed_nets(graph)
    either_way: list[tuple[int, int]] = []
    forward: list[tuple[int, int]] = []
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind == HBT:
            collector, base, emitter = nets
            forward += [(base, collector), (base, emitter), (emitter, collector)]
        elif len(nets) == 2:
            either_way += [(nets[0], nets[1]), (nets[1], nets[0])]
    source, sink = FIRST_PORT_NET, FIRST_PORT_NET + 1
    before = _reach({source}, either_way, fixed)
    controlled = {to for start, to in forward if start in before and to not in fixed}
    if sink not in _reach(controlled, either_way + forward, fixed):
        name = graph.names[sink]
        yield Violation("signal_path", None, name, f"no path from port {graph.names[source]} through a transistor to {name}")


def _reach(start: set[int], edges: list[tuple[int, int]], fixed: set[int]) -> set[int]:
    reached = set(start)
    grown = True
    while grown:
        grown = False
        for first, second in edges:
            if first in reached and second not in reached and second not in fixed:
                reached.add(second)
                grown = True
    return reached
