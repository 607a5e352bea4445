"""Wires between what a placement has left unconnected: shortest paths on the grid (A*), net by net.

A wire may cross another net's wire at a right angle, but not run along it, turn on it, or touch a symbol or another
net's pin.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator

from genrf.report.sheet import STEP, Direction, Point, Sheet

BEND = 3.0
CROSSING = 4.0
THROUGH_TEXT = 120.0
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


def connect(
    sheet: Sheet, net: str, failures: list[tuple[Point, Point]] | None = None, limit: float = math.inf
) -> float:
    """Connect all of a net's points.

    Args:
        failures: gets a pair of points for every two parts that no path could connect.
        limit: cost above which paths are not looked for any longer.

    Returns:
        Cost of the wires that were added: cells, and more for bends and crossings; infinite if it is above the limit.
    """
    total = 0.0
    parts = _parts(sheet, net)
    while len(parts) > 1:
        parts.sort(key=lambda part: (len(part), min(part)))
        others = set().union(*parts[1:])
        found = _Search(sheet, net).path(parts[0], others, limit - total)
        if found is None:
            if failures is None:
                return math.inf
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


class _Search:
    """A* for one net on the sheet as it is."""

    def __init__(self, sheet: Sheet, net: str) -> None:
        left, bottom, right, top = sheet.bounds()
        self._low, self._high = (left - MARGIN, bottom - MARGIN), (right + MARGIN, top + MARGIN)
        self._blocked = sheet.body | {point for point, name in sheet.pins.items() if name != net}
        self._across = {point for point, name in sheet.across.items() if name != net}
        self._along = {point for point, name in sheet.along.items() if name != net}
        self._text = sheet.text
        self._risers = sheet.risers

    def path(self, sources: set[Point], targets: set[Point], limit: float) -> tuple[float, list[Point]] | None:
        """Cost and points of the cheapest path from any source to any target that costs no more than the limit."""
        low_x, high_x = min(x for x, _ in targets), max(x for x, _ in targets)
        low_y, high_y = min(y for _, y in targets), max(y for _, y in targets)

        def estimate(point: Point) -> float:
            x, y = point
            return max(low_x - x, 0, x - high_x) + max(low_y - y, 0, y - high_y)

        best = {(point, ""): 0.0 for point in sources}
        came: dict[tuple[Point, str], tuple[Point, str]] = {}
        heap = [(estimate(point), 0.0, point, "") for point in sources]
        heapq.heapify(heap)
        while heap:
            rank, cost, point, heading = heapq.heappop(heap)
            if rank > limit:
                return None
            if cost > best[point, heading]:
                continue
            if point in targets:
                state = (point, heading)
                path = [point]
                while state in came:
                    state = came[state]
                    path.append(state[0])
                return cost, path[::-1]
            for direction, following, step in self._steps(point, heading):
                if following in sources:
                    continue
                # Ending on another net's wire would look like a connection to it.
                if following in targets and (following in self._across or following in self._along):
                    continue
                total = cost + step
                if total < best.get((following, direction), math.inf):
                    best[following, direction] = total
                    came[following, direction] = (point, heading)
                    heapq.heappush(heap, (total + estimate(following), total, following, direction))
        return None

    def _steps(self, point: Point, heading: str) -> Iterator[tuple[Direction, Point, float]]:
        """Allowed steps from a point that was reached in a direction, and their costs."""
        x, y = point
        crosses_riser = x in self._risers and y >= self._risers[x]
        on_foreign_wire = crosses_riser or point in self._across or point in self._along
        for direction, (dx, dy) in STEP.items():
            # Turning, or setting out, on another net's wire would look like a connection to it.
            turns = direction != heading
            if on_foreign_wire and turns:
                continue
            following = (x + dx, y + dy)
            if following in self._blocked:
                continue
            if not (self._low[0] <= following[0] <= self._high[0] and self._low[1] <= following[1] <= self._high[1]):
                continue
            same, other = (self._along, self._across) if dy else (self._across, self._along)
            if point in same or following in same:
                continue
            under_riser = following[0] in self._risers and following[1] >= self._risers[following[0]]
            if dy and (crosses_riser or under_riser):
                continue
            step = 1.0 + (BEND if turns and heading else 0.0)
            step += CROSSING if following in other or under_riser else 0.0
            step += THROUGH_TEXT if following in self._text else 0.0
            yield direction, following, step


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
