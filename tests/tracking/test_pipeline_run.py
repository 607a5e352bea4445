"""What MLflow says of a pipeline run: who, what was overridden, on which data, with what result, and what was reused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Param, Run
from sqlalchemy import event
from sqlalchemy.orm import Session

from training.config.loading import load_config
from training.config.schema import Config
from training.running import machine, pipeline_run, store
from training.running.pipeline_run import log_parameters, record_reused, run_name
from training.running.step import read_lineage, read_report, step
from training.running.store import open_store
from training.running.tracking import FAILED_TAG, finish_pipeline_run, step_run

ROOT = Path(__file__).parents[2]
OVERRIDES = {"surrogate.width": 48, "evaluation.bootstrap_samples": 50}
START_MS = 1_795_910_400_000  # 2026-11-29


@pytest.fixture
def config(
    tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Config:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.TRACKING_URI, mlflow_store)
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, request.node.name)
    monkeypatch.setenv(pipeline_run.USER, "ada")
    monkeypatch.setenv(machine.COMMIT, "c0ffee-dirty")
    monkeypatch.delenv(pipeline_run.LAUNCHER, raising=False)
    return load_config(overrides=OVERRIDES)


def parent_of(run: Any) -> Run:
    return run.client.get_run(run.parent_id)


def test_a_name_says_recipe_day_and_what_was_overridden() -> None:
    assert run_name("smoke", START_MS, {}) == "smoke 2026-11-29 00:00"
    assert run_name("smoke", START_MS, {"data.rounds": "3"}) == "smoke 2026-11-29 00:00 data.rounds=3"
    many = {f"data.x{number}": "1" for number in range(5)}
    assert run_name("full", START_MS, many) == "full 2026-11-29 00:00 data.x0=1 data.x1=1 data.x2=1 and 2 more"


def test_the_name_grows_with_what_the_steps_know(config: Config) -> None:
    """A step is given its part of the configuration only, so that a name cannot enter what a cached step depends on."""
    part = Config.from_json(config.select("surrogate", "tracking"))
    with step_run(part, "train_surrogate") as run:
        assert parent_of(run).info.run_name.endswith(" surrogate.width=48")
        assert parent_of(run).info.run_name.startswith("smoke 20")
    with step_run(config, "promote_model") as run:
        name = parent_of(run).info.run_name
    assert name.endswith(" evaluation.bootstrap_samples=50 surrogate.width=48")
    tag = json.loads(parent_of(run).data.tags[pipeline_run.OVERRIDES_TAG])
    assert tag == {name: str(value) for name, value in OVERRIDES.items()}


def test_parent_and_child_know_user_source_and_commit(config: Config) -> None:
    with step_run(config, "train_surrogate") as run:
        pass
    for run_id in (run.parent_id, run.run_id):
        tags = run.client.get_run(run_id).data.tags
        assert tags["mlflow.user"] == "ada"
        assert tags["mlflow.source.git.commit"] == "c0ffee"
        assert tags["mlflow.source.git.dirty"] == "true"
        assert tags["mlflow.source.name"] == "python -m training"


def test_parameters_that_another_step_records_at_the_same_moment_are_recorded_once(config: Config) -> None:
    """MLflow looks which parameters a run has before it writes those that are missing, and another may come between."""
    waiting = [Param("of_both", "1")]
    with step_run(config, "train_surrogate") as run:

        def record_first(*_: object) -> None:
            if waiting:
                run.client.log_batch(run.parent_id, params=[waiting.pop()])

        event.listen(Session, "before_flush", record_first)
        try:
            log_parameters(run.client, run.parent_id, {"of_both": 1, "of_this": 2})
        finally:
            event.remove(Session, "before_flush", record_first)
    known = parent_of(run).data.params
    assert (known["of_both"], known["of_this"]) == ("1", "2")


def test_a_failed_step_is_named_with_the_parent_until_the_run_is_done(config: Config) -> None:
    with pytest.raises(ValueError, match="broken"), step_run(config, "train_surrogate") as run:
        raise ValueError("broken")
    assert parent_of(run).data.tags[FAILED_TAG] == "train_surrogate"
    with step_run(config, "summarize") as run:
        finish_pipeline_run(run)
    assert FAILED_TAG not in parent_of(run).data.tags
    assert parent_of(run).info.status == "FINISHED"


def made(name: str, config: Config, folder: Path, *inputs: Path, sections: tuple[str, ...], **result: Any) -> Path:
    """The output of a step."""
    with step(name, config.select(*sections, "tracking"), folder / name, *inputs) as current:
        if name == "prepare_data":
            report = {"dataset_sha256": "ab" * 32, "rows_train": 90, "rows_test": 10}
            (current.folder / "report.json").write_text(json.dumps(report))
        current.finish(result)
    return folder / name


def chain(config: Config, folder: Path) -> list[Path]:
    """Outputs of four steps, each after the one whose output it reads; the dataset was pulled."""
    rows = made(
        "simulate_shard", config, folder, sections=("data",), data_hash="0123456789abcdef" * 2 + ".dir", pulled=True
    )
    prepared = made("prepare_data", config, folder, rows, sections=("preparation",))
    surrogate = made("train_surrogate", config, folder, prepared, sections=("surrogate",), loss=0.5)
    evaluation = made("evaluate", config, folder, prepared, surrogate, sections=("evaluation",), success_at_1=0.25)
    return [rows, prepared, surrogate, evaluation]


def test_the_dataset_is_logged_with_its_dvc_hash_and_once(config: Config, tmp_path: Path) -> None:
    *_, evaluation = chain(config, tmp_path)
    with step_run(config, "summarize") as run:
        pass
    for run_id in (run.parent_id, read_lineage(evaluation)["run_id"]):
        (logged,) = run.client.get_run(run_id).inputs.dataset_inputs
        assert (logged.dataset.name, logged.dataset.digest) == ("circuits", "0123456789abcdef" * 2 + ".dir")
        assert json.loads(logged.dataset.source)["sha256"] == "ab" * 32
        assert json.loads(logged.dataset.profile)["rows_train"] == 90


def test_a_dataset_that_was_simulated_here_claims_no_dvc_hash(config: Config, tmp_path: Path) -> None:
    made("prepare_data", config, tmp_path, sections=("preparation",))
    with step_run(config, "summarize") as run:
        pass
    (logged,) = parent_of(run).inputs.dataset_inputs
    assert (logged.dataset.source_type, logged.dataset.digest) == ("simulation", "ab" * 18)


def test_the_evaluations_child_carries_what_the_models_were_trained_with(config: Config, tmp_path: Path) -> None:
    *_, evaluation = chain(config, tmp_path)
    client, _ = open_store(config)
    params = client.get_run(read_lineage(evaluation)["run_id"]).data.params
    assert params["surrogate.width"] == "48"
    assert params["evaluation.bootstrap_samples"] == "50"
    assert params["data.rounds"] == str(config.data.rounds)
    assert "topology_gan.width" not in params


def test_a_reused_step_has_a_child_that_leads_to_the_run_that_made_it(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = chain(config, tmp_path)
    makers = [read_lineage(output)["run_id"] for output in outputs]
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, "the-next-night")
    again = made("evaluate", config, tmp_path / "again", *outputs[1:3], sections=("evaluation",), success_at_1=0.5)
    reports = [read_report(output) | {"lineage": read_lineage(output)} for output in (*outputs[:3], again)]
    with step_run(config, "summarize") as run:
        assert record_reused(run.client, run.runs, reports) == ["simulate_shard", "prepare_data", "train_surrogate"]
        # A summary that runs again adds nothing.
        record_reused(run.client, run.runs, reports)
    found = run.client.search_runs([run.runs.experiment], f"tags.`{pipeline_run.PARENT_TAG}` = '{run.parent_id}'")
    children = {child.data.tags[pipeline_run.STEP_TAG]: child for child in found}
    assert len(found) == len(children) == 5
    reused = [children[name] for name in ("simulate_shard", "prepare_data", "train_surrogate")]
    assert {child.info.status for child in found} == {"FINISHED"}
    assert [child.data.tags[pipeline_run.REUSED_RUN_TAG] for child in reused] == makers[:3]
    assert makers[2] in children["train_surrogate"].data.tags[pipeline_run.NOTE_TAG]
    assert children["train_surrogate"].data.metrics["loss"] == 0.5
    assert children["train_surrogate"].data.params["surrogate.width"] == "48"
    assert pipeline_run.REUSED_TAG not in children["evaluate"].data.tags


class Kubeflow:
    """The runs that KFP 2.17's MLflow plug-in makes: its API server the first, its driver one for each task and loop."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client = client
        self.experiment = client.create_experiment(name)
        self.run = self._create("genrf-train 7", {})
        self.loop = self._create("for-loop-1", {pipeline_run.PARENT_TAG: self.run})
        self.task = self._create("Simulate circuits", {pipeline_run.PARENT_TAG: self.loop})

    def _create(self, name: str, tags: dict[str, str]) -> str:
        return self.client.create_run(self.experiment, run_name=name, tags=tags).info.run_id


@pytest.fixture
def kubeflow(config: Config, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kubeflow:
    client, _ = open_store(config)
    monkeypatch.setenv(store.POD, "a-pod")
    # The store of these tests is a file; a pod's is not.
    monkeypatch.setattr("training.running.store.on_cluster", lambda: False)
    return Kubeflow(client, f"KFP-{request.node.name}")


def test_a_run_that_kubeflow_made_is_used_instead_of_one_of_ours(
    config: Config, kubeflow: Kubeflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pipeline_run.RUN_ID, kubeflow.task)
    _, ours = open_store(config)
    before = len(kubeflow.client.search_runs([ours]))
    with step_run(config, "simulate_shard-0") as run:
        run.log_result({"rows": 12})
    assert (run.run_id, run.parent_id) == (kubeflow.task, kubeflow.run)
    assert len(kubeflow.client.search_runs([ours])) == before
    assert len(kubeflow.client.search_runs([kubeflow.experiment])) == 3
    child = kubeflow.client.get_run(kubeflow.task)
    assert child.data.metrics["rows"] == 12
    assert child.data.tags[pipeline_run.STEP_TAG] == "simulate_shard-0"
    assert child.data.tags["mlflow.source.type"] == "JOB"
    assert parent_of(run).info.run_name == "genrf-train 7"
    assert parent_of(run).data.params["surrogate.width"] == "48"


def test_a_task_of_a_loop_of_kubeflow_is_not_taken_for_reused(
    config: Config, kubeflow: Kubeflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pipeline_run.RUN_ID, kubeflow.task)
    rows = made("simulate_shard-0", config, tmp_path, sections=("data",))
    with step_run(config, "summarize") as run:
        report = read_report(rows) | {"lineage": read_lineage(rows)}
        assert record_reused(run.client, run.runs, [report]) == []


def test_an_output_of_another_store_is_reused_without_a_link(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = made("simulate_shard-0", config, tmp_path, sections=("data",))
    report = read_report(rows) | {"lineage": read_lineage(rows) | {"run_id": "f" * 32}}
    with step_run(config, "summarize") as run:
        assert record_reused(run.client, run.runs, [report]) == ["simulate_shard-0"]
        found = run.client.search_runs([run.runs.experiment], f"tags.`{pipeline_run.PARENT_TAG}` = '{run.parent_id}'")
    (child,) = (child for child in found if pipeline_run.REUSED_TAG in child.data.tags)
    assert pipeline_run.REUSED_RUN_TAG not in child.data.tags


@pytest.mark.parametrize("run_id", ["0" * 32, "top"], ids=["of-another-store", "not-of-a-task"])
def test_any_other_run_in_the_environment_is_left_alone(
    config: Config, kubeflow: Kubeflow, monkeypatch: pytest.MonkeyPatch, run_id: str
) -> None:
    monkeypatch.setenv(pipeline_run.RUN_ID, kubeflow.run if run_id == "top" else run_id)
    with step_run(config, "simulate_shard-0") as run:
        pass
    assert run.run_id not in (kubeflow.run, kubeflow.task)
    assert kubeflow.client.get_run(kubeflow.run).data.params == {}


def test_outside_of_a_pod_the_environments_run_is_left_alone(
    config: Config, kubeflow: Kubeflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pipeline_run.RUN_ID, kubeflow.task)
    monkeypatch.delenv(store.POD)
    with step_run(config, "train_surrogate") as run:
        pass
    assert run.run_id != kubeflow.task
