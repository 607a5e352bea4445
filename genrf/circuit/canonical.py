"""The one order of devices and names of nets that all isomorphic topologies share, and its hash.

Two steps. First an exact canonical labelling of the nets by colour refinement and individualisation (McKay, "Practical
graph isomorphism", 1981): ground, supply and ports keep their own colours, and devices only join colours, so identical
devices in parallel need no search. Then a breadth-first walk from the first port lists the devices along the signal
path; what the walk leaves undecided is decided by the labelling. Bias nets, supply and ground are walked last, since
signals do not pass them.
"""

from __future__ import annotations

import hashlib

from genrf.circuit.devices import KINDS
from genrf.circuit.graph import (
    BIAS_VOLTAGE,
    FIRST_PORT_NET,
    GROUND_NET,
    HBT,
    KIND_NAMES,
    SUPPLY_NET,
    NetGraph,
    net_graph,
)
from genrf.circuit.topology import Circuit, Device, Topology

_Encoding = list[tuple[int, ...]]
_SWAPPABLE = tuple(kind.interchangeable for kind in KINDS.values())
_UNNUMBERED = 1000
_KEPT = "_fingerprint"


def canonical(topology: Topology) -> tuple[Topology, tuple[int, ...]]:
    """The canonical topology, and for each of its devices the index of the original device.

    Internal nets are called ``n1``, ``n2``, ... in order of first appearance. Isomorphic topologies (ground, supply and
    ports fixed; terminals of resistors, inductors and capacitors interchangeable) give equal canonical topologies.
    """
    graph = net_graph(topology)
    order, placed = _walk(graph, _labels(graph))
    names = dict(enumerate(graph.names[: graph.first_internal]))
    devices = []
    for device, nets in zip(order, placed, strict=True):
        for net in nets:
            if net not in names:
                names[net] = f"n{len(names) - graph.first_internal + 1}"
        devices.append(Device(KIND_NAMES[graph.kinds[device]], tuple([names[net] for net in nets])))
    return Topology(topology.circuit_class, tuple(devices)), tuple(order)


def canonical_circuit(circuit: Circuit) -> Circuit:
    """The circuit with its topology made canonical and its values in the same order."""
    topology, order = canonical(circuit.topology)
    return Circuit(topology, tuple(circuit.values[index] for index in order))


def fingerprint(topology: Topology) -> str:
    """Sixteen hexadecimal digits: equal for isomorphic topologies of a class, different otherwise.

    A topology keeps its own: a search asks for the same ones thousands of times, and even to hash a topology takes longer
    than to look there.
    """
    known: str | None = topology.__dict__.get(_KEPT)
    if known is None:
        form, _ = canonical(topology)
        text = ";".join([form.circuit_class, *(f"{device.kind} {' '.join(device.nets)}" for device in form.devices)])
        known = topology.__dict__[_KEPT] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return known


def _labels(graph: NetGraph) -> list[int]:
    """A canonical label for every net: the same for the same net of every isomorphic graph, up to automorphism."""
    contacts = _contacts(graph)
    first_internal = graph.first_internal
    start = [min(net, first_internal) for net in range(len(graph.names))]
    _, labels, _ = _search(graph, contacts, _refine(start, contacts))
    return labels


def _contacts(graph: NetGraph) -> list[list[tuple[int, int, int]]]:
    """For each net its terminals as (kind and role in one number, other net, other net); an absent net repeats one."""
    contacts: list[list[tuple[int, int, int]]] = [[] for _ in graph.names]
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        if kind == HBT:
            collector, base, emitter = nets
            contacts[collector].append((kind * 4, base, emitter))
            contacts[base].append((kind * 4 + 1, collector, emitter))
            contacts[emitter].append((kind * 4 + 2, collector, base))
        elif kind == BIAS_VOLTAGE:
            contacts[nets[0]].append((kind * 4, nets[0], nets[0]))
        else:
            first, second = nets
            contacts[first].append((kind * 4, second, second))
            contacts[second].append((kind * 4 + (not _SWAPPABLE[kind]), first, first))
    return contacts


def _refine(colours: list[int], contacts: list[list[tuple[int, int, int]]]) -> list[int]:
    """Split colours by those of neighbours until nothing changes; colours are ranks, so the result is canonical."""
    count = len(set(colours))
    while count < len(colours):
        size: dict[int, int] = {}
        for colour in colours:
            size[colour] = size.get(colour, 0) + 1
        # A net that is alone in its colour needs no signature; one number a terminal keeps the sorting cheap.
        signatures = [
            (
                colour,
                sorted([(role * 64 + colours[one]) * 64 + colours[two] for role, one, two in contact])
                if size[colour] > 1
                else [],
            )
            for colour, contact in zip(colours, contacts, strict=True)
        ]
        ranked = sorted(signatures)
        rank: dict[tuple[int, tuple[int, ...]], int] = {}
        for position, (colour, signature) in enumerate(ranked):
            rank.setdefault((colour, tuple(signature)), position)
        colours = [rank[colour, tuple(signature)] for colour, signature in signatures]
        if len(rank) == count:
            break
        count = len(rank)
    return colours


def _search(
    graph: NetGraph, contacts: list[list[tuple[int, int, int]]], colours: list[int]
) -> tuple[_Encoding, list[int], set[tuple[tuple[int, ...], ...]]]:
    """Least encoding below a refined colouring, its labels, and all encodings seen.

    A branch whose leftmost leaf has an encoding already seen here is the image of an explored branch under an
    automorphism, and is skipped: k interchangeable parts cost about k^2 leaves and not k!.
    """
    cell = _first_cell(colours)
    if not cell:
        encoding = _encode(graph, colours)
        return encoding, colours, {tuple(encoding)}
    best, labels, seen = _search(graph, contacts, _individualise(colours, cell[0], contacts))
    for net in cell[1:]:
        child = _individualise(colours, net, contacts)
        leaf = child
        while below := _first_cell(leaf):
            leaf = _individualise(leaf, below[0], contacts)
        if tuple(_encode(graph, leaf)) in seen:
            continue
        other, other_labels, other_seen = _search(graph, contacts, child)
        seen |= other_seen
        if other < best:
            best, labels = other, other_labels
    return best, labels, seen


def _first_cell(colours: list[int]) -> list[int]:
    """Nets of the lowest colour that several nets share; empty if every net has its own."""
    cells: dict[int, list[int]] = {}
    for net, colour in enumerate(colours):
        cells.setdefault(colour, []).append(net)
    if len(cells) == len(colours):
        return []
    return cells[min(colour for colour, cell in cells.items() if len(cell) > 1)]


def _individualise(colours: list[int], net: int, contacts: list[list[tuple[int, int, int]]]) -> list[int]:
    """Give one net a colour of its own, just below its cell's, and refine."""
    split = [colour + (colour == colours[net] and other != net) for other, colour in enumerate(colours)]
    return _refine(split, contacts)


def _encode(graph: NetGraph, labels: list[int]) -> _Encoding:
    encoding = []
    for kind, nets in zip(graph.kinds, graph.nets, strict=True):
        labelled = [labels[net] for net in nets]
        if _SWAPPABLE[kind]:
            labelled.sort()
        encoding.append((kind, *labelled))
    encoding.sort()
    return encoding


def _walk(graph: NetGraph, labels: list[int]) -> tuple[list[int], list[tuple[int, ...]]]:
    """Devices in breadth-first order from the first port, and their nets, swappable devices turned along the walk."""
    touching = graph.incidence()
    number = list(range(graph.first_internal)) + [_UNNUMBERED] * (len(graph.names) - graph.first_internal)
    numbered = graph.first_internal
    bias = graph.bias_nets()
    last = bias | {GROUND_NET, SUPPLY_NET} | graph.held
    used = [False] * len(graph.kinds)
    queued = [False] * len(graph.names)
    order: list[int] = []
    placed: list[tuple[int, ...]] = []
    queue: list[int] = [FIRST_PORT_NET]
    queued[FIRST_PORT_NET] = True
    later = [*range(FIRST_PORT_NET, graph.first_internal)]
    head = 0

    def rank(net: int) -> tuple[int, int]:
        return number[net], labels[net]

    def key(device: int, net: int) -> tuple[int, int, list[int], list[int], tuple[int, ...], int]:
        kind, nets = graph.kinds[device], graph.nets[device]
        turned = (net, *nets[:1]) if _SWAPPABLE[kind] and nets[1] == net else nets
        known = [number[other] for other in turned]
        return kind, turned.index(net), known, [labels[other] for other in turned], turned, device

    while True:
        if head == len(queue):
            rest = [net for net in later if not queued[net]]
            rest += sorted((net for net in bias if not queued[net]), key=rank)
            rest += [net for net in (SUPPLY_NET, GROUND_NET) if not queued[net]]
            rest += sorted((net for net, done in enumerate(queued) if not done), key=rank)
            if not rest:
                return order, placed
            queue.append(rest[0])
            queued[rest[0]] = True
        net = queue[head]
        head += 1
        pending = sorted([key(device, net) for device in touching[net] if not used[device]])
        for *_, turned, device in pending:
            used[device] = True
            order.append(device)
            placed.append(turned)
            for other in turned:
                if number[other] != _UNNUMBERED and queued[other]:
                    continue
                if number[other] == _UNNUMBERED:
                    number[other] = numbered
                    numbered += 1
                    if other in bias:
                        for source in touching[other]:
                            if graph.kinds[source] == BIAS_VOLTAGE and not used[source]:
                                used[source] = True
                                order.append(source)
                                placed.append(graph.nets[source])
                if not queued[other] and other not in last:
                    queued[other] = True
                    queue.append(other)
