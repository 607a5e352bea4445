"""Draw the project's packages and their imports, in layers from top to bottom, as ``docs/house.svg``.

    python docs/house.py                # write docs/house.svg
    python docs/house.py --output PATH  # write it elsewhere

`grimp` finds the imports. An arrow points from the importing to the imported; one that a longer way implies is left out, and
between two frames one arrow stands for all. Where two packages import each other, the direction with fewer imports is drawn
dashed and has no say in the layers. The same imports give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import grimp
import matplotlib
import networkx as nx

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from genrf.files import written_whole

PICTURE = Path(__file__).parent / "house.svg"
STOREYS = (("pipelines",), ("components",), ("training", "serving"), ("genrf",))
"""Packages of the project from the top down; those of one storey stand side by side."""
FRAMED = ("training", "genrf")
"""Packages whose own packages are drawn."""
ROOMS = {
    "training": {"commands": ("__main__", "stages")},
    "genrf": {
        "commands": (
            "__main__",
            "cli",
            "cli_chain",
            "cli_export",
            "cli_feedback",
            "cli_measure",
            "cli_objects",
            "cli_options",
            "cli_yield",
            "generate",
            "signoff",
            "resimulate",
            "terminal",
        ),
        "classes": ("circuit_class",),
        "specification": ("spec", "conditioning", "fields"),
        "metrics, tables": (
            "metrics",
            "conditions",
            "cores",
            "errors",
            "files",
            "page_style",
            "pareto",
            "progress",
            "tables",
        ),
    },
}
WIDTH, HEIGHT = 1.75, 0.42
COLUMN, ROW = 2.1, 0.7
MARGIN = 0.26
FRAME_GAP = 0.42
TITLE = 0.34
FILL, FRAME_FILL, LINE, BACK = "#dde7f3", "#f6f8fa", "#5b6470", "#b5532b"
Place = tuple[float, float]


def imports() -> tuple[nx.DiGraph, dict[str, nx.DiGraph]]:
    """How often packages import each other: the project's packages, and of each framed one its rooms."""
    packages = [name for storey in STOREYS for name in storey]
    code = grimp.build_graph(*packages, cache_dir=None)
    whole: Counter[tuple[str, str]] = Counter()
    inner: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in FRAMED}
    for importing in sorted(code.modules):
        for imported in sorted(code.find_modules_directly_imported_by(importing)):
            above, below = importing.partition(".")[0], imported.partition(".")[0]
            if above != below:
                whole[above, below] += 1
            elif above in FRAMED and "." in importing and "." in imported:
                pair = _room(importing), _room(imported)
                inner[above][pair] += pair[0] != pair[1]
    return _graph(whole), {name: _graph(counts) for name, counts in inner.items()}


def _room(module: str) -> str:
    """The box that a module is drawn in."""
    package, name = module.split(".")[:2]
    return next((room for room, modules in ROOMS[package].items() if name in modules), name)


def _graph(counts: Counter[tuple[str, str]]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted({name for pair in counts for name in pair}))
    graph.add_weighted_edges_from((*pair, count) for pair, count in sorted(counts.items()) if count)
    return graph


def layered(graph: nx.DiGraph) -> tuple[nx.DiGraph, list[tuple[str, str]]]:
    """The imports that no longer way implies, and those against them where packages import each other."""
    rest, back = graph.copy(), []
    while circles := [part for part in nx.strongly_connected_components(rest) if len(part) > 1]:
        inside = [
            (count, *pair) for *pair, count in rest.edges(data="weight") if any(set(pair) <= part for part in circles)
        ]
        _, above, below = min(inside)
        rest.remove_edge(above, below)
        back.append((above, below))
    reduced = nx.transitive_reduction(rest)
    reduced.add_nodes_from(graph)
    return reduced, sorted(back)


def rows(graph: nx.DiGraph) -> list[list[str]]:
    """Boxes in rows from the top down, each as low as what it imports allows; ``above>below@row`` keeps room for an arrow."""
    level: dict[str, int] = {}
    for name in reversed(list(nx.lexicographical_topological_sort(graph))):
        level[name] = max((level[below] + 1 for below in graph.successors(name)), default=0)
    top = max(level.values())
    table: list[list[str]] = [[] for _ in range(top + 1)]
    for name in sorted(level):
        table[top - level[name]].append(name)
    for above, below in sorted(graph.edges):
        for between in range(level[below] + 1, level[above]):
            table[top - between].append(f"{above}>{below}@{between}")
    return table


def chains(graph: nx.DiGraph, table: list[list[str]]) -> list[list[str]]:
    """The way of every arrow from row to row."""
    row_of = {name: row for row, names in enumerate(table) for name in names}
    top = len(table) - 1
    return [
        [above, *(f"{above}>{below}@{top - row}" for row in range(row_of[above] + 1, row_of[below])), below]
        for above, below in sorted(graph.edges)
    ]


def places(graph: nx.DiGraph) -> tuple[dict[str, Place], list[list[str]]]:
    """Where boxes and ways stand, in units of columns and rows, with few crossings: each row in the order of its neighbours."""
    table = rows(graph)
    ways = chains(graph, table)
    neighbours = nx.Graph(pair for way in ways for pair in pairwise(way))
    across = {name: _centred(names)[name] for names in table for name in names}
    for sweep in range(24):
        for names in table if sweep % 2 == 0 else reversed(table):
            wish = {
                name: sum(across[other] for other in neighbours[name]) / len(neighbours[name])
                for name in names
                if name in neighbours
            }
            names.sort(key=lambda name: (round(wish.get(name, 0.0), 6), name))
            across |= _centred(names)
    height = {name: float(-row) for row, names in enumerate(table) for name in names}
    return {name: (across[name], height[name]) for name in across}, ways


def _centred(names: list[str]) -> dict[str, float]:
    """Columns of a row about zero; the way of an arrow takes half a column."""
    widths = [0.5 if "@" in name else 1.0 for name in names]
    start, columns = -sum(widths) / 2, {}
    for name, width in zip(names, widths, strict=True):
        columns[name] = start + width / 2
        start += width
    return columns


def draw(path: Path = PICTURE) -> Path:
    """Draw the packages as SVG."""
    whole, inner = imports()
    with plt.rc_context({"svg.hashsalt": "genrf", "font.family": "DejaVu Sans", "svg.fonttype": "none"}):
        figure, axis = plt.subplots()
        frames: dict[str, tuple[float, float, float, float]] = {}
        top = 0.0
        for storey in STOREYS:
            left, lowest = 0.0, top
            for name in storey:
                rooms = layered(inner[name]) if name in FRAMED else None
                box = _frame(axis, name, rooms, (left, top)) if rooms else _single(axis, name, (left, top))
                frames[name] = box
                left, lowest = box[2] + 0.6, min(lowest, box[1])
            top = lowest - FRAME_GAP
        _between(axis, layered(whole)[0], frames)
        right, bottom = max(box[2] for box in frames.values()), min(box[1] for box in frames.values())
        axis.set(xlim=(-0.1, right + 0.1), ylim=(bottom - 0.1, 0.1), aspect="equal")
        axis.axis("off")
        figure.set_size_inches(0.8 * (right + 0.2), 0.8 * (0.2 - bottom))
        figure.subplots_adjust(0, 0, 1, 1)
        with written_whole(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return path


def _box(axis: plt.Axes, name: str, centre: Place) -> None:
    corner = centre[0] - WIDTH / 2, centre[1] - HEIGHT / 2
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "linewidth": 0.8, "zorder": 3}
    axis.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, facecolor=FILL, edgecolor=LINE, **style))
    axis.text(*centre, name, ha="center", va="center", fontsize=8, zorder=4)


def _single(axis: plt.Axes, name: str, corner: Place) -> tuple[float, float, float, float]:
    """A package without rooms; returns left, bottom, right and top of it."""
    left, top = corner
    _box(axis, name, (left + WIDTH / 2, top - HEIGHT / 2))
    return left, top - HEIGHT, left + WIDTH, top


def _frame(
    axis: plt.Axes, name: str, rooms: tuple[nx.DiGraph, list[tuple[str, str]]], corner: Place
) -> tuple[float, float, float, float]:
    """A package with its rooms and their arrows; returns left, bottom, right and top of it."""
    graph, back = rooms
    columns, ways = places(graph)
    left, top = corner
    least = min(x - (0.25 if "@" in room else 0.5) for room, (x, _) in columns.items())
    most = max(x + (0.25 if "@" in room else 0.5) for room, (x, _) in columns.items())
    low = min(y for _, y in columns.values())
    width, height = (most - least) * COLUMN + 2 * MARGIN, TITLE - low * ROW + HEIGHT + 2 * MARGIN
    centre = {
        room: (left + MARGIN + (x - least) * COLUMN, top - TITLE - MARGIN - HEIGHT / 2 + y * ROW)
        for room, (x, y) in columns.items()
    }
    style = {"boxstyle": "round,pad=0,rounding_size=0.12", "linewidth": 0.8, "zorder": 1}
    axis.add_patch(FancyBboxPatch((left, top - height), width, height, facecolor=FRAME_FILL, edgecolor=LINE, **style))
    axis.text(left + MARGIN, top - 0.3, name, ha="left", va="center", fontsize=9, weight="bold", zorder=4)
    for room in graph:
        _box(axis, room, centre[room])
    for way in ways:
        points = [(centre[way[0]][0], centre[way[0]][1] - HEIGHT / 2), *(centre[step] for step in way[1:-1])]
        _arrow(axis, [*points, (centre[way[-1]][0], centre[way[-1]][1] + HEIGHT / 2)])
    for above, below in back:
        start, end = centre[above], centre[below]
        _arrow(axis, [(start[0] + WIDTH / 2, start[1]), (end[0] + WIDTH / 2, end[1])], back=True)
    if back:
        at = max(centre[name][0] for pair in back for name in pair) + WIDTH / 2 + 0.45, centre[back[-1][0]][1]
        axis.text(*at, "dashed: packages that import\neach other (no modules do)", va="center", fontsize=7, color=BACK)
    return left, top - height, left + width, top


def _arrow(axis: plt.Axes, points: list[Place], back: bool = False) -> None:
    """An arrow through points, the last of which it ends at."""
    colour, style = (BACK, (0, (3, 2))) if back else (LINE, "solid")
    for start, end in pairwise(points[:-1]):
        axis.plot(*zip(start, end, strict=True), color=colour, linewidth=0.9, zorder=2, solid_capstyle="round")
    curve = "arc3,rad=0.35" if back else "arc3"
    patch = FancyArrowPatch(
        points[-2], points[-1], arrowstyle="-|>", mutation_scale=8, shrinkA=0, shrinkB=0, connectionstyle=curve
    )
    patch.set(color=colour, linewidth=0.9, linestyle=style, zorder=2)
    axis.add_patch(patch)


def _between(axis: plt.Axes, graph: nx.DiGraph, frames: dict[str, tuple[float, float, float, float]]) -> None:
    """Arrows from frame to frame, straight down where they overlap."""
    for above, below in sorted(graph.edges):
        upper, lower = frames[above], frames[below]
        start, end = max(upper[0], lower[0]), min(upper[2], lower[2])
        across = (start + end) / 2
        _arrow(axis, [(across, upper[1]), (across, lower[3])])


def main(arguments: list[str]) -> int:
    """Draw; returns the exit code."""
    parser = argparse.ArgumentParser(description="Draw the packages and their imports.")
    parser.add_argument("--output", type=Path, default=PICTURE)
    print(draw(parser.parse_args(arguments).output))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
