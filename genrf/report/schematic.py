"""The schematic of any circuit, drawn with schemdraw as SVG.

`place` decides where everything goes, `drawing` puts symbols, texts and wires there, `write_schematic` writes the file.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genrf import classes
from genrf.circuit.topology import SUPPLY, Circuit
from genrf.report.chains import CircuitGraph
from genrf.report.labels import clear_labels
from genrf.report.placement import Placement
from genrf.report.routing import route
from genrf.report.sheet import LENGTH, Point, Sheet, Symbol, move
from genrf.report.values import value_text

if TYPE_CHECKING:
    from schemdraw import Drawing

Horizontal = Literal["left", "center", "right"]
Vertical = Literal["top", "center", "bottom"]

POINTS_PER_UNIT = 36.0
"""schemdraw draws half an inch a unit."""
CELL = 0.5
"""schemdraw units a cell."""
FONT_SIZE = 9
LINE_WIDTH = 1.2
RAIL_COLOUR = "#b03030"
NET_COLOUR = "#3060b0"


def place(circuit: Circuit, ports: tuple[str, ...] | None = None) -> tuple[Sheet, list[tuple[str, Point]]]:
    """Place and wire a circuit.

    Args:
        ports: names of the port nets, the input first and the output last; by default those of the circuit's class.

    Returns:
        The sheet, and names of nets with points at which the name stands for a wire that found no way.
    """
    topology = circuit.topology
    definition = classes.get(topology.circuit_class)
    graph = CircuitGraph(topology, definition.ports.names if ports is None else ports, tuple(definition.ports.held))
    texts = [
        (name, value_text(device.kind, value))
        for name, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True)
    ]
    sheet = Placement(graph, texts).run()
    unconnected = route(sheet, graph.rails)
    clear_labels(sheet)
    named = [(sheet.pins.get(a) or sheet.pins.get(b) or "", point) for a, b in unconnected for point in (a, b)]
    return sheet, named


def write_schematic(
    circuit: Circuit,
    path: Path,
    *,
    supply_v: float | None = None,
    title: str = "",
    ports: tuple[str, ...] | None = None,
) -> None:
    """Draw a circuit's schematic into an SVG file.

    Args:
        supply_v: written at the supply rail, in V.
        title: written above the drawing.
        ports: names of the port nets, the input first; by default those of the circuit's class.
    """
    path.write_bytes(drawing(circuit, supply_v=supply_v, title=title, ports=ports).get_imagedata("svg"))


def drawing(
    circuit: Circuit,
    *,
    supply_v: float | None = None,
    title: str = "",
    ports: tuple[str, ...] | None = None,
    canvas: Literal["svg", "matplotlib"] = "svg",
) -> Drawing:
    """The schematic as a schemdraw drawing; see `write_schematic`."""
    if canvas == "svg" and "schemdraw" not in sys.modules:
        # schemdraw imports pyplot, which takes a second and which SVG does not need; it goes without where that
        # import fails.
        sys.modules.setdefault("schemdraw.backends.mpl", None)  # type: ignore[arg-type]
    import schemdraw

    sheet, named = place(circuit, ports)
    sketch = schemdraw.Drawing(canvas=canvas, show=False)
    sketch.config(fontsize=FONT_SIZE, lw=LINE_WIDTH, font="sans-serif", margin=0.25, bgcolor="white")
    _draw_wires(sketch, sheet)
    _draw_rail(sketch, sheet, supply_v)
    for symbol in sheet.symbols:
        _draw_symbol(sketch, symbol)
    for net, point in named:
        _label(sketch, _xy(point), net, (0.15, 0.15), "left", "bottom", NET_COLOUR)
    if title:
        left, _, _, top = sheet.bounds()
        _label(sketch, _xy((left, top + 3)), title, (0, 0), "left", "bottom", size=FONT_SIZE + 2)
    return sketch


def _xy(point: Point) -> tuple[float, float]:
    return point[0] * CELL, point[1] * CELL


def _draw_wires(sketch: Drawing, sheet: Sheet) -> None:
    from schemdraw import elements

    for net, edges in sheet.edges.items():
        for a, b in _straight(edges):
            sketch.add(elements.Line().at(_xy(a)).to(_xy(b)))
        touching: dict[Point, int] = defaultdict(int)
        for edge in edges:
            for point in edge:
                touching[point] += 1
        for symbol in sheet.symbols:
            for point in _terminals(symbol):
                if sheet.pins.get(point) == net:
                    touching[point] += 1
        for point, count in touching.items():
            if count > 2:
                sketch.add(elements.Dot(radius=0.06).at(_xy(point)))
    for net in set(sheet.pins.values()) - sheet.edges.keys():
        points = [p for symbol in sheet.symbols for p in _terminals(symbol) if sheet.pins.get(p) == net]
        for point in set(points):
            if points.count(point) > 2:
                sketch.add(elements.Dot(radius=0.06).at(_xy(point)))


def _terminals(symbol: Symbol) -> list[Point]:
    if symbol.kind == "hbt":
        x, y = symbol.at
        return [(x + 2, y + 2), (x, y), (x + 2, y - 2)]
    if symbol.device is not None:
        return [symbol.at, move(symbol.at, symbol.direction, LENGTH)]
    return [symbol.at] if symbol.kind == "port" else []


def _straight(edges: set[tuple[Point, Point]]) -> list[tuple[Point, Point]]:
    """Unit edges joined to straight lines."""
    lines: list[tuple[Point, Point]] = []
    for axis in (0, 1):
        rows: dict[int, list[int]] = defaultdict(list)
        for a, b in edges:
            if a[1 - axis] == b[1 - axis]:
                rows[a[1 - axis]].append(a[axis])
        for row, starts in rows.items():
            starts.sort()
            first = previous = starts[0]
            for start in [*starts[1:], None]:
                if start == previous + 1:
                    previous = start
                    continue
                ends = (first, row), (previous + 1, row)
                lines.append(ends if axis == 0 else (ends[0][::-1], ends[1][::-1]))
                if start is not None:
                    first = previous = start
    return lines


def _draw_rail(sketch: Drawing, sheet: Sheet, supply_v: float | None) -> None:
    """The supply rail on top, with a wire down to everything that hangs from it."""
    from schemdraw import elements

    if not sheet.risers:
        return
    top = sheet.bounds()[3] + 1
    columns = sorted(sheet.risers)
    left, right = columns[0] - 1, columns[-1] + 1
    for column in columns:
        if sheet.risers[column] < top:
            sketch.add(elements.Line().at(_xy((column, sheet.risers[column]))).to(_xy((column, top))))
    sketch.add(elements.Line(lw=2 * LINE_WIDTH).at(_xy((left, top))).to(_xy((right, top))).color(RAIL_COLOUR))
    text = SUPPLY.upper() if supply_v is None else f"{SUPPLY.upper()} {supply_v:g} V"
    _label(sketch, _xy((left, top)), text, (0, 0.12), "left", "bottom", RAIL_COLOUR)


def _draw_symbol(sketch: Drawing, symbol: Symbol) -> None:
    from schemdraw import elements

    if symbol.kind == "hbt":
        _draw_transistor(sketch, symbol)
    elif symbol.kind == "ground":
        sketch.add(elements.Ground().at(_xy(symbol.at)))
    elif symbol.device is None:
        _draw_mark(sketch, symbol)
    else:
        start, end = _xy(symbol.at), _xy(move(symbol.at, symbol.direction, LENGTH))
        if symbol.kind in ("diode", "varactor"):
            # From anode to cathode, whichever way the chain runs.
            anode, cathode = (end, start) if symbol.flipped else (start, end)
            junction = elements.Diode if symbol.kind == "diode" else elements.Varactor
            sketch.add(junction().endpoints(anode, cathode))
        else:
            element = {
                "resistor": elements.ResistorIEC,
                "inductor": elements.Inductor,
                "capacitor": elements.Capacitor,
            }[symbol.kind]
            # Always drawn upwards or to the right, so that the arcs of inductors bulge the same way everywhere.
            sketch.add(element().endpoints(min(start, end), max(start, end)))
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        text = "\n".join(symbol.texts)
        if symbol.label == "above":
            _label(sketch, middle, text, (0, 0.36), "center", "bottom")
        elif symbol.label == "below":
            _label(sketch, middle, text, (0, -0.36), "center", "top")
        elif symbol.direction in ("left", "right"):
            _label(sketch, middle, symbol.texts[0], (0, 0.36), "center", "bottom")
            _label(sketch, middle, symbol.texts[-1], (0, -0.36), "center", "top")
        elif "left" in symbol.label:
            _label(sketch, middle, text, (-0.36, _raised(symbol)), "right", "center")
        else:
            _label(sketch, middle, text, (0.36, _raised(symbol)), "left", "center")


def _draw_transistor(sketch: Drawing, symbol: Symbol) -> None:
    """An npn transistor whose terminals lie on the grid, which those of schemdraw's own symbol do not."""
    from schemdraw import Segment, elements

    bar, half, foot = 0.45, 0.4, 0.2
    element = elements.Element()
    element.segments += [
        Segment([(0, 0), (bar, 0)]),
        Segment([(bar, half), (bar, -half)], lw=2.2 * LINE_WIDTH),
        Segment([(bar, foot), (1.0, 0.6), (1.0, 1.0)]),
        Segment([(bar, -foot), (1.0, -0.6)], arrow="->", arrowwidth=0.16, arrowlength=0.2),
        Segment([(1.0, -0.6), (1.0, -1.0)]),
    ]
    x, y = _xy(symbol.at)
    sketch.add(element.at((x, y)).theta(0))
    _label(sketch, (x + 1.0, y), "\n".join(symbol.texts), (0.12, _raised(symbol)), "left", "center")


def _raised(symbol: Symbol) -> float:
    """How far above a device's middle its texts are, in schemdraw units."""
    return CELL if "upper" in symbol.label else -CELL if "lower" in symbol.label else 0.0


def _draw_mark(sketch: Drawing, symbol: Symbol) -> None:
    from schemdraw import elements

    sketch.add(elements.Dot(open=True, radius=0.08).at(_xy(symbol.at)))
    places: dict[str, tuple[tuple[float, float], Horizontal, Vertical]] = {
        "up": ((0, 0.15), "center", "bottom"),
        "down": ((0, -0.15), "center", "top"),
        "left": ((-0.18, 0), "right", "center"),
        "right": ((0.18, 0), "left", "center"),
    }
    offset, halign, valign = places[symbol.direction]
    text = "\n".join(symbol.texts)
    colour = NET_COLOUR if symbol.kind == "bias" else "black"
    _label(sketch, _xy(symbol.at), text, offset, halign, valign, colour)


def _label(
    sketch: Drawing, at: tuple[float, float], text: str, offset: tuple[float, float],
    halign: Horizontal, valign: Vertical, colour: str = "black", size: float = FONT_SIZE,
) -> None:  # fmt: skip
    """Lines of text, each placed by its baseline: viewers of SVG differ in what the middle or top of a text is."""
    from schemdraw import SegmentText, elements

    lines = text.split("\n")
    capital, pitch = 0.73 * size / POINTS_PER_UNIT, 1.12 * size / POINTS_PER_UNIT
    height = capital + pitch * (len(lines) - 1)
    top = offset[1] + {"top": 0.0, "center": height / 2, "bottom": height}[valign]
    element = elements.Element()
    for number, line in enumerate(lines):
        where = (offset[0], top - capital - number * pitch)
        element.segments.append(SegmentText(where, line, align=(halign, "base"), fontsize=size, color=colour))
    sketch.add(element.at(at).theta(0))
