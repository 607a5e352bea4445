"""The plot of a Pareto front: every pair of objectives, before and after refinement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from genrf import classes
from genrf.report.table import constraints_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genrf.generation.design import Design, DesignResult

OTHERS, BEFORE, AFTER, BOUND = "#c4c4c4", "#1f5fa8", "#c0392b", "#27864a"
_PANEL_IN = 3.4


def plot_front(result: DesignResult, path: Path) -> None:
    """Plot the front of a refined result into a file, a panel a pair of objectives.

    A panel shows designs by two of the objectives: one that looks dominated there is better in a third. Bounds of the
    specification are dashed lines.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    pairs = list(combinations(result.objectives, 2))
    columns = min(3, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    before = result.front_before_refinement()
    after = [design for design in result.designs if design.pareto and design.met]
    others = [design for design in result.designs if design.met]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "genrf", "font.size": 9}):
        size = (max(columns, 2) * _PANEL_IN, rows * _PANEL_IN * 0.85)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (x, y) in zip(grid, pairs, strict=False):
            _scatter(axis, others or result.designs, (x, y), s=10, color=OTHERS, label="simulated")
            _scatter(axis, before, (x, y), s=42, facecolors="none", edgecolors=BEFORE, label="front before")
            _scatter(axis, after, (x, y), s=14, color=AFTER, label="front after")
            _annotate(axis, result, x, y)
        for axis in grid[len(pairs) :]:
            axis.set_visible(False)
        grid[0].legend(fontsize=8, framealpha=0.9)
        # A date in the file would make two runs of one seed differ.
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else {})


def _scatter(axis: Axes, designs: Sequence[Design], names: tuple[str, str], **style: object) -> None:
    points = [[design.metrics[name] for design in designs] for name in names]
    axis.scatter(*points, **style)  # type: ignore[arg-type]


def _annotate(axis: Axes, result: DesignResult, x: str, y: str) -> None:
    vocabulary = classes.get(result.spec.circuit_class).metrics
    for name, scale, label, line in (
        (x, axis.set_xscale, axis.set_xlabel, axis.axvline),
        (y, axis.set_yscale, axis.set_ylabel, axis.axhline),
    ):
        if vocabulary[name].scale == "log":
            scale("log")
        label(f"{name} ({vocabulary[name].better} is better)")
        for constraint in constraints_on(result.spec, name):
            line(constraint.bound, color=BOUND, lw=1.0, ls="--")
    axis.grid(True, which="both", lw=0.4, alpha=0.5)
