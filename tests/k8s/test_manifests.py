"""What the manifests promise: who has which rights, what finds what, how designs are served. Rendered by kubectl."""

from __future__ import annotations

import re

import pytest
import yaml

from components.image import IMAGE
from genrf.feedback.log import VARIABLE
from genrf.objects.failures import ACCESS_KEY, ENDPOINT, SECRET_KEY
from pipelines.placement import ROLE_LABEL, STORAGE_CONFIG, STORAGE_SECRET, TRACKING_SECRET, WORK_CLAIM, WORK_PATH
from tests.k8s.manifests import (
    OVERLAYS,
    ROOT,
    STEPS,
    TRAIN_JOB,
    Manifest,
    containers,
    environment,
    of_kind,
    pods,
    train_job_pod,
)

Rendered = dict[str, list[Manifest]]
MOVER = "canary"
"""What moves the share of KServe's canary: its account may change that one service."""


@pytest.fixture(params=STEPS)
def steps(request: pytest.FixtureRequest, rendered: Rendered) -> tuple[str, list[Manifest]]:
    """Overlays for the pipeline's steps: their namespace, and what is in it."""
    namespace = STEPS[request.param]
    return namespace, [each for each in rendered[request.param] if each["metadata"].get("namespace") == namespace]


def test_every_folder_of_overlays_is_looked_at() -> None:
    assert {path.name for path in (ROOT / "k8s" / "overlays").iterdir()} == set(OVERLAYS)


def test_images_are_those_that_are_built(manifests: list[Manifest]) -> None:
    built = {IMAGE, f"{IMAGE}-cpu", IMAGE.replace("pipeline-python", "serving")}
    assert {container["image"] for container in containers(manifests)} <= built


def test_containers_are_confined(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_all_volumes_that_are_mounted_exist(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for key in ("containers", "initContainers"):
            for container in pod.get(key, []):
                assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_secrets_are_referred_to_and_never_kept(manifests: list[Manifest]) -> None:
    assert not of_kind(manifests, "Secret")
    for container in containers(manifests):
        written = " ".join(map(str, [*container["command"], *container.get("args", [])]))
        assert "$(" not in written, "what stands in arguments can be seen by whoever lists processes"
        for name, variable in environment(container).items():
            if re.search(r"PASSWORD|SECRET|KEY|BACKEND_STORE", name):
                assert "secretKeyRef" in variable["valueFrom"]


def test_pods_have_accounts_of_their_own_that_carry_no_token(manifests: list[Manifest], rendered: Rendered) -> None:
    accounts = of_kind([*rendered["single-node"]], "ServiceAccount")
    for name, pod in pods(manifests).items():
        if name == MOVER:
            # It asks the API server.
            continue
        assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False
    for manifest in of_kind(manifests, "Deployment").values():
        assert manifest["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_only_who_submits_has_rights_and_none_that_reveal_secrets(manifests: list[Manifest]) -> None:
    assert not of_kind(manifests, "ClusterRole")
    assert not of_kind(manifests, "ClusterRoleBinding")
    for binding in of_kind(manifests, "RoleBinding").values():
        (subject,) = binding["subjects"]
        assert subject["namespace"] == binding["metadata"]["namespace"]
        assert subject["name"] in ("genrf-submitter", MOVER)
        assert subject["name"] == "genrf-submitter" or binding["roleRef"]["name"] == MOVER
    for name, role in of_kind(manifests, "Role").items():
        for rule in role["rules"]:
            if name == MOVER:
                assert rule == {
                    "apiGroups": ["serving.kserve.io"],
                    "resources": ["inferenceservices"],
                    "resourceNames": ["genrf"],
                    "verbs": ["get", "patch"],
                }
                continue
            assert not {"*", "secrets", "pods/exec", "serviceaccounts/token"} & set(rule["resources"])
            assert not {"*", "update", "patch"} & set(rule["verbs"])
            assert not ("pods" in rule["resources"] and "create" in rule["verbs"]), "a pod may mount any secret"


# Kubeflow's own namespaces


def test_kubeflows_namespaces_are_not_made_labelled_or_closed(steps: tuple[str, list[Manifest]]) -> None:
    """Its object store's network policy lets in the namespaces labelled part-of=kubeflow-profile."""
    _, manifests = steps
    assert not of_kind(manifests, "Namespace")
    assert not of_kind(manifests, "NetworkPolicy")
    assert not of_kind(manifests, "LimitRange"), "it would set limits on Kubeflow's own pods"
    for manifest in manifests:
        assert "app.kubernetes.io/part-of" not in manifest["metadata"].get("labels", {})


def test_no_kustomization_of_the_steps_sets_labels() -> None:
    for folder in ("base/steps", "overlays/kfp-standalone", "overlays/kfp-profile", "overlays/single-node"):
        content = yaml.safe_load((ROOT / "k8s" / folder / "kustomization.yaml").read_text(encoding="utf-8"))
        assert not {"labels", "commonLabels", "commonAnnotations"} & content.keys(), folder


def test_a_quota_there_counts_nothing_that_kubeflows_own_pods_use(steps: tuple[str, list[Manifest]]) -> None:
    _, manifests = steps
    (quota,) = of_kind(manifests, "ResourceQuota").values()
    assert set(quota["spec"]["hard"]) == {"requests.nvidia.com/gpu"}


def test_steps_find_their_claim_and_their_configuration(steps: tuple[str, list[Manifest]]) -> None:
    _, manifests = steps
    assert WORK_CLAIM in of_kind(manifests, "PersistentVolumeClaim")
    assert set(of_kind(manifests, "ConfigMap")[STORAGE_CONFIG]["data"]) == {"remote", "feedback", "endpoint"}
    described = (ROOT / "k8s" / "base" / "steps" / "storage.yaml").read_text(encoding="utf-8")
    for secret, keys in ((TRACKING_SECRET, ("uri",)), (STORAGE_SECRET, ("access_key", "secret_key"))):
        line = next(line for line in described.splitlines() if f"create secret generic {secret} " in line)
        assert all(f"--from-literal={key}=" in line for key in keys)


def test_the_work_volume_is_given_to_the_group_of_the_steps(steps: tuple[str, list[Manifest]]) -> None:
    _, manifests = steps
    pod = pods(manifests)["genrf-work"]
    assert pod["volumes"] == [{"name": "work", "persistentVolumeClaim": {"claimName": WORK_CLAIM}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "work", "mountPath": WORK_PATH}]


def test_the_namespace_of_a_profile_is_named_once(rendered: Rendered) -> None:
    (profile,) = of_kind(rendered["kfp-profile"], "Profile")
    assert profile == STEPS["kfp-profile"]
    sources = (ROOT / "k8s" / "overlays" / "kfp-profile").iterdir()
    assert sum(path.read_text(encoding="utf-8").count(profile) for path in sources) == 1


def test_one_node_needs_no_volume_that_nodes_share(rendered: Rendered) -> None:
    for claim in of_kind(rendered["single-node"], "PersistentVolumeClaim").values():
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


# How designs are served


def _server(manifests: list[Manifest]) -> tuple[Manifest, Manifest, Manifest]:
    """The pod that serves, its server and the container that fetches the champion."""
    (pod,) = (pod for pod in pods(manifests).values() if "initContainers" in pod)
    (server,), (fetch,) = pod["containers"], pod["initContainers"]
    return pod, server, fetch


def test_the_server_takes_what_was_fetched(services: list[Manifest]) -> None:
    _, server, fetch = _server(services)
    folder = next(value.removeprefix("--into=") for value in fetch["command"] if value.startswith("--into="))
    assert f"--bundle={folder}" in server["args"]
    variables = environment(fetch)
    for key in ("uri", "username", "password"):
        reference = variables[f"MLFLOW_TRACKING_{key.upper()}"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": TRACKING_SECRET, "key": key, "optional": True}


def test_searches_are_recorded_where_the_server_may_write(services: list[Manifest]) -> None:
    _, server, _ = _server(services)
    log = of_kind(services, "ConfigMap")["serving"]["data"]["feedback"]
    assert environment(server)[VARIABLE]["valueFrom"]["configMapKeyRef"] == {"name": "serving", "key": "feedback"}
    assert log in {mount["mountPath"] for mount in server["volumeMounts"]}
    assert {ENDPOINT, ACCESS_KEY, SECRET_KEY} <= environment(server).keys(), "for a log in S3"


def test_models_run_on_a_gpu_where_one_is_reserved(services: list[Manifest]) -> None:
    pod, server, _ = _server(services)
    reserved = "nvidia.com/gpu" in server["resources"]["limits"]
    assert ("--device=cuda" in server["args"]) == reserved
    if reserved:
        assert server["image"] == IMAGE, "the serving image has no CUDA libraries"
        assert ROLE_LABEL in pod["nodeSelector"]
        assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_kserve_serves_with_protocol_v2(rendered: Rendered) -> None:
    assert set(of_kind(rendered["gpu"], "Deployment")) == {"mlflow"}
    runtime = of_kind(rendered["gpu"], "ServingRuntime")["genrf"]["spec"]
    predictor = of_kind(rendered["gpu"], "InferenceService")["genrf"]["spec"]["predictor"]
    assert "v2" in runtime["protocolVersions"]
    assert predictor["model"]["protocolVersion"] == "v2"
    assert predictor["model"]["modelFormat"]["name"] in {model["name"] for model in runtime["supportedModelFormats"]}


def test_the_route_leads_to_a_service(services: list[Manifest]) -> None:
    known = {
        name: {port["port"] for port in each["spec"]["ports"]} for name, each in of_kind(services, "Service").items()
    }
    # KServe makes one for each predictor (pkg/constants, PredictorServiceName), with port 80 for the first of the container.
    known |= {f"{name}-predictor": {80} for name in of_kind(services, "InferenceService")}
    for rule in of_kind(services, "Ingress")["genrf"]["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            service = path["backend"]["service"]
            assert service["port"]["number"] in known[service["name"]]


def test_as_many_servers_as_work_needs_within_the_quota(services: list[Manifest]) -> None:
    """What all servers and MLflow ask for at most fits into the namespace's quota."""
    hard = of_kind(services, "ResourceQuota")["services"]["spec"]["hard"]
    scaler = of_kind(services, "HorizontalPodAutoscaler").get("serving")
    inference = of_kind(services, "InferenceService").get("genrf")
    most = (
        scaler["spec"]["maxReplicas"] if scaler else inference["spec"]["predictor"]["maxReplicas"] if inference else 1
    )
    _, server, _ = _server(services)
    mlflow = pods(services)["mlflow"]["containers"][0]
    used = most * _cores(server["resources"]["requests"]["cpu"]) + _cores(mlflow["resources"]["requests"]["cpu"])
    assert used <= _cores(hard["requests.cpu"])
    gpus = most * int(server["resources"]["limits"].get("nvidia.com/gpu", 0))
    assert gpus == int(hard["requests.nvidia.com/gpu"])
    limit = most * _gibibytes(server["resources"]["limits"]["memory"]) + _gibibytes(
        mlflow["resources"]["limits"]["memory"]
    )
    assert limit <= _gibibytes(hard["limits.memory"])


def _cores(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _gibibytes(quantity: str) -> float:
    assert quantity.endswith("Gi")
    return float(quantity[:-2])


# Training on more than one node


def test_the_train_job_runs_this_projects_command_on_the_work_volume(rendered: Rendered) -> None:
    (job,) = of_kind(rendered[TRAIN_JOB], "TrainJob").values()
    trainer = job["spec"]["trainer"]
    assert job["spec"]["runtimeRef"]["name"] == "torch-distributed"
    assert trainer["command"][:3] == ["torchrun", "-m", "training.fitting"]
    assert trainer["numNodes"] > 1
    assert str(trainer["numProcPerNode"]) == trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"]
    pod = train_job_pod(job)["spec"]
    assert {"name": "work", "persistentVolumeClaim": {"claimName": WORK_CLAIM}} in pod["volumes"]
    for argument in trainer["command"]:
        if argument.startswith(("--prepared=", "--output=")):
            assert argument.partition("=")[2].startswith(WORK_PATH)
