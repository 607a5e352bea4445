"""Archives for TorchServe: of each traced model a ``NAME.mar`` with the model, its interface and the handler.

They are made by torch-model-archiver, which is archived upstream as TorchServe is; see `serving.torchserve`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genrf.errors import CheckpointError, MissingToolError
from genrf.files import replace_folder, sha256, write_json

TRACED = "torchscript.json"
"""What describes the traced models of a folder."""
FORMAT = 1
INTERFACE = "interface.json"
HANDLER = Path(__file__).with_name("handler.py")
ARCHIVER = "model_archiver"
"""Package of torch-model-archiver."""


def archive(torchscript: Path, store: Path) -> list[Path]:
    """Make the archives of traced models.

    Args:
        torchscript: folder that ``python -m training export-torchscript`` wrote.
        store: folder of the archives, which TorchServe calls the model store; replaced whole, once all are made.

    Returns:
        The archives.

    Raises:
        CheckpointError: if a file is missing, changed or not of this program's format.
        MissingToolError: if torch-model-archiver is not installed or fails.
    """
    content = read_traced(torchscript)
    if find_spec(ARCHIVER) is None:
        raise MissingToolError(
            "torch-model-archiver: not installed; install it apart from everything else, see docs/torchserve.md"
        )
    work = store.with_name(f".{store.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        for name, model in content["models"].items():
            _package(name, model, content["bundle"], torchscript, work)
        replace_folder(work, store)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return [store / f"{name}.mar" for name in content["models"]]


def read_traced(folder: Path) -> dict[str, Any]:
    """What is in a folder of traced models, each file compared with its hash.

    Raises:
        CheckpointError: if a file is missing, changed or not of this program's format.
    """
    path = folder / TRACED
    remedy = "write it with python -m training export-torchscript"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {content['format']!r}, this program reads format {FORMAT}; {remedy}")
        for model in content["models"].values():
            file = folder / model["file"]
            if sha256(file) != model["sha256"]:
                raise CheckpointError(f"{file}: changed since it was written; {remedy}")
    except OSError as error:
        raise CheckpointError(f"{error.filename}: cannot be read ({error.strerror}); {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a description of traced models ({error!r}); {remedy}") from error
    return content


def _package(name: str, model: dict[str, Any], identity: str, folder: Path, store: Path) -> None:
    # The archiver removes whatever is called NAME in the folder for temporary files (findings/torch_model_archiver_folder.sh).
    with tempfile.TemporaryDirectory(prefix="genrf-archive-") as temporary:
        interface = Path(temporary) / INTERFACE
        write_json(interface, {"bundle": identity, **{key: model[key] for key in ("file", "inputs", "outputs")}})
        own = Path(temporary) / "archiver"
        own.mkdir()
        command = [sys.executable, "-m", f"{ARCHIVER}.model_packaging", "--model-name", name]
        command += ["--version", identity[:10], "--serialized-file", str(folder / model["file"])]
        command += ["--handler", str(HANDLER), "--extra-files", str(interface), "--export-path", str(store)]
        done = subprocess.run(
            command, env=os.environ | {"TMPDIR": str(own)}, capture_output=True, text=True, check=False
        )
        if done.returncode or not (store / f"{name}.mar").is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise MissingToolError(f"torch-model-archiver: cannot archive {folder / model['file']} ({last})")
