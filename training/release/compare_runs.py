"""Two pipeline runs side by side: what was asked of them differently, and which figures came out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from genrf.errors import InvalidInputError
from training.config.schema import Config
from training.evaluation.headline import criteria
from training.running.pipeline_run import COMMIT_TAG, PARENT_TAG, RUN_TAG
from training.running.store import (
    NOWHERE,
    TRACKING_URI,
    open_store,
    require_made,
    store_uri,
    told_in_a_line,
    without_password,
)
from training.running.tracking import DATASET_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from rich.console import RenderableType

NOT_RANKED = ("seconds_in_steps",)
"""Figures that say nothing of how well a run designs; reused steps count with the time that they took once."""
COMPARABLE = ("preparation.", "evaluation.", "classes", "dataset")
"""Beginnings of the names of what both runs must have in common for their shares of success to mean the same."""
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
    uri = store_uri(config)
    if uri == NOWHERE:
        raise InvalidInputError(f"{TRACKING_URI}: is {NOWHERE}, so no runs are recorded; name the store that has them")
    require_made(uri)
    client, experiment = open_store(config)
    with told_in_a_line(uri):
        one, other = (_find(client, experiment, named, uri) for named in (first, second))
    told = [
        run.data.params | {name: run.data.tags.get(tag, _MISSING) for name, tag in _TAGS.items()}
        for run in (one, other)
    ]
    asked = {name: None for run in told for name in run}
    pairs = {name: (told[0].get(name, _MISSING), told[1].get(name, _MISSING)) for name in asked}
    metrics = one.data.metrics, other.data.metrics
    names = sorted({*metrics[0], *metrics[1]} - {*NOT_RANKED})
    return Comparison(
        runs=(one.info.run_name, other.info.run_name),
        differences={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        figures={name: (metrics[0].get(name), metrics[1].get(name)) for name in names},
    )


def verdict(comparison: Comparison) -> str:
    """Which run is better, by the criterion of promotion: success within the most simulations, then within fewer."""
    unlike = [name for name in comparison.differences if name.startswith(COMPARABLE)]
    if unlike:
        return f"Not comparable: judged differently, {', '.join(unlike)}"
    for name in criteria(comparison.figures):
        before, after = comparison.figures[name]
        if before is not None and after is not None and before != after:
            better, worse = ("B", "A") if after > before else ("A", "B")
            return f"{better} is better than {worse}: {name}, {max(before, after):.4g} against {min(before, after):.4g}"
    return "Neither is better: the same success"


def tables(comparison: Comparison) -> Iterator[RenderableType]:
    """A comparison as tables for a terminal."""
    from rich.table import Table

    yield "\n".join(f"{letter}: {name}" for letter, name in zip("AB", comparison.runs, strict=True))
    differences = Table("differs", "A", "B", title="What was asked", title_justify="left")
    for name, (one, other) in comparison.differences.items():
        differences.add_row(name, one, other)
    if not comparison.differences:
        differences.add_row("nothing", "", "")
    yield differences
    figures = Table(title="What came out", title_justify="left")
    for heading in ("figure", "A", "B", "B - A"):
        figures.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, (before, after) in comparison.figures.items():
        change = f"{after - before:+.4g}" if before is not None and after is not None and before != after else ""
        figures.add_row(name, _text(before), _text(after), change)
    yield figures
    yield verdict(comparison)


def _find(client: MlflowClient, experiment: str, named: str, uri: str) -> Run:
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):
        run = client.get_run(named)
        if PARENT_TAG not in run.data.tags:
            return run
    quoted = named.replace("\\", "\\\\").replace("'", "\\'")
    found: list[Run] = []
    for query in (f"tags.`{RUN_TAG}` = '{quoted}'", f"attributes.run_name = '{quoted}'"):
        found = found or list(client.search_runs([experiment], query, order_by=["attributes.start_time DESC"]))
    found = [run for run in found if PARENT_TAG not in run.data.tags]
    if len(found) > 1:
        raise InvalidInputError(f"{named}: {len(found)} runs have this name; name one by its id: {_listed(found)}")
    if not found:
        latest = client.search_runs([experiment], "", ViewType.ACTIVE_ONLY, 200, ["attributes.start_time DESC"])
        parents = [run for run in latest if PARENT_TAG not in run.data.tags][:5]
        raise InvalidInputError(
            f"{named}: no such pipeline run in MLflow at {without_password(uri)}; the latest are {_listed(parents) or 'none'}"
        )
    return found[0]


def _listed(runs: Sequence[Run]) -> str:
    def text(run: Run) -> str:
        start = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        return f"{run.info.run_id} ({run.info.run_name}, {start:%Y-%m-%d %H:%M:%S})"

    return "; ".join(map(text, runs))


def _text(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.4g}"
