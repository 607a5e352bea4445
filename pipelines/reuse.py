"""Finished steps of earlier local runs: reused only while every file is what the step wrote.

KFP 2.17's cache asks no more than whether an output's path exists, and knows it by its absolute path. `CheckedCache` keeps
the SHA-256 of every file with the entry, and paths relative to the folder of the runs, which may be moved as a whole.

All of a reused output is hashed, every time: size and time of change are the same for a file that a power failure left
full of zeros, and hashing takes a second for a gigabyte.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp.dsl import Artifact
from kfp.local.cache import _ARTIFACT_MARKER, LocalCache

from genrf.files import sha256

OUTPUTS = "outputs"
FILES = "files"


class CheckedCache(LocalCache):
    """The cache of KFP's local runner, for a folder that holds outputs and cache.

    Args:
        root: that folder.
        cache_root: folder of the entries, below it.
        say: told in one line of an output that cannot be reused.
    """

    def __init__(self, root: Path, cache_root: Path, say: Callable[[str], None]) -> None:
        super().__init__(str(cache_root))
        self._root = root.resolve()
        self._say = say

    def compute_key(self, *, arguments: dict[str, Any], **task: Any) -> str:
        """Identity of a task and its inputs, wherever the folder is."""
        return str(super().compute_key(arguments=self._relocated(arguments), **task))

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Keep a task's outputs with the hashes of their files."""
        files = {self._relative(item.uri): hashes(Path(item.uri)) for item in _artifacts(outputs)}
        kept = self._serialize_outputs(self._relocated(outputs))
        super().put(key, {OUTPUTS: kept, FILES: files})

    def get(self, key: str) -> dict[str, Any] | None:
        """A task's outputs if all files are as they were put, else None."""
        try:
            text = Path(self._entry_path(key)).read_text(encoding="utf-8")
            entry = json.loads(text, object_hook=self._located)
            kept, files = entry[OUTPUTS], entry[FILES]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        for uri, known in files.items():
            path = self._root / uri
            changed = difference(path, known)
            if changed:
                self._say(f"{path.parent.name}: {changed}; it is made again")
                return None
        outputs: dict[str, Any] = self._deserialize_outputs(kept)
        return outputs

    def _located(self, content: dict[str, Any]) -> dict[str, Any]:
        """A part of an entry, with its place below the folder as it is now if it is an artifact."""
        return content | {"uri": str(self._root / content["uri"])} if _ARTIFACT_MARKER in content else content

    def _relative(self, uri: str) -> str:
        return os.path.relpath(uri, self._root)

    def _relocated(self, value: Any) -> Any:
        """A copy of arguments or outputs whose artifacts have relative places."""
        if isinstance(value, Artifact):
            relocated = copy.copy(value)
            relocated.uri = self._relative(value.uri)
            return relocated
        if isinstance(value, list):
            return [self._relocated(item) for item in value]
        if isinstance(value, Mapping):
            return {name: self._relocated(item) for name, item in value.items()}
        return value


def hashes(path: Path) -> dict[str, str]:
    """SHA-256 of a file, under the empty name, or of all files below a folder by their relative paths."""
    if path.is_file():
        return {"": sha256(path)}
    return {item.relative_to(path).as_posix(): sha256(item) for item in sorted(path.rglob("*")) if item.is_file()}


def difference(path: Path, known: Mapping[str, str]) -> str:
    """What is not as it was when `hashes` looked, in words; empty if all is the same."""
    for name, digest in known.items():
        shown = f"{path.name}/{name}".rstrip("/")
        try:
            if sha256(path / name) != digest:
                return f"{shown} is not as it was written"
        except OSError:
            return f"{shown} is gone"
    found = {item.relative_to(path).as_posix() for item in path.rglob("*") if item.is_file()}
    added = sorted(found - known.keys())
    return f"{path.name}/{added[0]} was added" if added else ""


def _artifacts(value: Any) -> Iterator[Artifact]:
    if isinstance(value, Artifact):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _artifacts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _artifacts(item)
