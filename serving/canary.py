"""Move KServe's canary as the evidence says: ``python -m serving.canary --server URL --service NAME``.

The servers of the stable predictor compare the champion with the challenger on the requests that they get (`serving.variants`),
and say promote, hold or reject. Promote takes the canary a step up, reject takes all traffic from it, hold changes nothing. A
caller is not kept at one predictor: KServe draws at random. The registry's alias is the nights' to move; once the challenger is
the champion, there is no comparison any more and the canary has nothing to show, so its traffic ends.

Meant to run every few minutes (`k8s/overlays/gpu-canary`), with an account that may read and change this InferenceService alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from genrf.errors import GenRFError, InvalidInputError

GROUP, VERSION, PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
STEPS = (10, 25, 50)
"""Percentages of the traffic; all of it is a promotion, which is not a canary's."""


def next_share(share: int, comparison: dict[str, Any] | None, steps: Sequence[int] = STEPS) -> tuple[int, str]:
    """The canary's percentage from now on, and why.

    Args:
        share: what it is.
        comparison: of the server's ``/v1/variants``; None without a challenger.
    """
    if comparison is None:
        return 0, "there is no challenger"
    decision, reason = comparison["decision"], comparison["reason"]
    if decision == "reject":
        return 0, reason
    if decision == "promote":
        return next((step for step in steps if step > share), steps[-1]), reason
    return share, reason


def variants(server: str, token: str | None = None) -> dict[str, Any]:
    """What a server says of its variants.

    Raises:
        GenRFError: if it does not answer.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{server}/v1/variants", headers=headers), timeout=20
        ) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except (urllib.error.URLError, ValueError, OSError) as error:
        raise GenRFError(f"{server}/v1/variants: no answer ({error})") from error


def change(api: Any, namespace: str, service: str, comparison: dict[str, Any] | None, steps: Sequence[int]) -> str:
    """Set the canary's percentage and return a line that says to what, and why.

    Args:
        api: `kubernetes.client.CustomObjectsApi`.

    Raises:
        InvalidInputError: if the service has no canary.
    """
    found = api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, service)
    canaries = found["spec"].get("canary") or []
    if len(canaries) != 1:
        raise InvalidInputError(
            f"{service}: expected one entry in spec.canary, got {len(canaries)}; apply k8s/overlays/gpu-canary"
        )
    before = int(canaries[0].get("trafficPercent", 0))
    share, reason = next_share(before, comparison, steps)
    if share != before:
        # Of the version that was read: another change meanwhile is not undone.
        body = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "spec": {"canary": [{**canaries[0], "trafficPercent": share}]},
        }
        api.patch_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, service, body)
    return f"{service}: {before} to {share} % of the traffic ({reason})"


def main() -> int:
    """Run the command."""
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException

    parser = argparse.ArgumentParser(
        prog="python -m serving.canary", description="Move KServe's canary by the evidence."
    )
    parser.add_argument(
        "--server", required=True, help="address of the stable predictor, such as http://genrf-predictor"
    )
    parser.add_argument("--service", default="genrf", help="the InferenceService")
    parser.add_argument("--namespace", default="genrf", help="its namespace")
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS), help="percentages, rising")
    arguments = parser.parse_args()
    if arguments.steps != sorted(set(arguments.steps)) or not 0 < arguments.steps[0] <= arguments.steps[-1] <= 100:
        parser.error("--steps: expected percentages above 0 that rise to 100 at most")
    try:
        comparison = variants(arguments.server, os.environ.get("GENRF_TOKEN") or None)["comparison"]
        try:
            config.load_incluster_config()
        except config.ConfigException:
            config.load_kube_config()
        line = change(client.CustomObjectsApi(), arguments.namespace, arguments.service, comparison, arguments.steps)
    except ApiException as error:
        print(f"canary: {arguments.service}: the API server refuses ({error.status} {error.reason})", file=sys.stderr)
        return 1
    except config.ConfigException as error:
        print(f"canary: no cluster is at hand ({error})", file=sys.stderr)
        return 3
    except GenRFError as error:
        print(f"canary: {error}", file=sys.stderr)
        return error.exit_code
    print(f"canary: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
