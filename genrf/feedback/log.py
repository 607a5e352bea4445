"""Where records of searches lie: a folder, or a place in S3, of the same files; each can be copied to the other.

A batch of records is one file that never changes (`genrf.objects.batch`). Writers need not know of each other. A writer that
does not know whether a batch was written writes it again: a record counts once, by its id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from genrf.errors import GenRFError, InvalidInputError
from genrf.feedback.record import SearchRecord
from genrf.files import written_whole
from genrf.objects import records as objects
from genrf.objects.batch import Batch, Poisoned, decode, encode, hidden, refused, stamp
from genrf.objects.failures import ConflictError
from genrf.objects.location import SCHEME, Location
from genrf.objects.store import ObjectStore, open_store

VARIABLE = "GENRF_FEEDBACK"
"""Environment variable: the place of the log."""
OFF = "off"
"""In place of a log: none."""
MARK = ".genrf-feedback"
"""Name of the file that says what the folder is, and shows that it can be written."""
ATTEMPTS = 3
"""Times that a request to S3 is made before it has failed."""
_MARKED = b"Searches of genrf, as JSON lines: what was asked and what came of it. genrf feedback reads them.\n"
_LONGEST_BATCH = timedelta(hours=1)
"""Time between a batch's first and last record, so that a reading since a time need not look at what is older."""


@dataclass(frozen=True)
class Reading:
    """What a log holds."""

    records: list[SearchRecord] = field(default_factory=list)
    """Each search once, in the order of their times."""
    poisoned: list[Poisoned] = field(default_factory=list)
    """Lines that are no records, in the order of their files."""


class FeedbackLog(ABC):
    """A log; made by `open_log`."""

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    def check(self) -> None:
        """Make sure that records can be written, and leave the mark.

        Raises:
            GenRFError: if not; names place, cause and remedy.
        """

    def append(self, records: Sequence[SearchRecord]) -> None:
        """Write records; again is no harm.

        Raises:
            InvalidInputError: if a record is not plain data; others may have been written.
            GenRFError: if they cannot be written, or not all of them.
        """
        ordered = sorted(records, key=lambda record: (record.time, record.id))
        for _, batch in groupby(ordered, key=lambda record: record.time.replace(minute=0, second=0, microsecond=0)):
            self._write([record.content() for record in batch])

    def read(self, since: datetime | None = None) -> Reading:
        """All records, or those of a time and later. A poisoned one costs itself and is reported.

        Args:
            since: with its offset.

        Raises:
            GenRFError: if there is no log, or it cannot be read.
        """
        after = ""
        if since is not None:
            since = since.astimezone(UTC)
            after = stamp(since - _LONGEST_BATCH) if since.year > 1970 else ""
        earliest: dict[str, SearchRecord] = {}
        poisoned: list[Poisoned] = []
        for batch in self._batches(after):
            poisoned += batch.poisoned
            for number, content in batch.lines:
                try:
                    record = SearchRecord.parse(content)
                except (InvalidInputError, RecursionError) as error:
                    poisoned.append(Poisoned(batch.place, number, str(error)))
                    continue
                known = earliest.get(record.id)
                if known is None or record.time < known.time:
                    earliest[record.id] = record
        found = [record for record in earliest.values() if since is None or record.time >= since]
        return Reading(sorted(found, key=lambda record: (record.time, record.id)), poisoned)

    @abstractmethod
    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write one batch; the same batch again changes nothing."""

    @abstractmethod
    def _batches(self, after: str) -> Iterator[Batch]:
        """Batches in the order of their names, those up to ``after`` left out."""


class FolderLog(FeedbackLog):
    """A log in a folder, which may be shared by machines."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder

    def check(self) -> None:
        """Make the folder, and leave the mark."""
        self._put(MARK, _MARKED)

    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        batch = encode(self._folder, records)
        path = self._folder / batch.name
        try:
            there = path.read_bytes() if path.exists() else None
        except OSError as error:
            raise _unusable(path, "read", error) from error
        if there is None:
            self._put(batch.name, batch.content)
        elif there != batch.content:
            raise ConflictError(f"{path}: holds something else than its name says; move it out of the log")

    def _put(self, name: str, content: bytes) -> None:
        path = self._folder / name
        try:
            with written_whole(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise _unusable(path, "written", error) from error

    def _batches(self, after: str) -> Iterator[Batch]:
        try:
            paths = sorted(self._folder.iterdir())
        except FileNotFoundError as error:
            raise _no_log(self.place) from error
        except OSError as error:
            raise _unusable(self._folder, "read", error) from error
        for path in paths:
            if hidden(path.name) or path.name <= after:
                continue
            try:
                # What is no plain file, a pipe for example, is not opened.
                batch = refused(str(path), path.stat().st_size, plain=path.is_file())
                yield batch or decode(str(path), path.read_bytes())
            except FileNotFoundError:
                continue
            except OSError as error:
                yield Batch(str(path), poisoned=[Poisoned(str(path), None, f"cannot be read: {error.strerror}")])


class ObjectLog(FeedbackLog):
    """A log in S3."""

    def __init__(self, store: ObjectStore, location: Location) -> None:
        super().__init__(str(location))
        self._store = store
        self._location = location

    def check(self) -> None:
        """Leave the mark: who may only read is told now."""
        self._store.check(self._location)
        # The mark of another version is as good.
        with suppress(ConflictError):
            self._store.write(self._location / MARK, _MARKED)

    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        objects.append(self._store, self._location, records)

    def _batches(self, after: str) -> Iterator[Batch]:
        if self._store.read(self._location / MARK) is None and next(self._store.list(self._location), None) is None:
            raise _no_log(f"{self.place} at {self._store.endpoint}")
        return objects.read(self._store, self._location, after=(self._location / after).key if after else "")


def open_log(place: str, attempts: int = ATTEMPTS) -> FeedbackLog:
    """The log of a place; nothing is asked of it yet.

    Args:
        place: a folder, or ``s3://BUCKET/KEY`` on the server of the environment.
        attempts: times that a request to S3 is made before it has failed.

    Raises:
        InvalidInputError: if it is neither, or the variables of S3 are not complete.
        MissingToolError: if boto3 is not installed, and it is in S3.
    """
    if place.startswith(SCHEME):
        location = Location.parse(place)
        if not location.key:
            raise InvalidInputError(
                f"{place}: names a bucket; a log is below a key of its own, such as {place}/feedback"
            )
        return ObjectLog(open_store(attempts), location)
    if not place or "://" in place:
        raise InvalidInputError(f"{place!r}: expected a folder or s3://BUCKET/KEY for the feedback log")
    return FolderLog(Path(place))


def chosen_log(place: str | None) -> FeedbackLog | None:
    """The log that an option or variable names; None where it names none, or ``off``."""
    return None if place in (None, "", OFF) else open_log(str(place))


def _no_log(place: str) -> GenRFError:
    return InvalidInputError(
        f"{place}: no feedback log is there; give the place that genrf generate --feedback or {VARIABLE} named"
    )


def _unusable(path: Path, what: str, error: OSError) -> GenRFError:
    return GenRFError(
        f"{path}: cannot be {what}: {error.strerror or error}; name another folder with --feedback or {VARIABLE}"
    )
