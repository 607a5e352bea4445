"""Electrical rules of filters, beyond those of every class."""

from __future__ import annotations

from collections.abc import Iterator

from genrf.circuit.graph import CAPACITOR, INDUCTOR, RESISTOR, SUPPLY_NET, NetGraph
from genrf.circuit.topology import Topology
from genrf.circuit.violation import Violation


def is_passive(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """Resistors, inductors and capacitors only, and none on the supply, for which ground serves as well."""
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        name = topology.designators[device]
        if kind not in (RESISTOR, INDUCTOR, CAPACITOR):
            yield Violation("passive", name, None, f"{name} is no resistor, inductor or capacitor")
        elif SUPPLY_NET in nets:
            net = graph.names[SUPPLY_NET]
            yield Violation("passive", name, net, f"{name} is on {net}: a filter has no supply")
