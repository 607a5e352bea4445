"""Wires between what a placement has left unconnected: shortest paths on the grid (A*), net by net.

A wire may cross another net's wire at a right angle, but not run along it, turn on it, or touch a symbol or another
net's pin.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

from genrf.report.sheet import STEP, Direction, Point, Sheet, move

BEND = 3.0
CROSSING = 4.0
THROUGH_TEXT = 30.0
IMPOSSIBLE = 1000.0
MARGIN = 6


def route(sheet: Sheet, rails: set[str]) -> list[tuple[Point, Point]]:
    """Connect all pins of every net on the sheet but the rails, whose symbols stand for the connection.

    Returns:
        Pairs of points that no path could connect; the drawing names their nets instead.
    """
    failures: list[tuple[Point, Point]] = []
    for net in dict.fromkeys(sheet.pins.values()):
        if net not in rails:
            connect(sheet, net, failures)
    for net in sheet.edges:
        _prune(sheet, net)
    return failures


def connect(sheet: Sheet, net: str, failures: list[tuple[Point, Point]] | None = None) -> float:
    """Connect all of a net's points.

    Args:
        failures: gets a pair of points for every two parts that no path could connect.

    Returns:
        Cost of the wires that were added: cells, and more for bends and crossings.
    """
    left, bottom, right, top = sheet.bounds()
    bounds = (left - MARGIN, bottom - MARGIN, right + MARGIN, top + MARGIN)
    total = 0.0
    parts = _parts(sheet, net)
    while len(parts) > 1:
        parts.sort(key=lambda part: (len(part), min(part)))
        others = set().union(*parts[1:])
        found = _path(sheet, net, parts[0], others, bounds)
        if found is None:
            total += IMPOSSIBLE
            if failures is not None:
                failures.append((min(parts[0]), min(others)))
            parts = parts[1:]
            continue
        cost, path = found
        total += cost
        sheet.draw_wire(net, path)
        parts = _parts(sheet, net)
    return total


def _parts(sheet: Sheet, net: str) -> list[set[Point]]:
    """Connected groups of a net's points."""
    neighbours: dict[Point, set[Point]] = {point: set() for point in sheet.points_of(net)}
    for a, b in sheet.edges[net]:
        neighbours[a].add(b)
        neighbours[b].add(a)
    parts = []
    left = set(neighbours)
    while left:
        stack = [min(left)]
        part = set(stack)
        while stack:
            for other in neighbours[stack.pop()] - part:
                part.add(other)
                stack.append(other)
        parts.append(part)
        left -= part
    return parts


def _path(
    sheet: Sheet, net: str, sources: set[Point], targets: set[Point], bounds: tuple[int, int, int, int]
) -> tuple[float, list[Point]] | None:
    """Cost and points of the cheapest path from any source to any target."""
    left, bottom, right, top = bounds
    target_columns = {x for x, _ in targets}
    target_rows = {y for _, y in targets}
    low_x, high_x, low_y, high_y = min(target_columns), max(target_columns), min(target_rows), max(target_rows)

    def estimate(point: Point) -> float:
        x, y = point
        return max(low_x - x, 0, x - high_x) + max(low_y - y, 0, y - high_y)

    State = tuple[Point, Direction | None]
    best: dict[State, float] = {}
    came: dict[State, State] = {}
    heap: list[tuple[float, float, Point, str]] = []
    for point in sorted(sources):
        best[point, None] = 0.0
        heapq.heappush(heap, (estimate(point), 0.0, point, ""))
    while heap:
        _, cost, point, heading = heapq.heappop(heap)
        state: State = (point, heading or None)  # type: ignore[assignment]
        if cost > best[state]:
            continue
        if point in targets:
            path = [point]
            while state in came:
                state = came[state]
                path.append(state[0])
            return cost, path[::-1]
        for direction in STEP:
            nxt = move(point, direction)
            if not (left <= nxt[0] <= right and bottom <= nxt[1] <= top) or nxt in sources:
                continue
            step = _step_cost(sheet, net, point, nxt, direction, heading, nxt in targets)
            if step is None:
                continue
            following: State = (nxt, direction)
            total = cost + step
            if total < best.get(following, float("inf")):
                best[following] = total
                came[following] = state
                heapq.heappush(heap, (total + estimate(nxt), total, nxt, direction))
    return None


def _step_cost(
    sheet: Sheet, net: str, point: Point, nxt: Point, direction: Direction, heading: str, arrives: bool
) -> float | None:
    """Cost of one step, or none if it is not allowed."""
    vertical = direction in ("up", "down")
    same, other = (sheet.along, sheet.across) if vertical else (sheet.across, sheet.along)
    if nxt in sheet.body or sheet.pins.get(nxt, net) != net or same.get(nxt, net) != net:
        return None
    turns = heading not in ("", direction)
    # Turning, or leaving a source, on another net's wire would look like a connection to it.
    if (turns or not heading) and (sheet.across.get(point, net) != net or sheet.along.get(point, net) != net):
        return None
    if same.get(point, net) != net:
        return None
    for x, y in (point, nxt):
        if vertical and x in sheet.risers and y >= sheet.risers[x]:
            return None
        if turns and (x, y) == point and x in sheet.risers and y >= sheet.risers[x]:
            return None
    cost = 1.0 + (BEND if turns else 0.0)
    if other.get(nxt, net) != net:
        if arrives:
            return None
        cost += CROSSING
    if nxt[0] in sheet.risers and nxt[1] >= sheet.risers[nxt[0]]:
        cost += CROSSING
    if nxt in sheet.text:
        cost += THROUGH_TEXT
    return cost


def _prune(sheet: Sheet, net: str) -> None:
    """Remove wire ends that lead nowhere and one edge of every loop of wire."""
    edges = sheet.edges[net]
    pins = {point for point, name in sheet.pins.items() if name == net}
    while True:
        degree: dict[Point, int] = defaultdict(int)
        for a, b in edges:
            degree[a] += 1
            degree[b] += 1
        loose = {edge for edge in edges if any(degree[p] == 1 and p not in pins for p in edge)}
        if not loose:
            return
        edges -= loose
