"""Folders of files in S3: a bundle, a dataset. What an address holds never changes.

The list of files with their SHA-256 is written first, under the condition that the address is free. It says from then on what
the address is to hold: of two writers one wins, the other is told before it sent anything. An upload that was killed is
continued by pushing the same folder again, and nobody takes a folder for whole before it is. Files keep their names, so that
other programs (KServe's storage initializer, say) can read them as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from genrf.errors import InvalidInputError
from genrf.files import replace_folder, sha256
from genrf.objects.failures import ConflictError, NotThereError, ObjectStoreError
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore

CONTENTS = ".genrf-contents.json"
"""Name of the object that lists a folder's files."""
AT_ONCE = 4
"""Files that travel at once."""
FORMAT = 1

Progress = Callable[[int, int], None]
"""Called with the files that are done, and all."""
T = TypeVar("T")


@dataclass(frozen=True)
class StoredFile:
    """A file as the list of contents has it."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Transfer:
    """What a push or a pull did."""

    files: int
    """All files of the folder."""
    sent: int
    """Those that travelled; the others were there already."""


def push(store: ObjectStore, folder: Path, location: Location, progress: Progress | None = None) -> Transfer:
    """Upload a folder; what is there already is not sent again.

    Raises:
        InvalidInputError: if there is nothing to push.
        ConflictError: if the address, one that it lies in, or one in it holds, or is to hold, another folder.
        ObjectStoreError: for anything that S3 refuses.
    """
    if not location.key:
        raise InvalidInputError(f"{location}: expected s3://BUCKET/KEY")
    contents = _contents(folder)
    if store.read(location) is not None:
        raise ConflictError(
            f"{location}: is a pointer or another object; push to a new address and let the pointer move there"
        )
    # Some servers make a bucket by writing to it: a misspelt one must be noticed.
    there = {stored.location.key: stored.bytes for stored in store.list(location)}
    _require_apart(store, location, there)
    try:
        store.write(location / CONTENTS, _as_text(contents))
    except ConflictError as error:
        raise ConflictError(
            f"{location}: is taken by another folder than {folder}; what an address holds never changes, choose another"
        ) from error

    def send(name: str) -> bool:
        target, file = location / name, contents[name]
        if there.get(target.key) == file.bytes and store.sha256(target) == file.sha256:
            return False
        store.upload(folder / name, target, file.sha256)
        return True

    return Transfer(len(contents), sum(_together(send, contents, progress)))


def _require_apart(store: ObjectStore, location: Location, there: Iterable[str]) -> None:
    """See that no folder lies in another: their files would overwrite each other."""
    parts = location.key.split("/")
    outer = [Location(location.bucket, "/".join(parts[:number])) for number in range(1, len(parts))]
    for other in outer:
        if store.read(other / CONTENTS) is not None:
            raise ConflictError(f"{location}: lies in {other}, which holds a folder; choose an address beside it")
    for key in there:
        if key.endswith(f"/{CONTENTS}") and key != (location / CONTENTS).key:
            inner = Location(location.bucket, key.removesuffix(f"/{CONTENTS}"))
            raise ConflictError(f"{location}: {inner} in it holds a folder; choose an address beside it")


def pull(
    store: ObjectStore, location: Location, output: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Transfer:
    """Download a folder; it takes its name once every file has the SHA-256 with which it was pushed.

    What a pull that was stopped had fetched lies beside ``output`` and is not fetched again.

    Raises:
        NotThereError: if nothing was pushed there, or not all of it yet.
        InvalidInputError: if ``output`` has something else and is not to be overwritten.
        ObjectStoreError: if a file differs from what was pushed, and for anything that S3 refuses.
    """
    contents = whole(store, location)
    if output.exists():
        if output.is_dir() and _contents(output, may_be_empty=True) == contents:
            return Transfer(len(contents), 0)
        if not overwrite:
            raise InvalidInputError(
                f"{output}: has something else than {location}; choose another folder or use --force"
            )
    partial = output.with_name(f".{output.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)

    def fetch(name: str) -> bool:
        path, file = partial / name, contents[name]
        if path.is_file() and sha256(path) == file.sha256:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        store.download(location / name, path)
        if sha256(path) != file.sha256:
            path.unlink()
            raise ObjectStoreError(
                f"{location / name}: is not what was pushed (another SHA-256); push the folder elsewhere"
            )
        return True

    fetched = sum(_together(fetch, contents, progress))
    for path in partial.rglob("*"):
        if path.is_file() and path.relative_to(partial).as_posix() not in contents:
            path.unlink()
    replace_folder(partial, output)
    return Transfer(len(contents), fetched)


def contents_of(store: ObjectStore, location: Location) -> dict[str, StoredFile]:
    """Files by name that an address holds or is to hold.

    Raises:
        NotThereError: if no folder was pushed there.
    """
    found = store.read(location / CONTENTS)
    if found is None:
        raise NotThereError(f"{location} at {store.endpoint}: no folder was pushed there")
    try:
        content = json.loads(found.content)
        if content["format"] != FORMAT:
            raise ObjectStoreError(f"{location}: format {content['format']!r}, this program reads format {FORMAT}")
        files = {
            str(name): StoredFile(str(file["sha256"]), int(file["bytes"])) for name, file in content["files"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ObjectStoreError(f"{location / CONTENTS}: is no list of files; push the folder elsewhere") from error
    for name in files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ObjectStoreError(
                f"{location / CONTENTS}: names {name!r}, which is outside the folder; nothing was fetched"
            )
    return files


def missing_from(store: ObjectStore, location: Location, contents: Mapping[str, StoredFile]) -> list[str]:
    """Files of a folder's contents that are not, or not wholly, at the address."""
    there = {stored.location.key: stored.bytes for stored in store.list(location)}
    return [name for name, file in contents.items() if there.get((location / name).key) != file.bytes]


def links(store: ObjectStore, location: Location, seconds: int) -> dict[str, str]:
    """For every file of a folder a URL with which anyone can fetch it for a while."""
    return {name: store.link(location / name, seconds) for name in whole(store, location)}


def whole(store: ObjectStore, location: Location) -> dict[str, StoredFile]:
    """Files of an address at which all of them are.

    Raises:
        NotThereError: if no folder was pushed there, or not all of it yet.
    """
    contents = contents_of(store, location)
    missing = missing_from(store, location, contents)
    if missing:
        raise NotThereError(
            f"{location}: its upload was not finished, {len(missing)} of {len(contents)} files are missing, such as "
            f"{missing[0]}; push the same folder again"
        )
    return contents


def _contents(folder: Path, *, may_be_empty: bool = False) -> dict[str, StoredFile]:
    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: no such folder")
    paths = list(folder.rglob("*"))
    for path in paths:
        if path.is_symlink() and path.is_dir():
            raise InvalidInputError(
                f"{path}: is a link to a folder, which is not followed; push {path.resolve()} itself"
            )
        if path.relative_to(folder).as_posix() == CONTENTS:
            raise InvalidInputError(f"{path}: has the name of the list of contents in S3; rename it")
    names = sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())
    if not names and not may_be_empty:
        raise InvalidInputError(f"{folder}: has no files")
    return {name: StoredFile(sha256(folder / name), (folder / name).stat().st_size) for name in names}


def _as_text(contents: Mapping[str, StoredFile]) -> bytes:
    files = {name: asdict(file) for name, file in contents.items()}
    return json.dumps({"format": FORMAT, "files": files}, indent=1, sort_keys=True).encode()


def _together(do: Callable[[str], T], names: Iterable[str], progress: Progress | None) -> list[T]:
    """Do something for several names at once; the first error ends what has not begun."""
    names = list(names)
    done: list[T] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for result in pool.map(do, names):
                done.append(result)
                if progress is not None:
                    progress(len(done), len(names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done
