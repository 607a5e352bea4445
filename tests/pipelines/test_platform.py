"""The platform of `make platform`: real servers, started once, used, and gone when they are stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from genrf.errors import GenRFError, InvalidInputError, MissingToolError
from genrf.objects.location import Location
from genrf.objects.store import open_store
from pipelines import services
from pipelines.platform import BUCKETS, DATABASE, Platform
from pipelines.services import Service, members_of
from tests.object_store import free_port, kill

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", {child!r}])
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Answer).serve_forever()
"""


def service(folder: Path, code: str, port: int) -> Service:
    return Service(
        name="test",
        command=[sys.executable, "-c", code],
        folder=folder,
        ports=[port],
        health=f"http://127.0.0.1:{port}/",
    )


def members(group: int) -> list[int]:
    return [process.pid for process in members_of(group)]


@pytest.mark.slow
def test_a_server_is_stopped_with_all_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SECONDS_TO_STOP", 2.0)
    port = free_port()
    own = service(tmp_path, SERVER.format(child=SLEEPER, port=port), port)
    assert own.start()
    group = json.loads((tmp_path / "test.process.json").read_text())["pid"]
    assert not own.start(), "it runs already"
    assert len(members(group)) == 2
    assert own.stop()
    assert members(group) == []
    assert not own.stop()
    assert not own.healthy


@pytest.mark.slow
def test_children_that_outlived_their_server_are_stopped_as_well(tmp_path: Path) -> None:
    port = free_port()
    own = service(tmp_path, SERVER.format(child="import time; time.sleep(600)", port=port), port)
    own.start()
    group = json.loads((tmp_path / "test.process.json").read_text())["pid"]
    os.kill(group, signal.SIGKILL)
    while own.running:
        pass
    os.waitpid(group, 0)
    assert len(members(group)) == 1
    assert own.stop()
    assert members(group) == []


@pytest.mark.slow
def test_a_record_of_another_process_is_not_believed(tmp_path: Path) -> None:
    port = free_port()
    own = service(tmp_path, SERVER.format(child="", port=port), port)
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        for stale in (
            json.dumps({"pid": innocent.pid, "started": 1.0}),
            json.dumps({"pid": 2**22 + 1, "started": 1.0}),
            "{",
            "[]",
        ):
            (tmp_path / "test.process.json").write_text(stale)
            assert not own.running
            assert not own.stop()
        assert innocent.poll() is None
        (tmp_path / "test.process.json").write_text(json.dumps({"pid": innocent.pid, "started": 1.0}))
        assert own.start()
        own.stop()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInputError, match=f"port {port} of 127.0.0.1 is in use"):
            service(tmp_path, "", port).start()


def test_a_server_that_ends_while_starting_is_quoted(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(GenRFError, match=r"ended while starting: no luck \(log: .*test\.log\)"):
        service(tmp_path, "print('no luck'); raise SystemExit(1)", port).start()
    assert not (tmp_path / "test.process.json").exists()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = Service(name="test", command=["/nowhere/weed"], folder=tmp_path, ports=[], health="http://127.0.0.1:9/")
    with pytest.raises(MissingToolError, match="/nowhere/weed: No such file or directory; run make setup"):
        missing.start()


def command(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.platform", *arguments, "--folder", str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Both servers, started by the command."""
    running = Platform(tmp_path_factory.mktemp("platform"), free_port())
    started = command("start", "--port", str(running.port), folder=running.folder)
    assert started.returncode == 0, started.stderr
    assert running.keys()["secret_key"] not in started.stdout + started.stderr
    yield running
    command("stop", folder=running.folder)


@pytest.mark.slow
def test_started_once_it_is_found_again(platform: Platform) -> None:
    again = command("start", folder=platform.folder)
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "started: nothing, both run already")
    status = command("status", folder=platform.folder)
    assert status.returncode == 0
    assert "s3: healthy" in status.stdout
    assert "mlflow: healthy" in status.stdout


@pytest.mark.slow
def test_the_secret_is_for_its_owner_only(platform: Platform) -> None:
    secret = platform.keys()["secret_key"]
    for path in platform.folder.iterdir():
        if path.is_file() and secret.encode() in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert secret in platform.environment.read_text()
    commands = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    ports = (f"port={platform.port} ", f"port={platform.port + 1} ")
    running = [each for each in commands if any(port in each for port in ports)]
    assert len(running) >= 2
    assert not any(secret in each for each in running)


@pytest.mark.slow
def test_the_file_to_source_has_all_that_a_run_needs(platform: Platform) -> None:
    """An artifact that goes to MLflow without credentials of S3 lands in S3."""
    code = """
import mlflow, pathlib
from genrf.objects.store import open_store
from genrf.objects.location import Location
client = mlflow.MlflowClient()
run = client.create_run(client.create_experiment("try"))
pathlib.Path("figure.txt").write_text("28 GHz")
client.log_artifact(run.info.run_id, "figure.txt")
print(open_store().read(next(open_store().list(Location("mlflow"))).location).content.decode())
"""
    done = subprocess.run(
        ["sh", "-c", f'. "{platform.environment}" && cd "{platform.folder}" && exec "{sys.executable}" -c "$0"', code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["28 GHz"], done.stderr


@pytest.mark.slow
def test_all_buckets_take_objects(platform: Platform) -> None:
    """A bucket of SeaweedFS takes several volumes, of which it makes few by default."""
    store = open_store(variables=platform.variables())
    for bucket in (*BUCKETS, "one-more", "another"):
        store.check(Location(bucket), create=True)
        store.write(Location(bucket, "object"), b"content")


@pytest.mark.slow
def test_a_server_that_died_is_started_again_with_what_it_stored(platform: Platform) -> None:
    store = open_store(variables=platform.variables())
    store.write(Location("bundles", "kept"), b"content")
    kill(platform.object_store)
    status = command("status", folder=platform.folder)
    assert status.returncode == 1
    assert "s3: stopped" in status.stdout
    assert command("start", folder=platform.folder).stdout.startswith("started: s3\n")
    found = store.read(Location("bundles", "kept"))
    assert found is not None
    assert found.content == b"content"


@pytest.mark.slow
def test_a_second_platform_on_the_same_ports_is_refused(platform: Platform, tmp_path: Path) -> None:
    refused = command("start", "--port", str(platform.port), folder=tmp_path)
    assert refused.returncode == 2
    assert (
        f"s3: port {platform.port} of 127.0.0.1 is in use; stop what uses it, or choose another --port"
        in refused.stderr
    )
    assert not (tmp_path / "environment").exists()


@pytest.mark.slow
def test_stopped_it_leaves_no_process(platform: Platform) -> None:
    groups = [json.loads(path.read_text())["pid"] for path in platform.folder.glob("*.process.json")]
    assert len(groups) == 2
    assert command("stop", folder=platform.folder).stdout == "stopped: mlflow, s3\n"
    assert [members(group) for group in groups] == [[], []]
    assert not platform.environment.exists()
    assert command("stop", folder=platform.folder).stdout == "stopped: nothing, neither ran\n"
    assert command("status", folder=platform.folder).returncode == 1


def test_a_database_that_mlflow_does_not_take_is_refused_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, "postgres://name:secret@127.0.0.1/mlflow")
    with pytest.raises(InvalidInputError) as caught:
        Platform(tmp_path, 9400).start()
    assert (
        str(caught.value)
        == f"{DATABASE}: expected an address that begins with postgresql:// or postgresql+ or sqlite:///"
    )
    assert not any(tmp_path.iterdir())
