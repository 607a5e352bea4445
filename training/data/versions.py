"""Versions of the dataset: what `data.dvc` records, and fetching a version by its hash from DVC's cache or remote.

The hash names the content, so a pipeline that is given one needs nothing else: it pulls that dataset wherever it can be
reached and simulates it again where it cannot.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from genrf.errors import GenRFError, InvalidInputError, MissingToolError
from training.config.schema import Config
from training.data.dvc_repository import FOLDER, RECORD, repository_of, run_dvc

CONFIG_KEY = "config"
PROCESSOR_KEY = "processor"
RECORDED = "recorded"
"""Asks for the version that `data.dvc` records, where it was simulated with the configuration at hand."""
_HASH = re.compile(r"[0-9a-f]{32}\.dir")
VERSION = "version.json"
"""File of a dataset that a night grew: its parent, and what it grew by."""
PULL = "pull"
"""Source of a dataset that is pulled; any other is the number of a shard to simulate."""


@dataclass(frozen=True)
class RecordedData:
    """What `data.dvc` says."""

    hash: str
    """DVC's hash of the folder's content, ending in ``.dir``."""
    config: str
    """Digest of the configuration that it was simulated with; empty where that is not known."""
    processor: str = ""
    """Kind of processor that simulated it, see `processor_kind`; empty where that is not known."""


def recorded(root: Path = Path()) -> RecordedData | None:
    """The dataset version that the repository names, or None."""
    path = root / RECORD
    if not path.is_file():
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        meta = content.get("meta") or {}
        return RecordedData(content["outs"][0]["md5"], str(meta.get(CONFIG_KEY, "")), str(meta.get(PROCESSOR_KEY, "")))
    except (yaml.YAMLError, TypeError, LookupError, AttributeError) as error:
        raise InvalidInputError(
            f"{path}: names no dataset ({error!r}); restore it from git, or make data records one"
        ) from error


def recorded_hash(config: Config, root: Path = Path()) -> str:
    """Hash of the recorded dataset if it was simulated with this configuration, else an empty string."""
    known = recorded(root)
    return known.hash if known is not None and known.config == simulation_digest(config) else ""


def chosen_hash(config: Config, asked: str, root: Path = Path()) -> str:
    """The version that a pipeline run is asked to use; empty for one that is simulated.

    Args:
        asked: a hash, `RECORDED`, or empty.

    Raises:
        InvalidInputError: if it is none of these.
    """
    if asked == RECORDED:
        return recorded_hash(config, root)
    if asked and not _HASH.fullmatch(asked):
        raise InvalidInputError(
            f"data_hash: expected the md5 of a data.dvc (32 hexadecimal digits and .dir), {RECORDED}, or nothing, got {asked!r}"
        )
    return asked


def processor_kind() -> str:
    """What of the processor decides the last digits of simulated numbers: NumPy has several versions of exp, log and power, and
    takes that of the newest instructions found."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return f"{platform.machine()} {[*found['baseline'], *found['found']][-1]}"


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
    """Whether the version is in the local cache or on the remote; why not is said on the error output."""
    try:
        with repository_of(data_hash, root) as repository:
            try:
                if repository.holds(data_hash):
                    return True
                trouble = repository.trouble() or "not on the remote"
            except Exception as error:
                trouble = repository.trouble() or f"remote not reachable ({error})"
    except MissingToolError:
        return False
    except (GenRFError, OSError) as error:
        trouble = str(error)
    # The data are simulated then.
    print(f"dataset {data_hash}: {trouble}", file=sys.stderr)
    return False


def pull(data_hash: str, output: Path, root: Path = Path()) -> None:
    """Write the dataset of that hash into a folder.

    Raises:
        GenRFError: if it can be had neither from the cache nor from the remote.
    """
    with repository_of(data_hash, root) as repository:
        try:
            repository.run("pull", "--force")
        except GenRFError as error:
            raise GenRFError(f"dataset {data_hash}: {error}") from error
        shutil.copytree(repository.folder / FOLDER, output, copy_function=shutil.move, dirs_exist_ok=True)


def record(rows: Path, root: Path = Path()) -> str:
    """Make a folder of rows a version of its own, on the remote, and return its hash; `data.dvc` stays as it is.

    Raises:
        MissingToolError: if no remote is known.
        GenRFError: if the remote does not take it.
    """
    with repository_of("", root) as repository:
        (repository.folder / RECORD).unlink()
        # Links where the disk allows: dvc copies what it keeps.
        shutil.copytree(rows, repository.folder / FOLDER, copy_function=_linked)
        repository.run("add", FOLDER)
        found = recorded(repository.folder)
        assert found is not None
        repository.run("push")
        return found.hash


def read_version(data_hash: str, root: Path = Path()) -> dict[str, Any]:
    """What a version that a night made says of itself, `VERSION`, without fetching its rows; empty for any other.

    Raises:
        GenRFError: if the version can be had neither from the cache nor from the remote.
    """
    with repository_of(data_hash, root) as repository:
        if not repository.holds(data_hash):
            raise GenRFError(f"dataset {data_hash}: is neither in the cache nor on the remote")
        if VERSION not in repository.run("ls", "--dvc-only", ".", FOLDER).split():
            return {}
        repository.run("pull", f"{FOLDER}/{VERSION}")
        return dict(json.loads((repository.folder / FOLDER / VERSION).read_text(encoding="utf-8")))


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def require_recorded(folder: Path, root: Path = Path()) -> None:
    """See that replacing a folder of rows loses none that `data.dvc` does not record.

    Raises:
        InvalidInputError: if it has some.
    """
    if not (root / folder).is_dir() or not any((root / folder).iterdir()):
        return
    if not (root / RECORD).is_file() or "modified" in run_dvc(["status", "--json", RECORD], root):
        raise InvalidInputError(
            f"{folder}: has rows that {RECORD} does not record; record them with dvc add {folder}, or replace them with --force"
        )


def push(root: Path = Path()) -> RecordedData:
    """Send the recorded dataset from the cache to the remote.

    Raises:
        InvalidInputError: if none is recorded, or it is not in the cache.
        GenRFError: if the remote does not take it.
    """
    known = recorded(root)
    if known is None:
        raise InvalidInputError(f"{root / RECORD}: no dataset is recorded; make data simulates and records one")
    with repository_of(known.hash, root, own_cache=True) as repository:
        # DVC would take a version that is nowhere for one that is up to date.
        if not (root / ".dvc" / "cache" / "files" / "md5" / known.hash[:2] / known.hash[2:]).is_file():
            raise InvalidInputError(f"dataset {known.hash}: is not in .dvc/cache; make data simulates it from its seed")
        try:
            repository.run("push")
        except GenRFError as error:
            raise GenRFError(f"dataset {known.hash}: {error}") from error
    return known


def add(folder: Path, config: Config, root: Path = Path()) -> RecordedData:
    """Record a folder of simulated data in `data.dvc`, with the digest of its configuration."""
    run_dvc(["add", str(folder)], root)
    path = root / RECORD
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["meta"] = {
        "recipe": config.recipe,
        CONFIG_KEY: simulation_digest(config),
        PROCESSOR_KEY: processor_kind(),
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    result = recorded(root)
    assert result is not None
    return result
