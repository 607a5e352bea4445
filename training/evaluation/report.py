"""The evaluation as a table (CSV) and a picture."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from genrf.files import written_whole

COLOURS = {"generator": "#1f6f8b", "retrieval": "#e07a2f", "random": "#8a8a8a"}


def write_report(result: dict[str, Any], folder: Path) -> None:
    """Write ``evaluation.csv`` and ``success.png``: success@K a class and level, with 95 % intervals."""
    entries = result["methods"]
    columns = [key for key in entries[0] if not key.endswith("_interval") and key != "failed"]
    with (
        written_whole(folder / "evaluation.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(entries)
    _plot(entries, folder / "success.png")


def _plot(entries: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    classes = list(dict.fromkeys(entry["class"] for entry in entries))
    levels = list(dict.fromkeys(entry["level"] for entry in entries))
    figure, axes = plt.subplots(
        len(classes), len(levels), figsize=(3.2 * len(levels), 2.8 * len(classes)), sharey=True, squeeze=False
    )
    for entry in entries:
        axis = axes[classes.index(entry["class"])][levels.index(entry["level"])]
        calls = [int(key.rsplit("_", 1)[1]) for key in entry if key.startswith("success_at_") and key[-1].isdigit()]
        success = [100 * entry[f"success_at_{k}"] for k in calls]
        intervals = [entry[f"success_at_{k}_interval"] for k in calls]
        errors = [
            [max(0.0, s - 100 * low) for s, (low, _) in zip(success, intervals, strict=True)],
            [max(0.0, 100 * high - s) for s, (_, high) in zip(success, intervals, strict=True)],
        ]
        axis.errorbar(
            calls,
            success,
            yerr=errors,
            marker="o",
            capsize=3,
            label=entry["method"],
            color=COLOURS.get(entry["method"]),
        )
        axis.set(title=f"{entry['class']}, {entry['level']}", xscale="log", ylim=(-3, 103))
        axis.set_xticks(calls, [str(k) for k in calls])
        axis.grid(alpha=0.3)
    for row in axes:
        row[0].set_ylabel("specifications met (%)")
    for axis in axes[-1]:
        axis.set_xlabel("SPICE calls")
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    plt.close(figure)
