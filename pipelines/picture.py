"""The picture of the DAG in the README, drawn from the compiled pipeline so that it cannot be out of step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import yaml

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from genrf.files import written_whole

HELD_BACK = "resolve-config"
"""Every task reads the configuration; its arrows would hide all others."""
COLUMN, ROW = 2.35, 0.85
SIZE = (1.85, 0.5)
GPU_COLOUR, CPU_COLOUR, LINE_COLOUR = "#cfe8cf", "#dde7f3", "#5b6470"


def tasks(specification: Path) -> nx.DiGraph:
    """The compiled pipeline's tasks and the dependencies that no other path implies; tasks on a GPU are marked."""
    pipeline, _platform = ([*list(yaml.safe_load_all(specification.read_text(encoding="utf-8"))), {}])[:2]
    executors: dict[str, Any] = pipeline["deploymentSpec"]["executors"]
    graph = nx.DiGraph()
    for name, task in pipeline["root"]["dag"]["tasks"].items():
        inner = pipeline["components"][task["componentRef"]["name"]].get("dag", {}).get("tasks", {})
        executor = executors.get(f"exec-{name}", {}).get("container", {})
        graph.add_node(
            name,
            label=f"{next(iter(inner))}\n(one a shard)" if inner else name,
            gpu="accelerator" in executor.get("resources", {}),
        )
        graph.add_edges_from((before, name) for before in task.get("dependentTasks", []) if before != HELD_BACK)
    graph.add_edge(HELD_BACK, "plan-data")
    reduced = nx.transitive_reduction(graph)
    reduced.add_nodes_from(graph.nodes(data=True))
    return reduced


def draw(specification: Path, path: Path) -> None:
    """Draw the pipeline from left to right as SVG."""
    graph = tasks(specification)
    place: dict[str, tuple[float, float]] = {}
    columns = list(nx.topological_generations(graph))
    column_of = {name: column for column, names in enumerate(columns) for name in names}
    for column, names in enumerate(columns):
        for row, name in enumerate(sorted(names)):
            place[name] = (column * COLUMN, ((len(names) - 1) / 2 - row) * ROW)
        if len(names) == 1 and any(column_of[before] < column < column_of[after] for before, after in graph.edges):
            # Out of the way of the arrow that passes this column: beside what it follows.
            (name,) = names
            place[name] = (column * COLUMN, min(place[before][1] for before in graph.predecessors(name)))
    width = max(x for x, _ in place.values()) + SIZE[0] + 0.4
    with plt.rc_context({"svg.hashsalt": "genrf", "font.family": "DejaVu Sans", "svg.fonttype": "none"}):
        figure, axis = plt.subplots(figsize=(width * 0.8, 2.5))
        for before, after in sorted(graph.edges):
            (x0, y0), (x1, y1) = place[before], place[after]
            arrow = {"arrowstyle": "-|>", "color": LINE_COLOUR, "shrinkA": 0, "shrinkB": 0, "lw": 1.1}
            axis.annotate("", (x1 - SIZE[0] / 2, y1), (x0 + SIZE[0] / 2, y0), arrowprops=arrow)
        for name, (x, y) in place.items():
            colour = GPU_COLOUR if graph.nodes[name]["gpu"] else CPU_COLOUR
            corner = (x - SIZE[0] / 2, y - SIZE[1] / 2)
            box = FancyBboxPatch(
                corner, *SIZE, boxstyle="round,pad=0,rounding_size=0.1", fc=colour, ec=LINE_COLOUR, lw=1
            )
            axis.add_patch(box)
            axis.text(x, y, graph.nodes[name]["label"], ha="center", va="center", fontsize=7.5)
        bottom = min(y for _, y in place.values()) - 0.55
        axis.text(
            -SIZE[0] / 2, bottom, "green: on a GPU node   blue: on a CPU node", fontsize=7, color=LINE_COLOUR, va="top"
        )
        axis.set_xlim(-SIZE[0] / 2 - 0.1, width - SIZE[0] / 2)
        axis.set_ylim(bottom - 0.3, max(y for _, y in place.values()) + 0.5)
        axis.set_axis_off()
        figure.subplots_adjust(0, 0, 1, 1)
        with written_whole(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)
