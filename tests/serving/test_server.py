"""The running server, met over HTTP and gRPC as a client meets it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.amplifiers import SPECIFICATION_28GHZ
from tests.mlflow_server import free_port

pytest.importorskip("kserve")
ROOT = Path(__file__).resolve().parents[2]


def started(log: Path, http: int, grpc: int, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The server with scripted circuits, which has only begun to start."""
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.serving.scripted_server", str(http), str(grpc), *arguments],
            cwd=ROOT, stdout=output, stderr=output, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        )  # fmt: skip


@contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[int, int, subprocess.Popen[bytes]]]:
    """The server with scripted circuits: its ports and its process; it must end well once it is told to."""
    http, grpc = free_port(), free_port()
    log = folder / "log"
    process = started(log, http, grpc, *arguments, **environment)
    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{http}/v2/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        yield http, grpc, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) in (0, -signal.SIGTERM, -signal.SIGKILL), log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    with running(tmp_path_factory.mktemp("server"), BEHAVIOUR="slow") as (http, grpc, _):
        yield http, grpc


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
    response = client.post("/v2/models/genrf/infer", json=body(designs=2, all_calls=True))
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
    assert second["parameters"]["cached"] is True


def test_answers_over_grpc(ports: tuple[int, int]) -> None:
    import asyncio

    from kserve import InferenceGRPCClient, InferInput, InferRequest

    async def ask() -> Any:
        async with InferenceGRPCClient(f"127.0.0.1:{ports[1]}") as client:
            tensor = InferInput("specification", [1], "BYTES", data=[json.dumps(SPECIFICATION_28GHZ).encode()])
            return await client.infer(InferRequest("genrf", [tensor], parameters={"designs": 2, "all_calls": True}))

    outputs = {output.name: output.as_numpy() for output in asyncio.run(ask()).outputs}
    assert outputs["met"].tolist() == [True, False]
    assert outputs["metrics"].shape == (2, 8)


@pytest.mark.parametrize("binary", [False, True])
def test_answers_kserves_own_client_over_rest(ports: tuple[int, int], binary: bool) -> None:
    import asyncio

    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    async def ask() -> tuple[bool, Any]:
        client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=60))
        tensor = InferInput("specification", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([json.dumps(SPECIFICATION_28GHZ)], dtype=object), binary_data=binary)
        asked = InferRequest("genrf", [tensor], parameters={"designs": 2, "all_calls": True})
        address = f"http://127.0.0.1:{ports[0]}"
        ready = await client.is_model_ready(address, "genrf")
        answer = await client.infer(address, asked, model_name="genrf")
        await client.close()
        return ready, answer

    ready, answer = asyncio.run(ask())
    assert ready
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    assert outputs["met"].tolist() == [True, False]


def test_a_mistake_is_a_400_with_the_line_that_says_what_it_is(client: httpx.Client) -> None:
    response = client.post("/v2/models/genrf/infer", json=body(SPECIFICATION_28GHZ | {"supply": "much"}))
    assert response.status_code == 400
    assert response.json() == {"error": "inputs.specification: supply: expected a number in V, got 'much'"}


def test_an_unknown_model_is_a_404(client: httpx.Client) -> None:
    assert client.post("/v2/models/other/infer", json=body()).status_code == 404


def test_versions_and_the_index_are_those_that_serve(client: httpx.Client) -> None:
    assert client.post("/v2/repository/index", json={}).json() == [
        {"name": "genrf", "version": "7", "state": "READY", "reason": ""}
    ]
    served = "/v2/models/genrf/versions/7"
    assert client.get(served).json() == client.get("/v2/models/genrf").json()
    assert client.get(f"{served}/ready").status_code == 200
    assert client.post(f"{served}/infer", json=body()).status_code == 200
    response = client.post("/v2/models/genrf/versions/8/infer", json=body())
    assert (response.status_code, response.json()) == (
        404, {"error": "models: genrf has version 7, not '8' of 'genrf'"},
    )  # fmt: skip


def test_answers_plain_json_with_links_to_all_that_can_be_had(client: httpx.Client) -> None:
    answer = client.post("/v1/designs", json={"specification": SPECIFICATION_28GHZ, "designs": 2}).json()
    (best, _) = answer["designs"]
    assert best["met"] is True
    beginnings = {
        "design.json": b"{", "netlist.spice": b"low-noise amplifier", "touchstone": b"!", "schematic.svg": b"<svg",
        "performance.svg": b"<?xml", "report.html": b"<!DOCTYPE html>",
    }  # fmt: skip
    assert best["links"].keys() == beginnings.keys()
    for what, begins in beginnings.items():
        response = client.get(best["links"][what])
        assert response.status_code == 200
        assert response.content.startswith(begins), what
    assert client.get(f"/v1/designs/{answer['id']}").json()["designs"] == answer["designs"]
    moved = json.loads(json.dumps(best))
    resistor = next(device for device in moved["circuit"]["devices"] if "capacitance_f" in device)
    resistor["capacitance_f"] *= 1.5
    measured = client.post("/v1/simulate", json={"design": moved}).json()
    assert measured["metrics"]["gain_db"] != best["metrics"]["gain_db"]
    assert measured["curves"]["s21"]["x_label"] == "frequency (Hz)"


@pytest.mark.parametrize(
    ("content", "status", "line"),
    [
        (b"{", 400, "the body: not valid JSON"),
        (b"[]", 400, "the request: expected a mapping"),
        (b'{"specification": {"class": "lna", "class": "pa"}}', 400, "key 'class' is there twice"),
        (b"[" * 100_000, 400, "the body: nested more than 24 deep"),
        (b'{"specification": {"name": "\\ud800"}}', 400, "the body: holds text that is not Unicode"),
        (b'{"seed": ' + b"9" * 400 + b"}", 400, "the body: not valid JSON (a number of 400 digits)"),
        (b'{"seed": 1e999}', 400, "the body: not valid JSON (a number beyond 1.8e308)"),
        (b'{"seed": NaN}', 400, "NaN is no number in JSON"),
        (b" " * (1 << 20) + b"{}", 413, "the body: 1048578 bytes, at most 1048576 are read"),
        (b"", 400, "the body: not valid JSON"),
        (b"\xff", 400, "the body: holds text that is not Unicode"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value)[:30],
)
@pytest.mark.parametrize("path", ["/v1/designs", "/v1/jobs", "/v2/models/genrf/infer"])
def test_a_body_that_means_nothing_or_two_things_is_refused(
    client: httpx.Client, path: str, content: bytes, status: int, line: str
) -> None:
    response = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text
    if content not in (b"[]", b""):
        assert line in response.json()["error"]


def test_a_body_that_is_too_large_is_refused_before_it_has_come(client: httpx.Client) -> None:
    # Told beforehand, then in pieces of a length that nobody tells; of the first, no byte is ever sent.
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(b"POST /v1/designs HTTP/1.1\r\nHost: here\r\nContent-Length: 268435456\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 413")
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(b"POST /v1/designs HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"200000\r\n" + b" " * 0x200000 + b"\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_come_is_given_up(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(b"POST /v1/designs HTTP/1.1\r\nHost: here\r\nContent-Length: 500\r\n\r\n{")
        assert connection.recv(64).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("content", [b"\x64\0\0\0{}", b"\xff\xff\xff\xff{}", b"\x02\0\0\0{}more", b"\x02\0", b""])
def test_binary_tensors_whose_lengths_are_wrong_are_refused(client: httpx.Client, content: bytes) -> None:
    parameters = {"binary_data_size": len(content)}
    tensor = {"name": "specification", "datatype": "BYTES", "shape": [1], "parameters": parameters}
    head = json.dumps({"inputs": [tensor]}).encode()
    response = client.post(
        "/v2/models/genrf/infer",
        content=head + content,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert response.status_code == 400, response.text


def test_a_value_that_is_long_is_not_repeated_whole(client: httpx.Client) -> None:
    response = client.post("/v1/designs", json={"specification": SPECIFICATION_28GHZ | {"class": "x" * 100_000}})
    assert response.status_code == 400
    assert len(response.content) < 2_000


@pytest.mark.parametrize(("size", "sent"), [(100, 20), (20, 100), (-4, 0)])
def test_binary_tensors_that_are_not_whole_are_refused(client: httpx.Client, size: int, sent: int) -> None:
    tensor = {"name": "specification", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    response = client.post(
        "/v2/models/genrf/infer",
        content=head + b"x" * sent,
        headers={"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"},
    )
    assert response.status_code == 400
    assert "binary_data_size: the tensors' sizes must be" in response.json()["error"]


def test_a_client_that_goes_away_takes_its_search_with_it(client: httpx.Client) -> None:
    def abandoned() -> float:
        lines = client.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith("genrf_abandoned_searches_total")).split()[1])

    before = abandoned()
    waiting = {"specification": SPECIFICATION_28GHZ | {"name": "wait"}}
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/designs", json=waiting, timeout=0.5)
    deadline = time.monotonic() + 20
    while abandoned() == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.post("/v1/designs", json={"specification": SPECIFICATION_28GHZ, "seed": 9}).status_code == 200


def test_a_job_is_watched_by_server_sent_events(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"specification": SPECIFICATION_28GHZ, "seed": 12, "all_calls": True})
    assert (job.status_code, job.headers["Location"]) == (202, f"/v1/jobs/{job.json()['id']}")
    with client.stream("GET", job.json()["links"]["events"]) as stream:
        events = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
    assert events[-1] == "done"
    state = client.get(job.headers["Location"]).json()
    assert client.get(state["links"]["answer"]).json()["simulated"] == 3
    assert client.get("/v1/jobs/nothing").status_code == 404
    assert client.get("/v1/jobs/nothing/events").status_code == 404


def test_describes_itself_without_the_outer_world(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()
    assert {"/v1/designs", "/v1/jobs", "/v1/simulate"} <= schema["paths"].keys()
    page = client.get("/docs").text
    assert "https://" not in page
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_every_answer_has_an_id_that_the_client_may_choose(client: httpx.Client) -> None:
    assert client.get("/v1/variants", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    assert len(client.get("/v1/variants", headers={"X-Request-Id": "not\tmine"}).headers["X-Request-Id"]) == 32


def test_a_caller_names_itself_in_printable_characters(client: httpx.Client) -> None:
    response = client.get("/v1/variants", headers={"X-GenRF-Caller": "x" * 129})
    assert (response.status_code, response.json()["error"][:14]) == (400, "x-genrf-caller")


def test_counts_for_prometheus(client: httpx.Client) -> None:
    client.post("/v2/models/genrf/infer", json=body())
    text = client.get("/metrics").text
    for name in (
        "genrf_requests_total",
        "genrf_spice_calls_total",
        "genrf_phase_seconds_bucket",
        "genrf_waiting_requests",
    ):
        assert name in text


def test_models_cannot_be_unloaded_over_the_network(client: httpx.Client) -> None:
    assert client.post("/v2/repository/models/genrf/unload").status_code == 501
    assert client.post("/v2/repository/models/genrf/load").status_code == 501
    assert client.get("/v2/models/genrf/ready").status_code == 200


def test_a_verb_that_no_model_has_is_refused_without_a_traceback(client: httpx.Client) -> None:
    """Of which the log is looked at when the server has ended."""
    assert client.post("/v1/models/genrf:explain", json={"instances": []}).status_code == 501


def test_a_missing_bundle_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--bundle", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.strip().splitlines()[-1].startswith(f"serving: {tmp_path}/manifest.json: cannot be read")
    assert "Traceback" not in done.stderr


def called(port: int, method: str, request: Any, **metadata: str) -> Any:
    """What a method of the protocol answers over gRPC, or the status that it is refused with."""
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            return getattr(stub, method)(request, metadata=[*metadata.items()], timeout=60)
        except grpc.RpcError as error:
            return error.code().name


def assert_grpc_asks_for_the_token(port: int) -> None:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

    for method, request in (
        ("ModelMetadata", messages.ModelMetadataRequest(name="genrf")),
        ("ModelInfer", messages.ModelInferRequest(model_name="genrf")),
        ("ServerMetadata", messages.ServerMetadataRequest()),
    ):
        assert called(port, method, request) == "UNAUTHENTICATED"
        assert called(port, method, request, authorization="Bearer other") == "UNAUTHENTICATED"
    assert called(port, "ServerLive", messages.ServerLiveRequest()).live
    metadata = messages.ModelMetadataRequest(name="genrf")
    assert called(port, "ModelMetadata", metadata, authorization="Bearer s3cret").name == "genrf"


def test_grpc_refuses_what_http_refuses(ports: tuple[int, int]) -> None:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

    for version, status in (("8", "NOT_FOUND"), ("7", "INVALID_ARGUMENT")):
        asked = messages.ModelInferRequest(model_name="genrf", model_version=version)
        assert called(ports[1], "ModelInfer", asked) == status
    for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
        asked = getattr(messages, f"{method}Request")(model_name="genrf")
        assert called(ports[1], method, asked) == "UNIMPLEMENTED"


def test_a_port_that_is_taken_is_one_line_and_an_exit_code(ports: tuple[int, int], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.scripted_server", str(free_port()), str(ports[1])],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert f"--grpc_port {ports[1]}: cannot be listened at; name another" in done.stderr
    assert done.returncode != 0


def test_tokens_are_asked_for_and_never_shown(tmp_path: Path) -> None:
    with running(
        tmp_path, BEHAVIOUR="plain", CHALLENGER="other", GENRF_TOKEN="s3cret", GENRF_ADMIN_TOKEN="adm1n"
    ) as (http, grpc, _), httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=60) as client:  # fmt: skip
        for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}):
            for method, path in (("GET", "/v1/variants"), ("POST", "/v2/models/genrf/infer"), ("GET", "/metrics")):
                assert client.request(method, path, headers=headers).status_code == 401
        assert_grpc_asks_for_the_token(grpc)
        client.headers["Authorization"] = "Bearer s3cret"
        assert client.post("/v2/models/genrf/infer", json=body()).status_code == 200
        deadline = time.monotonic() + 60
        # It is ready with the champion; the challenger follows.
        while "challenger" not in client.get("/v1/variants").json()["variants"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.put("/v1/variants", json={"share": 1}).status_code == 401
        admin = {"X-GenRF-Admin-Token": "adm1n"}
        assert client.put("/v1/variants", json={"share": 2}, headers=admin).status_code == 400
        assert client.put("/v1/variants", json={"share": 1}, headers=admin).json()["share"] == 1
        assert client.post("/v1/designs", json={"specification": SPECIFICATION_28GHZ}).json()["variant"] == "challenger"
    log = (tmp_path / "log").read_text()
    assert "s3cret" not in log
    assert "adm1n" not in log


def wait_until_done(port: int, job: str) -> None:
    """Wait for a job of a server before this one."""
    wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/v1/jobs/{job}").json()["state"] == "done")


def test_a_server_told_to_end_while_its_models_load_does_not_wait_for_them(tmp_path: Path) -> None:
    http = free_port()
    process = started(tmp_path / "log", http, free_port(), BEHAVIOUR="late")
    try:
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{http}/v2/health/live").status_code == 200)
        wait_until(lambda: bool(psutil.Process(process.pid).children()))
        (designing,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) in (0, -signal.SIGTERM)
        assert not designing.is_running()
    finally:
        process.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what comes true in time."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_told_to_end_ends_although_a_search_would_go_on(tmp_path: Path) -> None:
    with running(tmp_path, "off", str(tmp_path / "store"), BEHAVIOUR="slow") as (http, _, process):
        waiting = {"specification": SPECIFICATION_28GHZ | {"name": "wait"}}
        job = httpx.post(f"http://127.0.0.1:{http}/v1/jobs", json=waiting, timeout=60).json()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)
    with running(tmp_path, "off", str(tmp_path / "store"), BEHAVIOUR="plain") as (http, _, _):
        wait_until_done(http, job["id"])


def test_a_server_that_was_killed_leaves_its_jobs_to_the_next(tmp_path: Path) -> None:
    with running(tmp_path, "off", str(tmp_path / "store"), BEHAVIOUR="slow") as (http, _, process):
        waiting = {"specification": SPECIFICATION_28GHZ | {"name": "wait"}}
        job = httpx.post(f"http://127.0.0.1:{http}/v1/jobs", json=waiting).json()
        process.kill()
        process.wait()
    with running(tmp_path, "off", str(tmp_path / "store"), BEHAVIOUR="plain") as (http, _, _):
        wait_until_done(http, job["id"])
