"""Electrical rules of voltage-controlled oscillators, beyond those of every class, and where their resonator is."""

from __future__ import annotations

from collections.abc import Iterator

from genrf.circuit.graph import (
    FIRST_PORT_NET,
    HBT,
    INDUCTOR,
    RESISTOR,
    VARACTOR,
    NetGraph,
    NetGroups,
    reach,
)
from genrf.circuit.topology import Topology
from genrf.circuit.violation import Violation

OUTPUT_NET = FIRST_PORT_NET
TUNING_NET = FIRST_PORT_NET + 1


def can_oscillate(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """A transistor with feedback, an inductor to resonate, and a way to the output."""
    if HBT not in graph.kinds:
        yield Violation("no_transistor", None, None, "an oscillator needs at least one hbt")
        return
    fixed = graph.fixed_nets()
    if not any(
        kind == INDUCTOR and not fixed.issuperset(nets) for kind, nets in zip(graph.kinds, graph.nets, strict=True)
    ):
        yield Violation("no_resonator", None, None, "an oscillator needs at least one inductor")
        return
    passive = [
        (nets[0], nets[1]) for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind != HBT and len(nets) == 2
    ]
    transistors = {
        device: nets for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)) if kind == HBT
    }
    forward = {
        device: [(base, collector), (base, emitter), (emitter, collector)]
        for device, (collector, base, emitter) in transistors.items()
    }
    feeding: set[int] = set()
    for device, (collector, base, emitter) in transistors.items():
        others = [edge for other, edges in forward.items() if other != device for edge in edges]
        loops = ((collector, base), (collector, emitter), (emitter, base))
        if any(
            output not in fixed and control not in fixed and control in reach({output}, passive, others, fixed)
            for output, control in loops
        ):
            feeding |= {net for net in (collector, base, emitter) if net not in fixed}
    if not feeding:
        yield Violation("no_feedback", None, None, "no transistor's output gets back to its base or emitter")
        return
    everywhere = [edge for edges in forward.values() for edge in edges]
    if OUTPUT_NET not in reach(feeding, passive, everywhere, fixed):
        yield Violation("signal_path", None, "out", "no path from the oscillating transistors to port out")


def is_tuned(topology: Topology, graph: NetGraph) -> Iterator[Violation]:
    """A varactor has one side's direct voltage from port tune, and carries a signal."""
    groups = NetGroups(len(graph.names))
    fixed = graph.fixed_nets() - {TUNING_NET}
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind in (RESISTOR, INDUCTOR) and not fixed.intersection(nets):
            groups.join(nets[0], nets[1])
    tuned = groups.find(TUNING_NET)
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind == VARACTOR and tuned in (groups.find(nets[0]), groups.find(nets[1])):
            return
    yield Violation("no_tuning", None, "tune", "port tune sets the voltage of no varactor")


def resonator_net(graph: NetGraph) -> int:
    """The net that is kicked and watched: the one with most of what makes a resonator and an oscillating transistor.

    Ties go to the net that comes first.
    """
    fixed = graph.fixed_nets()
    score: dict[int, float] = {net: 0.0 for net in range(graph.first_internal, len(graph.names)) if net not in fixed}
    touching_signal = {
        net for kind, nets in zip(graph.kinds, graph.nets, strict=True) if kind in (INDUCTOR, VARACTOR) for net in nets
    }
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        for terminal, net in enumerate(nets):
            if net not in score:
                continue
            if kind == HBT:
                score[net] += (1.0, 1.0, 0.4)[terminal]
            elif kind == INDUCTOR:
                score[net] += 2.0
            elif kind == VARACTOR:
                score[net] += 1.0
            elif kind != RESISTOR:
                # A capacitor couples the net to what is beyond it.
                score[net] += 0.6 if touching_signal.intersection(nets) else 0.3
    return max(score, key=lambda net: (score[net], -net))
