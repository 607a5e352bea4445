"""A batch of records as JSON lines: its name, its bytes, and what is read back of them. Where it lies is no matter here.

The name begins with the time of the first record, so that names sort as batches were made, and ends with a hash of the content:
equal batches have one name, and a batch that lost lines on its way is known.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from genrf.errors import InvalidInputError

TIME = "time"
"""Field that every record has: when it was made, ISO 8601 with its offset."""
SUFFIX = ".jsonl"
LARGEST_LINE = 2**20
"""Bytes of a record."""
LARGEST_BATCH = 64 * 2**20
"""Bytes of a batch that is read."""
_HASHED = re.compile(r".*-([0-9a-f]{16})" + re.escape(SUFFIX))


class Encoded(NamedTuple):
    """A batch as it is written."""

    name: str
    content: bytes


class Line(NamedTuple):
    """A record and where it stands in its batch."""

    number: int
    """From 1."""
    record: dict[str, Any]


@dataclass(frozen=True)
class Poisoned:
    """A line, or all of a file, that is no record."""

    place: str
    """File or object."""
    line: int | None
    """Its number, from 1; None for all of it."""
    reason: str

    def __str__(self) -> str:
        where = self.place if self.line is None else f"{self.place}, line {self.line}"
        return f"{where}: {self.reason}"


@dataclass
class Batch:
    """What one file or object of a log holds."""

    place: str
    lines: list[Line] = field(default_factory=list)
    """Records in the order written."""
    poisoned: list[Poisoned] = field(default_factory=list)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records without their places."""
        return [line.record for line in self.lines]


def encode(log: object, records: Sequence[Mapping[str, Any]]) -> Encoded:
    """Name and bytes of a batch.

    Args:
        log: where it is to be written, for messages.

    Raises:
        InvalidInputError: if there are no records, or one of them has no time, is not plain data or is too long.
    """
    if not records:
        raise InvalidInputError(f"{log}: a batch without records")
    first = min(time_of(record, f"record {number}") for number, record in enumerate(records))
    try:
        lines = [text_of(record) for record in records]
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{log}: a record is not plain data: {error}") from error
    for number, line in enumerate(lines):
        if len(line) > LARGEST_LINE:
            raise InvalidInputError(f"{log}: record {number}: {len(line)} bytes, more than {LARGEST_LINE}")
    content = "".join(f"{line}\n" for line in lines).encode()
    return Encoded(f"{stamp(first)}-{_short_hash(content)}{SUFFIX}", content)


def decode(place: str, content: bytes) -> Batch:
    """Read a batch; a line that is no record costs itself and is reported.

    Args:
        place: file or object that it came from, whose name also says what the content was.
    """
    batch = Batch(place)
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            batch.lines.append(Line(number, _record(line)))
        except (ValueError, InvalidInputError) as error:
            batch.poisoned.append(Poisoned(place, number, str(error)))
    hashed = _HASHED.fullmatch(PurePosixPath(place).name)
    if hashed and hashed[1] != _short_hash(content) and not batch.poisoned:
        reason = "lines are missing or were changed, by the hash in its name; the others count"
        batch.poisoned.append(Poisoned(place, None, reason))
    return batch


def refused(place: str, size: int, *, plain: bool = True) -> Batch | None:
    """A batch with the reason why a file or object is not read at all; None if it is to be read.

    Args:
        size: its bytes.
        plain: whether it is a file, and no folder or pipe.
    """
    if not plain or not place.endswith(SUFFIX):
        reason = f"is no batch of this log, whose names end with {SUFFIX}; move it elsewhere"
    elif size > LARGEST_BATCH:
        reason = f"{size} bytes, more than the {LARGEST_BATCH} of a batch; move it elsewhere"
    else:
        return None
    return Batch(place, poisoned=[Poisoned(place, None, reason)])


def hidden(place: str) -> bool:
    """Whether a file or object is none of a log's records: marks of folders, and what a writer has not finished."""
    return place.endswith("/") or PurePosixPath(place).name.startswith(".")


def stamp(time: datetime) -> str:
    """The time as names begin with it; they sort as times do."""
    return f"{time.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def time_of(record: Mapping[str, Any], what: str = "record") -> datetime:
    """The time of a record, in UTC.

    Args:
        what: the record, for messages.

    Raises:
        InvalidInputError: if it has none, or one without offset.
    """
    given = record.get(TIME)
    try:
        parsed = datetime.fromisoformat(given)  # type: ignore[arg-type]
        time = parsed.astimezone(UTC) if parsed.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        time = None
    if time is None:
        raise InvalidInputError(
            f"{what}: {TIME}: expected ISO 8601 with its offset, such as 2026-01-31T12:00:00Z, got {given!r}"
        )
    return time


def text_of(record: Mapping[str, Any]) -> str:
    """A record as the one line that equal records have.

    Raises:
        TypeError, ValueError, RecursionError: if it is not plain data.
    """
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)


def without_known(lines: Iterable[Line], known: set[bytes]) -> list[Line]:
    """The lines whose records are not known; they are from then on."""
    fresh = []
    for line in lines:
        digest = hashlib.sha256(text_of(line.record).encode()).digest()
        if digest not in known:
            known.add(digest)
            fresh.append(line)
    return fresh


def _record(line: bytes) -> dict[str, Any]:
    if len(line) > LARGEST_LINE:
        raise ValueError(f"{len(line)} bytes, more than the {LARGEST_LINE} of a record")
    try:
        record = json.loads(line)
        if isinstance(record, dict):
            text_of(record)  # Numbers such as NaN and 1e999 are read, and are no plain data.
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    time_of(record)
    return record


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
