"""A dataset is known by its hash: recorded, found, fetched; from a folder and from a real S3 server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from genrf.errors import GenRFError
from training.config.loading import load_config
from training.config.schema import Config
from training.data import versions
from training.data.versions import (
    add,
    obtain,
    pull,
    reachable,
    recorded,
    recorded_hash,
    run_dvc,
    simulation_digest,
    sources,
)

ROOT = Path(__file__).parents[2]
UNKNOWN = "0123456789abcdef0123456789abcdef.dir"


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "params.yaml", overrides={"data.shards": 3})


@pytest.fixture
def repository(tmp_path: Path, config: Config) -> Path:
    """A repository like this one, with a small dataset that was added and pushed."""
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc" / "config", root / ".dvc")
    run_dvc(["config", "core.no_scm", "true"], root)
    write_rows(root / "data")
    add(Path("data"), config, root)
    run_dvc(["push", "--quiet"], root)
    return root


def write_rows(folder: Path) -> None:
    for shard in range(3):
        (folder / "lna").mkdir(parents=True, exist_ok=True)
        (folder / "lna" / f"shard-{shard:03d}.parquet").write_bytes(bytes([shard]) * 1000)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_record_names_content_and_configuration(repository: Path, config: Config) -> None:
    known = recorded(repository)
    assert known is not None
    assert known.hash.endswith(".dir")
    assert known.config == simulation_digest(config)
    write_rows(repository / "again")
    assert known.hash == yaml.safe_load((repository / "data.dvc").read_text())["outs"][0]["md5"]


def test_the_same_rows_have_the_same_hash(repository: Path, config: Config) -> None:
    before = recorded(repository)
    shutil.rmtree(repository / "data")
    write_rows(repository / "data")
    assert add(Path("data"), config, repository) == before
    (repository / "data" / "lna" / "shard-001.parquet").write_bytes(b"other")
    after = add(Path("data"), config, repository)
    assert before is not None
    assert after.hash != before.hash


def test_the_recorded_hash_counts_only_for_its_own_configuration(repository: Path, config: Config) -> None:
    known = recorded(repository)
    assert known is not None
    assert recorded_hash(config, repository) == known.hash
    more_workers = load_config(ROOT / "params.yaml", overrides={"data.shards": 3, "data.workers": 7})
    assert recorded_hash(more_workers, repository) == known.hash
    other_seed = load_config(ROOT / "params.yaml", overrides={"data.shards": 3, "seed": 1})
    assert recorded_hash(other_seed, repository) == ""
    assert recorded_hash(config, repository.parent) == ""


def test_what_is_on_the_remote_is_pulled_though_the_cache_is_empty(repository: Path, config: Config) -> None:
    data_hash = recorded_hash(config, repository)
    expected = files(repository / "data")
    shutil.rmtree(repository / ".dvc" / "cache")
    shutil.rmtree(repository / "data")
    assert sources(config, data_hash, repository) == ["pull"]
    report = obtain(config, repository / "rows", "pull", data_hash, repository)
    assert report == {"data_hash": data_hash, "pulled": True}
    assert files(repository / "rows") == expected


def test_what_cannot_be_reached_is_simulated(repository: Path, config: Config) -> None:
    assert not reachable(UNKNOWN, repository)
    assert sources(config, UNKNOWN, repository) == ["0", "1", "2"]
    assert sources(config, "", repository) == ["0", "1", "2"]
    assert sources(config, UNKNOWN, repository.parent) == ["0", "1", "2"]


def test_a_hash_that_is_nowhere_is_one_line(repository: Path) -> None:
    with pytest.raises(GenRFError, match="dvc pull") as caught:
        pull(UNKNOWN, repository / "rows", repository)
    assert "\n" not in str(caught.value)


@pytest.fixture
def object_store(tmp_path: Path) -> Iterator[str]:
    """Address of a running S3 server with one bucket."""
    ports = free_ports(5)
    identity = {"name": "tests", "credentials": [{"accessKey": "key", "secretKey": "secret"}], "actions": ["Admin"]}
    settings = tmp_path / "s3.json"
    settings.write_text(json.dumps({"identities": [identity]}))
    folder = tmp_path / "store"
    folder.mkdir()
    weed = Path(sys.executable).with_name("weed")
    command = [str(weed), "server", "-s3", f"-s3.config={settings}", f"-dir={folder}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", "-master.telemetry=false", "-master.volumeSizeLimitMB=64"]
    names = ("master.port", "volume.port", "filer.port", "s3.port", "s3.port.grpc")
    command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    with (tmp_path / "weed.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        address = f"http://127.0.0.1:{ports[3]}"
        try:
            wait_until_it_answers(address, server)
            make_bucket(address)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(20)


def free_ports(count: int) -> list[int]:
    # SeaweedFS also takes the port 10,000 above each of its own.
    sockets = [socket.socket() for _ in range(count)]
    ports = []
    for number, opened in enumerate(sockets):
        for candidate in range(20000 + 97 * number + os.getpid() % 5000, 50000):
            try:
                opened.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            ports.append(candidate)
            break
    for opened in sockets:
        opened.close()
    return ports


def wait_until_it_answers(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the S3 server ended"
        try:
            urllib.request.urlopen(address, timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the S3 server did not answer")


def make_bucket(address: str) -> None:
    import botocore.session

    client = botocore.session.get_session().create_client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="datasets")


@pytest.mark.slow
def test_a_dataset_travels_through_s3(
    repository: Path, config: Config, object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", object_store),
    ):
        monkeypatch.setenv(name, value)
    data_hash = recorded_hash(config, repository)
    run_dvc(["remote", "add", "store", "s3://datasets/genrf"], repository)
    run_dvc(["push", "--quiet", "--remote", "store"], repository)

    # A pod has neither this repository nor its cache: only the hash, the remote's address and credentials.
    pod = tmp_path / "pod"
    pod.mkdir()
    monkeypatch.setenv(versions.REMOTE, "s3://datasets/genrf")
    assert sources(config, data_hash, pod) == ["pull"]
    obtain(config, pod / "rows", "pull", data_hash, pod)
    assert files(pod / "rows") == files(repository / "data")
    assert not reachable(UNKNOWN, pod)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert sources(config, data_hash, pod) == ["0", "1", "2"]
    with pytest.raises(GenRFError, match="dvc pull"):
        obtain(config, pod / "more", "pull", data_hash, pod)
