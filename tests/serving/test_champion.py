"""Which models are there when the server starts: a real MLflow server, and one behind a gateway that refuses or breaks off."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from genrf.generation.bundle import Bundle
from genrf.generation.released import released_folder
from serving.champion import registered
from tests.mlflow_server import MLflowServer, free_port

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


class Registry(MLflowServer):
    """MLflow, with champions."""

    def promote(self, bundle: Path, model: str, **variants: Path) -> Path:
        """Register a bundle, and variants by precision, as the champion of a model, as the step promote_model does; the folder
        of its files."""
        client = MlflowClient(self.uri)
        client.create_registered_model(model)
        run = client.create_run("0")
        client.log_artifacts(run.info.run_id, str(bundle), "model/one/bundle")
        for precision, folder in variants.items():
            client.log_artifacts(run.info.run_id, str(folder), f"model/one/quantized/{precision}")
        version = client.create_model_version(model, f"{run.info.artifact_uri}/model/one", run.info.run_id)
        client.set_registered_model_alias(model, "champion", version.version)
        (manifest,) = self.artifacts.rglob(f"{run.info.run_id}/**/one/bundle/manifest.json")
        return manifest.parent


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    started = Registry(tmp_path_factory.mktemp("registry"), {"MLFLOW_SERVER_ALLOWED_HOSTS": "127.0.0.1:*"})
    yield started
    started.stop()


class Gateway(ThreadingHTTPServer):
    """Between client and MLflow: knows no password, where that is asked, and breaks off in the middle of one file."""

    def __init__(self, behind: str, *, refuses: bool = False, breaks_off_at: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind, self.refuses, self.breaks_off_at = behind, refuses, breaks_off_at
        self.uri = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_close(self) -> None:
        """Stop, at the end of a with block."""
        self.shutdown()
        super().server_close()


class Passing(BaseHTTPRequestHandler):
    """Passes requests on."""

    server: Gateway

    def do_GET(self) -> None:
        if self.server.refuses:
            self.send_error(401)
            return
        try:
            with urllib.request.urlopen(self.server.behind + self.path, timeout=30) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        breaks_off = self.server.breaks_off_at and self.path.endswith(self.server.breaks_off_at)
        self.wfile.write(content[: len(content) // 2] if breaks_off else content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


WITHOUT = """
import runpy, sys
for name in ("torch", "flask", "sqlalchemy", "alembic", "pandas", "sklearn", "kserve"):
    sys.modules[name] = None
runpy.run_module("serving.champion", run_name="__main__", alter_sys=True)
"""
"""The command where only what the serving image has can be imported: mlflow-skinny instead of MLflow, no torch."""


def fetch(into: Path, uri: str | None, model: str = "genrf", device: str = "cpu") -> subprocess.CompletedProcess[str]:
    """Run the command as the manifests do, with little patience."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
    environment |= {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "PYTHONPATH": str(ROOT),
    }
    if uri is not None:
        environment["MLFLOW_TRACKING_URI"] = uri
    command = [sys.executable, "-c", WITHOUT, f"--into={into}", f"--model={model}", f"--device={device}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that is not the released one: the same weights under another manifest."""
    folder = tmp_path_factory.mktemp("trained") / "bundle"
    shutil.copytree(released_folder(), folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    return folder


RELEASED = Bundle.load(released_folder()).identity


def is_released(folder: Path) -> bool:
    return Bundle.load(folder).identity == RELEASED


def assert_nothing_is_left(into: Path) -> None:
    assert not into.exists()
    assert not list(into.parent.iterdir())


def test_the_champion_is_fetched(registry: Registry, bundle: Path, tmp_path: Path) -> None:
    registry.promote(bundle, "whole")
    done = fetch(tmp_path / "models" / "bundle", registry.uri, "whole")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "models: champion, version 1 of whole" in done.stderr
    assert Bundle.load(tmp_path / "models" / "bundle").identity == Bundle.load(bundle).identity
    assert not is_released(tmp_path / "models" / "bundle")
    assert registered(tmp_path / "models" / "bundle") == ("whole", "1")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["bundle"]


def test_each_device_gets_the_variant_that_it_runs_well(registry: Registry, bundle: Path, tmp_path: Path) -> None:
    registry.promote(bundle, "varied", int8=released_folder())
    assert fetch(tmp_path / "cpu", registry.uri, "varied").returncode == 0
    assert is_released(tmp_path / "cpu")
    # Its fp16 did not pass the gate.
    assert fetch(tmp_path / "gpu", registry.uri, "varied", "cuda").returncode == 0
    assert not is_released(tmp_path / "gpu")


def test_what_was_there_is_replaced(registry: Registry, tmp_path: Path) -> None:
    into = tmp_path / "bundle"
    into.mkdir()
    (into / "left.onnx").touch()
    assert fetch(into, None).returncode == 0
    assert not (into / "left.onnx").exists()
    assert is_released(into)


def test_without_a_registry_the_released_weights_are_taken(tmp_path: Path) -> None:
    done = fetch(tmp_path / "bundle", None)
    assert done.returncode == 0, done.stderr
    assert "released weights" in done.stderr
    assert "MLFLOW_TRACKING_URI names no registry" in done.stderr
    assert is_released(tmp_path / "bundle")
    assert registered(tmp_path / "bundle") is None


def test_without_a_champion_the_released_weights_are_taken(registry: Registry, tmp_path: Path) -> None:
    MlflowClient(registry.uri).create_registered_model("no-champion")
    for model in ("no-champion", "no-such-model"):
        done = fetch(tmp_path / model, registry.uri, model)
        assert done.returncode == 0, done.stderr
        assert f"for model {model} in the registry has no champion" in done.stderr
        assert is_released(tmp_path / model)


def test_while_mlflow_does_not_answer_the_released_weights_are_taken(tmp_path: Path) -> None:
    done = fetch(tmp_path / "bundle", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stderr
    assert "MLflow does not answer" in done.stderr
    assert is_released(tmp_path / "bundle")


def test_a_wrong_secret_is_an_error(registry: Registry, tmp_path: Path) -> None:
    with Gateway(registry.uri, refuses=True) as gateway:
        done = fetch(tmp_path / "models" / "bundle", gateway.uri.replace("//", "//user:s3cr3t@"))
    assert done.returncode == 2
    assert "s3cr3t" not in done.stderr
    assert "check secret genrf-tracking" in done.stderr
    assert "Traceback" not in done.stderr
    assert_nothing_is_left(tmp_path / "models" / "bundle")


def test_a_champion_that_does_not_arrive_whole_is_an_error(registry: Registry, bundle: Path, tmp_path: Path) -> None:
    registry.promote(bundle, "breaks-off")
    with Gateway(registry.uri, breaks_off_at="surrogate.onnx") as gateway:
        done = fetch(tmp_path / "models" / "bundle", gateway.uri, "breaks-off")
    assert done.returncode == 4, done.stderr
    assert "version 1 of breaks-off did not arrive" in done.stderr
    assert "Traceback" not in done.stderr
    assert_nothing_is_left(tmp_path / "models" / "bundle")


@pytest.mark.parametrize("harm", ["cut", "deleted"])
def test_a_champion_whose_files_are_damaged_is_an_error(
    registry: Registry, bundle: Path, tmp_path: Path, harm: str
) -> None:
    file = registry.promote(bundle, harm) / "surrogate.onnx"
    if harm == "cut":
        os.truncate(file, file.stat().st_size // 2)
    else:
        file.unlink()
    done = fetch(tmp_path / "models" / "bundle", registry.uri, harm)
    assert done.returncode == 4, done.stderr
    assert "surrogate.onnx: " in done.stderr
    assert_nothing_is_left(tmp_path / "models" / "bundle")
