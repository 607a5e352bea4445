"""The electrical rule of every amplifier, beyond those of every circuit."""

from __future__ import annotations

from collections.abc import Iterator

from genrf.circuit.graph import FIRST_PORT_NET, HBT, NetGraph, reach
from genrf.circuit.topology import Topology
from genrf.circuit.violation import Violation


def amplifies(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """A signal gets from the input to the output through a transistor, base or emitter first."""
    if HBT not in graph.kinds:
        yield Violation("no_transistor", None, None, "an amplifier needs at least one hbt")
        return
    fixed = graph.fixed_nets()
    either_way: list[tuple[int, int]] = []
    forward: list[tuple[int, int]] = []
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind == HBT:
            collector, base, emitter = nets
            forward += [(base, collector), (base, emitter), (emitter, collector)]
        elif len(nets) == 2:
            either_way.append((nets[0], nets[1]))
    source, sink = FIRST_PORT_NET, FIRST_PORT_NET + 1
    before = reach({source}, either_way, [], fixed)
    controlled = {to for start, to in forward if start in before and to not in fixed}
    if sink not in reach(controlled, either_way, forward, fixed):
        name = graph.names[sink]
        yield Violation(
            "signal_path", None, name, f"no path from port {graph.names[source]} through a transistor to {name}"
        )
