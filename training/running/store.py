"""The MLflow store: where it is, opening it, and what a person is told when it cannot be used.

On a laptop it is an SQLite file. In a Kubeflow pod a file would be gone with the pod, so a pod without an address is refused at
once; one that is refused or not answered says so in a line within seconds, where MLflow 3.17 would try for two minutes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genrf.errors import GenRFError, InvalidInputError
from training.config.schema import Config
from training.running.environment import variables

if TYPE_CHECKING:
    from mlflow import MlflowClient

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

TRACKING_URI = "MLFLOW_TRACKING_URI"
_SCHEMES = ("http://", "https://", "sqlite:///", "postgresql://", "postgresql+", "mysql+", "mssql+", "databricks")
NOWHERE = "off"
"""Value of the store's address with which nothing is recorded."""
POD = "KFP_POD_NAME"
"""Environment variable that Kubeflow sets in the pod of every step."""
SECRET = "genrf-tracking"
"""Kubernetes secret with the store's address and credentials, see `pipelines.placement`."""
_LAST_TRY_AFTER_S = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}
"""In a step: a server that restarts is waited for, for some 15 s."""
_AT_ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""When a store is opened."""
for _name, _value in _LAST_TRY_AFTER_S.items():
    os.environ.setdefault(_name, _value)


class TrackingError(GenRFError):
    """The MLflow store is not set, does not answer or refuses."""


def on_cluster() -> bool:
    """Whether this process is a step in a pod of Kubeflow."""
    return POD in os.environ


def store_uri(config: Config) -> str:
    """Where runs are recorded: the environment's MLFLOW_TRACKING_URI, else the configuration's.

    Raises:
        TrackingError: in a pod whose secret is missing.
    """
    uri = os.environ.get(TRACKING_URI) or config.tracking.tracking_uri
    if uri != NOWHERE and not uri.startswith(_SCHEMES):
        raise TrackingError(
            f"{TRACKING_URI}: expected http://HOST:PORT, https://..., sqlite:///FILE, postgresql://... or {NOWHERE}, "
            f"got {without_password(uri)!r}"
        )
    if on_cluster() and uri.startswith("sqlite:"):
        raise TrackingError(
            f"{TRACKING_URI} is not set, and a file in this pod would be lost: create the secret {SECRET} with the key uri "
            f"(kubectl create secret generic {SECRET} --from-literal=uri=http://MLFLOW:5000), or set tracking.tracking_uri "
            f"to {NOWHERE} to record nothing"
        )
    return uri


def require_store(config: Config) -> None:
    """See that a store which is not a file of this machine can be used, before anything is done that is to be recorded.

    Raises:
        TrackingError: if it cannot.
    """
    uri = store_uri(config)
    if uri != NOWHERE and not uri.startswith("sqlite:"):
        open_store(config)


def open_store(config: Config) -> tuple[MlflowClient, str]:
    """A client and the id of the experiment, both made if need be.

    Only one process at a time prepares an SQLite store: two that create its tables at once would break it.

    Raises:
        TrackingError: if the store does not answer or refuses.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = store_uri(config)
    with locked(uri), variables(_AT_ONCE), told_in_a_line(uri):
        if (file := sqlite_file(uri)) is not None and not file.exists():
            _make(file)
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(config.tracking.experiment)
        if found is not None:
            return client, found.experiment_id
        location = Path("mlruns").absolute().as_uri() if uri.startswith("sqlite:") else None
        try:
            return client, client.create_experiment(config.tracking.experiment, artifact_location=location)
        except MlflowException:
            # Another machine made it in the meantime.
            found = client.get_experiment_by_name(config.tracking.experiment)
            if found is None:
                raise
            return client, found.experiment_id


def sqlite_file(uri: str) -> Path | None:
    """The file of a store, if it is one."""
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(name) if uri.startswith("sqlite:///") and name not in ("", ":memory:") else None


def require_made(uri: str) -> None:
    """See that a store is there, before one is made that has nothing of what is looked for.

    Raises:
        InvalidInputError: naming the file.
    """
    if (file := sqlite_file(uri)) is not None and not file.exists():
        raise InvalidInputError(f"{file}: no MLflow runs are here; name another store with {TRACKING_URI}")


def _make(file: Path) -> None:
    """Make a store whole: MLflow's tables come one by one, and one that was left in between it cannot go on with."""
    from mlflow import MlflowClient

    for left in file.parent.glob(f".{file.name}.partial-*"):
        left.unlink()
    # MLflow remembers a store by its address: another attempt of this process needs another.
    partial = file.with_name(f".{file.name}.partial-{uuid.uuid4().hex}")
    MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
    partial.replace(file)


@contextlib.contextmanager
def told_in_a_line(uri: str) -> Iterator[None]:
    """Turn what MLflow raises where its server is lost or refuses into an error that says so.

    Raises:
        TrackingError: naming the store, and the secret where that may be the reason.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except (MlflowException, RequestException) as error:
        told = _reason(error, without_password(uri))
        if not told:
            raise
        raise TrackingError(told) from error


@contextlib.contextmanager
def locked(name: str, *, everywhere: bool = False) -> Iterator[None]:
    """Mutual exclusion of the processes of one machine, in one folder or everywhere."""
    key = name if everywhere else f"{Path.cwd()}:{name}"
    path = Path(tempfile.gettempdir()) / f"genrf-{os.getuid()}-{zlib.crc32(key.encode()):x}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _reason(error: Exception, uri: str) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        status = response.status_code
    elif hasattr(error, "get_http_status_code"):
        status = error.get_http_status_code()
    else:
        status = None
    text = str(error)
    if "Invalid Host header" in text or "Invalid Host header" in str(getattr(response, "text", "")):
        return (
            f"MLflow at {uri} is not to be called by this name (Invalid Host header): call it by another, or add the name to "
            "its --allowed-hosts, on a cluster allowed_hosts of the config map mlflow"
        )
    if status in (401, 403):
        return (
            f"MLflow at {uri} refuses the credentials ({status}): MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, on a "
            f"cluster the keys username and password of the secret {SECRET}"
        )
    # MLflow tells a lost connection by these words only.
    if status in (502, 503, 504) or "failed with exception" in text or (response is None and status is None):
        return (
            f"MLflow at {uri} does not answer: start it, or correct {TRACKING_URI} (on a cluster the key uri of the secret "
            f"{SECRET}); run again then, finished work is kept"
        )
    return ""


def without_password(uri: str) -> str:
    """A store's address as it may be shown."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else uri
