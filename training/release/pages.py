"""Pages of the last steps: what was decided about the bundle, and what the whole run achieved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.release.summary import SUMMARY, registry_text
from training.running.page import Part, figures, number, write_page

_COMPARED = ("challenger_", "champion_")


def promotion(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of a decision: what, why, and the figures of both."""
    names = [name.removeprefix("challenger_") for name in result if name.startswith("challenger_")]
    rows = [
        (name.replace("_", " "), *(number(result.get(f"{whose}{name}", "not compared")) for whose in _COMPARED))
        for name in names
    ]
    parts = [
        Part(text=f"{registry_text(result)}."),
        Part(columns=("averaged over the classes", "this bundle", "the champion"), rows=rows),
        Part(text=result.get("fairness", "")),
    ]
    write_page(folder, title, parts)


def summary(result: Mapping[str, Any], folder: Path, title: str) -> None:
    """Write the page of a pipeline run from its ``summary.json``."""
    content = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    facts = {
        "recipe": content["recipe"],
        "overrides": ", ".join(f"{key}={value}" for key, value in content["overrides"].items()) or "none",
        "commit": content["commit"],
        "dataset (SHA-256)": content["dataset_sha256"],
        "circuits simulated": content["circuits"]["simulated"],
        "model registry": registry_text(content["promotion"]),
        "reused steps": ", ".join(content["reused"]) or "none",
    }
    seconds = [(name, f"{value:.1f}") for name, value in content["seconds"].items()]
    parts = [
        figures(facts),
        Part(heading="Headline figures", columns=("figure", "value"), rows=figures(content["headline"]).rows),
        Part(heading="Wall time", columns=("step", "seconds"), rows=seconds),
    ]
    write_page(folder, f"{title}: recipe {content['recipe']}", parts)
