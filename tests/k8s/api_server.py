"""The manifests on a real API server: `make test-apiserver`, which builds one first. Plain pytest does not collect this file.

The server is Kubernetes 1.20.2, what Debian 12 has as source. It is older than two kinds in the versions used here, which are
given to it in the earlier version, of the same fields. The resource definitions of KServe, the trainer and Kubeflow are not
of this repository: stand-ins without a schema show that their objects are stored, `test_schemas` that they are right.

There are no controllers and no nodes: objects are validated, defaulted, authorised and stored, and no pod ever starts.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.manifests import ROOT, STEPS, TRAIN_JOB, Manifest, compiled

PROGRAMS = ROOT / ".cache" / "apiserver"
EARLIER = {"policy/v1": "policy/v1beta1", "autoscaling/v2": "autoscaling/v2beta2"}
"""Versions since Kubernetes 1.21 and 1.23, and those before."""
CUSTOM = {
    "InferenceService": ("serving.kserve.io", "v1beta1", "Namespaced"),
    "ServingRuntime": ("serving.kserve.io", "v1alpha1", "Namespaced"),
    "TrainJob": ("trainer.kubeflow.org", "v1alpha1", "Namespaced"),
    "Profile": ("kubeflow.org", "v1", "Cluster"),
    "Pipeline": ("pipelines.kubeflow.org", "v2beta1", "Namespaced"),
    "PipelineVersion": ("pipelines.kubeflow.org", "v2beta1", "Namespaced"),
}
"""Group, version and scope of the kinds that are not Kubernetes' own."""
SERVICES = "genrf"
CLUSTERS = (("cpu", "kfp-standalone"), ("gpu", "kfp-profile", TRAIN_JOB), ("single-node",))
"""What is applied to an empty cluster, by overlay."""
TOKEN = "administrator"


def definition(kind: str) -> Manifest:
    """A stand-in for a resource definition: names and scope, and any content."""
    group, version, scope = CUSTOM[kind]
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}},
            ],
        },
    }


class Cluster:
    """A running API server, and kubectl for it."""

    def __init__(self, kubectl: Path, folder: Path, server: str) -> None:
        self._command = [str(kubectl), f"--server={server}", "--insecure-skip-tls-verify=true", f"--token={TOKEN}"]
        self._command += [f"--cache-dir={folder}/kubectl"]

    def run(self, *arguments: str, manifests: list[Manifest] | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, with manifests for ``-f -`` if there are any."""
        given = None if manifests is None else yaml.safe_dump_all(manifests)
        return subprocess.run(
            [*self._command, *arguments], input=given, capture_output=True, text=True, check=False, timeout=120
        )

    def must(self, *arguments: str, manifests: list[Manifest] | None = None) -> str:
        """Run kubectl and return what it printed.

        Raises:
            AssertionError: if it failed.
        """
        done = self.run(*arguments, manifests=manifests)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, manifests: list[Manifest], *options: str) -> list[str]:
        """Apply manifests on the server's side; a line an object."""
        return self.must("apply", "--server-side", *options, "-f", "-", manifests=manifests).splitlines()

    def stored(self, manifests: list[Manifest]) -> dict[str, Any]:
        """What the server has of manifests, by kind and name."""
        found = json.loads(self.must("get", "-o", "json", "-f", "-", manifests=manifests))
        items = found["items"] if found["kind"] == "List" else [found]
        return {f"{item['kind']}/{item['metadata']['name']}": item for item in items}

    def may(self, account: str, namespace: str, action: str, *, within: str = "") -> bool:
        """Whether a service account may do something, in its own namespace or in another one.

        Kubeflow Pipelines asks the same way, for kinds that no API server has, such as ``runs``.

        Args:
            action: such as ``get pods/log`` or ``create trainjobs.trainer.kubeflow.org``.
        """
        verb, _, named = action.partition(" ")
        resource, _, group = named.partition(".")
        resource, _, subresource = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
                "resourceAttributes": {**asked, "namespace": within or namespace},
            },
        }
        allowed: bool = json.loads(self.must("create", "-o", "json", "-f", "-", manifests=[review]))["status"][
            "allowed"
        ]
        return allowed


@contextlib.contextmanager
def running(log: Path, program: str, *options: str) -> Iterator[None]:
    """A server that ends with the block."""
    with log.open("w") as output:
        process = subprocess.Popen([str(PROGRAMS / program), *options], stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    with contextlib.ExitStack() as probes:
        bound = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in bound:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in bound]


@pytest.fixture(scope="module", params=CLUSTERS, ids=" and ".join)
def overlays(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Overlays that are applied together; each such choice gets a cluster of its own."""
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture(scope="module")
def cluster(kubectl: Path, tmp_path_factory: pytest.TempPathFactory, overlays: tuple[str, ...]) -> Iterator[Cluster]:
    """etcd and an API server on loopback, with the namespaces that Kubeflow would have made."""
    folder = tmp_path_factory.mktemp("cluster")
    clients, peers, port = free_ports(3)
    tokens, key = folder / "tokens.csv", folder / "service-accounts.key"
    tokens.write_text(f"{TOKEN},administrator,1,system:masters\n")
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    etcd = running(
        folder / "etcd.log",
        "etcd",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls=http://127.0.0.1:{clients}",
        f"--advertise-client-urls=http://127.0.0.1:{clients}",
        f"--listen-peer-urls=http://127.0.0.1:{peers}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
        f"--initial-cluster=default=http://127.0.0.1:{peers}",
    )
    server = running(
        folder / "apiserver.log",
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{clients}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}/certificates",
        "--authorization-mode=RBAC",
        f"--token-auth-file={tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
    )
    with etcd, server:
        started = Cluster(kubectl, folder, f"https://127.0.0.1:{port}")
        deadline = time.monotonic() + 180
        while started.run("get", "--raw=/readyz").stdout != "ok":
            assert time.monotonic() < deadline, (folder / "apiserver.log").read_text()[-3000:]
            time.sleep(1.0)
        started.apply([definition(kind) for kind in CUSTOM])
        started.must("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        for namespace in {SERVICES, *STEPS.values()}:
            started.must("create", "namespace", namespace)
        yield started


@pytest.fixture(scope="module")
def namespace(overlays: tuple[str, ...]) -> str:
    """Where steps run."""
    (found,) = (STEPS[overlay] for overlay in overlays if overlay in STEPS)
    return found


@pytest.fixture(scope="module")
def objects(overlays: tuple[str, ...], rendered: dict[str, list[Manifest]], namespace: str) -> list[Manifest]:
    """Manifests and compiled pipelines, in versions that the server knows; a TrainJob, without a namespace, where steps run."""
    found = []
    for each in [*(each for overlay in overlays for each in rendered[overlay]), *compiled()]:
        known = {**each, "apiVersion": EARLIER.get(each["apiVersion"], each["apiVersion"])}
        if each["kind"] == "TrainJob":
            known["metadata"] = {**each["metadata"], "namespace": namespace}
        found.append(known)
    return found


def test_the_server_is_the_one_that_was_built(cluster: Cluster) -> None:
    assert json.loads(cluster.must("get", "--raw=/version"))["gitVersion"] == "v1.20.2"


def test_what_is_wrong_is_refused(cluster: Cluster, objects: list[Manifest]) -> None:
    """So that being accepted says something."""
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "selector": {"matchLabels": {"app": "another"}}}}
    refused = cluster.run("apply", "--server-side", "--dry-run=server", "-f", "-", manifests=[wrong])
    assert refused.returncode != 0
    assert "selector" in refused.stderr


def test_every_object_is_accepted_and_applied_again_stays_as_it_is(cluster: Cluster, objects: list[Manifest]) -> None:
    rehearsed = cluster.apply(objects, "--dry-run=server")
    assert len(rehearsed) == len(objects)
    assert len(cluster.apply(objects)) == len(objects)
    before = contents(cluster.stored(objects))
    assert len(before) == len(objects)
    cluster.apply(objects)
    assert contents(cluster.stored(objects)) == before


def contents(stored: dict[str, Any]) -> dict[str, Any]:
    """Objects without their versions, which this server counts up for claims whatever is applied to them."""
    for item in stored.values():
        del item["metadata"]["resourceVersion"]
    return stored


def test_what_the_server_stores_is_what_was_written(cluster: Cluster, objects: list[Manifest]) -> None:
    """It drops fields that it does not know, and says nothing."""
    cluster.apply(objects)
    stored = cluster.stored(objects)
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        for key, value in each.items():
            if key not in ("apiVersion", "metadata"):
                assert missing(value, stored[name][key], f"{name}.{key}") == []


def missing(written: Any, stored: Any, where: str) -> list[str]:
    """Parts of what was written that are not stored; quantities may be written differently, 2.0 as 2 for one."""
    if isinstance(written, dict):
        if not isinstance(stored, dict):
            return [where]
        found = [f"{where}.{key}" for key in written if key not in stored]
        return found + [
            lost for key in written if key in stored for lost in missing(written[key], stored[key], f"{where}.{key}")
        ]
    if isinstance(written, list):
        if not isinstance(stored, list) or len(stored) < len(written):
            return [where]
        return [
            lost
            for index, (one, other) in enumerate(zip(written, stored, strict=False))
            for lost in missing(one, other, f"{where}[{index}]")
        ]
    return [] if written == stored or str(written) == str(stored) else [f"{where}: {written!r}, {stored!r}"]


def test_who_submits_may_start_and_watch_and_nothing_else(
    cluster: Cluster, objects: list[Manifest], namespace: str
) -> None:
    cluster.apply(objects)
    for allowed in (
        "create runs.pipelines.kubeflow.org",
        "list experiments.pipelines.kubeflow.org",
        "delete jobs.pipelines.kubeflow.org",
        "create trainjobs.trainer.kubeflow.org",
        "get pods/log",
    ):
        assert cluster.may("genrf-submitter", namespace, allowed), allowed
        assert not cluster.may("genrf-submitter", namespace, allowed, within=SERVICES), allowed
        assert not cluster.may("genrf-training", namespace, allowed), allowed
    for refused in (
        "get secrets",
        "get configmaps",
        "create pods",
        "create pods/exec",
        "create serviceaccounts/token",
        "delete persistentvolumeclaims",
        "delete runs.pipelines.kubeflow.org",
        "update roles.rbac.authorization.k8s.io",
    ):
        assert not cluster.may("genrf-submitter", namespace, refused), refused


@pytest.mark.parametrize("account", ["mlflow", "serving"])
def test_services_may_do_nothing(cluster: Cluster, objects: list[Manifest], account: str) -> None:
    cluster.apply(objects)
    for action in ("get secrets", "list pods", "get configmaps", "create pods", "* *"):
        assert not cluster.may(account, SERVICES, action), action


def test_everything_can_be_removed(cluster: Cluster, objects: list[Manifest]) -> None:
    cluster.apply(objects)
    # Without controllers a namespace would never be emptied.
    removed = [each for each in objects if each["kind"] != "Namespace"]
    said = cluster.must("delete", "--wait=false", "-f", "-", manifests=removed).splitlines()
    assert sum("deleted" in line for line in said) == len(removed)
