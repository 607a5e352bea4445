"""How kernels are compiled: for this processor, once, and kept on disk.

numba does not notice that a function has changed which a kept one calls. So the folder is named after all of the package's
text, and of numba's version and the technology of the processor numba takes care itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config

from genrf.errors import MissingToolError

FOLDER_VARIABLE = "GENRF_KERNELS"
"""Environment variable that names a folder to keep compiled kernels in."""


@cache
def kernels_folder() -> Path:
    """Where compiled kernels are kept: below ``GENRF_KERNELS``, the user's cache, or a temporary folder, whichever can be written
    first. Kernels that lie where nothing can be written, as in an image, are copied from there."""
    text = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    name = f"kernels-{hashlib.sha256(text).hexdigest()[:16]}"
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    named = os.environ.get(FOLDER_VARIABLE)
    places = [Path(cached) / "genrf", Path(tempfile.gettempdir()) / f"genrf-{os.getuid()}"]
    folders = [place / name for place in ([Path(named), *places] if named else places)]
    kept = next((folder for folder in folders if any(folder.rglob("*.nbi"))), None)
    chosen = next((folder for folder in folders if _writable(folder)), None)
    if chosen is None:
        raise MissingToolError(
            f"compiled kernels: no folder can be written; name one with the environment variable {FOLDER_VARIABLE}"
        )
    if kept is not None and kept != chosen:
        shutil.copytree(kept, chosen, dirs_exist_ok=True)
    return chosen


def _writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function for the processor at its first call; another kernel, a GPU's too, may call it."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(kernels_folder())
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"})(
            function
        )
    finally:
        config.CACHE_DIR = before
