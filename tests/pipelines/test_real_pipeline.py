"""The whole pipeline with its real functions, in a recipe too small for its figures to mean anything."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from mlflow import MlflowClient

from genrf.generation.bundle import Bundle
from genrf.generation.released import released_bundle
from tests.pipelines.conftest import AT_ONCE, Copy, PipelineRun, bundle_files
from training.config.steps import STEPS as TABLE
from training.running.step import REPORT

STEPS = {name for name in TABLE if name not in ("simulate_shard", "summarize")}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def without_times(content: Any) -> Any:
    """The same plain data without what was timed."""
    if isinstance(content, dict):
        return {key: without_times(value) for key, value in content.items() if "second" not in key}
    return [without_times(item) for item in content] if isinstance(content, list) else content


@pytest.fixture(scope="module")
def summary(pipeline_run: PipelineRun) -> dict[str, Any]:
    return pipeline_run.summary


def test_the_summary_says_what_was_simulated_and_what_failed(summary: dict[str, Any]) -> None:
    circuits = summary["circuits"]
    assert circuits["simulated"] == 1600
    assert sum(circuits["failed"].values()) > 0
    assert circuits["rows_train"] > circuits["rows_test"] > 0
    assert 0 < sum(circuits["failed"].values()) + circuits["rows_train"] <= 1600


def test_the_summary_judges_generator_and_baselines_at_every_level(summary: dict[str, Any]) -> None:
    judged = {(entry["level"], entry["method"]) for entry in summary["success"]}
    for method in ("generator", "retrieval", "random"):
        assert ("exact", method) in judged
    for entry in summary["success"]:
        assert 0 <= entry["success_at_1"] <= entry["success_at_8"] <= 1
    quality = summary["topologies"]["lna"]
    assert all(0 <= quality[name] <= 1 for name in ("valid", "simulates", "unique", "novel"))


def test_the_summary_tells_of_export_quantisation_registry_and_time(summary: dict[str, Any]) -> None:
    errors = {name: value for name, value in summary["export"].items() if name.endswith("_onnx_error")}
    assert len(errors) == 3
    assert max(errors.values()) < 1e-3
    for precision in ("int8", "fp16"):
        assert -1 <= summary["quantization"][f"{precision}_success_drop"] <= 1
    promotion = summary["promotion"]
    if released_bundle() is None:
        assert (promotion["promoted"], promotion["version"]) == (True, 1)
    else:
        assert (promotion["champion_version"], promotion["version"]) == (1, 2)
        assert promotion["promoted"] is not promotion["reason"].startswith("released champion kept")
        assert 0 <= promotion["champion_success_at_1"] <= promotion["champion_success_at_16"] <= 1
    assert set(summary["seconds"]) == {"simulate_shard-0", "simulate_shard-1", *STEPS}


def test_every_result_is_there_and_the_bundle_is_whole(pipeline_run: PipelineRun) -> None:
    latest = pipeline_run.latest
    bundle = Bundle.load(latest / "bundle")
    assert bundle.precision == "fp32"
    assert (latest / "evaluation" / "evaluation.json").is_file()
    assert (latest / "quantized" / "quantization.json").is_file()
    assert (latest / "promotion" / "promotion.json").is_file()


def test_mlflow_holds_one_parent_with_a_child_a_step(pipeline_run: PipelineRun, summary: dict[str, Any]) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{pipeline_run.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("genrf")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    (parent,) = parents
    children = {run.data.tags["genrf.step"]: run for run in runs if run is not parent}
    assert set(children) == {"simulate_shard-0", "simulate_shard-1", *STEPS, "summarize"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.params["data.circuits_per_round"] == "200"
    assert parent.data.tags["genrf.dataset_sha256"] == summary["dataset_sha256"]
    curve = client.get_metric_history(children["train_surrogate"].info.run_id, "validation_loss")
    assert len(curve) == 2
    version = client.get_model_version_by_alias("genrf", "challenger")
    assert version.run_id == children["promote_model"].info.run_id
    assert version.tags["parent_run"] == parent.info.run_id


def test_a_second_run_is_served_from_the_cache_and_registers_where_the_registry_is_lost(
    pipeline_run: PipelineRun,
) -> None:
    """All but what a cache cannot know: what the recipe says now, and whether the registry still has the bundle."""
    store = pipeline_run.folder / "mlflow.db"
    kept = store.rename(store.with_suffix(".kept"))
    try:
        ran = re.findall(r"^([a-z-]+): done", pipeline_run.again(), re.MULTILINE)
        promotion = json.loads((pipeline_run.latest / "summary.json").read_text())["promotion"]
        client = MlflowClient(tracking_uri=f"sqlite:///{store}")
        assert int(client.get_model_version_by_alias("genrf", "challenger").version) == promotion["version"]
    finally:
        kept.replace(store)
    assert ran == ["resolve-config", "promote-model", "summarize"]


def test_killed_in_the_middle_of_each_step_it_ends_in_what_dvc_makes_without_a_kill(
    pipeline_run: PipelineRun, copy: Copy
) -> None:
    """The same functions on the same data: weights, judgement and bundle are equal, but for what was timed."""
    assert {name for names in AT_ONCE for name in names} == set(TABLE)
    assert pipeline_run.survived == set(), "done before it was killed"
    reports = [json.loads(path.read_text()) for path in (pipeline_run.folder / "runs" / "pipeline").rglob(REPORT)]
    by_pipeline = {report["step"]: report["result"] for report in reports}
    for name, by_dvc in copy.results.items():
        assert without_times(by_pipeline[name]) == without_times(by_dvc), name
    assert bundle_files(pipeline_run.latest / "bundle") == copy.files
