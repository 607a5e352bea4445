"""The plot of a design: S-parameters and other measured curves over the band with the specification's bounds, traces
beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.conditions import Constraint
from genrf.metrics import Metrics
from genrf.report.table import metric_columns
from genrf.report.values import metric_text
from genrf.simulation.testbench import Curve, Trace
from genrf.spec import DesignSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCATTERING = re.compile(r"s(\d)(\d)")
CURVE_OF = {"gain_db": "s21"}
"""Curve that shows a metric, where it is not called like the metric, with or without its unit."""
LOSS_OF = {"insertion_loss_db": "s21", "return_loss_db": "s11"}
"""Curve whose negative a metric is."""
TRACE_COLOUR = "#6a3d9a"
COLOURS = {"s21": "#1f5fa8", "s11": "#c0392b", "s22": "#27864a", "s12": "#7a7a7a"}


def plot_performance(
    curves: Mapping[str, Curve | Trace], spec: DesignSpec, metrics: Metrics, paths: Sequence[Path], title: str = ""
) -> None:
    """Plot measured curves into files.

    Curves over frequency share a column: S-parameters on the upper axes, in dB, every other curve on axes of its own.
    Traces, which are over something else, have a panel each beside them. A bound on a metric is a short line at the
    centre frequency with hatching on its forbidden side, green if it is met and red if not.

    Args:
        curves: by name: ``s11`` ... complex, others real, in the unit of the metric of that name.
        paths: files to write; the suffix decides the format (``.svg``, ``.png``, ``.pdf``).
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    over_frequency = {name: curve for name, curve in curves.items() if isinstance(curve, Curve)}
    traces = {name: trace for name, trace in curves.items() if isinstance(trace, Trace)}
    ratios = [3.0] * any(map(SCATTERING.fullmatch, over_frequency))
    ratios += [1.4] * sum(SCATTERING.fullmatch(name) is None for name in over_frequency)
    stacks = _stacks(len(traces), 3 if ratios else 2)
    heights = [1.2 + 1.15 * sum(ratios)] * bool(ratios) + [_EDGES_IN + _PANEL_IN * rows for rows in stacks]
    width = (_CURVES_IN if ratios else 0.0) + _TRACES_IN * len(stacks)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "genrf", "font.size": 9}):
        width = max(width, _CURVES_IN)
        line = int(_CHARACTERS_PER_INCH * (width - 0.65))
        figure = Figure(figsize=(width, max(heights, default=1.5)))
        # Fixed margins: finding them by layout takes longer than drawing everything.
        heading = "\n".join(filter(None, [title, _figures(spec, metrics, line)]))
        margins = _Margins(figure.get_figwidth(), figure.get_figheight(), 0.2 + 0.16 * (1 + heading.count("\n")))
        left = 0.0
        if ratios:
            right = _CURVES_IN
            place = margins.place(left, right)
            grid = {"height_ratios": ratios, "hspace": 0.06, **place}
            axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, gridspec_kw=grid)[:, 0]
            _draw_curves(list(axes), over_frequency, spec, metrics)
            left = right
        waiting = iter(traces.values())
        for rows in stacks:
            right = left + (_TRACES_IN if ratios or len(stacks) > 1 else _CURVES_IN)
            panels = figure.add_gridspec(rows, 1, hspace=_GAP_IN / _PANEL_IN * 1.6, **margins.place(left, right))
            for row in range(rows):
                _draw_trace(figure.add_subplot(panels[row]), next(waiting))
            left = right
        figure.text(0.6 / figure.get_figwidth(), 1.0 - 0.08 / figure.get_figheight(), heading, fontsize=9, va="top")
        for path in paths:
            # A date in the file would make two runs of one seed differ.
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, dpi=110, metadata=metadata)


_CURVES_IN, _TRACES_IN, _PANEL_IN = 7.2, 4.6, 2.1
"""Width of the column of curves over frequency and of one of traces; height of a trace's panel."""
_EDGES_IN, _GAP_IN = 0.95, 0.5


def _stacks(count: int, most: int) -> list[int]:
    """How many panels each column of traces has."""
    columns = math.ceil(count / most)
    return [count // columns + (column < count % columns) for column in range(columns)] if columns else []


@dataclass(frozen=True)
class _Margins:
    """Margins in inches, for a figure of a size in inches."""

    width: float
    height: float
    heading: float

    def place(self, left: float, right: float) -> dict[str, float]:
        """Where axes go between two columns' edges."""
        return {
            "left": (left + 0.65) / self.width,
            "right": (right - 0.12) / self.width,
            "bottom": 0.45 / self.height,
            "top": 1.0 - self.heading / self.height,
        }


def _draw_curves(axes: list[Axes], curves: Mapping[str, Curve], spec: DesignSpec, metrics: Metrics) -> None:
    """Curves over frequency, with the bounds on their metrics."""
    vocabulary = classes.get(spec.circuit_class).metrics
    scattering = [name for name in curves if SCATTERING.fullmatch(name)]
    others = [name for name in curves if name not in scattering]
    centre_ghz = spec.conditions.frequency_hz / 1e9
    remaining = list(axes)
    if scattering:
        top = remaining.pop(0)
        for name in scattering:
            curve = curves[name]
            decibels = 20.0 * np.log10(np.maximum(np.abs(curve.values), 1e-9))
            top.plot(curve.frequency_hz / 1e9, decibels, label=f"S{name[1:]}", color=COLOURS.get(name), lw=1.6)
        top.set_ylabel("S-parameters (dB)")
        low, high = top.get_ylim()
        top.set_ylim(max(low, -60.0), high + 0.08 * (high - max(low, -60.0)))
        top.legend(loc="lower right", ncols=2, fontsize=8, framealpha=0.9)
    for axis, name in zip(remaining, others, strict=True):
        curve = curves[name]
        axis.plot(curve.frequency_hz / 1e9, curve.values, color=TRACE_COLOUR, lw=1.6)
        unit = vocabulary[name].unit if name in vocabulary else ""
        axis.set_ylabel(f"{name.split('_')[0].upper()} ({unit})" if unit else name)
        _limit_far_values(axis, curve)
    axis_of = dict.fromkeys(scattering, axes[0]) | dict(zip(others, remaining, strict=True))
    for constraint in spec.constraints:
        curve_name = _curve_of(constraint.metric, curves)
        if curve_name is not None and constraint.metric in metrics:
            met = constraint.slack(metrics[constraint.metric]) >= 0.0
            _draw_bound(axis_of[curve_name], _as_shown(constraint), met, centre_ghz)
    for axis in axes:
        axis.axvline(centre_ghz, color="#999999", lw=0.8, ls=":")
        axis.grid(True, lw=0.4, alpha=0.5)
        axis.set_xlim(
            min(c.frequency_hz[0] for c in curves.values()) / 1e9,
            max(c.frequency_hz[-1] for c in curves.values()) / 1e9,
        )
    axes[-1].set_xlabel("Frequency (GHz)")


def _draw_trace(axis: Axes, trace: Trace) -> None:
    """A quantity over something else than frequency, in a panel of its own."""
    from matplotlib.ticker import ScalarFormatter

    x, x_label = _in_gigahertz(trace.x, trace.x_label) if not trace.log_x else (trace.x, trace.x_label)
    values, y_label = _in_gigahertz(trace.values, trace.y_label)
    axis.plot(x, values, color=TRACE_COLOUR, lw=1.6)
    # Without an offset such as "+28" above the axis, which hardly anybody sees.
    axis.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    if trace.log_x:
        axis.set_xscale("log")
    axis.set_xlabel(_capital(x_label))
    axis.set_ylabel(_capital(y_label))
    axis.grid(True, which="both" if trace.log_x else "major", lw=0.4, alpha=0.5)
    axis.margins(x=0.0)


def _in_gigahertz(values: NDArray[np.float64], label: str) -> tuple[NDArray[np.float64], str]:
    """A quantity in Hz of radio frequencies in GHz; any other as it is."""
    if label.endswith("(Hz)") and np.min(values) >= 1e8:
        return values / 1e9, label.removesuffix("(Hz)") + "(GHz)"
    return values, label


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]


def _figures(spec: DesignSpec, metrics: Metrics, width: int) -> str:
    """The class's main metrics, and others that the specification bounds, in lines of about so many characters."""
    vocabulary = classes.get(spec.circuit_class).metrics
    lines = [""]
    for name in metric_columns(spec):
        if name in metrics:
            text = f"{_plain(name)} {metric_text(vocabulary[name], metrics[name])}"
            if lines[-1] and len(lines[-1]) + len(text) > width:
                lines.append("")
            lines[-1] += f", {text}" if lines[-1] else text
    return "\n".join(lines)


def _plain(metric: str) -> str:
    """A metric's name without its unit, abbreviations in capitals: ``nf_db`` is NF."""
    words = _UNIT.sub("", metric).split("_")
    return " ".join(word.upper() if word in _ABBREVIATIONS or re.search(r"\d", word) else word for word in words)


_UNIT = re.compile(r"_(db|dbm|dbc|dbc_hz|hz|hz_per_v|w|v|percent)$")
_ABBREVIATIONS = {"nf", "pae", "lo", "rf", "if", "ssb", "dsb"}
_CHARACTERS_PER_INCH = 14


def _curve_of(metric: str, curves: Mapping[str, Curve]) -> str | None:
    """Name of the curve that shows a metric, if there is one."""
    return next((name for name in curves_of(metric) if name in curves), None)


def curves_of(metric: str) -> list[str]:
    """Names of curves that would show a metric, the best first."""
    known = CURVE_OF.get(metric) or LOSS_OF.get(metric)
    return [*([known] if known else []), metric, metric.removesuffix("_db")]


def _limit_far_values(axis: Axes, curve: Curve) -> None:
    """Show the range near the smallest value: far out of band a noise figure rises without limit."""
    smallest = float(np.min(curve.values))
    middle = float(np.median(curve.values))
    axis.set_ylim(min(0.0, smallest), max(smallest + 2.0, min(float(np.max(curve.values)), 2.0 * middle)) * 1.05)


def _as_shown(constraint: Constraint) -> Constraint:
    """A bound as the curve of its metric has it: that on a loss is one on its negative."""
    if constraint.metric not in LOSS_OF:
        return constraint
    return Constraint(constraint.metric, "<=" if constraint.sense == ">=" else ">=", -constraint.bound)


def _draw_bound(axis: Axes, constraint: Constraint, met: bool, frequency_ghz: float) -> None:
    """A bound at the centre frequency, hatched on the side that the specification forbids."""
    from matplotlib.patches import Rectangle

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
    # A little beyond the line, which would else lie under the frame.
    axis.set_ylim(min(low, bottom - depth), max(high, bottom + 2 * depth))
