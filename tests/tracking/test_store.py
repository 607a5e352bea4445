"""A store that cannot be used is told of in one line, at once; a laptop needs none."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipelines.placement import TRACKING_SECRET
from training.config.loading import load_config
from training.config.schema import Config
from training.data.resolving import resolve
from training.running import store
from training.running.store import TrackingError, require_store, store_uri

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    for name in (store.TRACKING_URI, store.POD):
        monkeypatch.delenv(name, raising=False)
    return load_config()


@pytest.fixture
def pod(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.POD, "genrf-train-1-system-container-impl-2")


class Refusing(BaseHTTPRequestHandler):
    """A server that knows nobody."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def refusing() -> Iterator[str]:
    Refusing.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_laptop_needs_no_server(config: Config) -> None:
    assert store_uri(config) == "sqlite:///mlflow.db"
    require_store(config)
    assert not Path("mlflow.db").exists()


def test_a_store_that_was_made_by_half_is_made_again(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables come one by one; a process that is ended between two of them leaves a file that MLflow cannot go on with."""

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        store.open_store(config)
    assert not Path("mlflow.db").exists()
    (left,) = Path().glob(".mlflow.db.partial-*")
    with sqlite3.connect(left) as half:
        half.execute("DROP TABLE alembic_version")
    client, experiment = store.open_store(config)
    assert client.get_experiment(experiment).name == config.tracking.experiment
    assert [path.name for path in Path().iterdir() if "mlflow.db" in path.name] == ["mlflow.db"]


@pytest.mark.usefixtures("pod")
def test_a_pod_without_the_secret_is_refused_by_the_first_step(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        resolve("smoke", "{}", "")
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: MLFLOW_TRACKING_URI is not set")
    assert f"secret {TRACKING_SECRET} with the key uri" in line
    assert not Path("mlflow.db").exists()


@pytest.mark.usefixtures("pod")
def test_a_pod_may_record_nothing_if_asked_to(config: Config) -> None:
    assert set(resolve("smoke", '{"tracking.tracking_uri": "off"}', ""))


def test_the_secret_is_the_one_that_the_pods_are_given() -> None:
    assert store.SECRET == TRACKING_SECRET


@pytest.mark.usefixtures("pod")
def test_refused_credentials_are_told_and_not_tried_again(
    config: Config, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.TRACKING_URI, f"http://someone:hush@{refusing}")
    with pytest.raises(TrackingError, match="refuses the credentials") as error:
        require_store(config)
    assert f"keys username and password of the secret {TRACKING_SECRET}" in str(error.value)
    assert refusing in str(error.value)
    assert "hush" not in str(error.value)
    assert Refusing.asked == 1


@pytest.mark.usefixtures("pod")
def test_a_server_that_does_not_answer_is_told_by_the_first_step(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv(store.TRACKING_URI, f"http://127.0.0.1:{port}")
    with pytest.raises(SystemExit):
        resolve("smoke", "{}", "")
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: MLflow at http://127.0.0.1:{port} does not answer")
    assert f"key uri of the secret {TRACKING_SECRET}" in line


@pytest.mark.parametrize("address", ["mlflow.genrf.svc:5000", "127.0.0.1:9", "foo://somewhere", "sqlite:relative.db"])
def test_an_address_that_mlflow_could_not_read_is_told_of(
    config: Config, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(store.TRACKING_URI, address)
    with pytest.raises(TrackingError, match=f"{store.TRACKING_URI}: expected http://HOST:PORT.*got '{address}'"):
        store_uri(config)


def test_a_name_that_the_server_does_not_go_by_is_no_matter_of_passwords() -> None:
    error = RuntimeError("API request failed with error code 403 != 200. Response body: 'Invalid Host header'")
    assert "is not to be called by this name" in store._reason(error, "http://127.0.0.1:5000")
