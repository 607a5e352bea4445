"""Who may call whom: network policies, the names that MLflow answers to, the route from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.k8s.manifests import STEPS, TRAIN_JOB, Manifest, of_kind, train_job_pod

Rendered = dict[str, list[Manifest]]


def _admitted(policies: dict[str, Manifest], name: str, port: int) -> Iterator[dict[str, Any]]:
    """Sources that reach a port of the pods of a name."""
    for policy in policies.values():
        selected = policy["spec"]["podSelector"].get("matchLabels", {})
        if selected == {"app.kubernetes.io/name": name} and "Ingress" in policy["spec"]["policyTypes"]:
            for rule in policy["spec"]["ingress"]:
                if any(each["port"] == port for each in rule["ports"]):
                    yield from rule["from"]


def test_services_are_closed_but_for_named_callers(services: list[Manifest]) -> None:
    policies = of_kind(services, "NetworkPolicy")
    assert policies["deny-by-default"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name, port in (("serving", 8080), ("serving", 8081), ("mlflow", 5000)):
        sources = list(_admitted(policies, name, port))
        assert sources
        for source in sources:
            assert any(selector.get("matchLabels") for selector in source.values()), source
    labels = [
        manifest["spec"]["template"]["metadata"]["labels"] for manifest in of_kind(services, "Deployment").values()
    ]
    labels += [each["spec"]["predictor"]["labels"] for each in of_kind(services, "InferenceService").values()]
    assert sorted(each["app.kubernetes.io/name"] for each in labels) == ["mlflow", "serving"]


@pytest.mark.parametrize("overlay", STEPS)
def test_steps_and_train_jobs_of_their_namespace_reach_mlflow(rendered: Rendered, overlay: str) -> None:
    sources = list(_admitted(of_kind(rendered[overlay], "NetworkPolicy"), "mlflow", 5000))
    here = {"matchLabels": {"kubernetes.io/metadata.name": STEPS[overlay]}}
    # Kubeflow Pipelines puts this label on the pods of a workflow (backend/src/v2/compiler/argocompiler/argo.go).
    step = {"pipelines.kubeflow.org/v2_component": "true"}
    assert {"namespaceSelector": here, "podSelector": {"matchLabels": step}} in sources
    (job,) = of_kind(rendered[TRAIN_JOB], "TrainJob").values()
    labels = train_job_pod(job)["metadata"]["labels"].items()
    own = [each["podSelector"]["matchLabels"] for each in sources if each.get("namespaceSelector") == here]
    assert any(selector.items() <= labels for selector in own)


def test_policies_for_several_namespaces_do_not_replace_each_other(rendered: Rendered) -> None:
    names = [set(of_kind(rendered[overlay], "NetworkPolicy")) for overlay in ("kfp-standalone", "kfp-profile")]
    assert not names[0] & names[1]


def test_mlflow_answers_to_the_names_by_which_it_is_called(services: list[Manifest]) -> None:
    settings = of_kind(services, "ConfigMap")["mlflow"]["data"]
    allowed = settings["allowed_hosts"].split(",")
    assert all(host == host.strip() for host in allowed)
    assert {"mlflow:5000", "mlflow.genrf.svc:5000", "mlflow.genrf.svc.cluster.local:5000"} <= set(allowed)
    rules = of_kind(services, "Ingress")["genrf"]["spec"]["rules"]
    (host,) = (rule["host"] for rule in rules if rule["http"]["paths"][0]["backend"]["service"]["name"] == "mlflow")
    assert host in allowed
    assert settings["allowed_origins"] == f"https://{host}"


def test_the_route_is_served_by_nobody_until_an_administrator_says_who_authenticates(services: list[Manifest]) -> None:
    route = of_kind(services, "Ingress")["genrf"]["spec"]
    assert route["ingressClassName"] == "authenticated"
    assert not of_kind(services, "IngressClass")
    assert set(route["tls"][0]["hosts"]) == {rule["host"] for rule in route["rules"]}
    designs = route["rules"][0]["http"]["paths"]
    assert [path["path"] for path in designs] == ["/v2"]
