"""The commands for a cluster, against a server whose requests must be what KFP's own models are."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.image import IMAGE
from genrf.errors import GenRFError, InvalidInputError
from pipelines import kubeflow
from pipelines.cli import app
from pipelines.kubeflow import ENDPOINT, TOKEN, Kubeflow, checked_cron, version_name
from tests.pipelines.fake_kubeflow import FakeKubeflow, fake_kubeflow

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "registry.example.org/rf/genrf/pipeline-python@sha256:" + "ab" * 32


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeKubeflow]:
    monkeypatch.setenv("GENRF_COMMIT", COMMIT)
    monkeypatch.setenv("GENRF_IMAGE", IMAGE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(TOKEN, raising=False)
    with fake_kubeflow() as server:
        monkeypatch.setenv(ENDPOINT, server.address)
        yield server


def genrf_pipeline(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def only(content: dict[str, Any]) -> Any:
    (value,) = content.values()
    return value


def short(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()[:6]


def test_a_version_is_named_after_commit_image_and_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRF_COMMIT", COMMIT)
    assert version_name("gpu", DIGEST) == f"0123456789ab-abababababab-{short(DIGEST)}-gpu"
    tagged = "genrf/pipeline-python:0.1.0-cpu"
    assert version_name("cpu", tagged) == f"0123456789ab-0.1.0-cpu-{short(tagged)}-cpu"
    assert version_name("cpu", f"elsewhere/{tagged}") != version_name("cpu", tagged)
    monkeypatch.setenv("GENRF_COMMIT", f"{COMMIT}-dirty")
    assert version_name("gpu", DIGEST) == f"0123456789ab-dirty-abababababab-{short(DIGEST)}-gpu"


def test_a_pipeline_is_uploaded_once_and_run_as_often_as_asked(server: FakeKubeflow) -> None:
    first = genrf_pipeline("submit", "--recipe", "smoke", "--set", "data.rounds=3")
    assert "uploaded" in first
    second = genrf_pipeline("submit", "--recipe", "smoke", "--set", "data.rounds=3")
    assert "is there already" in second
    assert len(server.pipelines) == 1
    assert len(server.specifications) == 1
    runs = list(server.runs.values())
    assert len(runs) == 2
    for run in runs:
        assert run["runtime_config"]["parameters"] == {"recipe": "smoke", "overrides": '{"data.rounds": 3}'}
        assert run["pipeline_version_reference"]["pipeline_version_id"] in server.specifications
        assert run["display_name"].startswith("smoke 20")
        assert run["display_name"].endswith(" data.rounds=3")
        assert f"#/runs/details/{run['run_id']}" in first + second


def test_each_pipeline_has_a_recipe_of_its_own(server: FakeKubeflow) -> None:
    genrf_pipeline("submit")
    genrf_pipeline("submit", "--pipeline", "night")
    asked = [run["runtime_config"]["parameters"]["recipe"] for run in server.runs.values()]
    assert asked == ["smoke", "nightly"]


def test_what_is_uploaded_is_what_is_compiled(server: FakeKubeflow) -> None:
    genrf_pipeline("submit")
    specification, platform = only(server.specifications)
    executor = specification["deploymentSpec"]["executors"]["exec-train-surrogate"]["container"]
    assert executor["image"] == IMAGE
    assert "kubernetes" in platform["platforms"]


@pytest.mark.parametrize("command", [("submit",), ("schedule", "--cron", "0 0 2 * * *")])
def test_every_step_runs_in_the_image_that_was_asked_for(server: FakeKubeflow, command: tuple[str, ...]) -> None:
    arguments = [sys.executable, "-m", "pipelines", *command, "--profile", "cpu", "--image", DIGEST]
    done = subprocess.run(arguments, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    specification, _ = only(server.specifications)
    executors = specification["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors} == {DIGEST}


def test_a_pipeline_of_a_namespace_is_found_there_and_not_uploaded_again(server: FakeKubeflow) -> None:
    for _ in range(2):
        genrf_pipeline("submit", "--namespace", "team")
    assert only(server.pipelines)["namespace"] == "team"
    genrf_pipeline("submit")
    assert len(server.pipelines) == 2


def test_a_version_of_other_content_is_not_overwritten(server: FakeKubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    genrf_pipeline("submit")
    monkeypatch.setattr(kubeflow, "content_hash", lambda _: "0" * 64)
    said = genrf_pipeline("submit", code=2)
    assert "on the cluster with other content; commit the changes" in said
    assert len(server.runs) == 1


def test_another_profile_is_another_version(server: FakeKubeflow) -> None:
    genrf_pipeline("submit", "--profile", "gpu")
    genrf_pipeline("submit", "--profile", "single-node")
    assert len(server.specifications) == 2


def test_a_mistake_in_the_recipe_is_found_before_anything_is_sent(server: FakeKubeflow) -> None:
    assert "nightlyy" in genrf_pipeline("submit", "--recipe", "nightlyy", code=2)
    assert "data.roundz" in genrf_pipeline("submit", "--set", "data.roundz=3", code=2)
    assert "--profile: expected one of gpu, cpu, single-node, got 'tpu'" in genrf_pipeline(
        "submit", "--profile", "tpu", code=2
    )
    assert not server.runs
    assert not server.pipelines


def test_a_schedule_is_pinned_does_not_overlap_and_catches_nothing_up(server: FakeKubeflow) -> None:
    assert "made" in genrf_pipeline("schedule", "--cron", "0 0 2 * * *", "--recipe", "nightly")
    recurring = only(server.recurring)
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *"
    assert (recurring["max_concurrency"], recurring["no_catchup"], recurring["mode"]) == (1, True, "ENABLE")
    assert recurring["pipeline_version_reference"]["pipeline_version_id"] in server.specifications
    assert recurring["runtime_config"]["parameters"]["recipe"] == "nightly"


def test_the_same_schedule_twice_is_one_and_a_changed_one_replaces_it(server: FakeKubeflow) -> None:
    genrf_pipeline("schedule", "--cron", "0 0 2 * * *")
    before = only(server.recurring)["recurring_run_id"]
    assert "is there already" in genrf_pipeline("schedule", "--cron", "0 0 2 * * *")
    assert only(server.recurring)["recurring_run_id"] == before
    genrf_pipeline("schedule", "--cron", "0 30 3 * * *")
    assert only(server.recurring)["trigger"]["cron_schedule"]["cron"] == "0 30 3 * * *"
    assert "removed" in genrf_pipeline("schedule", "--remove")
    assert not server.recurring
    assert "there was none" in genrf_pipeline("schedule", "--remove")


def test_a_schedule_that_cannot_be_replaced_stays(server: FakeKubeflow) -> None:
    genrf_pipeline("schedule", "--cron", "0 0 2 * * *")
    server.fail["POST /recurringruns"] = 500
    assert "answered 500: told to fail" in genrf_pipeline("schedule", "--cron", "0 30 3 * * *", code=1)
    assert only(server.recurring)["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *"


@pytest.mark.parametrize(
    ("cron", "hint"),
    [
        ("0 2 * * *", 'begin with the seconds: "0 0 2 \\* \\* \\*"'),
        ("nightly", "expected six fields"),
        ("0 0 2 * * * *", "expected six fields"),
        ("0 0 2 * * $", "expected six fields"),
    ],
)
def test_a_cron_expression_of_other_than_six_fields_is_refused(cron: str, hint: str) -> None:
    with pytest.raises(InvalidInputError, match=hint):
        checked_cron(cron)


def test_a_run_is_followed_to_its_end(server: FakeKubeflow) -> None:
    genrf_pipeline("submit")
    run = only(server.runs)
    assert run["run_id"] in genrf_pipeline("status")
    started = "2026-01-01T00:00:00Z"
    run["run_details"] = {
        "task_details": [
            {"display_name": "prepare-data", "state": "SUCCEEDED", "start_time": started},
            {"display_name": "train-surrogate", "state": "FAILED", "start_time": started},
        ]
    }
    run["state"] = "FAILED"
    shown = genrf_pipeline("status", run["run_id"])
    assert "train-surrogate" in shown
    assert "FAILED" in shown
    assert "run: failed" in genrf_pipeline("status", run["run_id"], "--wait", code=1)
    run["state"] = "SUCCEEDED"
    assert "run: succeeded" in genrf_pipeline("status", run["run_id"], "--wait")


def test_an_api_that_wants_a_token_says_which_variable(server: FakeKubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token = "right"
    assert f"refused with status 401; set {TOKEN}" in genrf_pipeline("status", code=1)
    monkeypatch.setenv(TOKEN, "right")
    genrf_pipeline("status")
    monkeypatch.setenv(TOKEN, "wrong")
    said = genrf_pipeline("submit", code=1)
    assert "refused with status 401" in said
    assert "wrong" not in said


@pytest.mark.parametrize("token", ["two lines\nof it", "schlüssel"])
def test_a_token_that_is_none_is_refused_and_not_shown(
    server: FakeKubeflow, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv(TOKEN, token)
    said = genrf_pipeline("status", code=2)
    assert f"{TOKEN}: expected a token of one line" in said
    assert token not in said
    monkeypatch.setenv(TOKEN, "right\n")
    server.token = "right"
    genrf_pipeline("status")


def test_a_name_with_brackets_is_only_a_name(server: FakeKubeflow) -> None:
    genrf_pipeline("submit")
    only(server.runs)["display_name"] = "a [/b] c"
    assert "a [/b] c" in genrf_pipeline("status")


def test_a_run_that_is_lost_sight_of_has_not_failed(server: FakeKubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    genrf_pipeline("submit")
    run = only(server.runs)
    server.fail[f"GET /runs/{run['run_id']}"] = 503
    monkeypatch.setattr(kubeflow.time, "sleep", lambda _: None)
    said = genrf_pipeline("status", run["run_id"], "--wait", code=6)
    assert f"the run may go on: genrf pipeline status {run['run_id']} --wait" in said


def test_an_api_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(GenRFError, match=f"{address}: does not answer .*{ENDPOINT}"):
        Kubeflow(address).runs(1)


def test_an_unknown_run_is_one_line(server: FakeKubeflow) -> None:
    assert json.dumps("nobody")[1:-1] in genrf_pipeline("status", "nobody", code=1)
