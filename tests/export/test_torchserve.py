"""The real TorchServe with the real archives: over HTTP it gives the numbers of the bundle in ONNX Runtime.

Needs Java (Debian: apt-get install default-jre-headless) and the packages of ``locks/torchserve.lock``, which are installed once
into ``.cache/``; where either cannot be had, the reason is shown and these tests are skipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR, OnnxBackend
from genrf.generation.bundle import Bundle
from tests.mlflow_server import free_port
from tests.models.circuits import random_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "locks" / "torchserve.lock"
MODELS = (TOPOLOGY_GENERATOR, SIZING_DENOISER, SURROGATE)
DAMAGED = "damaged"
"""A model whose worker dies whenever it is started."""
ROWS, SLOTS = 5, 11


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with TorchServe and its archiver, kept for the next time. Of the session, so that nothing is exported first in
    vain."""
    if shutil.which("java") is None:
        pytest.skip("TorchServe was NOT tested: no java here; on Debian: apt-get install default-jre-headless")
    folder = ROOT / ".cache" / f"torchserve-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        work = folder.with_name(f".{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "--target", str(work), "-r", str(LOCK)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            shutil.rmtree(work, ignore_errors=True)
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            pytest.skip(f"TorchServe was NOT tested: pip cannot install {LOCK.relative_to(ROOT)}: {reason}")
        work.rename(folder)
    return folder


@dataclass(frozen=True)
class Server:
    """A TorchServe that has been started."""

    client: httpx.Client
    log: Path

    def ask(self, model: str, body: Any) -> httpx.Response:
        """Ask for a prediction."""
        return self.client.post(f"/predictions/{model}", json=body)

    def predicts(self, model: str, body: Any) -> bool:
        """The health check: whether it answers with a prediction."""
        try:
            response = self.ask(model, body)
        except httpx.TransportError:
            return False
        return response.status_code == 200 and "outputs" in response.json()


@pytest.fixture(scope="module")
def requests(scripted: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    """The request that lies beside each traced model."""
    return {name: json.loads((scripted[0] / f"{name}.request.json").read_text()) for name in MODELS}


@pytest.fixture(scope="module")
def server(
    packages: Path,
    scripted: tuple[Path, dict[str, Any]],
    requests: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """TorchServe with the archives that the command makes, and one more that is damaged; ready once all three predict."""
    folder = tmp_path_factory.mktemp("torchserve")
    (folder / "tmp").mkdir()
    # Its file for the process's number and its workers' sockets lie in the folder for temporary files, under fixed names.
    environment = os.environ | {"PYTHONPATH": f"{packages}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    environment |= {"TMPDIR": str(folder / "tmp"), "TEMP": str(folder / "tmp")}
    store = folder / "store"
    command = [sys.executable, "-m", "serving.torchserve", "archive", "--torchscript", str(scripted[0])]
    done = subprocess.run(
        [*command, "--store", str(store)], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "archived upstream" in done.stderr
    assert done.stdout.split() == [str(store / f"{name}.mar") for name in MODELS]
    _damage(store / f"{SURROGATE}.mar", store / f"{DAMAGED}.mar")
    port = free_port()
    (folder / "config.properties").write_text(_with_free_ports(port))
    log = folder / "log"
    command = [sys.executable, "-m", "ts.model_server", "--foreground", "--no-config-snapshots"]
    command += ["--model-store", str(store), "--ts-config", str(folder / "config.properties")]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        key = _key(folder / "key_file.json", process, log)
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            running = Server(client, log)
            deadline = time.monotonic() + 180
            while not all(running.predicts(name, requests[name]) for name in MODELS):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.3)
            yield running
    finally:
        # A signal to the command would not reach the server, which is a process of its own.
        command = [sys.executable, "-m", "ts.model_server", "--stop", "--foreground"]
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)


def _damage(good: Path, bad: Path) -> None:
    """An archive under another name whose model's file was cut short."""
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as damaged:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".pt"):
                content = content[:1000]
            if name.endswith("MANIFEST.json"):
                content = content.replace(f'"modelName": "{SURROGATE}"'.encode(), f'"modelName": "{DAMAGED}"'.encode())
            damaged.writestr(name, content)


def _with_free_ports(inference: int) -> str:
    """The repository's configuration, at ports that nobody uses."""
    text = (ROOT / "serving" / "torchserve" / "config.properties").read_text()
    for port in (8080, 8081, 8082, 7070, 7071):
        assert text.count(str(port)) == 1
        text = text.replace(str(port), str(inference if port == 8080 else free_port()))
    return text


def _key(path: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    """The token for predictions, once the server has written it."""
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            return str(json.loads(path.read_text())["inference"]["key"])
        except (OSError, ValueError, KeyError):  # not there yet, or half written
            time.sleep(0.2)


def test_all_three_models_give_the_numbers_of_the_onnx_path(server: Server, exported: tuple[Path, Any]) -> None:
    """Numbers of 32 bits survive JSON unchanged. The two runtimes add the products of a sum in different orders, which leaves a
    few units in the last place of numbers around 1 (6e-8); after all layers 1e-6 was seen, and ten times that is allowed."""
    bundle = Bundle.load(exported[0])
    onnx = OnnxBackend(bundle, threads=1)
    rows = random_rows(ROWS, seed=4, slots=SLOTS)
    kinds, nets = rows["kinds"].astype(np.int64), rows["nets"].astype(np.int64)
    values, conditions = rows["values"], rows["conditions"]
    rng = np.random.default_rng(4)
    sigma = rng.uniform(0.01, 20.0, ROWS).astype(np.float32)
    bounds = rng.standard_normal((ROWS, bundle.conditioning.specification_size - conditions.shape[1]))
    specification = np.concatenate([conditions, bounds], axis=1).astype(np.float32)
    latent = rng.standard_normal((ROWS, bundle.latent_size)).astype(np.float32)

    found = _outputs(
        server, SIZING_DENOISER, noisy_values=values, sigma=sigma, kinds=kinds, nets=nets, specification=specification
    )
    expected = onnx.denoise(values, sigma, kinds, nets, specification)
    assert list(found) == ["denoised"]
    np.testing.assert_allclose(found["denoised"], expected, rtol=1e-5, atol=1e-5)

    found = _outputs(server, SURROGATE, values=values, kinds=kinds, nets=nets, conditions=conditions)
    assert list(found) == ["mean", "log_variance", "works"]
    for array, wanted in zip(found.values(), onnx.predict(values, kinds, nets, conditions), strict=True):
        assert array.shape == wanted.shape
        np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-5)

    found = _outputs(server, TOPOLOGY_GENERATOR, specification=specification, latent=latent)
    assert list(found) == ["kind_logits", "net_logits"]
    for array, wanted in zip(found.values(), onnx.propose(specification, latent), strict=True):
        # Choices, which are what a topology is read from: equal or another topology.
        np.testing.assert_array_equal(array.argmax(-1), wanted.argmax(-1))


def _outputs(server: Server, model: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    response = server.ask(model, {"inputs": {name: array.tolist() for name, array in inputs.items()}})
    assert response.status_code == 200, response.text
    return {name: np.asarray(value, dtype=np.float32) for name, value in response.json()["outputs"].items()}


def test_a_bad_request_is_a_400_with_a_line_that_names_the_field(server: Server, requests: dict[str, Any]) -> None:
    inputs = dict(requests[SURROGATE]["inputs"])
    inputs["nets"] = np.full_like(inputs["nets"], 28).tolist()
    response = server.ask(SURROGATE, {"inputs": inputs})
    assert response.status_code == 400
    assert response.json() == {"code": 400, "message": "inputs.nets[0][0][0]: expected 0 to 27, got 28"}
    response = server.client.post(
        f"/predictions/{SURROGATE}", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["message"].startswith("body: not valid JSON")
    assert server.predicts(SURROGATE, requests[SURROGATE]), "a bad request does the worker no harm"


def test_without_the_token_nothing_is_answered(server: Server, requests: dict[str, Any]) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = httpx.post(
            server.client.base_url.join(f"/predictions/{SURROGATE}"),
            json=requests[SURROGATE],
            headers=headers,
            timeout=20,
        )
        assert response.status_code == 400
        assert response.json()["type"] == "InvalidKeyException"


def test_a_dead_worker_is_called_healthy_so_a_prediction_is_the_health_check(
    server: Server, requests: dict[str, Any]
) -> None:
    assert "Failed to load model damaged" in server.log.read_text(), "its worker has died"
    assert server.client.get("/ping").json() == {"status": "Healthy"}
    # A request waits until the next attempt to start the worker has failed, which takes longer each time.
    impatient = Server(
        httpx.Client(base_url=server.client.base_url, headers=server.client.headers, timeout=3), server.log
    )
    with impatient.client:
        assert not impatient.predicts(DAMAGED, requests[SURROGATE])
        assert impatient.predicts(SURROGATE, requests[SURROGATE])
