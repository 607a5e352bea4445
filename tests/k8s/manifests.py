"""Manifests by kind, and the pods that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
SERVICES = ("cpu", "gpu", "single-node")
"""Overlays that deploy MLflow and the design server."""
STEPS = {"kfp-standalone": "kubeflow", "kfp-profile": "genrf-team", "single-node": "kubeflow"}
"""Overlays for the pipeline's steps, with the namespace that these run in."""
OVERLAYS = ("cpu", "gpu", "gpu-canary", "single-node", "kfp-standalone", "kfp-profile")
TRAIN_JOB = "train-job"


def compiled() -> list[Manifest]:
    """The pipelines as resources: training and a night, each with its version."""
    paths = sorted((ROOT / "pipelines" / "compiled").glob("*.kubernetes.yaml"))
    return [manifest for path in paths for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Manifests of a kind by their names."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Specifications of all pods that the manifests make: in Deployments and Jobs, through KServe and the trainer."""
    found = {}
    for kind in ("Deployment", "Job"):
        for name, manifest in of_kind(manifests, kind).items():
            found[name] = manifest["spec"]["template"]["spec"]
    runtimes = of_kind(manifests, "ServingRuntime")
    for name, manifest in of_kind(manifests, "CronJob").items():
        found[name] = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for name, manifest in of_kind(manifests, "InferenceService").items():
        canaries = [entry["predictor"] for entry in manifest["spec"].get("canary", [])]
        for suffix, predictor in zip(
            ("", *("-canary" for _ in canaries)), (manifest["spec"]["predictor"], *canaries), strict=True
        ):
            runtime = runtimes[predictor["model"]["runtime"]]["spec"]
            found[name + suffix] = {**predictor, "containers": runtime["containers"], "volumes": runtime["volumes"]}
    for name, manifest in of_kind(manifests, "TrainJob").items():
        trainer = manifest["spec"]["trainer"]
        patch = train_job_pod(manifest)["spec"]
        (node,) = patch["containers"]
        container = {**node, "image": trainer["image"], "command": trainer["command"], "env": trainer["env"]}
        container["resources"] = trainer["resourcesPerNode"]
        found[name] = {**patch, "containers": [container]}
    return found


def train_job_pod(job: Manifest) -> Manifest:
    """What a TrainJob adds to the pods of its runtime."""
    (patch,) = job["spec"]["runtimePatches"]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    template: Manifest = replicated["template"]["spec"]["template"]
    return template


def containers(manifests: list[Manifest]) -> list[Manifest]:
    """Containers of all pods, those that run first included."""
    found: list[Manifest] = []
    for pod in pods(manifests).values():
        found += [*pod["containers"], *pod.get("initContainers", [])]
    return found


def environment(container: Manifest) -> dict[str, Manifest]:
    """A container's variables by name."""
    return {variable["name"]: variable for variable in container.get("env", [])}
