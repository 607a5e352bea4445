"""The image as a cluster runs it: a search, the server, and every step of the pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests
from docker.models.containers import Container
from mlflow import MlflowClient

import docker
from genrf import __version__
from tests.containers.conftest import IMAGE, USER, run
from tests.pipelines.conftest import MICRO

ROOT = Path(__file__).parents[2]
SPECIFICATION = {
    "name": "lna",
    "class": "lna",
    "frequency": "28 GHz",
    "supply": 2.0,
    "constraints": {"gain_db": {"min": 16}},
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted names."""
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def test_its_user_has_a_name_and_no_power(engine: docker.DockerClient) -> None:
    assert run(engine, ["id"]).strip() == f"uid={USER}(genrf) gid={USER}(genrf) groups={USER}(genrf)"
    with pytest.raises(docker.errors.ContainerError, match="Read-only file system"):
        run(engine, ["touch", "/opt/genrf/file"])


def test_it_says_which_code_it_holds(engine: docker.DockerClient) -> None:
    labels = engine.images.get(IMAGE).labels
    assert labels["org.opencontainers.image.version"] == __version__
    assert run(engine, ["sh", "-c", "echo $GENRF_COMMIT"]).strip() == labels["org.opencontainers.image.revision"]


def test_it_designs_a_circuit(engine: docker.DockerClient, writable: Path) -> None:
    (writable / "lna.json").write_text(json.dumps(SPECIFICATION))
    volumes = {str(writable): {"bind": "/designs", "mode": "rw"}}
    run(engine, ["genrf", "generate", "/designs/lna.json", "--calls=16", "--output=/designs/lna"], volumes=volumes)
    result = json.loads((writable / "lna" / "result.json").read_text())
    assert result["designs"][0]["metrics"]["gain_db"] >= 16
    assert (writable / "lna" / "result.json").stat().st_uid == USER


def test_it_serves_designs(server: tuple[Container, str]) -> None:
    container, address = server
    deadline = time.monotonic() + 240
    while True:
        container.reload()
        assert container.status == "running", container.logs().decode()
        assert time.monotonic() < deadline, container.logs().decode()
        try:
            if requests.get(f"{address}/v2/models/genrf/ready", timeout=2).status_code == 200:
                break
        except requests.RequestException:
            pass
        time.sleep(0.5)
    tensor = {"name": "specification", "datatype": "BYTES", "shape": [1], "data": [json.dumps(SPECIFICATION)]}
    request = {"parameters": {"calls": 16, "designs": 1}, "inputs": [tensor]}
    answer = requests.post(f"{address}/v2/models/genrf/infer", json=request, timeout=120)
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert json.loads(outputs["design"][0])["metrics"]["gain_db"] >= 16


def test_the_whole_pipeline_runs_in_containers(engine: docker.DockerClient, writable: Path, mlflow_server: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.containers.dag", IMAGE, str(writable), json.dumps(flat(MICRO))],
        cwd=ROOT,
        env={**os.environ, "MLFLOW_TRACKING_URI": mlflow_server, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    # A container that dies at once can be reported as a success: what was written counts.
    outputs = {path.name: path for path in (writable / "pipeline").glob("*/*/*") if path.is_dir()}
    summary = json.loads((outputs["summary"] / "summary.json").read_text())
    assert summary["circuits"]["simulated"] == 1600
    assert summary["commit"] == engine.images.get(IMAGE).labels["org.opencontainers.image.revision"]
    rows = [pq.read_table(path).num_rows for path in (writable / "pipeline").rglob("*.parquet")]
    assert sum(rows) > 0
    assert (outputs["bundle"] / "surrogate.onnx").stat().st_uid == USER
    assert json.loads((outputs["promotion"] / "promotion.json").read_text())["version"] >= 1
    client = MlflowClient(tracking_uri=mlflow_server)
    experiment = client.get_experiment_by_name("genrf")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`genrf.pipeline_run` = 'in-containers'")
    assert parent.info.status == "FINISHED"
    assert not list((writable / "work").iterdir()), "finished work is moved to the outputs"
