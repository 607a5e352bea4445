"""The electrical rule that every transistor can conduct."""

from __future__ import annotations

from collections.abc import Iterator

from genrf.circuit.graph import GROUND_NET, HBT, INDUCTOR, RESISTOR, SUPPLY_NET, NetGraph, NetGroups, reach
from genrf.circuit.topology import Topology
from genrf.circuit.violation import Violation


def transistor_bias(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """Base driven, collector fed from the supply, emitter returned to ground, and no two of them at one voltage."""
    if HBT not in graph.kinds:
        return
    bias = graph.bias_nets()
    fixed = bias | {GROUND_NET, SUPPLY_NET}
    nets_in_all = len(graph.names)
    held = NetGroups(nets_in_all)  # joined by inductors: one DC voltage
    linked = NetGroups(nets_in_all)  # joined by resistors and inductors, not across fixed nets
    sourced: set[int] = set()  # nets with a resistor or inductor to supply or bias
    edges: list[tuple[int, int]] = []
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind in (RESISTOR, INDUCTOR):
            first, second = nets
            edges.append((first, second))
            if kind == INDUCTOR:
                held.join(first, second)
            if first in fixed or second in fixed:
                if GROUND_NET not in nets:
                    sourced.update(nets)
            else:
                linked.join(first, second)
    transistors: list[tuple[str, int, int, int]] = []
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind == HBT:
            transistors.append((topology.designators[device], *nets))  # type: ignore[arg-type]
    downward = [(collector, emitter) for _, collector, _, emitter in transistors]
    fed = reach({SUPPLY_NET}, edges, downward, fixed)
    returned = reach({GROUND_NET}, edges, [(emitter, collector) for collector, emitter in downward], fixed)
    driven = {linked.find(net) for net in sourced if net not in fixed}
    driven_by_others = {
        name: {
            linked.find(net) for other, *nets in transistors if other != name for net in nets[::2] if net not in fixed
        }
        for name, *_ in transistors
    }
    ground, supply = held.find(GROUND_NET), held.find(SUPPLY_NET)
    at_bias = {held.find(net) for net in bias}

    def broken(rule: str, name: str, net: int, what: str) -> Violation:
        return Violation(rule, name, graph.names[net], f"{what.format(name=name)} (net {graph.names[net]})")

    for name, collector, base, emitter in transistors:
        if held.find(base) == ground:
            yield broken("base_bias", name, base, "base of {name} is held at ground, so it never conducts")
        elif base not in fixed and linked.find(base) not in driven | driven_by_others[name]:
            yield broken("base_bias", name, base, "base of {name} floats: no resistor or inductor drives it")
        elif held.find(base) == held.find(emitter):
            yield broken("base_bias", name, base, "base and emitter of {name} are at one DC voltage")
        if held.find(collector) == ground or held.find(collector) in at_bias:
            yield broken("collector_feed", name, collector, "collector of {name} is held at ground or at a bias source")
        elif collector != SUPPLY_NET and collector not in fed:
            yield broken("collector_feed", name, collector, "collector of {name} has no DC path to the supply")
        elif held.find(collector) == held.find(emitter):
            yield broken("collector_feed", name, collector, "collector and emitter of {name} are at one DC voltage")
        if held.find(emitter) == supply or held.find(emitter) in at_bias:
            yield broken("emitter_return", name, emitter, "emitter of {name} is held at the supply or at a bias source")
        elif emitter != GROUND_NET and emitter not in returned:
            yield broken("emitter_return", name, emitter, "emitter of {name} has no DC path to ground")
