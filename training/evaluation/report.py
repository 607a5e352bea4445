"""The evaluation as a table (CSV), a picture and a page."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genrf.files import written_whole
from training.evaluation.headline import criteria
from training.evaluation.showpiece import CURVES, FOLDER, SCHEMATIC
from training.running.page import Part, figures, number, picture, write_page

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


def report(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of an evaluation's output folder."""
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    plot = picture((folder / "success.png").read_bytes(), "png")
    headline = {name: value for name, value in result.items() if "/" not in name}
    parts = [
        figures(headline),
        Part(heading="Specifications met within so many SPICE calls", pictures=[("Success over calls", plot)]),
        _success(evaluation["methods"]),
        _topologies(evaluation["topologies"]),
    ]
    write_page(folder, title, [*parts, *_circuits(folder)])


def _success(entries: list[dict[str, Any]]) -> Part:
    names = criteria(key for entry in entries for key in entry)[::-1]
    rows = [
        (
            *(entry[key] for key in ("class", "level", "method")),
            number(entry["specifications"]),
            *(f"{100 * entry[name]:.0f} %" if name in entry else "" for name in names),
        )
        for entry in entries
    ]
    columns = (
        "class",
        "level",
        "method",
        "specifications",
        *(name.replace("success_at_", "success@") for name in names),
    )
    return Part(columns=columns, rows=rows)


def _topologies(qualities: Mapping[str, Mapping[str, Any]]) -> Part:
    names = list(dict.fromkeys(name for quality in qualities.values() for name in quality))
    rows = [
        (circuit_class, *(number(quality.get(name, "")) for name in names))
        for circuit_class, quality in qualities.items()
    ]
    return Part(heading="Topologies straight from the generator", columns=("class", *names), rows=rows)


def _circuits(folder: Path) -> Iterator[Part]:
    for place in sorted((folder / FOLDER).glob("*")):
        drawn = [
            (place.name, picture((place / name).read_bytes(), "svg+xml"))
            for name in (SCHEMATIC, CURVES)
            if (place / name).is_file()
        ]
        yield Part(heading=f"Best {place.name} that met a held-out specification", pictures=drawn)


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
