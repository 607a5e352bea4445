"""A log of records that only grows: a batch of JSON lines is one object, whose name follows from its content.

So a batch that is written twice, by a client that did not hear the first answer, is one object; and a record that is in two
batches counts once. Names begin with the time of a batch's first record: objects are listed in that order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from genrf.errors import InvalidInputError
from genrf.objects.failures import ConflictError
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore

TIME = "time"
"""Field that every record has: when it was made, ISO 8601 with its offset."""
SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Poisoned:
    """A line that is no record."""

    location: Location
    line: int
    """Its number, from 1."""
    reason: str

    def __str__(self) -> str:
        return f"{self.location}, line {self.line}: {self.reason}"


@dataclass
class Batch:
    """What one object of the log holds."""

    location: Location
    records: list[dict[str, Any]] = field(default_factory=list)
    """In the order written, without those that an earlier batch of the same reading had."""
    poisoned: list[Poisoned] = field(default_factory=list)


def append(store: ObjectStore, log: Location, records: Sequence[Mapping[str, Any]]) -> Location:
    """Write a batch; the same batch again changes nothing.

    Returns:
        The batch's object.

    Raises:
        InvalidInputError: if there are no records, or one of them has no time or is not plain data; nothing is written.
    """
    if not records:
        raise InvalidInputError(f"{log}: a batch without records")
    first = min(_time(record, f"record {number}") for number, record in enumerate(records))
    try:
        lines = [_line(record) for record in records]
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{log}: a record is not plain data: {error}") from error
    content = "".join(f"{line}\n" for line in lines).encode()
    name = f"{first:%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(content).hexdigest()[:16]}{SUFFIX}"
    location = log / name
    try:
        store.write(location, content)
    except ConflictError as error:
        # The name is that of this content: who holds it with other content damaged the log.
        raise ConflictError(f"{location}: holds something else than its name says; move it out of the log") from error
    return location


def read(store: ObjectStore, log: Location, *, after: str = "") -> Iterator[Batch]:
    """Batches in order; a line that is no record costs itself and is reported with its batch.

    Args:
        after: key of the last batch of an earlier reading, to go on from there. A batch whose first record is older than
            that key's but that was written later is not seen then: let readings overlap by as much as writers may lag.
    """
    known: set[bytes] = set()
    for stored in store.list(log, after=after):
        if not stored.location.key.endswith(SUFFIX):
            continue
        found = store.read(stored.location)
        if found is None:
            continue
        batch = Batch(stored.location)
        for number, line in enumerate(found.content.splitlines(), start=1):
            try:
                record = _record(line)
                digest = hashlib.sha256(_line(record).encode()).digest()
            except (ValueError, InvalidInputError) as error:
                batch.poisoned.append(Poisoned(stored.location, number, str(error)))
                continue
            if digest not in known:
                known.add(digest)
                batch.records.append(record)
        yield batch


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    _time(record, "record")
    return record


def _time(record: Mapping[str, Any], what: str) -> datetime:
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


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
