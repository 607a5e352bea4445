"""Texts that a wire runs through are moved to another side of their device, once all wires lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from genrf.report.sheet import LENGTH, Label, Point, Sheet, Symbol

_UPRIGHT: Mapping[Label, tuple[int, int]] = {
    "right": (1, 0), "left": (-1, 0), "upper right": (1, 1), "lower right": (1, -1), "upper left": (-1, 1),
    "lower left": (-1, -1),
}  # fmt: skip
"""Side of the column, and rows above the middle, of the texts of devices that stand upright."""


def clear_labels(sheet: Sheet) -> None:
    """Move texts off wires, where there is room."""
    taken = {point for edges in sheet.edges.values() for edge in edges for point in edge}
    taken |= sheet.body | sheet.pins.keys()
    for number, symbol in enumerate(sheet.symbols):
        if symbol.device is None:
            continue
        places = label_places(symbol)
        usual = next(iter(places.values()))
        if not usual & taken:
            continue
        others = sheet.text - usual
        for label, cells in places.items():
            if not cells & (taken | others) and not any(sheet.risers.get(x, y + 1) <= y for x, y in cells):
                sheet.symbols[number] = replace(symbol, label=label)
                sheet.text = others | cells
                break


def label_places(symbol: Symbol) -> dict[Label, set[Point]]:
    """Cells of each place that a device's texts may take, the usual one first."""
    x, y = symbol.at
    if symbol.kind == "hbt":
        rows: dict[Label, int] = {"right": 0, "upper right": 1, "lower right": -1}
        return {label: {(x + 3, y + up), (x + 4, y + up)} for label, up in rows.items()}
    if symbol.direction in ("left", "right"):
        start = x if symbol.direction == "right" else x - LENGTH
        above, below = ({(start + i, y + up) for i in (1, 2, 3)} for up in (1, -1))
        return {"split": above | below, "above": above, "below": below}
    middle = y + (LENGTH // 2 if symbol.direction == "up" else -LENGTH // 2)
    return {label: {(x + i * side, middle + up) for i in (1, 2, 3)} for label, (side, up) in _UPRIGHT.items()}
