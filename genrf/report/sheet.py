"""The drawing sheet: a grid on which symbols, texts and wires are kept clear of one another.

Points are integer pairs ``(x, y)``, x to the right and y up, in cells of half a schemdraw unit (a quarter inch). A
two-terminal device is four cells long, a transistor two cells wide and four high.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Point = tuple[int, int]
Direction = Literal["up", "down", "left", "right"]
Label = Literal[
    "", "split", "above", "below", "right", "left", "upper right", "lower right", "upper left", "lower left"
]
STEP: Mapping[Direction, Point] = {"up": (0, 1), "down": (0, -1), "left": (-1, 0), "right": (1, 0)}
OPPOSITE: Mapping[Direction, Direction] = {"up": "down", "down": "up", "left": "right", "right": "left"}
LENGTH = 4
"""Cells from one terminal of a two-terminal device to the other."""


def move(point: Point, direction: Direction, cells: int = 1) -> Point:
    """The point some cells away."""
    dx, dy = STEP[direction]
    return point[0] + cells * dx, point[1] + cells * dy


@dataclass(frozen=True)
class Symbol:
    """A device, or a ground, port or bias mark, with its place."""

    kind: str
    """A device kind, or ``ground``, ``port``, ``bias`` (an open terminal with a text)."""
    at: Point
    """First terminal of a two-terminal device, base of a transistor, terminal of a mark."""
    direction: Direction
    """Direction from the first terminal to the second; where a mark points to."""
    texts: tuple[str, ...]
    """Lines of its label."""
    device: int | None = None
    """Index of the device in the topology."""
    flipped: bool = False
    """Whether the device's first terminal (a diode's anode) is the one at the far end."""
    label: Label = ""
    """Where its texts are, if not in the usual place."""


@dataclass
class Piece:
    """Symbols and wires that are put on the sheet together, and the cells that they need."""

    symbols: list[Symbol] = field(default_factory=list)
    pins: dict[Point, str] = field(default_factory=dict)
    """Terminal points and their nets."""
    body: set[Point] = field(default_factory=set)
    text: set[Point] = field(default_factory=set)
    wires: list[tuple[str, Point, Point]] = field(default_factory=list)
    """Straight wires (net, from, to)."""
    risers: list[Point] = field(default_factory=list)
    """Points from which a wire goes up to the supply rail."""

    def add(self, other: Piece) -> Piece:
        """Put another piece's contents into this one."""
        self.symbols += other.symbols
        self.pins.update(other.pins)
        self.body |= other.body
        self.text |= other.text
        self.wires += other.wires
        self.risers += other.risers
        return self


def points_between(a: Point, b: Point) -> list[Point]:
    """All grid points of a straight line, ends included."""
    if a[0] == b[0]:
        step = 1 if b[1] >= a[1] else -1
        return [(a[0], y) for y in range(a[1], b[1] + step, step)]
    step = 1 if b[0] >= a[0] else -1
    return [(x, a[1]) for x in range(a[0], b[0] + step, step)]


def device_piece(
    kind: str, index: int, texts: Sequence[str], at: Point, direction: Direction, nets: Sequence[str],
    *, flipped: bool = False,
) -> Piece:  # fmt: skip
    """A two-terminal device starting at a point; ``nets`` at its start and its end."""
    end = move(at, direction, LENGTH)
    piece = Piece([Symbol(kind, at, direction, tuple(texts), index, flipped)], {at: nets[0], end: nets[1]})
    piece.body = set(points_between(at, end)) - {at, end}
    x, y = min(at, end)
    if direction in ("left", "right"):
        piece.text = {(x + i, y + j) for i in (1, 2, 3) for j in (-1, 1)}
    else:
        piece.text = {(x + i, y + LENGTH // 2) for i in (1, 2, 3)}
    return piece


def transistor_piece(index: int, texts: Sequence[str], base: Point, nets: Sequence[str]) -> Piece:
    """An npn transistor with its base at a point; ``nets`` of collector, base and emitter."""
    x, y = base
    pins = dict(zip(transistor_pins(base), nets, strict=True))
    body = {(x + i, y + j) for i in (1, 2) for j in (-1, 0, 1)}
    return Piece([Symbol("hbt", base, "right", tuple(texts), index)], pins, body, {(x + 3, y), (x + 4, y)})


def transistor_pins(base: Point) -> tuple[Point, Point, Point]:
    """Where collector, base and emitter of a transistor lie."""
    x, y = base
    return (x + 2, y + 2), base, (x + 2, y - 2)


def ground_piece(at: Point) -> Piece:
    """A ground symbol below a point."""
    return Piece([Symbol("ground", at, "down", ())], {}, {(at[0], at[1] - 1)})


def mark_piece(kind: str, at: Point, direction: Direction, texts: Sequence[str]) -> Piece:
    """An open terminal with a text beyond it."""
    x, y = at
    if direction in ("up", "down"):
        row = y + (1 if direction == "up" else -1)
        text = {(x + i, row) for i in (-1, 0, 1)}
    else:
        text = {move(at, direction, i) for i in (1, 2, 3)}
    return Piece([Symbol(kind, at, direction, tuple(texts))], {}, set(), text)


class Sheet:
    """What is on the grid so far."""

    def __init__(self) -> None:
        self.symbols: list[Symbol] = []
        self.body: set[Point] = set()
        self.text: set[Point] = set()
        self.pins: dict[Point, str] = {}
        self.across: dict[Point, str] = {}
        """Points with a horizontal wire, and its net."""
        self.along: dict[Point, str] = {}
        """Points with a vertical wire, and its net."""
        self.edges: dict[str, set[tuple[Point, Point]]] = defaultdict(set)
        """Wires of each net, as unit edges from the lower or left point."""
        self.risers: dict[int, int] = {}
        """Column -> lowest row from which it is kept free for a wire to the supply rail."""

    def copy(self) -> Sheet:
        """A sheet on which things can be tried out."""
        other = Sheet()
        for name, value in vars(self).items():
            setattr(other, name, value.copy())
        other.edges = defaultdict(set, {net: set(edges) for net, edges in self.edges.items()})
        return other

    def fits(self, piece: Piece) -> bool:
        """Whether nothing of the piece would touch anything on the sheet."""
        for point in piece.body | piece.text:
            if (
                point in self.body
                or point in self.text
                or point in self.pins
                or point in self.across
                or point in self.along
            ):
                return False
            if point[0] in self.risers and point[1] >= self.risers[point[0]]:
                return False
        for point, net in piece.pins.items():
            if point in self.body or point in self.text or self.pins.get(point, net) != net:
                return False
            if self.across.get(point, net) != net or self.along.get(point, net) != net:
                return False
            if point[0] in self.risers and point[1] >= self.risers[point[0]]:
                return False
        for x, y in piece.risers:
            if x in self.risers or any(px == x and py > y for px, py in self._solid()):
                return False
            if any(px == x and py > y for px, py in piece.body | piece.text | piece.pins.keys()):
                return False
        return all(self._wire_fits(piece, *wire) for wire in piece.wires)

    def _solid(self) -> Iterable[Point]:
        yield from self.body
        yield from self.text
        yield from self.pins
        yield from self.along

    def _wire_fits(self, piece: Piece, net: str, a: Point, b: Point) -> bool:
        same_way = self.along if a[0] == b[0] else self.across
        for point in points_between(a, b):
            if point in self.body or point in self.text or point in piece.body or point in piece.text:
                return False
            if self.pins.get(point, net) != net or piece.pins.get(point, net) != net or same_way.get(point, net) != net:
                return False
            if a[0] == b[0] and point[0] in self.risers and point[1] >= self.risers[point[0]]:
                return False
        # A corner or end on another net's wire would look like a connection.
        other_way = self.across if a[0] == b[0] else self.along
        return all(other_way.get(end, net) == net for end in (a, b))

    def put(self, piece: Piece) -> None:
        """Add a piece."""
        self.symbols += piece.symbols
        self.body |= piece.body
        self.text |= piece.text
        self.pins.update(piece.pins)
        for x, y in piece.risers:
            self.risers[x] = y
        for net, a, b in piece.wires:
            self.draw_wire(net, points_between(a, b))

    def draw_wire(self, net: str, path: Sequence[Point]) -> None:
        """Add a wire along neighbouring points."""
        for a, b in pairwise(path):
            self.edges[net].add((min(a, b), max(a, b)))
            way = self.along if a[0] == b[0] else self.across
            way[a] = way[b] = net

    def points_of(self, net: str) -> set[Point]:
        """Pins and wire points of a net."""
        wired = {point for edge in self.edges[net] for point in edge}
        return wired | {point for point, name in self.pins.items() if name == net}

    def bounds(self) -> tuple[int, int, int, int]:
        """Left, bottom, right and top of everything on the sheet."""
        points = [*self.body, *self.text, *self.pins, *self.across, *self.along]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)
