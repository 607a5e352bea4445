"""The alert rules and the dashboard: Prometheus reads them, they ask for what is counted, and they fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

pytest.importorskip("kserve")

from serving import telemetry
from tests.k8s.manifests import ROOT, Manifest

FOLDER = ROOT / "k8s" / "monitoring"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
KEPT_BY_EVERY_PROCESS = {"process_resident_memory_bytes"}


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    content: Manifest = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    spec: dict[str, Any] = content["spec"]
    return spec


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("the alert rules were NOT tested: promtool is missing; on Debian: apt-get install prometheus")
    return found


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    """What the dashboard asks for, with its variable filled in."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$instance", ".*")
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["expr"]


def counted() -> list[set[str]]:
    """Names of all series that the server gives, by metric."""
    metrics = [each for each in vars(telemetry).values() if isinstance(each, MetricWrapperBase)]
    return [{f"{metric._name}{suffix}" for suffix in SUFFIXES[metric._type]} for metric in metrics]


def test_they_ask_for_what_the_server_counts(rules: dict[str, Any], dashboard: dict[str, Any]) -> None:
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked = {name for text in (*alerts, *queries(dashboard)) for name in re.findall(r"\b(?:genrf|process)_\w+", text)}
    assert asked - KEPT_BY_EVERY_PROCESS <= set.union(*counted())
    assert [series for series in counted() if not series & asked] == [], "counted, and looked at nowhere"


def test_prometheus_reads_every_query(
    promtool: str, rules: dict[str, Any], dashboard: dict[str, Any], tmp_path: Path
) -> None:
    recorded = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries(dashboard))]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [*rules["groups"], {"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(recorded) + sum(len(group['rules']) for group in rules['groups'])} rules found" in done.stdout


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    places = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & places, panel["title"]
        places |= cells


SCENES: dict[str, tuple[dict[str, str], str, bool]] = {
    "nothing designs": ({'genrf_designing_processes{variant="champion",instance="a"}': "0x20"}, "GenRFNothingDesigns", True),
    "one replica of two designs": (
        {
            'genrf_designing_processes{variant="champion",instance="a"}': "0x20",
            'genrf_designing_processes{variant="champion",instance="b"}': "2x20",
        },
        "GenRFNothingDesigns",
        False,
    ),
    "processes crash": ({'genrf_designing_process_restarts_total{instance="a"}': "0+1x20"}, "GenRFProcessesCrash", True),
    "a process crashed once": (
        {'genrf_designing_process_restarts_total{instance="a"}': "0x5 1x15"}, "GenRFProcessesCrash", False,
    ),
    "a tenth is refused": (
        {'genrf_requests_total{outcome="busy"}': "0+10x40", 'genrf_requests_total{outcome="met"}': "0+90x40"},
        "GenRFRefusesRequests",
        True,
    ),
    "clients make mistakes": (
        {'genrf_requests_total{outcome="invalid"}': "0+90x40", 'genrf_requests_total{outcome="met"}': "0+10x40"},
        "GenRFRefusesRequests",
        False,
    ),
    "a request waits": ({'genrf_oldest_waiting_seconds{lane="short",instance="a"}': "30x40"}, "GenRFWaitsLong", True),
    "a long search waits": ({'genrf_oldest_waiting_seconds{lane="long",instance="a"}': "900x40"}, "GenRFWaitsLong", False),
    "searches fail": (
        {'genrf_requests_total{outcome="error"}': "0+5x40", 'genrf_requests_total{outcome="met"}': "0+95x40"},
        "GenRFSearchesFail",
        True,
    ),
    "less is met than was promised": (
        {
            'genrf_promised_success{circuit_class="lna"}': "0.98x600",
            'genrf_requests_total{circuit_class="lna",outcome="met"}': "0+7x600",
            'genrf_requests_total{circuit_class="lna",outcome="missed"}': "0+3x600",
        },
        "GenRFMeetsLessThanPromised",
        True,
    ),
    "a few are missed at first": (
        {
            'genrf_promised_success{circuit_class="lna"}': "0.98x600",
            'genrf_requests_total{circuit_class="lna",outcome="met"}': "0x600",
            'genrf_requests_total{circuit_class="lna",outcome="missed"}': "0+0.05x600",
        },
        "GenRFMeetsLessThanPromised",
        False,
    ),
    "the band has moved": (
        {
            'genrf_requests_beyond_training_total{circuit_class="lna"}': "0+3x600",
            'genrf_requests_total{circuit_class="lna",outcome="met"}': "0+10x600",
        },
        "GenRFAskedForTheUnknown",
        True,
    ),
    "records are lost": ({'genrf_feedback_records_total{outcome="dropped"}': "0x5 3x15"}, "GenRFLosesFeedback", True),
    "a version is refused": (
        {'genrf_model_swaps_total{variant="champion",outcome="refused"}': "0x5 1x15"}, "GenRFRefusesModels", True,
    ),
    "replicas differ": (
        {
            'genrf_models{variant="champion",version="3",bundle="a",instance="a"}': "1x40",
            'genrf_models{variant="champion",version="4",bundle="b",instance="b"}': "1x40",
        },
        "GenRFServesTwoChampions",
        True,
    ),
}  # fmt: skip


def test_every_alert_has_a_scene(rules: dict[str, Any]) -> None:
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert alerts == {alert for _, alert, fires in SCENES.values() if fires}


@pytest.mark.parametrize("scene", SCENES)
def test_alerts_fire_when_they_should(promtool: str, rules: dict[str, Any], scene: str, tmp_path: Path) -> None:
    series, alert, fires = SCENES[scene]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    minutes = max(int(re.findall(r"x(\d+)", values)[-1]) for values in series.values())
    # promtool compares all labels and texts: it is asked what fires, and its answer is read.
    scenario = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0 or vector(0)',
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"labels": "{}", "value": int(fires)}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(scenario))
    done = subprocess.run(
        [promtool, "test", "rules", "scene.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
