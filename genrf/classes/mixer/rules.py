"""Electrical rules of mixers, beyond those of every class."""

from __future__ import annotations

from collections.abc import Iterator

from genrf.circuit.graph import DIODE, FIRST_PORT_NET, HBT, NetGraph, reach
from genrf.circuit.topology import Topology
from genrf.circuit.violation import Violation

_NONLINEAR = (HBT, DIODE)


def mixes(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """RF, LO and IF each get to a transistor or a diode, and not to each other only."""
    if not any(kind in _NONLINEAR for kind in graph.kinds):
        yield Violation("no_mixing_device", None, None, "a mixer needs at least one hbt or diode")
        return
    fixed = graph.fixed_nets()
    edges = []
    mixing: set[int] = set()
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind in _NONLINEAR:
            mixing.update(nets)
        elif len(nets) == 2:
            edges.append((nets[0], nets[1]))
    mixing -= fixed
    for port in range(FIRST_PORT_NET, graph.first_internal):
        if port in graph.open_ports():
            continue
        if mixing.isdisjoint(reach({port}, edges, [], fixed)):
            name = graph.names[port]
            yield Violation("mixing_path", None, name, f"no path from port {name} to a transistor or diode")
