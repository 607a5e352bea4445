"""Curves of success against SPICE calls: one picture a class, one panel a level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrf.files import written_whole
from training.comparison.botorch_search import METHOD as BOTORCH
from training.comparison.cma_search import METHOD as CMA_ES
from training.comparison.quality.tasks import (
    PRECEDENTS_ALONE,
    TRAINING_TOPOLOGIES,
    TRAINING_TOPOLOGIES_ALONE,
    WITHOUT_PRECEDENTS,
)
from training.data.specifications import LEVELS
from training.evaluation.methods import GENERATOR, RANDOM, RETRIEVAL

STYLES: dict[str, tuple[str, str, float]] = {
    RANDOM: ("#8a8a8a", ":", 1.4),
    RETRIEVAL: ("#e07a2f", "-", 1.8),
    CMA_ES: ("#7b52ab", "-", 1.6),
    BOTORCH: ("#3f8f4f", "-", 1.6),
    TRAINING_TOPOLOGIES_ALONE: ("#c25b8a", "--", 1.4),
    WITHOUT_PRECEDENTS: ("#c25b8a", "-", 1.6),
    TRAINING_TOPOLOGIES: ("#1f6f8b", "--", 1.4),
    PRECEDENTS_ALONE: ("#1f6f8b", ":", 1.6),
    GENERATOR: ("#1f6f8b", "-", 2.4),
}
"""Colour, line and width of each method; drawn in this order."""
NAMES = {
    GENERATOR: "GenRF",
    PRECEDENTS_ALONE: "GenRF, precedents alone",
    TRAINING_TOPOLOGIES: "GenRF, training topologies",
    WITHOUT_PRECEDENTS: "GenRF without precedents",
    TRAINING_TOPOLOGIES_ALONE: "the same, training topologies",
    CMA_ES: "CMA-ES",
    BOTORCH: "BoTorch",
}


def plot_success(result: Mapping[str, Any], folder: Path, stem: str = "design_quality") -> list[Path]:
    """Write ``<stem>_<class>.png`` for every class of a result; returns the paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    paths = []
    for name in dict.fromkeys(entry["class"] for entry in result["entries"]):
        own = [entry for entry in result["entries"] if entry["class"] == name]
        levels = [level for level in LEVELS if any(entry["level"] == level for entry in own)]
        figure, axes = plt.subplots(
            1, len(levels), figsize=(3.6 * len(levels) + 0.6, 3.7), sharey=True, squeeze=False, layout="constrained"
        )
        for level, axis in zip(levels, axes[0], strict=True):
            shown = [entry for entry in own if entry["level"] == level]
            _panel(axis, shown)
            tried = sorted({entry["specifications"] for entry in shown})
            count = f"n = {tried[0]}" if len(tried) == 1 else f"n = {tried[0]} to {tried[-1]}"
            axis.set_title(f"{name}, {level} ({count})", fontsize=10)
            axis.set_xlabel("SPICE calls")
        axes[0][0].set_ylabel("specifications met (%)")
        lines = {line.get_label(): line for axis in axes[0] for line in axis.get_lines() if line.get_label()[0] != "_"}
        order = [label for label in (NAMES.get(m, m) for m in reversed(STYLES)) if label in lines]
        figure.legend(
            [lines[label] for label in order],
            order,
            loc="outside lower center",
            ncols=min(len(order), 4),
            frameon=False,
            fontsize=9,
        )
        path = folder / f"{stem}_{name}.png"
        with written_whole(path) as temporary:
            figure.savefig(temporary, dpi=130, format="png")
        plt.close(figure)
        paths.append(path)
    return paths


def _panel(axis: Any, entries: list[dict[str, Any]]) -> None:
    most = 1
    for method, (colour, line, width) in STYLES.items():
        budgets = sorted((e for e in entries if e["method"] == method), key=lambda e: e["calls"])
        for number, entry in enumerate(budgets):
            calls, share, low, high = zip(*entry["curve"], strict=True)
            most = max(most, entry["calls"])
            label = NAMES.get(method, method) if number == 0 else "_more calls"
            axis.fill_between(calls, _percent(low), _percent(high), color=colour, alpha=0.12, linewidth=0, step="post")
            axis.step(calls, _percent(share), line, color=colour, linewidth=width, label=label, where="post")
            # Where a budget ends; a search with more calls explores longer, so its curve starts lower.
            axis.plot(calls[-1], 100 * share[-1], "o", color=colour, markersize=4)
    axis.set(xscale="log", ylim=(-3, 103), xlim=(0.9, 1.25 * most))
    ticks = [k for k in (1, 8, 64, 640, 6400) if k <= most]
    axis.set_xticks(ticks, [f"{k:,}" for k in ticks])
    axis.minorticks_off()
    axis.grid(alpha=0.3)


def _percent(values: tuple[float, ...]) -> list[float]:
    return [100 * value for value in values]
