"""How a training went, as a page: its loss curves and what it reported."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.fitting.fit import LOSSES
from training.running.page import Part, figures, picture, write_page


def report(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of a training's output folder, which has ``losses.csv``."""
    with (folder / LOSSES).open(newline="", encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    shown = {name: value for name, value in result.items() if isinstance(value, int | float | str)}
    curves = Part(heading="Losses", pictures=[("Losses of training and validation over steps", _plot(rows))])
    write_page(folder, title, [figures(shown), curves])


def _plot(rows: list[dict[str, float]]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    for name in ("train_loss", "validation_loss"):
        axis.plot([row["step"] for row in rows], [row[name] for row in rows], marker=".", label=name.replace("_", " "))
    axis.set(xlabel="optimizer step", ylabel="loss")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, dpi=110)
    return picture(content.getvalue(), "png")
