"""Devices that are each other's mirror image in a balanced circuit, and have to be equal.

A differential pair shares an emitter net; a cross-coupled pair has each base on the other's collector, directly or through
one device. From such a pair the mirror is grown: where two nets mirror each other, devices of one kind on them do, and so
do the nets at their other ends. What hangs on one side only, such as the path to a single-ended output, has no image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from genrf.circuit.devices import KINDS
from genrf.circuit.graph import FIRST_PORT_NET, GROUND_NET, HBT, KIND_NAMES, SUPPLY_NET, NetGraph, net_graph
from genrf.circuit.topology import Topology

_KEPT = "_mirrored"


def mirrored(topology: Topology) -> tuple[tuple[int, int], ...]:
    """Pairs of devices, by their place in the topology, that mirror each other; empty for a circuit without balance.

    A topology keeps its own: a search asks for the same ones thousands of times.
    """
    known: tuple[tuple[int, int], ...] | None = topology.__dict__.get(_KEPT)
    if known is None:
        known = topology.__dict__[_KEPT] = _mirrored(net_graph(topology))
    return known


def _mirrored(graph: NetGraph) -> tuple[tuple[int, int], ...]:
    pairs: dict[int, int] = {}
    paired: set[int] = set()
    for first, second in _balanced(graph):
        if paired.isdisjoint((first, second)):
            for one, other in _grown(graph, first, second).items():
                if paired.isdisjoint((one, other)):
                    pairs[one] = other
                    paired.update((one, other))
    return tuple(sorted(pairs.items()))


def _balanced(graph: NetGraph) -> Iterator[tuple[int, int]]:
    """Pairs of transistors with a common emitter net that carries a signal, or with crossed bases and collectors."""
    fixed = graph.fixed_nets()
    transistors = [device for device, kind in enumerate(graph.kinds) if kind == HBT]
    joined: dict[tuple[int, int], set[int]] = defaultdict(set)
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if len(nets) == 2 and not fixed.intersection(nets):
            joined[nets].add(kind)
            joined[nets[::-1]].add(kind)
    for place, first in enumerate(transistors):
        for second in transistors[place + 1 :]:
            (collector, base, emitter), (other_collector, other_base, other_emitter) = (
                graph.nets[first],
                graph.nets[second],
            )
            differential = emitter == other_emitter and emitter not in fixed and base != other_base
            # Both bases the same way: one directly and one through a resistor is an amplifier with feedback.
            crossed = (base == other_collector and other_base == collector) or bool(
                joined[base, other_collector] & joined[other_base, collector]
            )
            if differential or crossed:
                yield first, second


def _grown(graph: NetGraph, first: int, second: int) -> dict[int, int]:
    """The mirror that a pair of transistors starts: device -> its image, each pair once."""
    # Ground, supply, input and output are their own images; the two phases of an oscillator may be each other's.
    own = {GROUND_NET, SUPPLY_NET, FIRST_PORT_NET, graph.first_internal - 1}
    image = {net: net for net in own}
    pairs: dict[int, int] = {}

    def fits(nets: tuple[int, ...], others: tuple[int, ...]) -> bool:
        return all(
            image.get(one, other) == other and image.get(other, one) == one
            for one, other in zip(nets, others, strict=True)
        )

    def settle(device: int, nets: tuple[int, ...], mate: int, others: tuple[int, ...]) -> None:
        pairs[device] = mate
        for one, other in zip(nets, others, strict=True):
            image[one], image[other] = other, one

    def images(device: int, nets: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
        """Devices that a reading of a device may have as its image, each with its reading."""
        return {
            mate: others
            for mate, kind in enumerate(graph.kinds)
            if kind == graph.kinds[device] and mate != device and mate not in {*pairs, *pairs.values()}
            for others in _readings(graph, mate)
            if fits(nets, others)
        }

    def image_of(device: int) -> tuple[tuple[int, ...], int, tuple[int, ...]] | None:
        """A reading of a device with its image, if it is on a net that moves and neither could have another image."""
        for nets in _readings(graph, device):
            if all(image.get(net, net) == net for net in nets):
                continue
            found = images(device, nets)
            if len(found) == 1:
                mate, others = found.popitem()
                if images(mate, others).keys() == {device}:
                    return nets, mate, others
        return None

    if fits(graph.nets[first], graph.nets[second]):
        settle(first, graph.nets[first], second, graph.nets[second])
    grown = bool(pairs)
    while grown:
        grown = False
        for device in range(len(graph.kinds)):
            if device not in {*pairs, *pairs.values()} and (found := image_of(device)) is not None:
                settle(device, *found)
                grown = True
    return pairs


def _readings(graph: NetGraph, device: int) -> list[tuple[int, ...]]:
    """A device's nets in the orders that are the same to it."""
    nets = graph.nets[device]
    return [nets, nets[::-1]] if KINDS[KIND_NAMES[graph.kinds[device]]].interchangeable else [nets]
