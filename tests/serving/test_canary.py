"""KServe's canary moves as the evidence says."""

from __future__ import annotations

from typing import Any

import pytest

from genrf.errors import GenRFError, InvalidInputError
from serving.canary import STEPS, change, next_share, variants


def comparison(decision: str) -> dict[str, Any]:
    return {"decision": decision, "reason": f"{decision}, for a reason"}


class Cluster:
    """The one InferenceService of a cluster, with Kubernetes' merge of changes and its refusal of old ones."""

    def __init__(self, *canaries: dict[str, Any]) -> None:
        self.service = {
            "metadata": {"resourceVersion": "4"},
            "spec": {"predictor": {"model": {}}, "canary": list(canaries)},
        }
        self.changes = 0

    def get_namespaced_custom_object(self, *names: str) -> dict[str, Any]:
        assert names == ("serving.kserve.io", "v1beta1", "genrf", "inferenceservices", "genrf")
        return self.service

    def patch_namespaced_custom_object(self, *arguments: Any) -> None:
        body = arguments[-1]
        assert body["metadata"]["resourceVersion"] == self.service["metadata"]["resourceVersion"]
        self.service["spec"] |= body["spec"]
        self.changes += 1


@pytest.mark.parametrize(
    ("share", "decision", "then"),
    [
        (0, "promote", 10), (10, "promote", 25), (25, "promote", 50), (50, "promote", 50),
        (25, "hold", 25), (0, "hold", 0), (50, "reject", 0), (0, "reject", 0),
    ],
)  # fmt: skip
def test_evidence_moves_the_share_a_step_at_a_time(share: int, decision: str, then: int) -> None:
    assert next_share(share, comparison(decision)) == (then, f"{decision}, for a reason")


def test_a_challenger_that_is_none_any_more_gets_no_traffic() -> None:
    assert next_share(25, None) == (0, "there is no challenger")


def test_the_canary_alone_is_changed_and_only_if_it_changes() -> None:
    predictor = {"model": {"runtime": "genrf"}}
    cluster = Cluster({"trafficPercent": 10, "predictor": predictor})
    said = change(cluster, "genrf", "genrf", comparison("promote"), STEPS)
    assert said == "genrf: 10 to 25 % of the traffic (promote, for a reason)"
    assert cluster.service["spec"] == {
        "predictor": {"model": {}}, "canary": [{"trafficPercent": 25, "predictor": predictor}],
    }  # fmt: skip
    change(cluster, "genrf", "genrf", comparison("hold"), STEPS)
    assert cluster.changes == 1


def test_a_service_without_a_canary_is_an_error() -> None:
    with pytest.raises(InvalidInputError, match=r"genrf: expected one entry in spec\.canary, got 0"):
        change(Cluster(), "genrf", "genrf", comparison("promote"), STEPS)


def test_a_server_that_does_not_answer_changes_nothing() -> None:
    with pytest.raises(GenRFError, match=r"http://127\.0\.0\.1:9/v1/variants: no answer"):
        variants("http://127.0.0.1:9")
