"""The pipeline as it is sent to a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.compile import FOLDER, MANIFEST, PIPELINE, compile_pipeline
from pipelines.placement import ROLE_LABEL, ROLES, WORK_PATH, here

TRAINING = ("exec-train-topology-gan", "exec-train-sizing-diffusion", "exec-train-surrogate")
SIMULATION = ("exec-simulate-shard", "exec-evaluate-generator", "exec-quantize", "exec-promote-model")


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


@pytest.mark.parametrize("name", [PIPELINE, MANIFEST])
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
        assert task["retryPolicy"]["maxRetryCount"] == 2
        assert int(placed["activeDeadlineSeconds"]) in {role.hours * 3600 for role in ROLES.values()}
        assert {item["envVar"] for secret in placed["secretAsEnv"] for item in secret["keyToEnv"]} >= {
            "MLFLOW_TRACKING_URI",
            "AWS_ACCESS_KEY_ID",
        }
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


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown role"):
        here(None, "quantum")
