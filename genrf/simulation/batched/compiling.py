"""How kernels are compiled: for this processor, once, and kept on disk.

numba does not notice that a function has changed which a kept one calls. So the folder is named after all of the package's
text, and of numba's version and the technology of the processor numba takes care itself.
"""

from __future__ import annotations

import contextlib
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

FOLDER_VARIABLE = "GENRF_KERNELS"
"""Environment variable that names a folder to keep compiled kernels in."""


@cache
def kernels_folder() -> Path:
    """Where compiled kernels are kept: below ``GENRF_KERNELS``, the user's cache, or, where neither can be written, a temporary
    folder, which begins with what the first holds."""
    text = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    name = f"kernels-{hashlib.sha256(text).hexdigest()[:16]}"
    cached = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    places = [Path(place) for place in (os.environ.get(FOLDER_VARIABLE), Path(cached) / "genrf") if place]
    for place in places:
        folder = place / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    folder = Path(tempfile.gettempdir()) / f"genrf-{os.getuid()}" / name
    kept = next((place / name for place in places if (place / name).is_dir()), None)
    if kept is not None and not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        whole = Path(tempfile.mkdtemp(dir=folder.parent)) / name
        shutil.copytree(kept, whole)
        # Of processes that start together one is first; the others have the same.
        with contextlib.suppress(OSError):
            whole.rename(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
