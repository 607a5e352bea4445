"""The MLflow run of a whole pipeline run: found or made by whichever step comes first, named so that people tell runs apart.

Kubeflow Pipelines 2.17 can record runs in MLflow itself (its API server makes a run, its driver a nested one for each
task). With ``injectUserEnvVars`` a step learns of its own by MLFLOW_RUN_ID; it is then used instead of one of ours, so that
nothing is recorded twice. Without, or in another store, Kubeflow's runs and ours do not know of each other.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from genrf.errors import GenRFError
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.running.machine import commit
from training.running.store import locked, on_cluster

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PIPELINE_RUN = "GENRF_PIPELINE_RUN"
"""Environment variable: identity of the pipeline run that a step belongs to."""
USER = "GENRF_USER"
"""Environment variable: who is said to have started the run, where the account's name says nothing."""
LAUNCHER = "GENRF_LAUNCHER"
"""Environment variable: process that started the step; when it is gone the step stops too."""
RUN_ID = "MLFLOW_RUN_ID"
"""Environment variable: the run that Kubeflow made for this task."""
RUN_TAG = "genrf.pipeline_run"
STEP_TAG = "genrf.step"
REUSED_TAG = "genrf.reused"
REUSED_RUN_TAG = "genrf.reused_run"
OVERRIDES_TAG = "genrf.overrides"
COMMIT_TAG = "genrf.commit"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
"""Markdown that MLflow shows as a run's description."""
_NAMED = 3
"""Overrides that a run's name has room for."""
_PARAMETERS_AT_ONCE = 100


@dataclass(frozen=True)
class Runs:
    """Ids of the runs that a step is recorded in."""

    experiment: str
    parent: str
    child: str
    ours: bool
    """Whether the parent was made here, and is named here."""


def runs_of(client: MlflowClient, experiment: str, config: Config, step: str) -> Runs:
    """The runs of a step: Kubeflow's if it made some, else one parent a pipeline run and one child a step."""
    given = _made_by_kubeflow(client)
    if given is not None:
        for run_id, tags in (
            (given.parent, {RUN_TAG: os.environ.get(PIPELINE_RUN, given.parent), **_origin()}),
            (given.child, {STEP_TAG: step, **_origin()}),
        ):
            set_tags(client, run_id, tags)
        return given
    parent = _parent(client, experiment, config)
    return Runs(experiment, parent, _child(client, experiment, parent, step), ours=True)


def name_parent(client: MlflowClient, parent: str, config: Config) -> None:
    """Name a parent after recipe, date and what was laid over the recipe, as far as its parameters tell so far."""
    run = client.get_run(parent)
    changed = overrides(config.recipe, run.data.params)
    name = run_name(config.recipe, run.info.start_time, changed)
    if run.info.run_name != name:
        client.update_run(parent, name=name)
        client.set_tag(parent, OVERRIDES_TAG, json.dumps(changed, sort_keys=True))


def run_name(recipe: str, start_ms: int, changed: Mapping[str, str]) -> str:
    """Such as ``smoke 2026-11-29 14:44 data.rounds=3``, in UTC."""
    start = f"{datetime.fromtimestamp(start_ms / 1000, UTC):%Y-%m-%d %H:%M}"
    words = [f"{key}={value}" for key, value in sorted(changed.items())]
    more = [f"and {len(words) - _NAMED} more"] if len(words) > _NAMED else []
    return " ".join([recipe, start, *words[:_NAMED], *more])


def overrides(recipe: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Parameters that differ from the recipe in ``params.yaml``, which lies in the working folder; none without it."""
    try:
        base = {key: str(value) for key, value in load_config(DEFAULT_PATH, recipe).flat().items()}
    except GenRFError:
        return {}
    return {
        key: value
        for key, value in parameters.items()
        if base.get(key) != value and not key.startswith("tracking.") and key != "recipe"
    }


def record_reused(client: MlflowClient, runs: Runs, steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give every step that did not run in this pipeline run a child that says so, and leads to the run that made its output.

    Args:
        steps: what `training.running.step.read_report` says of each step, with its lineage under ``lineage``.

    Returns:
        Names of the steps that were reused.
    """
    from mlflow.entities import Metric, RunTag

    own = client.search_runs([runs.experiment], f"tags.`{PARENT_TAG}` = '{runs.parent}'")
    known = {run.data.tags.get(STEP_TAG) for run in own if REUSED_TAG in run.data.tags}
    reused = []
    for report in steps:
        name, lineage = report["step"], report["lineage"]
        maker = _found(client, lineage["run_id"])
        if maker is not None and _top(client, maker).info.run_id == runs.parent:
            continue
        reused.append(name)
        if name in known:
            continue
        tags = {PARENT_TAG: runs.parent, STEP_TAG: name, REUSED_TAG: "true", NOTE_TAG: "Reused.", **_origin()}
        if maker is not None:
            link = f"#/experiments/{maker.info.experiment_id}/runs/{maker.info.run_id}"
            tags |= {REUSED_RUN_TAG: maker.info.run_id, NOTE_TAG: f"Reused: [the run that made it]({link})."}
        run = client.create_run(runs.experiment, run_name=f"{name} (reused)", tags=tags)
        now = run.info.start_time
        metrics = [Metric(key, value, now, 0) for key, value in numbers(report["result"]).items()]
        client.log_batch(run.info.run_id, metrics=metrics, tags=[RunTag(COMMIT_TAG, report["commit"])])
        log_parameters(client, run.info.run_id, lineage["parameters"])
        client.set_terminated(run.info.run_id, "FINISHED")
    return reused


def step_stands_alone() -> bool:
    """Whether nobody started this process as part of a pipeline, whose last step would end the parent."""
    return LAUNCHER not in os.environ and not on_cluster()


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """The entries of a step's result that are figures."""
    return {
        name: value for name, value in result.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, Any]) -> None:
    """Tag a run, in one request."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()])


def log_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, Any]) -> None:
    """Record parameters that a run does not have yet, in requests of as many as MLflow takes.

    Steps on several machines give their parent the same parameters at once. MLflow 3 takes those of one and refuses the
    others' request whole, so that what is still missing then is sent again.
    """
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    missing = _missing(client, run_id, parameters)
    while missing:
        batch = missing[:_PARAMETERS_AT_ONCE]
        try:
            client.log_batch(run_id, params=[Param(name, str(parameters[name])) for name in batch])
            missing = missing[_PARAMETERS_AT_ONCE:]
        except MlflowException:
            left = _missing(client, run_id, missing)
            if left == missing:
                raise
            missing = left


def _missing(client: MlflowClient, run_id: str, names: Iterable[str]) -> list[str]:
    known = client.get_run(run_id).data.params
    return [name for name in names if name not in known]


def _made_by_kubeflow(client: MlflowClient) -> Runs | None:
    child = _found(client, os.environ.get(RUN_ID)) if on_cluster() else None
    if child is None:
        return None
    top = _top(client, child)
    if top is child:
        return None
    return Runs(child.info.experiment_id, top.info.run_id, child.info.run_id, ours=False)


def _found(client: MlflowClient, run_id: str | None) -> Run | None:
    """A run, or None where there is none of that id in this store."""
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _top(client: MlflowClient, run: Run) -> Run:
    """The run that a run is nested in, however deep: Kubeflow puts a run of the loop between."""
    while above := run.data.tags.get(PARENT_TAG):
        run = client.get_run(above)
    return run


def _parent(client: MlflowClient, experiment: str, config: Config) -> str:
    identity = os.environ.get(PIPELINE_RUN)
    if identity is None:
        run = client.create_run(experiment, run_name=config.recipe, tags=_origin())
        # Later steps of this process join the same parent.
        os.environ[PIPELINE_RUN] = run.info.run_id
        client.set_tag(run.info.run_id, RUN_TAG, run.info.run_id)
        return run.info.run_id
    with locked(identity):
        known = _search(client, experiment, f"tags.`{RUN_TAG}` = '{identity}'")
        if known:
            client.update_run(known[0], status="RUNNING")
            return known[0]
        created = client.create_run(experiment, run_name=config.recipe, tags={RUN_TAG: identity, **_origin()})
    # Two machines may both have come first: all of them settle on the older run.
    oldest = _search(client, experiment, f"tags.`{RUN_TAG}` = '{identity}'")[0]
    if oldest != created.info.run_id:
        client.delete_run(created.info.run_id)
    return oldest


def _child(client: MlflowClient, experiment: str, parent: str, step: str) -> str:
    known = _search(client, experiment, f"tags.`{PARENT_TAG}` = '{parent}' and tags.`{STEP_TAG}` = '{step}'")
    if known:
        client.update_run(known[0], status="RUNNING")
        return known[0]
    tags = {PARENT_TAG: parent, STEP_TAG: step, **_origin()}
    return client.create_run(experiment, run_name=step, tags=tags).info.run_id


def _search(client: MlflowClient, experiment: str, query: str) -> list[str]:
    """Ids of matching runs, oldest first."""
    runs = client.search_runs([experiment], query, order_by=["attributes.start_time ASC"])
    return [run.info.run_id for run in runs]


def _origin() -> dict[str, str]:
    """Who started a run, of what, with which code, under the names that MLflow's pages show."""
    if on_cluster():
        source, kind = "genrf-train on Kubeflow", "JOB"
    else:
        source, kind = "genrf pipeline run" if LAUNCHER in os.environ else "python -m training", "LOCAL"
    code = commit()
    tags = {COMMIT_TAG: code, "mlflow.user": _user(), "mlflow.source.name": source, "mlflow.source.type": kind}
    if code != "unknown":
        dirty = code.endswith("-dirty")
        tags |= {"mlflow.source.git.commit": code.removesuffix("-dirty"), "mlflow.source.git.dirty": str(dirty).lower()}
    return tags


def _user() -> str:
    if os.environ.get(USER):
        return os.environ[USER]
    if on_cluster():
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or "unknown"
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "unknown"
