"""A log of records in S3 that only grows: a batch of JSON lines is one object, whose name follows from its content.

So a batch that is written twice, by a client that did not hear the first answer, is one object; and a record that is in two
batches counts once. Names begin with the time of a batch's first record: objects are listed in that order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genrf.objects.batch import Batch, decode, encode, hidden, refused, without_known
from genrf.objects.failures import ConflictError
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore


def append(store: ObjectStore, log: Location, records: Sequence[Mapping[str, Any]]) -> Location:
    """Write a batch; the same batch again changes nothing.

    Returns:
        The batch's object.

    Raises:
        InvalidInputError: if there are no records, or one of them has no time or is not plain data; nothing is written.
    """
    batch = encode(log, records)
    location = log / batch.name
    try:
        store.write(location, batch.content)
    except ConflictError as error:
        # The name is that of this content: who holds it with other content damaged the log.
        raise ConflictError(f"{location}: holds something else than its name says; move it out of the log") from error
    return location


def read(store: ObjectStore, log: Location, *, after: str = "") -> Iterator[Batch]:
    """Batches in order; a line that is no record costs itself and is reported with its batch.

    Records that an earlier batch of the same reading had are left out.

    Args:
        after: key of the last batch of an earlier reading, to go on from there. A batch whose first record is older than
            that key's but that was written later is not seen then: let readings overlap by as much as writers may lag.
    """
    known: set[bytes] = set()
    for stored in store.list(log, after=after):
        place = str(stored.location)
        if hidden(place):
            continue
        batch = refused(place, stored.bytes)
        if batch is None:
            found = store.read(stored.location)
            if found is None:
                continue
            batch = decode(place, found.content)
            batch.lines = without_known(batch.lines, known)
        yield batch
