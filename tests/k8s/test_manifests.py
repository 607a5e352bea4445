"""The manifests as a cluster would get them: rendered by kubectl, checked against the schemas of Kubernetes."""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.image import IMAGE
from pipelines.placement import (
    ROLE_LABEL,
    STORAGE_CONFIG,
    WORK_CLAIM,
)

ROOT = Path(__file__).parents[2]
OVERLAYS = ("laptop", "gpu")
SCHEMAS = "1.34"
Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kubectl, out of the Python package that ships it."""
    found = importlib.util.find_spec("aws_cdk")
    assert found is not None
    assert found.submodule_search_locations is not None
    folders = [Path(location) for location in found.submodule_search_locations]
    (archive,) = [path for folder in folders for path in folder.rglob("lambda-layer-kubectl*.tgz")]
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
            path = Path(content.extract("kubectl/kubectl", tmp_path_factory.mktemp("kubectl")))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def rendered(kubectl: Path) -> dict[str, list[Manifest]]:
    """Manifests by overlay."""
    manifests = {}
    for overlay in OVERLAYS:
        command = [str(kubectl), "kustomize", str(ROOT / "k8s" / "overlays" / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        manifests[overlay] = list(yaml.safe_load_all(done.stdout))
    return manifests


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, rendered: dict[str, list[Manifest]]) -> list[Manifest]:
    return rendered[request.param]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Specifications of all pods that the manifests make, in Deployments or through KServe."""
    found = {name: manifest["spec"]["template"]["spec"] for name, manifest in of_kind(manifests, "Deployment").items()}
    runtimes = of_kind(manifests, "ServingRuntime")
    for name, manifest in of_kind(manifests, "InferenceService").items():
        predictor = manifest["spec"]["predictor"]
        runtime = runtimes[predictor["model"]["runtime"]]["spec"]
        found[name] = {**predictor, "containers": runtime["containers"], "volumes": runtime["volumes"]}
    return found


def containers(manifests: list[Manifest]) -> list[Manifest]:
    found: list[Manifest] = []
    for pod in pods(manifests).values():
        found += [*pod["containers"], *pod.get("initContainers", [])]
    return found


def test_every_manifest_of_kubernetes_itself_is_valid(manifests: list[Manifest]) -> None:
    checked = 0
    for manifest in manifests:
        if "kserve" in manifest["apiVersion"]:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kubernetes_validate.validate(manifest, SCHEMAS, strict=True)
        checked += 1
    assert checked >= 8


def test_a_misspelt_field_would_be_noticed(rendered: dict[str, list[Manifest]]) -> None:
    deployment = of_kind(rendered["laptop"], "Deployment")["serving"]
    broken = {**deployment, "spec": {**deployment["spec"], "replicaz": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, SCHEMAS, strict=True)


def test_everything_is_in_one_namespace(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "genrf", manifest["metadata"]["name"]


def test_the_image_is_that_of_the_components(manifests: list[Manifest]) -> None:
    assert {container["image"] for container in containers(manifests)} == {IMAGE}


def test_containers_are_confined(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
    for container in containers(manifests):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "memory" in container["resources"]["limits"]


def test_all_volumes_that_are_mounted_exist(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        volumes = {volume["name"] for volume in pod["volumes"]}
        for key in ("containers", "initContainers"):
            for container in pod.get(key, []):
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_secrets_are_referred_to_and_never_kept(manifests: list[Manifest]) -> None:
    assert not of_kind(manifests, "Secret")
    referred = set(re.findall(r"secretKeyRef': \{'key': '\w+', 'name': '([\w-]+)'", str(manifests)))
    assert {"genrf-tracking", "mlflow"} <= referred


def test_only_named_callers_reach_the_servers_that_listen_everywhere(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    assert policies["deny-by-default"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name in ("gateway-to-serving", "clients-to-mlflow"):
        for rule in policies[name]["spec"]["ingress"]:
            assert rule["from"]
            assert all(source != {} for source in rule["from"])
            assert rule["ports"]
    labels = {
        name: manifest["spec"]["template"]["metadata"]["labels"]
        for name, manifest in of_kind(manifests, "Deployment").items()
    }
    for name, manifest in of_kind(manifests, "InferenceService").items():
        labels[name] = manifest["spec"]["predictor"]["labels"]
    guarding = ("gateway-to-serving", "clients-to-mlflow")
    selected = [policies[name]["spec"]["podSelector"]["matchLabels"] for name in guarding]
    for own in labels.values():
        assert any(selector.items() <= own.items() for selector in selected)


def test_the_laptop_serves_from_a_plain_deployment(rendered: dict[str, list[Manifest]]) -> None:
    assert set(of_kind(rendered["laptop"], "Deployment")) == {"mlflow", "serving"}
    assert not of_kind(rendered["laptop"], "InferenceService")


def test_the_gpu_cluster_serves_through_kserve_with_protocol_v2(rendered: dict[str, list[Manifest]]) -> None:
    assert set(of_kind(rendered["gpu"], "Deployment")) == {"mlflow"}
    runtime = of_kind(rendered["gpu"], "ServingRuntime")["genrf"]["spec"]
    predictor = of_kind(rendered["gpu"], "InferenceService")["genrf"]["spec"]["predictor"]
    assert "v2" in runtime["protocolVersions"]
    assert predictor["model"]["protocolVersion"] == "v2"
    assert predictor["model"]["modelFormat"]["name"] in {model["name"] for model in runtime["supportedModelFormats"]}
    assert runtime["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert ROLE_LABEL in predictor["nodeSelector"]
    assert predictor["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_the_pipeline_finds_its_claim_and_its_configuration(manifests: list[Manifest]) -> None:
    assert WORK_CLAIM in of_kind(manifests, "PersistentVolumeClaim")
    assert set(of_kind(manifests, "ConfigMap")[STORAGE_CONFIG]["data"]) == {"remote", "endpoint"}
