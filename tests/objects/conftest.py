"""What the tests of objects share: a connection, an address that nobody else uses, and folders."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from genrf.objects.location import Location
from genrf.objects.store import ObjectStore
from tests.object_store import BUCKET, ObjectServer


@pytest.fixture
def store(object_store: ObjectServer) -> ObjectStore:
    return object_store.store()


@pytest.fixture
def address() -> Location:
    """A location without anything in it."""
    return Location(BUCKET, uuid.uuid4().hex)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with small files, one in a folder of its own, and one that travels in parts."""
    return written(tmp_path / "bundle", b"first")


def written(folder: Path, content: bytes) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "manifest.json").write_bytes(content)
    (folder / "models" / "empty.bin").write_bytes(b"")
    (folder / "models" / "large.onnx").write_bytes(content * 4_000_000)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
