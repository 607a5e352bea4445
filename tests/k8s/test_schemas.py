"""Every manifest is of its kind: with no field too many, none misspelt, no value of another type."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.k8s.manifests import TRAIN_JOB, Manifest, compiled, of_kind, train_job_pod
from tests.k8s.schemas import VERSIONS, check


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_of_its_kind(manifests: list[Manifest], version: str) -> None:
    assert manifests
    for manifest in manifests:
        check(manifest, version)


def test_the_compiled_pipelines_are_resources_of_their_kind() -> None:
    for manifest in compiled():
        check(manifest, VERSIONS[-1])
    assert [manifest["kind"] for manifest in compiled()] == ["Pipeline", "PipelineVersion"] * 2


def _misspell(path: str) -> Callable[[Manifest], None]:
    """Give a field, named by the way to it, another name."""

    def change(manifest: Manifest) -> None:
        *way, last = path.split("/")
        place: Any = manifest
        for key in way:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[f"{last}z"] = place.pop(last)

    return change


def _set_replicas_to_text(manifest: Manifest) -> None:
    manifest["spec"]["predictor"]["minReplicas"] = "one"


def _misspell_node_selector(manifest: Manifest) -> None:
    _misspell("spec/nodeSelector")(train_job_pod(manifest))


@pytest.mark.parametrize(
    ("overlay", "kind", "name", "change"),
    [
        ("cpu", "Deployment", "serving", _misspell("spec/template/spec/automountServiceAccountToken")),
        ("cpu", "HorizontalPodAutoscaler", "serving", _misspell("spec/maxReplicas")),
        ("cpu", "NetworkPolicy", "clients-to-mlflow", _misspell("spec/ingress/0/from")),
        ("kfp-profile", "Profile", "genrf-team", _misspell("spec/owner")),
        ("gpu", "InferenceService", "genrf", _misspell("spec/predictor/initContainers/0/securityContext")),
        ("gpu", "InferenceService", "genrf", _set_replicas_to_text),
        ("gpu", "ServingRuntime", "genrf", _misspell("spec/containers/0/image")),
        ("gpu", "ServingRuntime", "genrf", _misspell("spec/containers/0/name")),
        (TRAIN_JOB, "TrainJob", "genrf-train-surrogate", _misspell("spec/trainer/numNodes")),
        (TRAIN_JOB, "TrainJob", "genrf-train-surrogate", _misspell_node_selector),
    ],
)
def test_a_slip_would_be_noticed(
    rendered: dict[str, list[Manifest]], overlay: str, kind: str, name: str, change: Callable[[Manifest], None]
) -> None:
    broken = copy.deepcopy(of_kind(rendered[overlay], kind)[name])
    change(broken)
    with pytest.raises(ValueError):
        check(broken, VERSIONS[-1])


def test_a_kind_that_nothing_is_known_of_is_refused() -> None:
    with pytest.raises(ValueError):
        check({"apiVersion": "example.org/v1", "kind": "Unknown", "metadata": {"name": "unknown"}}, VERSIONS[-1])
