"""Position of a device in its circuit (series, shunt, load, feed, bypass, emitter), judged by the nets it joins."""

from __future__ import annotations

from genrf.circuit.graph import BIAS_VOLTAGE, CAPACITOR, GROUND_NET, HBT, RESISTOR, SUPPLY_NET, NetGraph


def positions(graph: NetGraph) -> list[str]:
    """Position of each device, judged by the nets it joins; one string a device."""
    bias = graph.bias_nets()
    fixed = graph.fixed_nets()
    emitters = {nets[2] for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind == HBT} - fixed
    touching = graph.incidence()
    # A net that joins resistors and capacitors only carries a bias, and its capacitor to ground bypasses it.
    quiet = {
        net
        for net in range(graph.first_internal, len(graph.names))
        if net not in emitters
        and sum(graph.kinds[device] == RESISTOR for device in touching[net]) >= 1
        and all(graph.kinds[device] in (RESISTOR, CAPACITOR, BIAS_VOLTAGE, HBT) for device in touching[net])
        and sum(graph.kinds[device] == CAPACITOR for device in touching[net]) == 1
    }
    positions = []
    for nets in graph.nets:
        ends = set(nets)
        if ends & emitters and GROUND_NET in ends:
            positions.append("emitter")
        elif GROUND_NET in ends and ends & quiet:
            positions.append("bypass")
        elif ends & bias:
            positions.append("feed")
        elif SUPPLY_NET in ends:
            positions.append("load")
        elif GROUND_NET in ends:
            positions.append("shunt")
        else:
            positions.append("series")
    return positions
