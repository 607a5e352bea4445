"""Two pipeline runs side by side: what was asked of them differently, and which figures came out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genrf.errors import InvalidInputError
from training.config.schema import Config
from training.running.pipeline_run import COMMIT_TAG, PARENT_TAG, RUN_TAG
from training.running.store import open_store, store_uri, told_in_a_line
from training.running.tracking import DATASET_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from rich.console import RenderableType

LOWER_IS_BETTER = ("loss", "error", "seconds", "drop", "calls")
"""Parts of the names of figures of which less is better."""
_TAGS = {"commit": COMMIT_TAG, "dataset": DATASET_TAG}
_MISSING = "-"


@dataclass(frozen=True)
class Comparison:
    """What two runs have of their own; each value is a pair, in the order in which the runs were named."""

    runs: tuple[str, str]
    """Their names."""
    differences: dict[str, tuple[str, str]]
    """Parameters, and code and data, that differ."""
    figures: dict[str, tuple[float | None, float | None]]


def compare_runs(config: Config, first: str, second: str) -> Comparison:
    """Compare two pipeline runs, each named by its id in MLflow or Kubeflow, or by its name.

    Raises:
        InvalidInputError: if there is no such run, or more than one.
        TrackingError: if the store does not answer or refuses.
    """
    client, experiment = open_store(config)
    with told_in_a_line(store_uri(config)):
        one, other = _find(client, experiment, first), _find(client, experiment, second)
    told = [
        run.data.params | {name: run.data.tags.get(tag, _MISSING) for name, tag in _TAGS.items()}
        for run in (one, other)
    ]
    names = {name: None for run in told for name in run}
    pairs = {name: (told[0].get(name, _MISSING), told[1].get(name, _MISSING)) for name in names}
    metrics = one.data.metrics, other.data.metrics
    return Comparison(
        runs=(one.info.run_name, other.info.run_name),
        differences={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        figures={name: (metrics[0].get(name), metrics[1].get(name)) for name in sorted({*metrics[0], *metrics[1]})},
    )


def tables(comparison: Comparison) -> Iterator[RenderableType]:
    """A comparison as tables for a terminal, what is better in bold."""
    from rich.table import Table

    names = [f"{letter}: {name}" for letter, name in zip("AB", comparison.runs, strict=True)]
    differences = Table("differs", *names, title="What was asked", title_justify="left")
    for name, (one, other) in comparison.differences.items():
        differences.add_row(name, one, other)
    if not comparison.differences:
        differences.add_row("nothing", "", "")
    yield differences
    figures = Table(title="What came out", title_justify="left")
    for heading in ("figure", *names, "B - A"):
        figures.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, (before, after) in comparison.figures.items():
        if before is None or after is None:
            figures.add_row(name, _text(before), _text(after), "")
            continue
        sign = -1 if any(word in name for word in LOWER_IS_BETTER) else 1
        better = sign * (after - before)
        texts = [
            f"[bold]{_text(value)}[/]" if wins else _text(value)
            for value, wins in ((before, better < 0), (after, better > 0))
        ]
        figures.add_row(name, *texts, f"{after - before:+.4g}" if after != before else "")
    yield figures


def _find(client: MlflowClient, experiment: str, named: str) -> Run:
    every = client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=1000)
    parents = [run for run in every if PARENT_TAG not in run.data.tags]
    found = [run for run in parents if named in (run.info.run_id, run.data.tags.get(RUN_TAG))]
    found = found or [run for run in parents if run.info.run_name == named]
    if len(found) > 1:
        listed = ", ".join(run.info.run_id for run in found)
        raise InvalidInputError(f"{named}: {len(found)} runs have this name; name one by its id: {listed}")
    if not found:
        latest = "; ".join(f"{run.info.run_id} ({run.info.run_name})" for run in parents[:5])
        raise InvalidInputError(f"{named}: no such pipeline run in MLflow; the latest are {latest or 'none'}")
    return found[0]


def _text(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.4g}"
