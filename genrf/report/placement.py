"""Where each device of a circuit is drawn.

The walk goes breadth first from the input, or from a transistor where there is none, along the signal: base to
collector and emitter, emitter to collector, and along chains of two-terminal devices. Signal flows from left to right;
chains to the supply hang from a rail on top; chains to ground stand below their net; a transistor whose emitter is on
another's collector is stacked on top of it. Every symbol goes to the cheapest place of several at which it touches
nothing else. Devices that close a loop (feedback, parallel paths) come last, near both of their nets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from genrf.circuit.topology import GROUND, SUPPLY
from genrf.report.chains import BASE, COLLECTOR, EMITTER, Chain, CircuitGraph
from genrf.report.loops import closing_piece
from genrf.report.pieces import Pieces, Wire
from genrf.report.sheet import (
    LENGTH,
    Direction,
    Piece,
    Point,
    Sheet,
    mark_piece,
    move,
    transistor_pins,
)  # fmt: skip

REACH = 60
"""How many cells away from its net a symbol may be put before it is given a place of its own."""

WRONG_SIDE = 4.0
"""How many cells further a symbol is put to stay on the side to which its net grows."""
FLAT = 5.0
"""How many cells further a symbol is put to stand upright."""
STUB = 3
"""Cells beside the base of a transistor that are kept free for a wire."""


class Placement:
    """Places all devices of a graph on a sheet.

    Args:
        graph: what to draw.
        texts: label lines of each device, in the topology's order.
    """

    def __init__(self, graph: CircuitGraph, texts: Sequence[tuple[str, ...]]) -> None:
        self.sheet = Sheet()
        self._graph = graph
        self._devices = graph.topology.devices
        self._texts = texts
        self._pieces = Pieces(graph, texts)
        self._anchor: dict[str, Point] = {}
        """Where each signal net was first reached."""
        self._end: dict[str, dict[int, int]] = {}
        """How far each net's wire reaches to the right, by row."""
        self._way: dict[str, int] = {}
        """1 for nets that grow to the right, -1 for those that grow to the left."""
        self._done: set[int] = set()
        """Devices that have a place."""
        self._queue: deque[str] = deque()
        self._floor = 0

    def run(self) -> Sheet:
        """Place everything."""
        graph = self._graph
        if graph.source is not None:
            self._reach(graph.source, (0, 0))
            self._try([mark_piece("port", (0, 0), "left", (graph.source,))], graph.source)
        self._walk()
        while (index := self._next_unreached()) is not None:
            self._place_unreached(index)
            self._walk()
        for chain in graph.chains:
            if not self._placed(chain):
                self._close_loop(chain)
        for index in graph.stray_sources:
            self._flag(self._devices[index].nets[0], self._texts[index])
        if graph.sink is not None:
            self._place_port(graph.sink)
        return self.sheet

    # The walk

    def _walk(self) -> None:
        while self._queue:
            net = self._queue.popleft()
            chains = [chain for chain in self._graph.chains_at[net] if not self._placed(chain)]
            for chain in sorted(chains, key=lambda chain: len(chain.devices)):
                if chain.other_end(net) in self._graph.rails:
                    self._hang(net, chain.starting_at(net))
            onward = sorted((c for c in chains if self._opens(c, net)), key=lambda c: self._order(c.other_end(net)))
            for chain in onward:
                if self._opens(chain, net) and self._graph.is_dead_end(chain.other_end(net), net):
                    self._branch(net, chain.starting_at(net))
            self._transistors(net, BASE)
            self._transistors(net, EMITTER)
            for chain in onward:
                if self._opens(chain, net):
                    self._continue(net, chain.starting_at(net))

    def _opens(self, chain: Chain, net: str) -> bool:
        other = chain.other_end(net)
        return not self._placed(chain) and other not in self._graph.rails and other not in self._anchor

    def _order(self, net: str) -> tuple[int, str]:
        return self._graph.distance_to_output.get(net, 999), net

    def _placed(self, chain: Chain) -> bool:
        return chain.devices[0] in self._done

    def _reach(self, net: str, point: Point, way: int = 1) -> None:
        if net not in self._anchor and net not in self._graph.rails:
            self._anchor[net] = point
            self._way[net] = way
            self._end[net] = {}
            self._queue.append(net)
        if net in self._end:
            row = self._end[net]
            row[point[1]] = max(row.get(point[1], point[0]), point[0])

    # Chains to a rail

    def _hang(self, net: str, chain: Chain) -> None:
        rail = chain.nets[-1]
        preferred: Direction = "down" if rail == GROUND else "up"
        self._try(self._branches(net, chain, preferred), net)

    def _branch(self, net: str, chain: Chain) -> None:
        """A chain to a net from which rails only can be reached: drawn towards the more important rail."""
        beyond = {c.other_end(chain.nets[-1]) for c in self._graph.chains_at[chain.nets[-1]]}
        preferred: Direction = "up" if beyond & (self._graph.rails - {GROUND}) else "down"
        self._try(self._branches(net, chain, preferred), net)
        # Keep clear of the transistor to the right of a base.
        if any(terminal == BASE for _, terminal in self._graph.transistors_at[net]):
            self._way[chain.nets[-1]] = -1

    def _branches(self, net: str, chain: Chain, preferred: Direction) -> Iterator[Piece]:
        """Places for a chain that hangs off a net, the cheapest first.

        Straight up or down next to the net's first point is best; then further along, on a longer lead, or lying on
        its side.
        """
        x, y = self._anchor[net]
        way = self._way[net]
        places = []
        for distance in range(REACH):
            for side in (way, -way) if distance else (way,):
                cost = distance + (WRONG_SIDE if side != way else 0)
                for lead in (0, 2, 4, 6, 8):
                    places.append((cost + 1.5 * lead, side * distance, lead, preferred))
                flat: Direction = "right" if side == 1 else "left"
                places.append((cost + FLAT, side * distance, 0, flat))
        for _, offset, lead, direction in sorted(places, key=lambda place: place[0]):
            column = x + offset
            start = move((column, y), direction, lead)
            wires = [(net, (x, y), (column, y)), (net, (column, y), start)]
            yield self._pieces.chain(chain, start, direction, wires)

    # Transistors

    def _transistors(self, net: str, terminal: int) -> None:
        for index, its_terminal in self._graph.transistors_at[net]:
            if its_terminal == terminal and index not in self._done:
                self._try(self._transistor_places(net, index, terminal), net)

    def _transistor_places(self, net: str, index: int, terminal: int) -> Iterator[Piece]:
        """Places for a transistor of which one terminal is on a net that has a place."""
        x, y = self._anchor[net]
        above = [self._transistor_at(index, (x - 2, y + 2 + gap), [(net, (x, y), (x, y + gap))]) for gap in (2, 4, 6)]
        if terminal == EMITTER and self._is_collector_pin((x, y)):
            yield from above
        x = max(self._end[net].values())
        rows = [self._floor, y]
        if terminal == EMITTER:
            # Lifted, to make room for what is connected to its base.
            lifted = self._devices[index].nets[BASE] not in self._graph.rails
            rows = [y + 4, y + 6, y] if lifted else [y]
        for distance in range(REACH):
            column = x + distance
            for row in dict.fromkeys(rows):
                start = (column, row)
                wires = [(net, (self._anchor[net][0], y), (column, y)), (net, (column, y), start)]
                offset = transistor_pins((0, 0))[terminal]
                base = (start[0] - offset[0], start[1] - offset[1])
                yield self._transistor_at(index, base, wires)

    def _is_collector_pin(self, point: Point) -> bool:
        return any(s.kind == "hbt" and transistor_pins(s.at)[COLLECTOR] == point for s in self.sheet.symbols)

    def _transistor_at(self, index: int, base: Point, wires: Iterable[Wire] = ()) -> Piece:
        net = self._devices[index].nets[BASE]
        return self._pieces.transistor(index, base, [*wires, *self._stubs(net, base)])

    def _stubs(self, net: str, base: Point) -> list[Wire]:
        """Wires that keep room at a base for what will be connected to it; routing removes the unused ones."""
        if net in self._graph.rails:
            return []
        if net not in self._anchor:
            return [(net, base, move(base, "left", STUB))]
        waiting = [chain for chain in self._graph.chains_at[net] if not self._placed(chain)]
        if any(chain.other_end(net) not in self._graph.rails for chain in waiting):
            return [(net, base, move(base, "up", 2)), (net, base, move(base, "down", 2))]
        return []

    # Chains that lead on, or back

    def _continue(self, net: str, chain: Chain) -> None:
        x, y = self._anchor[net]
        other = chain.nets[-1]
        rows = [y]
        if self._graph.leads_to_transistor(other, net) and self._is_collector_pin((x, y)):
            rows = [self._floor, y]
        rows += [y + offset for distance in range(3, 30, 3) for offset in (distance, -distance)]
        self._try(self._onward_places(net, chain, rows), net)

    def _onward_places(self, net: str, chain: Chain, rows: list[int]) -> Iterator[Piece]:
        x, y = self._anchor[net]
        direction: Direction = "right" if self._way[net] == 1 else "left"
        start = x if direction == "left" else max(self._end[net].values())
        for block in range(0, REACH, 6):
            for row in dict.fromkeys(rows[: 1 + block // 3]):
                for distance in range(block, block + 6):
                    column = start + distance * self._way[net]
                    wires = [(net, (x, y), (column, y)), (net, (column, y), (column, row))]
                    yield self._pieces.chain(chain, (column, row), direction, wires)

    def _close_loop(self, chain: Chain) -> None:
        if set(chain.ends) & self._graph.rails:
            self._lonely(chain)
        else:
            self._accept(closing_piece(self.sheet, self._pieces, chain, self._floor))

    def _lonely(self, chain: Chain) -> None:
        """A chain between two rails: to the right of everything."""
        if chain.nets[0] != SUPPLY and chain.nets[-1] != GROUND:
            chain = chain.reversed
        right = self.sheet.bounds()[2] + 3
        top = (right, self._floor + LENGTH * len(chain.devices))
        self._accept(self._pieces.chain(chain, top, "down").add(self._pieces.rail(chain.nets[0], top, "up")))

    def _next_unreached(self) -> int | None:
        """A transistor that the walk has not reached, those on a net that has a place first."""
        waiting = [index for index in self._graph.transistors if index not in self._done]
        reached = [i for i in waiting if any(net in self._anchor for net in self._devices[i].nets)]
        return next(iter(reached or waiting), None)

    def _place_unreached(self, index: int) -> None:
        collector = self._devices[index].nets[COLLECTOR]
        if collector in self._anchor:
            self._try(self._transistor_places(collector, index, COLLECTOR), collector)
        if index not in self._done:
            _, _, right, _ = self.sheet.bounds() if self.sheet.symbols else (0, 0, 0, 0)
            self._accept(self._transistor_at(index, (right + 4, self._floor)))

    def _place_port(self, port: str) -> None:
        """The mark of an output: at the end of its net's row if nothing is in the way, else at the right edge."""
        if port not in self._anchor:
            return
        x, y = self._anchor[port]
        start = max([column for row, column in self._end[port].items() if row == y], default=x)
        right = self.sheet.bounds()[2]
        for column in (
            [*range(right - 3, right + 4), *range(start + 1, right - 3)]
            if right - 3 > start
            else range(start + 1, right + 4)
        ):
            piece = mark_piece("port", (column, y), "right", (port,))
            piece.pins[(column, y)] = port
            piece.wires = [(port, (x, y), (column, y))]
            if self.sheet.fits(piece):
                self._accept(piece)
                return
        self._flag(port, (port,), "port")

    def _flag(self, net: str, texts: tuple[str, ...], kind: str = "bias") -> None:
        right = self.sheet.bounds()[2] + 3
        row = self._anchor.get(net, (0, 0))[1]
        piece = mark_piece(kind, (right, row), "right", texts)
        piece.pins[(right, row)] = net
        self._accept(piece)

    # Acceptance

    def _try(self, pieces: Iterable[Piece], net: str) -> bool:
        """Put down the first piece that fits."""
        for piece in pieces:
            if self.sheet.fits(piece):
                self._accept(piece, net)
                return True
        return False

    def _accept(self, piece: Piece, net: str | None = None) -> None:
        self.sheet.put(piece)
        for symbol in piece.symbols:
            if symbol.device is not None:
                self._done.add(symbol.device)
        for wire_net, _, to in piece.wires:
            self._reach(wire_net, to)
        for symbol in piece.symbols:
            if symbol.kind == "hbt" and symbol.device is not None:
                nets = self._devices[symbol.device].nets
                # The base of a transistor that was reached another way is fed from its left.
                for terminal in (COLLECTOR, EMITTER, BASE):
                    way = -1 if terminal == BASE else 1
                    self._reach(nets[terminal], transistor_pins(symbol.at)[terminal], way)
        for point, pin_net in piece.pins.items():
            self._reach(pin_net, point, self._way.get(net, 1) if net else 1)
