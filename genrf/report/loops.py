"""Where a chain is drawn that closes a loop, such as feedback: between two nets that both have a place already."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from genrf.report.chains import Chain
from genrf.report.pieces import Pieces
from genrf.report.routing import connect
from genrf.report.sheet import LENGTH, Piece, Point, Sheet

CANDIDATES = 12
"""How many places are tried with real wires."""
PER_ROW = 4
"""How many of these may lie in one row."""
BELOW = 3.0
"""How many cells of wire longer a loop may be to be drawn above the signal path instead of below it."""


def closing_piece(sheet: Sheet, pieces: Pieces, chain: Chain, floor: int) -> Piece:
    """The chain lying on its side, at the place from which the wires to both of its nets cost least.

    Places are ranked by the length that their wires have at least; the most promising ones are tried with real wires.

    Args:
        floor: row of the signal path.
    """
    a, b = chain.ends
    left, _, _, top = sheet.bounds()
    best, best_cost = pieces.chain(chain, (left, top + LENGTH), "right"), float("inf")
    for estimate, x, y, forward in _candidates(sheet, pieces, chain, floor):
        if estimate >= best_cost:
            break
        piece = pieces.chain(chain if forward else chain.reversed, (x, y), "right")
        trial = sheet.copy()
        trial.put(piece)
        cost = BELOW if y < floor else 0.0
        cost += connect(trial, a, limit=best_cost - cost)
        if cost < best_cost:
            cost += connect(trial, b, limit=best_cost - cost)
        if cost < best_cost:
            best, best_cost = piece, cost
    return best


def _candidates(sheet: Sheet, pieces: Pieces, chain: Chain, floor: int) -> list[tuple[float, int, int, bool]]:
    """The most promising places: least cost of wires, left end, row, and whether the first net is on the left."""
    points_a, points_b = (sheet.points_of(net) for net in chain.ends)
    left, bottom, right, top = sheet.bounds()
    span = LENGTH * len(chain.devices)
    found: list[tuple[float, int, int, bool]] = []
    for forward in (True, False):
        turned = chain if forward else chain.reversed
        begin, end = (points_a, points_b) if forward else (points_b, points_a)
        for y in range(bottom - 3, top + 4):
            extra = BELOW if y < floor else 0.0
            ranked = sorted(
                (_wiring((x, y), begin) + _wiring((x + span, y), end), x) for x in range(left - 4, right + 1)
            )
            fitting = (
                (cost + extra, x, y, forward) for cost, x in ranked if sheet.fits(pieces.chain(turned, (x, y), "right"))
            )
            found += islice(fitting, PER_ROW)
    return sorted(found)[:CANDIDATES]


def _wiring(point: Point, targets: Iterable[Point]) -> int:
    """Length of the shortest wire from a point to any target, a bend counted as two cells."""
    x, y = point
    return min((abs(x - a) + abs(y - b) + (2 if x != a and y != b else 0) for a, b in targets), default=0)
