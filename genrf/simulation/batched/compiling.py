"""How kernels are compiled: for this processor, once, and kept on disk.

numba does not notice that a function has changed which a kept one calls. So the folder is named after the text of all
kernels; of its own version and of the processor numba takes care itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config

from genrf.errors import MissingToolError

log = logging.getLogger(__name__)

_KEPT_S = 30 * 86400.0
_COMPILED = (
    *("compiling", "vbic", "transistor", "operating_point", "scattering", "band_edges", "solver"),
    # Whose constants are compiled in.
    *("../band", "../scattering"),
)
"""Modules whose text decides what is compiled."""
FOLDER_VARIABLE = "GENRF_KERNELS"
"""Environment variable that names a folder to keep compiled kernels in."""


@cache
def kernels_folder() -> Path:
    """Where compiled kernels are kept: below ``GENRF_KERNELS``, the user's cache, or a temporary folder, whichever can be written
    first. Kernels that lie where nothing can be written, as in an image, are copied from there.

    Raises:
        MissingToolError: if nothing can be written anywhere.
    """
    texts = [(Path(__file__).parent / f"{name}.py").read_bytes() for name in _COMPILED]
    name = f"kernels-{hashlib.sha256(b''.join(texts)).hexdigest()[:16]}"
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    named = os.environ.get(FOLDER_VARIABLE)
    places = [Path(cached) / "genrf", Path(tempfile.gettempdir()) / f"genrf-{os.getuid()}"]
    folders = [place / name for place in ([Path(named).expanduser(), *places] if named else places)]
    kept = next((folder for folder in folders if whole(folder)), None)
    chosen = next((folder for folder in folders if _writable(folder)), None)
    if chosen is None:
        raise MissingToolError(
            f"compiled kernels: no folder can be written; name one with the environment variable {FOLDER_VARIABLE}"
        )
    if kept is None:
        _clear(chosen)
        log.warning("compiling the simulator's kernels for this processor, once: about a minute")
    elif kept != chosen:
        _copy(kept, chosen)
    return chosen


def whole(folder: Path) -> bool:
    """Whether a folder has kernels, none of them cut off where the disk was full."""
    files = [path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc")]
    return bool(files) and all(path.stat().st_size > 0 for path in files)


def _copy(kept: Path, chosen: Path) -> None:
    """Copy kernels so that they are there as a whole or not at all; of processes that start together one is first."""
    try:
        with tempfile.TemporaryDirectory(dir=chosen.parent) as place:
            copied = Path(place) / chosen.name
            shutil.copytree(kept, copied)
            with contextlib.suppress(OSError):
                chosen.rmdir()
                copied.rename(chosen)
    except (OSError, shutil.Error) as error:
        raise MissingToolError(
            f"compiled kernels: {chosen.parent}: there is no room for them; make some, or name another folder with the"
            f" environment variable {FOLDER_VARIABLE}"
        ) from error


def _clear(folder: Path) -> None:
    """Remove what is broken, and kernels of code that nobody has used for a month."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.glob("kernels-*"):
        with contextlib.suppress(OSError):
            if time.time() - other.stat().st_mtime > _KEPT_S:
                shutil.rmtree(other, ignore_errors=True)


def _writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
        return True
    except OSError:
        return False


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function for the processor at its first call; another kernel, a GPU's too, may call it."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(kernels_folder())
    try:
        # No fast mathematics: what is done in another order or at once depends on what the compiler puts into one function,
        # which depends on what was kept already; results must not.
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
