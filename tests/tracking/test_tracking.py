"""One parent a pipeline run, one child a step, in a real MLflow store."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest

from training.config.loading import load_config
from training.config.schema import Config
from training.running import machine, pipeline_run, tracking
from training.running.store import open_store
from training.running.tracking import finish_pipeline_run, step_run

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def config(
    tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Config:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, request.node.name)
    monkeypatch.setenv(machine.COMMIT, "c0ffee")
    return load_config(PARAMS)


def test_steps_of_one_pipeline_run_are_children_of_one_parent(config: Config) -> None:
    with step_run(config, "prepare_data") as first:
        first.log_result({"rows": 12, "dataset_sha256": "abc"})
    with step_run(config, "train_surrogate") as second:
        for step in range(3):
            tracking.log_metrics({"loss": 3.0 - step}, step)
    assert second.parent_id == first.parent_id
    client = first.client
    child = client.get_run(first.run_id)
    assert child.data.tags[pipeline_run.PARENT_TAG] == first.parent_id
    assert child.data.metrics == {"rows": 12}
    assert child.data.tags["dataset_sha256"] == "abc"
    assert child.info.status == "FINISHED"
    assert [point.value for point in client.get_metric_history(second.run_id, "loss")] == [3.0, 2.0, 1.0]


def test_the_parent_knows_commit_and_every_parameter(config: Config) -> None:
    with step_run(config, "evaluate") as run:
        finish_pipeline_run(run)
    parent = run.client.get_run(run.parent_id)
    assert parent.data.params == {name: str(value) for name, value in config.flat().items()}
    assert parent.data.tags[pipeline_run.COMMIT_TAG] == "c0ffee"
    assert parent.info.status == "FINISHED"


def test_a_step_that_runs_again_continues_its_child(config: Config) -> None:
    with pytest.raises(KeyboardInterrupt), step_run(config, "train") as first:
        raise KeyboardInterrupt
    assert first.client.get_run(first.run_id).info.status == "KILLED"
    with step_run(config, "train") as second:
        pass
    assert second.run_id == first.run_id
    assert second.client.get_run(second.run_id).info.status == "FINISHED"


def test_another_pipeline_run_has_another_parent(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with step_run(config, "train") as first:
        pass
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, "pipeline-run-2")
    with step_run(config, "train") as second:
        pass
    assert second.parent_id != first.parent_id


def test_a_failed_step_fails_the_parent(config: Config) -> None:
    with pytest.raises(ValueError, match="broken"), step_run(config, "train") as run:
        raise ValueError("broken")
    assert run.client.get_run(run.run_id).info.status == "FAILED"
    assert run.client.get_run(run.parent_id).info.status == "FAILED"


def test_outside_a_pipeline_nothing_is_recorded() -> None:
    assert tracking.active() is None
    tracking.log_metrics({"loss": 1.0})


def test_weights_and_biases_works_offline(config: Config, tmp_path: Path) -> None:
    offline = load_config(PARAMS, overrides={"tracking.wandb": "offline"})
    with step_run(offline, "train"):
        tracking.log_metrics({"loss": 1.0})
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def _first_writer(index: int) -> None:
    with step_run(load_config(PARAMS), f"shard-{index}"):
        pass


@pytest.mark.slow
def test_steps_that_start_at_once_on_an_empty_store_share_one_parent(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_first_writer, args=(index,)) for index in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    client, experiment = open_store(config)
    runs = client.search_runs([experiment])
    parents = {run.data.tags[pipeline_run.PARENT_TAG] for run in runs if pipeline_run.PARENT_TAG in run.data.tags}
    assert len(runs) == 3
    assert len(parents) == 1


def test_nothing_is_recorded_where_tracking_is_off(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with step_run(config, "train") as run:
        run.log_result({"rows": 1, "dataset_sha256": "abc"})
        run.log_parameters({"width": 3})
        run.log_artifact(tmp_path)
        tracking.log_metrics({"loss": 1.0}, 1)
    assert tracking.active() is None
    assert list(tmp_path.iterdir()) == []
