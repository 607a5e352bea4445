"""A dataset is known by its hash: recorded, found, fetched; from a folder and from a real S3 server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
import yaml

from genrf.errors import GenRFError
from genrf.objects.failures import ACCESS_KEY, ENDPOINT, SECRET_KEY
from genrf.objects.location import Location
from tests.object_store import BUCKET, ObjectServer
from training.config.loading import load_config
from training.config.schema import Config
from training.data.dvc_repository import REMOTE, repository_of, run_dvc
from training.data.versions import (
    add,
    obtain,
    pull,
    push,
    reachable,
    recorded,
    recorded_hash,
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
    with pytest.raises(GenRFError, match="dataset 0123") as caught:
        pull(UNKNOWN, repository / "rows", repository)
    assert "\n" not in str(caught.value)


def training(command: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training", command, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Path:
    """What git has of the repository: neither data nor cache nor the folder that is the remote."""
    shutil.copytree(repository, tmp_path / "clone", ignore=shutil.ignore_patterns("data", "cache", "storage", "tmp"))
    return tmp_path / "clone"


@pytest.mark.slow
def test_a_fresh_clone_pulls_the_recorded_dataset_or_is_told_how_to_make_it(repository: Path, clone: Path) -> None:
    refused = training("pull", clone)
    assert refused.returncode == 1
    assert "make data simulates it again from its seed" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (clone / "data").exists()
    shutil.copytree(repository / ".dvc" / "storage", clone / ".dvc" / "storage")
    pulled = training("pull", clone)
    assert pulled.returncode == 0, pulled.stderr
    assert files(clone / "data") == files(repository / "data")
    # Rows that were added since, and are not recorded, are not lost.
    (clone / "data" / "grown.parquet").write_bytes(b"hours of simulation")
    refused = training("pull", clone)
    assert refused.returncode == 2
    assert "data: has rows that data.dvc does not record; record them with dvc add data" in refused.stderr
    assert (clone / "data" / "grown.parquet").is_file()
    assert training("pull", clone, "--force").returncode == 0
    assert files(clone / "data") == files(repository / "data")


@pytest.mark.slow
def test_what_is_not_in_the_cache_cannot_be_pushed(clone: Path) -> None:
    refused = training("push", clone)
    assert refused.returncode == 2
    assert "is not in .dvc/cache; make data simulates it from its seed" in refused.stderr


@pytest.fixture
def remote(object_store: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty DVC remote in S3, which this process has in its environment with its credentials."""
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    address = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    monkeypatch.setenv(REMOTE, address)
    return address


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A folder with neither this repository nor its cache: only the environment says where data are."""
    (tmp_path / "pod").mkdir()
    return tmp_path / "pod"


@pytest.mark.slow
def test_two_versions_travel_through_s3_and_back(repository: Path, config: Config, remote: str, pod: Path) -> None:
    first, rows = push(repository).hash, files(repository / "data")
    (repository / "data" / "lna" / "shard-001.parquet").write_bytes(b"better")
    second = add(Path("data"), config, repository).hash
    push(repository)
    assert sources(config, first, pod) == ["pull"]
    assert sources(config, UNKNOWN, pod) == ["0", "1", "2"]
    for data_hash, expected in ((first, rows), (second, files(repository / "data"))):
        obtain(config, pod / data_hash, "pull", data_hash, pod)
        assert files(pod / data_hash) == expected


@pytest.mark.slow
def test_a_push_that_was_killed_is_made_whole_by_the_next(
    repository: Path, config: Config, remote: str, pod: Path, object_store: ObjectServer
) -> None:
    (repository / "data" / "lna" / "large.parquet").write_bytes(os.urandom(120_000_000))
    known = add(Path("data"), config, repository)
    store, address = object_store.store(), Location.parse(remote)
    process = subprocess.Popen([sys.executable, "-m", "training", "push"], cwd=repository, start_new_session=True)
    while next(store.list(address), None) is None:
        assert process.poll() is None, "ended before anything arrived"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not any(stored.location.key.endswith(".dir") for stored in store.list(address)), "killed too late"
    assert not reachable(known.hash, pod)
    push(repository)
    pull(known.hash, pod / "rows", pod)
    assert files(pod / "rows") == files(repository / "data")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (ACCESS_KEY, "nobody", f"knows no such access key; correct {ACCESS_KEY}"),
        (SECRET_KEY, "hunter2", f"the secret key is not that of the access key; correct {SECRET_KEY}"),
        (REMOTE, "s3://no-such-bucket/genrf", "there is no such bucket"),
        (
            ENDPOINT,
            "http://127.0.0.1:9",
            f"cannot be reached, several attempts over; start the server, or correct {ENDPOINT}",
        ),
    ],
)
def test_what_is_wrong_with_the_remote_is_one_line(
    repository: Path,
    config: Config,
    remote: str,
    pod: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    said: str,
) -> None:
    data_hash = push(repository).hash
    monkeypatch.setenv(variable, value)
    assert sources(config, data_hash, pod) == ["0", "1", "2"]
    assert said in capfd.readouterr().err
    for attempt in (lambda: pull(data_hash, pod / "rows", pod), lambda: push(repository)):
        with pytest.raises(GenRFError, match=re.escape(said)) as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert not (pod / "rows").exists()


@pytest.mark.slow
def test_credentials_are_neither_in_the_repository_of_dvc_nor_in_its_arguments(
    repository: Path, remote: str, object_store: ObjectServer
) -> None:
    secret = object_store.variables[SECRET_KEY]
    with repository_of(UNKNOWN, repository) as temporary:
        assert temporary.environment["AWS_SECRET_ACCESS_KEY"] == secret
        assert secret not in "".join(path.read_text() for path in temporary.folder.rglob("*") if path.is_file())
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_and_home_pulls_beside_a_folder_that_it_cannot_write(
    repository: Path, remote: str, tmp_path: Path
) -> None:
    """As in a pod: the application's folder has DVC's configuration and is not writable."""
    data_hash = push(repository).hash
    expected = files(repository / "data")
    shutil.rmtree(repository / ".dvc" / "cache")
    work = Path(tempfile.mkdtemp(prefix="genrf-pod-", dir="/tmp"))
    try:
        application = work / "application"
        shutil.copytree(repository / ".dvc", application / ".dvc", ignore=shutil.ignore_patterns("tmp"))
        (work / "unfinished").mkdir()
        os.chmod(work, 0o755)
        os.chown(work / "unfinished", 10001, 10001)
        code = (
            "from pathlib import Path; from training.data import versions as v; "
            f"assert v.reachable('{data_hash}'); v.pull('{data_hash}', Path('{work}/unfinished/rows'))"
        )
        environment = {
            **os.environ,
            "HOME": "/nonexistent",
            "GENRF_WORK": str(work / "unfinished"),
            "PYTHONPATH": str(ROOT),
        }
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            environment.pop(name, None)
        user = ["setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups"]
        if not all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents):
            # The interpreter is in somebody's closed folder: the user may look into all folders, and write no more for it.
            user += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        done = subprocess.run(
            [*user, sys.executable, "-c", code],
            cwd=application,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert files(work / "unfinished" / "rows") == expected
        assert [path.name for path in (work / "unfinished").iterdir()] == ["rows"], "a temporary repository was left"
    finally:
        shutil.rmtree(work)


def test_a_broken_repository_is_one_line_and_simulated(
    repository: Path, config: Config, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import dvc.repo

    def refuse(*_: object, **__: object) -> None:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(dvc.repo.Repo, "__init__", refuse)
    assert sources(config, UNKNOWN, repository) == ["0", "1", "2"]
    assert "uid not found" in capfd.readouterr().err


def test_dvc_is_quoted_without_its_help_desk(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    nonsense = 1\n")
    with pytest.raises(GenRFError, match="nonsense") as caught:
        run_dvc(["status"], tmp_path)
    assert "trouble" not in str(caught.value)
    assert "\n" not in str(caught.value)
