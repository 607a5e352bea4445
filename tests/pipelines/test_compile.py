"""The pipeline as it is sent to a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from genrf.errors import InvalidInputError
from pipelines.compile import (
    FOLDER,
    MANIFEST,
    NIGHT_MANIFEST,
    NIGHT_PIPELINE,
    PIPELINE,
    compile_for,
    compile_pipeline,
)
from pipelines.placement import PROFILES, RETRIES, ROLE_LABEL, WORK_PATH, Cluster, here
from training.config.loading import load_config
from training.config.steps import STEPS

TRAINING = ("exec-train-topology-gan", "exec-train-sizing-diffusion", "exec-train-surrogate")
SIMULATION = ("exec-simulate-shard", "exec-evaluate-generator", "exec-quantize", "exec-promote-model")
SEEN_BY_THE_LAUNCHER = re.compile("AWS_|MINIO_|S3_|GOOGLE_")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    compile_pipeline(folder)
    return folder


@pytest.fixture(scope="module")
def specification(compiled: Path) -> dict[str, Any]:
    return documents(compiled / PIPELINE)[0]


@pytest.fixture(scope="module")
def platform(compiled: Path) -> dict[str, Any]:
    return documents(compiled / PIPELINE)[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a file, but for the version of KFP that wrote it."""
    text = re.sub(r"(?m)^(\s*)sdkVersion: .*$", r"\1sdkVersion: any", path.read_text())
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("name", [PIPELINE, MANIFEST, NIGHT_PIPELINE, NIGHT_MANIFEST])
def test_the_files_in_the_repository_are_what_the_code_compiles_to(compiled: Path, name: str) -> None:
    assert documents(compiled / name) == documents(FOLDER / name), "run `make compile` and look at the difference"


def test_training_runs_on_gpu_nodes(specification: dict[str, Any], platform: dict[str, Any]) -> None:
    executors = specification["deploymentSpec"]["executors"]
    for name in TRAINING:
        accelerator = executors[name]["container"]["resources"]["accelerator"]
        assert accelerator["resourceType"] == "nvidia.com/gpu"
        assert accelerator["resourceCount"] == "1"
        assert platform[name]["nodeSelector"]["labels"] == {ROLE_LABEL: "training"}
        assert platform[name]["tolerations"] == [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ]


def test_nothing_else_takes_a_gpu(specification: dict[str, Any]) -> None:
    executors = specification["deploymentSpec"]["executors"]
    assert {name for name, e in executors.items() if "accelerator" in e["container"]["resources"]} == set(TRAINING)


def test_simulation_runs_on_nodes_of_its_own(platform: dict[str, Any]) -> None:
    for name in SIMULATION:
        assert platform[name]["nodeSelector"]["labels"] == {ROLE_LABEL: "simulation"}
        assert [toleration["key"] for toleration in platform[name]["tolerations"]] == ["genrf.io/simulation"]


def test_every_step_has_timeout_retries_credentials_and_its_earlier_work(
    specification: dict[str, Any], platform: dict[str, Any]
) -> None:
    tasks = dict(specification["root"]["dag"]["tasks"])
    tasks |= specification["components"]["comp-for-loop-1"]["dag"]["tasks"]
    tasks.pop("for-loop-1")
    for name, task in tasks.items():
        placed = platform[f"exec-{name}"]
        timeout = int(placed["activeDeadlineSeconds"])
        retry = task["retryPolicy"]
        assert retry["maxRetryCount"] == RETRIES
        # Argo counts it from the first attempt: it must hold all attempts, however long each takes.
        assert int(retry["backoffMaxDuration"].removesuffix("s")) >= (1 + RETRIES) * timeout
        assert timeout in {role.hours * 3600 for role in PROFILES["gpu"].values()}
        variables = {item["envVar"] for secret in placed["secretAsEnv"] for item in secret["keyToEnv"]}
        variables |= {item["envVar"] for each in placed["configMapAsEnv"] for item in each["keyToEnv"]}
        assert variables >= {"MLFLOW_TRACKING_URI", "GENRF_S3_ACCESS_KEY", "GENRF_S3_ENDPOINT", "GENRF_DVC_REMOTE"}
        # KFP's launcher runs in the same container, and would send artifacts where these say.
        assert not [name for name in variables if SEEN_BY_THE_LAUNCHER.match(name)]
        assert [mount["mountPath"] for mount in placed["pvcMount"]] == [WORK_PATH]
        assert placed["fieldPathAsEnv"] == [
            {"name": "GENRF_PIPELINE_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}
        ]


def test_reading_the_recipe_and_what_acts_outside_is_never_reused(specification: dict[str, Any]) -> None:
    tasks = dict(specification["root"]["dag"]["tasks"])
    tasks |= specification["components"]["comp-for-loop-1"]["dag"]["tasks"]
    tasks.pop("for-loop-1")
    uncached = {name for name, task in tasks.items() if not task["cachingOptions"].get("enableCache")}
    assert uncached == {"resolve-config", "promote-model", "summarize"}


def test_the_dataset_version_is_a_parameter_and_parameters_are_few(specification: dict[str, Any]) -> None:
    parameters = specification["root"]["inputDefinitions"]["parameters"]
    assert {"recipe", "data_hash"} <= set(parameters)
    assert len(parameters) <= 10


@pytest.mark.parametrize("profile", PROFILES)
def test_a_task_is_told_how_many_cores_it_asked_for(tmp_path: Path, profile: str) -> None:
    specification, platform = documents(compile_for(profile, tmp_path))
    for name, executor in specification["deploymentSpec"]["executors"].items():
        container = executor["container"]
        asked = container["resources"]["resourceCpuRequest"]
        variables = {item["name"]: item["value"] for item in container["env"]}
        assert variables["GENRF_CORES"] == variables["OMP_NUM_THREADS"] == asked
        assert name in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.mark.parametrize("profile", ["cpu", "single-node"])
def test_without_a_gpu_any_node_will_do(tmp_path: Path, profile: str) -> None:
    specification, platform = documents(compile_for(profile, tmp_path))
    for executor in specification["deploymentSpec"]["executors"].values():
        assert "accelerator" not in executor["container"]["resources"]
    for placed in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert not {"nodeSelector", "tolerations"} & set(placed)


def test_a_shard_asks_for_no_more_than_a_recipe_has_workers() -> None:
    recipes = ("smoke", "nightly", "full")
    workers = max(load_config(Path(__file__).parents[2] / "params.yaml", recipe).data.workers for recipe in recipes)
    assert PROFILES["gpu"]["shard"].cpu <= workers


def test_every_profile_knows_every_role() -> None:
    for roles in PROFILES.values():
        assert set(roles) == {step.role for step in STEPS.values()}


def test_an_unknown_role_or_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown role"):
        here(None, "quantum")
    with pytest.raises(InvalidInputError, match="--profile: expected one of gpu, cpu, single-node, got 'tpu'"):
        Cluster("tpu")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match=r"--output: .*file: cannot be written"):
        compile_for("gpu", tmp_path / "file")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_documentation_says_what_a_role_asks_for(profile: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    for name, role in PROFILES[profile].items():
        node = f"`{ROLE_LABEL}={role.nodes}`, `{role.toleration}`" if role.nodes else "any"
        row = [profile, name, role.cpu, role.memory, role.gpus or "-", node, f"{role.hours} h"]
        row += [f"{1 + RETRIES}, {role.longest_s / 3600:.0f} h"]
        assert "| " + " | ".join(map(str, row)) + " |" in page


def test_a_night_ends_with_its_report_whatever_happened(compiled: Path) -> None:
    specification, _ = documents(compiled / NIGHT_PIPELINE)
    report = specification["root"]["dag"]["tasks"]["report-night"]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert report["dependentTasks"] == ["exit-handler-1"]


def test_a_night_trains_only_where_that_was_decided_and_never_takes_a_decision_from_a_cache(compiled: Path) -> None:
    specification, platform = documents(compiled / NIGHT_PIPELINE)
    components = specification["components"]
    branches = {
        task["triggerPolicy"]["condition"]: set(components[task["componentRef"]["name"]]["dag"]["tasks"])
        for component in components.values()
        for task in component.get("dag", {}).get("tasks", {}).values()
        if "condition" in task.get("triggerPolicy", {})
    }
    trained = next(tasks for condition, tasks in branches.items() if condition.endswith("== 'retrain'"))
    assert {"grow-data", "retrain-surrogate", "judge-challenger", "decide-promotion"} <= trained
    assert {"judge-held", "decide-held"} in branches.values()
    tasks = {
        name: task
        for component in components.values()
        for name, task in component.get("dag", {}).get("tasks", {}).items()
    }
    tasks |= specification["root"]["dag"]["tasks"]
    for name in ("assess-need", "decide-promotion", "decide-held", "report-night", "resolve-night"):
        assert not tasks[name].get("cachingOptions", {}).get("enableCache"), name
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name, executor in specification["deploymentSpec"]["executors"].items():
        assert executors[name]["configMapAsEnv"], name
        assert executor["container"]["resources"], name
