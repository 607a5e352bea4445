"""The plot of a design: S-parameters and other measured curves over the band, with the specification's bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrf import classes
from genrf.metrics import Metrics
from genrf.report.values import metric_text
from genrf.spec import Constraint, DesignSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genrf.simulation.testbench import Curve

SCATTERING = re.compile(r"s(\d)(\d)")
CURVE_OF = {"gain_db": "s21"}
"""Curve that shows a metric, where it is not called like the metric, with or without its unit."""
COLOURS = {"s21": "#1f5fa8", "s11": "#c0392b", "s22": "#27864a", "s12": "#7a7a7a"}


def plot_performance(
    curves: Mapping[str, Curve], spec: DesignSpec, metrics: Metrics, paths: Sequence[Path], title: str = ""
) -> None:
    """Plot measured curves into files.

    S-parameters share the upper axes, in dB; every other curve has axes of its own. A bound on a metric is a short
    line at the centre frequency with hatching on its forbidden side, green if it is met and red if not.

    Args:
        curves: by name: ``s11`` ... complex, others real, in the unit of the metric of that name.
        paths: files to write; the suffix decides the format (``.svg``, ``.png``, ``.pdf``).
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    vocabulary = classes.get(spec.circuit_class).metrics
    scattering = [name for name in curves if SCATTERING.fullmatch(name)]
    others = [name for name in curves if name not in scattering]
    ratios = ([3.0] if scattering else []) + [1.4] * len(others)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "genrf", "font.size": 9}):
        figure = Figure(figsize=(7.2, 1.2 + 1.15 * sum(ratios)))
        height = figure.get_figheight()
        # Fixed margins: finding them by layout takes longer than drawing everything.
        margins = {"left": 0.09, "right": 0.985, "bottom": 0.45 / height, "top": 1.0 - 0.5 / height, "hspace": 0.06}
        grid = {"height_ratios": ratios, **margins}
        axes = np.atleast_1d(figure.subplots(len(ratios), 1, sharex=True, gridspec_kw=grid))
        remaining = list(axes)
        if scattering:
            top = remaining.pop(0)
            for name in scattering:
                curve = curves[name]
                decibels = 20.0 * np.log10(np.maximum(np.abs(curve.values), 1e-9))
                label = f"S{name[1:]}"
                top.plot(curve.frequency_hz / 1e9, decibels, label=label, color=COLOURS.get(name), lw=1.6)
            top.set_ylabel("S-parameters (dB)")
            low, high = top.get_ylim()
            top.set_ylim(max(low, -60.0), high + 0.08 * (high - max(low, -60.0)))
            top.legend(loc="lower right", ncols=2, fontsize=8, framealpha=0.9)
        for axis, name in zip(remaining, others, strict=True):
            curve = curves[name]
            axis.plot(curve.frequency_hz / 1e9, curve.values, color="#6a3d9a", lw=1.6)
            unit = vocabulary[name].unit if name in vocabulary else ""
            axis.set_ylabel(f"{name.split('_')[0].upper()} ({unit})" if unit else name)
            _limit_far_values(axis, curve)
        axis_of = dict.fromkeys(scattering, axes[0]) | dict(zip(others, remaining, strict=True))
        for constraint in spec.constraints:
            curve_name = _curve_of(constraint.metric, curves)
            if curve_name is not None:
                _draw_bound(
                    axis_of[curve_name], constraint, metrics[constraint.metric], spec.conditions.frequency_hz / 1e9
                )
        for axis in axes:
            axis.axvline(spec.conditions.frequency_hz / 1e9, color="#999999", lw=0.8, ls=":")
            axis.grid(True, lw=0.4, alpha=0.5)
            axis.set_xlim(
                min(c.frequency_hz[0] for c in curves.values()) / 1e9,
                max(c.frequency_hz[-1] for c in curves.values()) / 1e9,
            )
        axes[-1].set_xlabel("Frequency (GHz)")
        figures = ", ".join(
            f"{name.removesuffix('_' + name.split('_')[-1]).upper()} {metric_text(vocabulary[name], metrics[name])}"
            for name in classes.get(spec.circuit_class).specification_metrics
            if name in metrics
        )
        axes[0].set_title(f"{title}\n{figures}" if title else figures, fontsize=9, loc="left")
        for path in paths:
            # A date in the file would make two runs of one seed differ.
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, dpi=110, metadata=metadata)


def _curve_of(metric: str, curves: Mapping[str, Curve]) -> str | None:
    """Name of the curve that shows a metric, if there is one."""
    for name in (CURVE_OF.get(metric), metric, metric.removesuffix("_db")):
        if name is not None and name in curves:
            return name
    return None


def _limit_far_values(axis: Axes, curve: Curve) -> None:
    """Show the range near the smallest value: far out of band a noise figure rises without limit."""
    smallest = float(np.min(curve.values))
    middle = float(np.median(curve.values))
    axis.set_ylim(min(0.0, smallest), max(smallest + 2.0, min(float(np.max(curve.values)), 2.0 * middle)) * 1.05)


def _draw_bound(axis: Axes, constraint: Constraint, value: float, frequency_ghz: float) -> None:
    """A bound at the centre frequency, hatched on the side that the specification forbids."""
    from matplotlib.patches import Rectangle

    met = constraint.slack(value) >= 0.0
    colour = "#27864a" if met else "#c0392b"
    left, right = axis.get_xlim()
    width = 0.08 * (right - left)
    low, high = axis.get_ylim()
    depth = 0.035 * (high - low)
    bottom = constraint.bound - depth if constraint.sense == ">=" else constraint.bound
    start = frequency_ghz - width / 2
    axis.plot([start, start + width], [constraint.bound] * 2, color=colour, lw=1.4, zorder=5)
    axis.add_patch(
        Rectangle(
            (start, bottom), width, depth, fill=False, hatch="////////", lw=0, edgecolor=colour, alpha=0.7, zorder=4
        )
    )
    axis.set_xlim(left, right)
    axis.set_ylim(min(low, bottom), max(high, bottom + depth))
