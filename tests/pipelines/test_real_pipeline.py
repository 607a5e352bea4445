"""The whole pipeline with its real functions, in a recipe too small for its figures to mean anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from genrf.generation.released import released_bundle
from training.config.steps import STEPS as TABLE

ROOT = Path(__file__).parents[2]
TRAINING = {"batch_size": 32, "max_steps": 20, "validate_every": 10, "width": 16}
MICRO = {
    "classes": ["lna", "filter"],
    "data": {"rounds": 2, "circuits_per_round": 300, "chunk": 100, "elite_per_band": 20, "frequency_bands": 4},
    "preparation": {"specifications_per_level": 2, "test_share": 0.2, "validation_share": 0.15},
    "topology_gan": TRAINING,
    "sizing_diffusion": {**TRAINING, "layers": 1, "heads": 2},
    "surrogate": {**TRAINING, "layers": 1, "heads": 2},
    "evaluation": {"calls": 16, "topologies": 20, "bootstrap_samples": 50},
    "quantization": {"specifications": 2, "max_success_drop": 1.0},
}
STEPS = {name for name in TABLE if name not in ("simulate_shard", "summarize")}
AT_ONCE = (
    ("simulate_shard",),
    ("prepare_data",),
    ("train_topology_gan", "train_sizing_diffusion", "train_surrogate"),
    ("evaluate_generator", "export_onnx"),
    ("quantize",),
    ("promote_model",),
    ("summarize",),
)
"""The steps in order; those that do not wait for each other are killed by one blow."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


COMMAND = [sys.executable, "-m", "pipelines", "run", "--recipe", "micro"]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "GENRF_CODE": "as-tested", "HOME": str(folder / "home")}


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        COMMAND,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )


def without_times(content: Any) -> Any:
    """The same plain data without what was timed."""
    if isinstance(content, dict):
        return {key: without_times(value) for key, value in content.items() if "second" not in key}
    return [without_times(item) for item in content] if isinstance(content, list) else content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pipeline was run."""
    folder = tmp_path_factory.mktemp("real")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["recipes"]["micro"] = MICRO
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "runs/latest/summary.json").read_text())


def test_the_summary_says_what_was_simulated_and_what_failed(summary: dict[str, Any]) -> None:
    circuits = summary["circuits"]
    assert circuits["simulated"] == 2400
    assert sum(circuits["failed"].values()) > 0
    assert circuits["rows_train"] > circuits["rows_test"] > 0
    assert 0 < sum(circuits["failed"].values()) + circuits["rows_train"] <= 2400


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


def test_every_result_is_there_and_the_bundle_is_whole(folder: Path) -> None:
    from genrf.generation.bundle import Bundle

    latest = folder / "runs" / "latest"
    bundle = Bundle.load(latest / "bundle")
    assert bundle.precision == "fp32"
    assert (latest / "evaluation" / "evaluation.json").is_file()
    assert (latest / "quantized" / "quantization.json").is_file()
    assert (latest / "promotion" / "promotion.json").is_file()


def test_mlflow_holds_one_parent_with_a_child_a_step(folder: Path, summary: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("genrf")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    (parent,) = parents
    children = {run.data.tags["genrf.step"]: run for run in runs if run is not parent}
    assert set(children) == {"simulate_shard-0", "simulate_shard-1", *STEPS, "summarize"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.params["data.circuits_per_round"] == "300"
    assert parent.data.tags["genrf.dataset_sha256"] == summary["dataset_sha256"]
    curve = client.get_metric_history(children["train_surrogate"].info.run_id, "validation_loss")
    assert len(curve) == 2
    version = client.get_model_version_by_alias("genrf", "challenger")
    assert version.run_id == children["promote_model"].info.run_id
    assert version.tags["parent_run"] == parent.info.run_id


def test_a_second_run_is_served_from_the_cache(folder: Path) -> None:
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^([a-z-]+): done", done.stdout, re.MULTILINE) == ["resolve-config"]


def test_killed_in_the_middle_of_each_step_it_ends_in_the_same_result(
    folder: Path, summary: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copy(folder / "params.yaml", tmp_path)
    assert {name for names in AT_ONCE for name in names} == set(TABLE)
    for names in AT_ONCE:
        struck = {name.replace("_", "-") for name in names}
        awaited = set(struck)
        with subprocess.Popen(
            COMMAND, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                task, _, event = line.strip().partition(": ")
                assert not (task in struck and event.startswith("done")), f"{task} was done before it was killed"
                awaited -= {task} if event == "started" else set()
                if not awaited:
                    time.sleep(1.5)
                    os.killpg(process.pid, signal.SIGKILL)
                    break
            process.stdout.read()
        assert not awaited, f"{awaited} did not start"
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "runs/latest/summary.json").read_text())
    assert without_times(again) == without_times(summary)
