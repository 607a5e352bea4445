"""The running server, met over HTTP and gRPC as a client meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.amplifiers import SPECIFICATION_28GHZ
from tests.mlflow_server import free_port

pytest.importorskip("kserve")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    http, grpc = free_port(), free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serving.scripted_server", str(http), str(grpc)],
            cwd=ROOT, stdout=output, stderr=output, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{http}/v2/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield http, grpc
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) in (0, -signal.SIGTERM), log.read_text()


@pytest.fixture
def client(ports: tuple[int, int]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", timeout=60) as client:
        yield client


def body(specification: Any = SPECIFICATION_28GHZ, **parameters: Any) -> dict[str, Any]:
    tensor = {"name": "specification", "datatype": "BYTES", "shape": [1], "data": [json.dumps(specification)]}
    return {"inputs": [tensor], "parameters": parameters}


def test_is_live_and_ready(client: httpx.Client) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/genrf/ready").json() == {"name": "genrf", "ready": True}


def test_describes_its_tensors(client: httpx.Client) -> None:
    metadata = client.get("/v2/models/genrf").json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["specification"]
    assert [tensor["name"] for tensor in metadata["outputs"]] == ["design", "met", "pareto", "metric_name", "metrics"]


def test_answers_a_specification_over_rest(client: httpx.Client) -> None:
    response = client.post("/v2/models/genrf/infer", json=body(designs=2))
    assert response.status_code == 200
    outputs = {output["name"]: output for output in response.json()["outputs"]}
    assert outputs["met"]["data"] == [True, False]
    assert outputs["metrics"]["shape"] == [2, 8]
    gain = outputs["metrics"]["data"][outputs["metric_name"]["data"].index("gain_db")]
    assert gain == pytest.approx(17.27, abs=0.01)
    assert json.loads(outputs["design"]["data"][0])["metrics"]["gain_db"] == gain


def test_the_same_request_gives_the_same_answer(client: httpx.Client) -> None:
    first, second = (client.post("/v2/models/genrf/infer", json=body(seed=3)).json() for _ in range(2))
    assert first["outputs"] == second["outputs"]


def test_answers_over_grpc(ports: tuple[int, int]) -> None:
    import asyncio

    from kserve import InferenceGRPCClient, InferInput, InferRequest

    async def ask() -> Any:
        async with InferenceGRPCClient(f"127.0.0.1:{ports[1]}") as client:
            tensor = InferInput("specification", [1], "BYTES", data=[json.dumps(SPECIFICATION_28GHZ).encode()])
            return await client.infer(InferRequest("genrf", [tensor], parameters={"designs": 2}))

    outputs = {output.name: output.as_numpy() for output in asyncio.run(ask()).outputs}
    assert outputs["met"].tolist() == [True, False]
    assert outputs["metrics"].shape == (2, 8)


def test_a_mistake_is_a_400_with_the_line_that_says_what_it_is(client: httpx.Client) -> None:
    response = client.post("/v2/models/genrf/infer", json=body(SPECIFICATION_28GHZ | {"supply": "much"}))
    assert response.status_code == 400
    assert response.json() == {"error": "inputs.specification: supply: expected a number in V, got 'much'"}


def test_an_unknown_model_is_a_404(client: httpx.Client) -> None:
    assert client.post("/v2/models/other/infer", json=body()).status_code == 404


def test_counts_for_prometheus(client: httpx.Client) -> None:
    client.post("/v2/models/genrf/infer", json=body())
    text = client.get("/metrics").text
    for name in ("genrf_requests_total", "genrf_spice_calls_total", "genrf_search_seconds_bucket"):
        assert name in text


def test_models_cannot_be_unloaded_over_the_network(client: httpx.Client) -> None:
    assert client.post("/v2/repository/models/genrf/unload").status_code == 501
    assert client.post("/v2/repository/models/genrf/load").status_code == 503
    assert client.get("/v2/models/genrf/ready").status_code == 200


def test_a_missing_bundle_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--bundle", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.strip().splitlines()[-1].startswith(f"serving: {tmp_path}/manifest.json: cannot be read")
    assert "Traceback" not in done.stderr
