"""DVC, run for one version of the dataset in a repository of its own that is gone afterwards.

Nothing of it depends on whose process this is: pods run under a user without a name, with a root file system that is
read-only. Credentials are in the environment of dvc alone, and on no disk.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import configobj
import yaml

from genrf.errors import GenRFError, InvalidInputError, MissingToolError
from genrf.objects.location import SCHEME, Location
from genrf.objects.store import credentials, open_store
from training.running.step import WORK

REMOTE = "GENRF_DVC_REMOTE"
"""Environment variable: URL of the remote that holds datasets, in place of the repository's default one."""
RECORD = "data.dvc"
CONFIG = Path(".dvc") / "config"
FOLDER = "data"
"""What the record tracks."""
_QUIET = {"DVC_NO_ANALYTICS": "true", "DO_NOT_TRACK": "true", "DVC_TEST": "false"}
_ATTEMPTS_TO_EXPLAIN = 2
_NO_REASON = ("Having any troubles?", "Is your cache up to date?", "<https://")
"""Beginnings of lines with which dvc sends people to its help."""


@dataclass(frozen=True)
class Repository:
    """The temporary repository."""

    folder: Path
    remote: str
    """URL of its remote."""
    environment: Mapping[str, str]
    """Of every dvc that works in it."""

    def run(self, *arguments: str) -> str:
        """Run dvc.

        Raises:
            GenRFError: with the cause, as precisely as S3 or dvc tells it.
        """
        try:
            return run_dvc(list(arguments), self.folder, self.environment)
        except GenRFError as error:
            raise GenRFError(self.trouble() or str(error)) from error

    def holds(self, data_hash: str) -> bool:
        """Whether that version is in the cache or on the remote.

        Raises:
            Exception: whatever dvc raises if the remote does not answer.
        """
        with _variables(self.environment):
            from dvc.repo import Repo

            with Repo(str(self.folder)) as repo:
                return bool(repo.cache.local.exists(data_hash) or repo.cloud.get_remote_odb().exists(data_hash))

    def trouble(self) -> str:
        """What is wrong with the remote, if it is in S3: dvc does not say which key, bucket or server; empty for nothing."""
        if not self.remote.startswith(SCHEME):
            return ""
        try:
            open_store(_ATTEMPTS_TO_EXPLAIN).check(Location.parse(self.remote))
        except GenRFError as error:
            return str(error)
        return ""


@contextlib.contextmanager
def repository_of(data_hash: str, root: Path, *, own_cache: bool = False) -> Iterator[Repository]:
    """A repository that names one version, with the remote of the environment or of the repository in `root`.

    Args:
        own_cache: whether the cache must be that of `root`, since what is there is to be pushed.

    Raises:
        MissingToolError: if no remote is known.
    """
    remote = _remote(root)
    if not remote:
        raise MissingToolError(f"{root / CONFIG}: no DVC remote for {data_hash}; set {REMOTE} to its URL")
    with tempfile.TemporaryDirectory(prefix="genrf-data-", dir=_work()) as name:
        folder = Path(name)
        content = configobj.ConfigObj()
        content["core"] = {"analytics": "false", "no_scm": "true", "remote": "from"}
        content["cache"] = {"dir": str(_cache(root, folder, own_cache))}
        content['remote "from"'] = remote
        (folder / ".dvc").mkdir()
        with (folder / CONFIG).open("wb") as file:
            content.write(file)
        record = {"outs": [{"md5": data_hash, "hash": "md5", "path": FOLDER}]}
        (folder / RECORD).write_text(yaml.safe_dump(record), encoding="utf-8")
        yield Repository(folder, remote["url"], _environment(folder))


def run_dvc(arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run the dvc of this environment in a folder.

    Raises:
        GenRFError: with dvc's own reason, if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env={**(os.environ if environment is None else environment), **_QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise GenRFError(f"dvc {arguments[0]}: {_reason(done.stderr) or f'ended with exit code {done.returncode}'}")
    return done.stdout


def _reason(errors: str) -> str:
    """The first error of dvc's error output as one line; the last line where none is marked as an error."""
    lines = [line.strip() for line in errors.splitlines()]
    lines = [line for line in lines if line and not line.startswith(_NO_REASON)]
    first = next((number for number, line in enumerate(lines) if line.startswith("ERROR")), None)
    if first is None:
        return lines[-1] if lines else ""
    following = lines[first + 1 :]
    end = next(
        (number for number, line in enumerate(following) if line.startswith(("ERROR", "WARNING"))), len(following)
    )
    return " ".join([lines[first].removeprefix("ERROR: "), *following[:end]])


def _work() -> str | None:
    """Where temporary repositories are: on the volume for unfinished work, which is larger than the folder of temporary files."""
    work = os.environ.get(WORK)
    if work and os.access(work, os.W_OK):
        return work
    return None


def _cache(root: Path, folder: Path, own: bool) -> Path:
    """The cache of `root`, or one that goes away: where the former cannot be written, and where a remote is named."""
    cache = (root / ".dvc" / "cache").resolve()
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    usable = (root / CONFIG).is_file() and os.access(existing, os.W_OK)
    return cache if usable and (own or not os.environ.get(REMOTE)) else folder / "cache"


def _environment(folder: Path) -> dict[str, str]:
    environment = {**os.environ, **_QUIET}
    # dvc asks for the user's name, and reads and writes below the home folder and /var: a pod's user has neither.
    environment.setdefault("LOGNAME", str(os.getuid()))
    environment["DVC_SITE_CACHE_DIR"] = str(folder / "site")
    environment["DVC_GLOBAL_CONFIG_DIR"] = environment["DVC_SYSTEM_CONFIG_DIR"] = str(folder / "none")
    keys = credentials()
    if "aws_access_key_id" in keys:
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
            environment.pop(name, None)
        environment["AWS_ACCESS_KEY_ID"] = keys["aws_access_key_id"]
        environment["AWS_SECRET_ACCESS_KEY"] = keys["aws_secret_access_key"]
    return environment


def _remote(root: Path) -> dict[str, str]:
    """Settings of the remote: the environment's URL, else the default remote of the repository; empty for none."""
    remote = {"url": os.environ[REMOTE]} if os.environ.get(REMOTE) else _default_remote(root / CONFIG)
    if remote.get("url", "").startswith(SCHEME):
        keys = credentials()
        ours = {"endpointurl": keys.get("endpoint_url"), "region": keys.get("region_name")}
        remote |= {name: value for name, value in ours.items() if value}
    return remote


def _default_remote(config: Path) -> dict[str, str]:
    if not config.is_file():
        return {}
    try:
        content = configobj.ConfigObj(str(config))
        local = config.with_name("config.local")
        if local.is_file():
            content.merge(configobj.ConfigObj(str(local)))
    except configobj.ConfigObjError as error:
        raise InvalidInputError(f"{config}: cannot be read ({error}); correct it") from error
    remote = dict(content.get(f'remote "{content.get("core", {}).get("remote", "")}"', {}))
    if remote and "url" not in remote:
        raise InvalidInputError(f"{config}: the default remote has no url; name one with {REMOTE}")
    if remote and "://" not in remote["url"]:
        # DVC takes a relative URL from the folder that holds the configuration.
        remote["url"] = str((config.parent / remote["url"]).resolve())
    return remote


@contextlib.contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's environment, for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
