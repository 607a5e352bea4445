"""Is a topology a ladder, and of which response?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from genrf.circuit.graph import CAPACITOR, FIRST_PORT_NET, GROUND_NET, INDUCTOR, NetGraph
from genrf.classes.filter.prototypes import Response


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a ladder: devices by number, None where it has none."""

    inductor: int | None
    capacitor: int | None
    is_tank: bool
    """Whether both lie in parallel, not in series."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Branches from the input to the output, alternately in series and to ground."""

    response: Response
    branches: tuple[Branch, ...]
    starts_in_series: bool


def recognise(graph: NetGraph) -> Ladder | None:
    """The ladder that a topology is; None if it is no ladder, or its branches are not of one response."""
    edges = _edges(graph)
    if edges is None:
        return None
    net = FIRST_PORT_NET
    found: list[Branch] = []
    series: list[bool] = []
    visited: set[int] = set()
    while True:
        visited.add(net)
        to_ground = edges.pop(frozenset((net, GROUND_NET)), None)
        if to_ground is not None:
            found.append(to_ground)
            series.append(False)
        onward = [pair for pair in edges if net in pair]
        if net == FIRST_PORT_NET + 1 and not onward:
            break
        if len(onward) != 1:
            return None
        found.append(edges.pop(onward[0]))
        series.append(True)
        (net,) = onward[0] - {net}
        if net in visited:
            return None
    if edges or any(first == second for first, second in itertools.pairwise(series)):
        return None
    response = _response(found, series)
    return Ladder(response, tuple(found), series[0]) if response else None


def _edges(graph: NetGraph) -> dict[frozenset[int], Branch] | None:
    """Branches by the nets that they join; None if some join more than an inductor and a capacitor."""
    touching = graph.incidence()
    edges: dict[frozenset[int], Branch] = {}
    used: set[int] = set()
    for device, (kind, nets) in enumerate(zip(graph.kinds, graph.nets, strict=True)):
        if kind not in (INDUCTOR, CAPACITOR):
            return None
        if device in used:
            continue
        middle = next((n for n in nets if n >= graph.first_internal and len(touching[n]) == 2), None)
        members, ends = [device], frozenset(nets)
        if middle is not None:
            partner = next(other for other in touching[middle] if other != device)
            if graph.kinds[partner] != kind and set(graph.nets[partner]) != set(nets):
                members, ends = [device, partner], ends ^ frozenset(graph.nets[partner])
        used.update(members)
        branch = Branch(
            next((d for d in members if graph.kinds[d] == INDUCTOR), None),
            next((d for d in members if graph.kinds[d] == CAPACITOR), None),
            is_tank=False,
        )
        other = edges.get(ends)
        if other is not None:
            merged = _tank(other, branch)
            if merged is None:
                return None
            branch = merged
        edges[ends] = branch
    return edges


def _tank(first: Branch, second: Branch) -> Branch | None:
    """An inductor and a capacitor in parallel."""
    inductors = [b.inductor for b in (first, second) if b.inductor is not None]
    capacitors = [b.capacitor for b in (first, second) if b.capacitor is not None]
    return Branch(inductors[0], capacitors[0], True) if len(inductors) == len(capacitors) == 1 else None


def _response(branches: list[Branch], series: list[bool]) -> Response | None:
    def shapes(wanted: bool) -> set[str]:
        return {_shape(branch) for branch, now in zip(branches, series, strict=True) if now is wanted}

    for response, (in_series, to_ground) in _SHAPES.items():
        if shapes(True) <= {in_series} and shapes(False) <= {to_ground}:
            return response
    return None


def _shape(branch: Branch) -> str:
    if branch.inductor is None:
        return "C"
    if branch.capacitor is None:
        return "L"
    return "tank" if branch.is_tank else "LC"


_SHAPES: dict[Response, tuple[str, str]] = {
    "low-pass": ("L", "C"),
    "high-pass": ("C", "L"),
    "band-pass": ("LC", "tank"),
    "band-stop": ("tank", "LC"),
}
