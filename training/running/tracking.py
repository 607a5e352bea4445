"""Steps in MLflow, and in Weights & Biases when asked: one parent a pipeline run, one child a step.

The steps of one pipeline run find each other by an identity that travels in the environment (`PIPELINE_RUN`): on a
laptop the launcher sets it, on a cluster it is the pod's own run label. Whichever step comes first makes the parent. A
step that runs again, after a kill or a retry, continues its child.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.running.pipeline_run import NOTE_TAG, Runs, name_parent, numbers, step_stands_alone
from training.running.pipeline_run import log_parameters as _log_parameters
from training.running.pipeline_run import runs_of as _runs_of
from training.running.pipeline_run import set_tags as _set_tags
from training.running.store import NOWHERE, open_store, store_uri, told_in_a_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from training.config.schema import Config

DATASET_TAG = "genrf.dataset_sha256"
FAILED_TAG = "genrf.failed_step"
"""Tag of a parent: the step that failed last."""
_DIGEST = 36
"""Characters of a dataset's digest that MLflow keeps."""


@dataclass
class StepRun:
    """The MLflow run of one step, and its mirror in Weights & Biases if there is one."""

    client: MlflowClient
    runs: Runs
    mirror: Any = None
    """The run in Weights & Biases, or None."""

    @property
    def run_id(self) -> str:
        """Id of the step's run."""
        return self.runs.child

    @property
    def parent_id(self) -> str:
        """Id of the pipeline run's run."""
        return self.runs.parent

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0, parent: bool = False) -> None:
        """Record figures, at a training step where they make a curve; with the parent instead if asked."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        entities = [Metric(name, float(value), now, step) for name, value in metrics.items()]
        self.client.log_batch(self.parent_id if parent else self.run_id, metrics=entities)
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
        for run_id in (self.run_id, self.parent_id) if parent else (self.run_id,):
            _set_tags(self.client, run_id, tags)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters with the child and, where they are not there yet, with the parent."""
        for run_id in (self.run_id, self.parent_id):
            _log_parameters(self.client, run_id, parameters)

    def log_dataset(self, report: Mapping[str, Any], version: str | None, context: str) -> None:
        """Record the dataset that the step reads, with the child and with the parent.

        Args:
            report: of the prepared data.
            version: DVC's hash of the dataset, where it was pulled.
            context: what it is used for.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        sha256 = str(report["dataset_sha256"])
        profile = {
            name: report[name] for name in ("rows_train", "rows_test", "topologies", "simulated") if name in report
        }
        dataset = Dataset(
            name="circuits",
            digest=(version or sha256)[:_DIGEST],
            source_type="dvc" if version else "simulation",
            source=json.dumps({"dvc": version, "sha256": sha256}),
            profile=json.dumps(profile),
        )
        for run_id, used_for in ((self.run_id, context), (self.parent_id, "pipeline")):
            self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", used_for)])])

    def describe(self, note: str, parent: bool = False) -> None:
        """Write the Markdown that MLflow shows beside the run."""
        self.client.set_tag(self.parent_id if parent else self.run_id, NOTE_TAG, note)

    def log_result(self, result: Mapping[str, Any]) -> None:
        """Record what a step returned: numbers as metrics, text as tags."""
        self.log_metrics(numbers(result))
        self.set_tags({name: value for name, value in result.items() if isinstance(value, str | bool)})


class UnrecordedRun(StepRun):
    """Stands for the run of a step where nothing is recorded, on a machine without MLflow."""

    def __init__(self) -> None:
        """There is no store, run or parent."""

    @property
    def run_id(self) -> str:
        """No id."""
        return ""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0, parent: bool = False) -> None:
        """Nothing."""

    def log_dataset(self, report: Mapping[str, Any], version: str | None, context: str) -> None:
        """Nothing."""

    def describe(self, note: str, parent: bool = False) -> None:
        """Nothing."""

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Nothing."""

    def set_tags(self, tags: Mapping[str, Any], parent: bool = False) -> None:
        """Nothing."""

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Nothing."""


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
def step_run(config: Config, step: str, inherited: Mapping[str, Any] | None = None) -> Iterator[StepRun]:
    """The child run of a step, started again if the step ran before in this pipeline run.

    The child ends as finished, failed or (on Ctrl-C and termination) killed.

    Args:
        config: what the step depends on.
        step: its name.
        inherited: parameters of the steps whose outputs it reads.

    Raises:
        TrackingError: where the store is not set, is lost or refuses.
    """
    uri = store_uri(config)
    if uri == NOWHERE:
        yield UnrecordedRun()
        return
    client, experiment = open_store(config)
    with told_in_a_line(uri), _recorded(client, experiment, config, step, inherited or {}) as run:
        yield run


@contextlib.contextmanager
def _recorded(
    client: MlflowClient, experiment: str, config: Config, step: str, inherited: Mapping[str, Any]
) -> Iterator[StepRun]:
    global _active
    run = StepRun(client, _runs_of(client, experiment, config, step))
    run.log_parameters({**inherited, **config.flat()})
    if run.runs.ours:
        name_parent(client, run.parent_id, config)
    run.mirror = _mirror(config, step, run.parent_id)
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
        if status == "FINISHED":
            client.set_terminated(run.run_id, status)
            if step_stands_alone():
                client.set_terminated(run.parent_id, status)
        else:
            _end_early(run, status, step)
        if run.mirror is not None:
            run.mirror.finish(exit_code=0 if status == "FINISHED" else 1)


def _end_early(run: StepRun, status: str, step: str) -> None:
    """Say with child and parent that a step did not finish; where the store is lost that must not hide why."""
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):
        run.client.set_terminated(run.run_id, status)
        run.client.set_terminated(run.parent_id, status)
        run.client.set_tag(run.parent_id, FAILED_TAG, step)


def finish_pipeline_run(run: StepRun, artifacts: Mapping[str, Path] | None = None) -> None:
    """Mark the parent as finished, with what sums the whole run up."""
    for folder, path in (artifacts or {}).items():
        run.client.log_artifact(run.parent_id, str(path), folder or None)
    if FAILED_TAG in run.client.get_run(run.parent_id).data.tags:
        run.client.delete_tag(run.parent_id, FAILED_TAG)
    run.client.set_terminated(run.parent_id, "FINISHED")


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
