"""Runs in MLflow, and in Weights & Biases when asked: one parent a pipeline run, one child a step.

The steps of one pipeline run find each other by an identity that travels in the environment (`PIPELINE_RUN`): on a
laptop the launcher sets it, on a cluster it is the pod's own run label. Whichever step comes first makes the parent. A
step that runs again, after a kill or a retry, continues its child.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.running.machine import commit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from training.config.schema import Config

PIPELINE_RUN = "GENRF_PIPELINE_RUN"
"""Environment variable: identity of the pipeline run that a step belongs to."""
NOWHERE = "off"
"""Value of the store's address with which nothing is recorded."""
RUN_TAG = "genrf.pipeline_run"
STEP_TAG = "genrf.step"
DATASET_TAG = "genrf.dataset_sha256"
COMMIT_TAG = "genrf.commit"
PARENT_TAG = "mlflow.parentRunId"


@dataclass
class StepRun:
    """The MLflow run of one step, and its mirror in Weights & Biases if there is one."""

    client: MlflowClient
    run_id: str
    parent_id: str
    experiment_id: str
    mirror: Any = None
    """The run in Weights & Biases, or None."""
    tags: dict[str, str] = field(default_factory=dict)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record figures, at a training step where they make a curve."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        entities = [Metric(name, float(value), now, step) for name, value in metrics.items()]
        self.client.log_batch(self.run_id, metrics=entities)
        if self.mirror is not None:
            self.mirror.log(dict(metrics))

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file, or of a folder's files, with the run."""
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder)
        else:
            self.client.log_artifact(self.run_id, str(path), folder)

    def set_tags(self, tags: Mapping[str, Any], parent: bool = False) -> None:
        """Tag the child, and the parent too if asked."""
        for name, value in tags.items():
            self.client.set_tag(self.run_id, name, str(value))
            if parent:
                self.client.set_tag(self.parent_id, name, str(value))

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters with the child and, where they are not there yet, with the parent."""
        from mlflow.entities import Param

        for run_id in (self.run_id, self.parent_id):
            known = self.client.get_run(run_id).data.params
            new = [Param(name, str(value)) for name, value in parameters.items() if name not in known]
            for start in range(0, len(new), 100):
                self.client.log_batch(run_id, params=new[start : start + 100])

    def log_result(self, result: Mapping[str, Any]) -> None:
        """Record what a step returned: numbers as metrics, text as tags."""
        self.log_metrics(numbers(result))
        self.set_tags({name: value for name, value in result.items() if isinstance(value, str | bool)})


class UnrecordedRun(StepRun):
    """Stands for the run of a step where nothing is recorded, on a machine without MLflow."""

    def __init__(self) -> None:
        """There is no store, run or parent."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Nothing."""

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Nothing."""

    def set_tags(self, tags: Mapping[str, Any], parent: bool = False) -> None:
        """Nothing."""

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Nothing."""


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """The entries of a step's result that are figures."""
    return {
        name: value for name, value in result.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


_active: StepRun | None = None


def active() -> StepRun | None:
    """The run of the step that this process is in, or None outside a pipeline."""
    return _active


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Record figures with the step's run; nothing happens outside a pipeline."""
    if _active is not None:
        _active.log_metrics(metrics, step)


def log_artifact(path: Path, folder: str | None = None) -> None:
    """Keep a file or folder with the step's run; nothing happens outside a pipeline."""
    if _active is not None:
        _active.log_artifact(path, folder)


@contextlib.contextmanager
def step_run(config: Config, step: str) -> Iterator[StepRun]:
    """The child run of a step, started again if the step ran before in this pipeline run.

    The child ends as finished, failed or (on Ctrl-C and termination) killed.
    """
    global _active
    if store_uri(config) == NOWHERE:
        yield UnrecordedRun()
        return
    client, experiment = open_store(config)
    parent = _parent(client, experiment, config)
    child = _child(client, experiment, parent, step)
    run = StepRun(client, child, parent, experiment)
    run.log_parameters(config.flat())
    run.set_tags({COMMIT_TAG: commit()}, parent=True)
    run.mirror = _mirror(config, step, parent)
    _active = run
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        _active = None
        client.set_terminated(child, status)
        if status != "FINISHED":
            client.set_terminated(parent, status)
        if run.mirror is not None:
            run.mirror.finish(exit_code=0 if status == "FINISHED" else 1)


def finish_pipeline_run(run: StepRun, artifacts: Mapping[str, Path] | None = None) -> None:
    """Mark the parent as finished, with what sums the whole run up."""
    for folder, path in (artifacts or {}).items():
        run.client.log_artifact(run.parent_id, str(path), folder or None)
    run.client.set_terminated(run.parent_id, "FINISHED")


def store_uri(config: Config) -> str:
    """Where runs are recorded: the environment's MLFLOW_TRACKING_URI, else the configuration's."""
    return os.environ.get("MLFLOW_TRACKING_URI") or config.tracking.tracking_uri


def open_store(config: Config) -> tuple[MlflowClient, str]:
    """A client and the id of the experiment, both made if need be.

    Only one process at a time prepares an SQLite store: two that create its tables at once would break it.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = store_uri(config)
    with _lock(uri):
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(config.tracking.experiment)
        if found is not None:
            return client, found.experiment_id
        location = Path("mlruns").absolute().as_uri() if uri.startswith("sqlite:") else None
        try:
            return client, client.create_experiment(config.tracking.experiment, artifact_location=location)
        except MlflowException:
            # Another machine made it in the meantime.
            found = client.get_experiment_by_name(config.tracking.experiment)
            if found is None:
                raise
            return client, found.experiment_id


def _parent(client: MlflowClient, experiment: str, config: Config) -> str:
    identity = os.environ.get(PIPELINE_RUN)
    if identity is None:
        run = client.create_run(experiment, run_name=config.recipe, tags={"mlflow.runName": config.recipe})
        # Later steps of this process join the same parent.
        os.environ[PIPELINE_RUN] = run.info.run_id
        client.set_tag(run.info.run_id, RUN_TAG, run.info.run_id)
        return run.info.run_id
    with _lock(identity):
        known = _search(client, experiment, f"tags.`{RUN_TAG}` = '{identity}'")
        if known:
            client.update_run(known[0], status="RUNNING")
            return known[0]
        created = client.create_run(experiment, run_name=f"{config.recipe}-{identity[-6:]}", tags={RUN_TAG: identity})
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
    return client.create_run(experiment, run_name=step, tags={PARENT_TAG: parent, STEP_TAG: step}).info.run_id


def _search(client: MlflowClient, experiment: str, query: str) -> list[str]:
    """Ids of matching runs, oldest first."""
    runs = client.search_runs([experiment], query, order_by=["attributes.start_time ASC"])
    return [run.info.run_id for run in runs]


def _mirror(config: Config, step: str, parent: str) -> Any:
    if config.tracking.wandb == "off":
        return None
    import wandb

    return wandb.init(
        project=config.tracking.experiment,
        group=parent,
        name=step,
        id=f"{parent[:16]}-{step}",
        resume="allow" if config.tracking.wandb == "online" else None,
        mode=config.tracking.wandb,
        config=config.flat(),
        settings=wandb.Settings(console="off", silent=True),
    )


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    """Mutual exclusion of the processes of one machine."""
    path = Path(tempfile.gettempdir()) / f"genrf-{os.getuid()}-{zlib.crc32(f'{Path.cwd()}:{name}'.encode()):x}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
