"""Steps that record in a real MLflow server, which is lost in the middle of one and comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.config.loading import load_config
from training.running import pipeline_run, store
from training.running import step as steps
from training.running.step import step
from training.running.store import open_store
from training.running.tracking import log_metrics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PARAMS = Path(__file__).parents[2] / "params.yaml"


class Server:
    """An MLflow server with files of its own, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.2)

    def stop(self) -> None:
        """Kill it with its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.TRACKING_URI, server.uri)
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, "a-run")
    monkeypatch.setenv(steps.WORK, str(tmp_path / "work"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    server.start()
    yield server
    server.stop()


def test_a_server_that_is_lost_in_a_step_is_told_of_and_the_step_goes_on_when_it_is_back(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(PARAMS)
    part = config.select("surrogate", "tracking")
    with pytest.raises(SystemExit) as failed, step("train", part, tmp_path / "out") as current:
        (current.folder / "epoch.txt").write_text("3")
        log_metrics({"loss": 2.0}, 3)
        server.stop()
        log_metrics({"loss": 1.0}, 4)
    assert failed.value.code == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: MLflow at {server.uri} does not answer")
    assert line.endswith("run again then, finished work is kept")
    assert not (tmp_path / "out").exists()

    server.start()
    with step("train", part, tmp_path / "out") as again:
        assert (again.folder / "epoch.txt").read_text() == "3"
        log_metrics({"loss": 1.0}, 4)
        again.finish({})
    client, experiment = open_store(config)
    assert (tmp_path / "out" / "epoch.txt").is_file()
    assert len(client.search_runs([experiment])) == 2
    assert client.get_run(again.run.run_id).info.status == "FINISHED"
    assert again.run.run_id == current.run.run_id
    assert [point.step for point in client.get_metric_history(again.run.run_id, "loss")] == [3, 4]
