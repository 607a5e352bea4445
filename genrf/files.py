"""Files and folders that are written whole or not at all, and what a file holds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it takes the name of ``path`` once the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write plain data as indented JSON."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_folder(finished: Path, output: Path) -> None:
    """Give a finished folder the name of ``output``, whose former content is removed; both are on one disk."""
    former = output.with_name(f".{output.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if output.exists():
        os.replace(output, former)
    os.replace(finished, output)
    shutil.rmtree(former, ignore_errors=True)
