"""A pointer: a small object such as ``s3://bundles/latest`` that says which folder is meant, moved without lost updates."""

from __future__ import annotations

from dataclasses import dataclass

from genrf.errors import InvalidInputError
from genrf.objects.failures import ConflictError, ObjectStoreError
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore


@dataclass(frozen=True)
class Pointed:
    """Where a pointer points, as one reader saw it."""

    target: Location
    etag: str


def read(store: ObjectStore, pointer: Location) -> Pointed | None:
    """Where a pointer points, or None if there is no such pointer."""
    found = store.read(pointer)
    if found is None:
        return None
    try:
        return Pointed(Location.parse(found.content.decode().strip()), found.etag)
    except (UnicodeDecodeError, InvalidInputError) as error:
        raise ObjectStoreError(f"{pointer}: is no pointer, its content is no address") from error


def move(store: ObjectStore, pointer: Location, target: Location, seen: Pointed | None) -> Pointed:
    """Let a pointer point elsewhere, if it still points where its mover saw it.

    Args:
        seen: what `read` gave, on which the decision to move rests; None if there was no pointer.

    Raises:
        ConflictError: if it was moved in the meantime; names where to.
    """
    try:
        etag = store.write(pointer, f"{target}\n".encode(), replacing=seen.etag if seen else None)
    except ConflictError as error:
        now = read(store, pointer)
        if now is None and seen is None:
            raise ConflictError(
                f"{pointer}: is the address of a folder; choose another name for the pointer"
            ) from error
        where = f"points to {now.target} by now" if now else "is gone by now"
        raise ConflictError(
            f"{pointer}: {where}, another writer was first; nothing was changed, look and try again"
        ) from error
    return Pointed(target, etag)
