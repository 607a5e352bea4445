"""Versions of the dataset: what `data.dvc` records, and fetching a version by its hash from DVC's cache or remote.

The hash names the content, so a pipeline that is given one needs nothing else: it pulls that dataset wherever it can be
reached and simulates it again where it cannot.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genrf.errors import GenRFError, MissingToolError
from training.config.schema import Config

REMOTE = "GENRF_DVC_REMOTE"
"""Environment variable: URL of the remote to pull from instead of the repository's default one."""
RECORD = "data.dvc"
CONFIG_KEY = "config"
PULL = "pull"
"""Source of a dataset that is pulled; any other is the number of a shard to simulate."""
_ENVIRONMENT = {"DVC_NO_ANALYTICS": "true", "DO_NOT_TRACK": "true", "DVC_TEST": "false"}


@dataclass(frozen=True)
class RecordedData:
    """What `data.dvc` says."""

    hash: str
    """DVC's hash of the folder's content, ending in ``.dir``."""
    config: str
    """Digest of the configuration that it was simulated with; empty where that is not known."""


def recorded(root: Path = Path()) -> RecordedData | None:
    """The dataset version that the repository names, or None."""
    path = root / RECORD
    if not path.is_file():
        return None
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return RecordedData(content["outs"][0]["md5"], str((content.get("meta") or {}).get(CONFIG_KEY, "")))


def recorded_hash(config: Config, root: Path = Path()) -> str:
    """Hash of the recorded dataset if it was simulated with this configuration, else an empty string."""
    known = recorded(root)
    return known.hash if known is not None and known.config == simulation_digest(config) else ""


def simulation_digest(config: Config) -> str:
    """Identity of what decides the dataset's content: all of section ``data`` but the number of workers."""
    data = dataclasses.replace(config.data, workers=0)
    return dataclasses.replace(config, data=data).digest("data")


def sources(config: Config, data_hash: str, root: Path = Path()) -> list[str]:
    """Where the rows come from: ``["pull"]`` if that version can be reached, else the shards to simulate."""
    if data_hash and reachable(data_hash, root):
        return [PULL]
    return [str(shard) for shard in range(config.data.shards)]


def obtain(config: Config, output: Path, source: str, data_hash: str, root: Path = Path()) -> dict[str, Any]:
    """Bring rows into a folder: pull the version of that hash, or simulate one shard.

    Args:
        output: folder to write.
        source: one of `sources`.
        data_hash: version to pull.
        root: folder of the repository.
    """
    if source == PULL:
        pull(data_hash, output, root)
        return {"data_hash": data_hash, "pulled": True}
    from training.data.simulate import simulate_shard

    return simulate_shard(config, int(source), output)


def reachable(data_hash: str, root: Path = Path()) -> bool:
    """Whether the version is in the local cache or on the remote."""
    from dvc.repo import Repo

    if not (root / ".dvc" / "config").is_file() and not os.environ.get(REMOTE):
        return False
    with _repository(data_hash, root) as folder, Repo(str(folder)) as repo:
        if repo.cache.local.exists(data_hash):
            return True
        try:
            return bool(repo.cloud.get_remote_odb().exists(data_hash))
        except Exception as error:
            # A remote that does not answer only means that the data is simulated here.
            print(f"dataset {data_hash}: remote not reachable ({error})", file=sys.stderr)
            return False


def pull(data_hash: str, output: Path, root: Path = Path()) -> None:
    """Write the dataset of that hash into a folder.

    Raises:
        GenRFError: if it can be had neither from the cache nor from the remote.
    """
    with _repository(data_hash, root) as folder:
        run_dvc(["pull", "--quiet", "--force"], folder)
        shutil.copytree(folder / "data", output, dirs_exist_ok=True)


def add(folder: Path, config: Config, root: Path = Path()) -> RecordedData:
    """Record a folder of simulated data in `data.dvc`, with the digest of its configuration."""
    run_dvc(["add", "--quiet", str(folder)], root)
    path = root / RECORD
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["meta"] = {"recipe": config.recipe, CONFIG_KEY: simulation_digest(config)}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    result = recorded(root)
    assert result is not None
    return result


def run_dvc(arguments: list[str], folder: Path) -> str:
    """Run the dvc of this environment in a folder.

    Raises:
        GenRFError: with dvc's own last line, if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no output")
        raise GenRFError(f"dvc {arguments[0]}: {reason.removeprefix('ERROR: ')}")
    return done.stdout


@contextlib.contextmanager
def _repository(data_hash: str, root: Path) -> Iterator[Path]:
    """A repository of its own that names this version, with the cache and the remote of `root`."""
    config = root / ".dvc" / "config"
    if not config.is_file() and not os.environ.get(REMOTE):
        raise MissingToolError(f"{config}: no DVC remote to pull {data_hash} from; set {REMOTE} to its URL")
    with tempfile.TemporaryDirectory(prefix="genrf-data-") as name:
        folder = Path(name)
        (folder / ".dvc").mkdir()
        lines = ["[core]", *(f"    {key}" for key in ("analytics = false", "no_scm = true", "remote = from"))]
        if config.is_file():
            lines += ["[cache]", f"    dir = {(root / '.dvc' / 'cache').resolve()}"]
        lines += ["['remote \"from\"']", *(f"    {key} = {value}" for key, value in _remote(config).items())]
        (folder / ".dvc" / "config").write_text("\n".join(lines) + "\n", encoding="utf-8")
        record = {"outs": [{"md5": data_hash, "hash": "md5", "path": "data"}]}
        (folder / RECORD).write_text(yaml.safe_dump(record), encoding="utf-8")
        yield folder


def _remote(config: Path) -> dict[str, str]:
    """Settings of the remote: the environment's URL, else the default remote of the repository."""
    if os.environ.get(REMOTE):
        return {"url": os.environ[REMOTE]}
    import configobj

    content = configobj.ConfigObj(str(config))
    local = config.with_name("config.local")
    if local.is_file():
        content.merge(configobj.ConfigObj(str(local)))
    remote = dict(content[f'remote "{content["core"]["remote"]}"'])
    if "://" not in remote["url"]:
        # DVC takes a relative URL from the folder that holds the configuration.
        remote["url"] = str((config.parent / remote["url"]).resolve())
    return remote
