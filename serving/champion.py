"""Fetch the registry's champion before the server starts: ``python -m serving.champion --into FOLDER``.

Where no registry is named, it has no champion, or it does not answer, the folder gets the released weights of the package
instead, and the log says so: designs are served all the same. A registry that refuses the credentials, and a champion that
does not arrive whole, are errors: whoever runs the server believes that it serves something else. The registry is named by
MLFLOW_TRACKING_URI, with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from genrf import __version__
from genrf.errors import CheckpointError, GenRFError, InvalidInputError
from genrf.files import replace_folder, write_json
from genrf.generation.bundle import Bundle
from genrf.generation.released import released_bundle, released_folder

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

URI = "MLFLOW_TRACKING_URI"
ALIAS = "champion"
BUNDLE = "bundle"
"""Folder of a version's artifacts that holds its bundle."""
VARIANTS = "quantized"
"""Folder of a version's artifacts with the variants that passed their gate, one a precision."""
PREFERRED = {"cpu": "int8", "cuda": "fp16"}
"""Precision that a device runs best; ONNX Runtime computes products in int8 on the CPU whatever the device."""
REGISTERED = "registered.json"
"""File beside a fetched bundle's manifest: name and version of the registered model."""
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Environment of MLflow's client, unless it is set: by itself it would try for minutes while nobody is served."""
REFUSALS = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED")
"""MLflow's names of the statuses 401 and 403."""


class NoChampionError(Exception):
    """There is no champion to be had; the message says why."""


class NoSuchAliasError(NoChampionError):
    """The registry answers, and has none."""


def fetch(into: Path, model: str, device: str = "cpu", alias: str = ALIAS) -> str:
    """Put the champion's bundle into a folder, or the released weights, and return a line that says which.

    Args:
        into: replaced whole, once everything has arrived and is verified.
        model: name of the registered model.
        device: what the models will run on: the variant that it runs well is taken if it passed its gate.
        alias: of the version to fetch; another than the champion's is not made up for by the released weights.

    Raises:
        InvalidInputError: if the registry refuses the credentials.
        CheckpointError: if the champion's files are missing, damaged or not of this program's format, or there are no
            released weights where they are needed.
    """
    arriving = into.with_name(f".{into.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    try:
        try:
            version = _champion(model, alias)
        except NoChampionError as error:
            if alias != ALIAS:
                raise CheckpointError(f"no {alias} to serve: {error}") from error
            which = f"released weights of genrf {__version__}, for {error}"
            source = released_bundle()
            if source is None:
                raise CheckpointError(f"{released_folder()}: this copy of genrf has no weights, and {error}") from error
            shutil.copytree(source, arriving / BUNDLE)
        else:
            which = f"{alias}, version {version.version} of {model}"
            _arrive(version, arriving, device)
        identity = Bundle.load(arriving / BUNDLE).identity
        replace_folder(arriving / BUNDLE, into)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
    return f"{which} ({identity[:10]})"


def current(model: str, alias: str = ALIAS) -> ModelVersion | None:
    """The version that has an alias; None if there is none.

    Raises:
        NoChampionError: if the registry does not answer.
        InvalidInputError: if it refuses to say.
    """
    try:
        return _champion(model, alias)
    except NoSuchAliasError:
        return None


def fetch_version(version: ModelVersion, into: Path, device: str = "cpu") -> Path:
    """Put a version's bundle into a folder, verified, and return it; one that is there already is verified again.

    Raises:
        CheckpointError: if its files are missing, damaged or not of this program's format.
    """
    if not into.exists():
        arriving = into.with_name(f".{into.name}.arriving")
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        try:
            _arrive(version, arriving, device)
            Bundle.load(arriving / BUNDLE)
            replace_folder(arriving / BUNDLE, into)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    Bundle.load(into)
    return into


def _arrive(version: ModelVersion, folder: Path, device: str) -> None:
    """Fetch what a device runs well into ``bundle`` of a folder.

    Raises:
        CheckpointError: if it does not arrive.
    """
    from mlflow.artifacts import list_artifacts

    chosen = f"{VARIANTS}/{PREFERRED[device]}"
    try:
        there = [item.path for item in list_artifacts(artifact_uri=f"{version.source}/{VARIANTS}")]
    except Exception as error:  # of the artifact store's client, of many types
        raise _lost(version, error) from error
    if any(path.endswith(chosen) for path in there):
        _download(version, chosen, folder)
        (folder / PREFERRED[device]).rename(folder / BUNDLE)
    else:
        _download(version, BUNDLE, folder)
    write_json(folder / BUNDLE / REGISTERED, {"name": version.name, "version": str(version.version)})


def registered(folder: Path) -> tuple[str, str] | None:
    """Name and version of the registered model whose bundle `fetch` put there; none for any other bundle."""
    try:
        content = json.loads((folder / REGISTERED).read_text(encoding="utf-8"))
        return str(content["name"]), str(content["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _champion(model: str, alias: str = ALIAS) -> ModelVersion:
    """The version that is the champion, or has another alias.

    Raises:
        NoSuchAliasError: if there is none.
        NoChampionError: if there is nobody who could say.
        InvalidInputError: if the registry refuses to say.
    """
    address = os.environ.get(URI)
    if not address:
        raise NoChampionError(f"{URI} names no registry")
    if "://" not in address:
        raise InvalidInputError(f"{URI}: expected an address such as http://mlflow:5000, got {address!r}")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        return MlflowClient().get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise NoSuchAliasError(f"model {model} in the registry has no {alias}") from error
        # An address may hold a password.
        address, reason = (re.sub(r"//[^/@\s]+@", "//", text) for text in (address, str(error).splitlines()[0]))
        if error.error_code in REFUSALS:
            raise InvalidInputError(
                f"{address}: refused ({reason}); check secret genrf-tracking, and that MLflow's allowed hosts have this name"
            ) from error
        raise NoChampionError(f"MLflow does not answer ({reason})") from error


def _download(version: ModelVersion, what: str, folder: Path) -> None:
    """Fetch a folder of a version's artifacts into a folder.

    Raises:
        CheckpointError: if it does not arrive.
    """
    from mlflow.artifacts import download_artifacts

    try:
        download_artifacts(artifact_uri=f"{version.source}/{what}", dst_path=str(folder))
    except Exception as error:  # of the artifact store's client, of many types
        raise _lost(version, error) from error


def _lost(version: ModelVersion, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{version.source}/{BUNDLE}: version {version.version} of {version.name} did not arrive "
        f"({' '.join(str(error).split())[:300]}); start again, or promote another version"
    )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m serving.champion", description="Fetch the models to serve.")
    parser.add_argument("--into", type=Path, required=True, help="folder that becomes the bundle")
    parser.add_argument("--model", default="genrf", help="name of the registered model")
    parser.add_argument("--alias", choices=(ALIAS, "challenger"), default=ALIAS, help="which version of the model")
    parser.add_argument("--device", choices=sorted(PREFERRED), default="cpu", help="what the models will run on")
    arguments = parser.parse_args()
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        which = fetch(arguments.into, arguments.model, arguments.device, arguments.alias)
    except GenRFError as error:
        print(f"models: {error}", file=sys.stderr)
        return error.exit_code
    print(f"models: {which}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
