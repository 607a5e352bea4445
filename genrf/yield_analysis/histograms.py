"""A histogram of every bounded metric over the runs, with its bounds and the nominal design."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrf import classes
from genrf.report.values import metric_text
from genrf.yield_analysis.result import YieldResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOOD, BAD = "#3f8f5f", "#c0392b"
_COLUMNS = 3
_BINS = 40
_FINEST = 80
"""Smallest bin as a share of the axis: a metric that hardly varies is still a visible bar."""
_NICE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_PREFIXED = ("Hz", "W", "V", "A", "s")


def shown_metrics(result: YieldResult) -> list[str]:
    """Bounded metrics, or those that describe the class if nothing is bounded."""
    bounded = list(dict.fromkeys(constraint.metric for constraint in result.spec.constraints))
    return bounded or list(classes.get(result.spec.circuit_class).specification_metrics)


def plot_histograms(result: YieldResult, paths: Mapping[str, Path]) -> None:
    """Plot one histogram a metric.

    Runs on the wrong side of a bound are red. A dotted line is the design at its nominal conditions.

    Args:
        paths: file to write by format (``png``, ``svg``, ``pdf``).
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = [name for name in shown_metrics(result) if len(result.values(name))]
    columns = max(1, min(_COLUMNS, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    nominal = result.corners.get(result.spec.conditions.corner)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "genrf", "font.size": 9}):
        figure = Figure(figsize=(3.2 * columns + 0.2, 2.5 * rows + 0.5), layout="constrained")
        axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axis, name in zip(axes, names, strict=False):
            _histogram(axis, result, name, nominal.metrics if nominal else None)
        for axis in axes[len(names) :]:
            axis.set_axis_off()
        low, high = result.interval
        figure.suptitle(
            f"{result.spec.name}: yield {100 * result.share:.1f} % ({100 * low:.1f} to {100 * high:.1f} %) "
            f"of {len(result.outcomes)} runs",
            fontsize=10,
        )
        figure.draw_without_rendering()
        # The layout is found once; otherwise each file finds it again, which takes as long as drawing.
        figure.set_layout_engine("none")
        for kind, path in paths.items():
            # A date in the file would make two runs of one seed differ.
            figure.savefig(path, format=kind, dpi=130, metadata={"Date": None} if kind == "svg" else {})


def _histogram(axis: Axes, result: YieldResult, name: str, nominal: Mapping[str, float] | None) -> None:
    metric = classes.get(result.spec.circuit_class).metrics[name]
    values = result.values(name)
    bounds = [constraint for constraint in result.spec.constraints if constraint.metric == name]
    scale, prefix = _prefix(float(np.median(np.abs(values)))) if metric.unit in _PREFIXED else (1.0, "")
    marks = [constraint.bound for constraint in bounds] + ([nominal[name]] if nominal else [])
    met = np.array([all(c.slack(value) >= 0.0 for c in bounds) for value in values.tolist()])
    low, high = min([*marks, values.min()]) / scale, max([*marks, values.max()]) / scale
    edges = _edges(values / scale, (bounds[0].bound if bounds else values.min()) / scale, (high - low) / _FINEST)
    axis.hist(
        [values[met] / scale, values[~met] / scale],
        bins=edges.tolist(),
        stacked=True,
        color=[GOOD, BAD],
        edgecolor="none",
    )
    margin = 0.06 * (high - low) or 0.5
    axis.set_xlim(low - margin, high + margin)
    for constraint in bounds:
        bound = constraint.bound / scale
        axis.axvline(bound, color="black", lw=1.4)
        forbidden = (low - margin, bound) if constraint.sense == ">=" else (bound, high + margin)
        axis.axvspan(*forbidden, color=BAD, alpha=0.10, lw=0)
    if nominal:
        axis.axvline(nominal[name] / scale, color="#1f5fa8", lw=1.2, ls=":")
    missed = int((~met).sum())
    asked = ", ".join(f"{'≥' if c.sense == '>=' else '≤'} {metric_text(metric, c.bound)}" for c in bounds)
    axis.set_title(f"{asked}: {missed} miss" if bounds else name, fontsize=8, loc="left")
    # Other metrics have their unit in their name.
    axis.locator_params(axis="x", nbins=5)
    axis.set_xlabel(f"{name} in {prefix}{metric.unit}" if metric.unit in _PREFIXED else name)
    axis.set_ylabel("runs")
    axis.grid(True, axis="y", lw=0.4, alpha=0.5)
    axis.set_axisbelow(True)


def _edges(values: np.ndarray, anchor: float, finest: float) -> np.ndarray:
    """Edges of bins with one at the anchor, so that no bar is on both sides of a bound, and none finer than a line."""
    bins = max(5, min(_BINS, round(2.0 * math.sqrt(len(values)))))
    width = max(float(np.ptp(values)) / bins, finest) or 1.0
    first, last = math.floor((values.min() - anchor) / width), math.floor((values.max() - anchor) / width) + 1
    return anchor + width * np.arange(first, last + 1)


def _prefix(magnitude: float) -> tuple[float, str]:
    """Factor and name of the SI prefix for a magnitude."""
    return next(((factor, name) for factor, name in _NICE if magnitude >= factor), (1.0, ""))
