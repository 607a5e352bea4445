"""A log of records: what is written twice counts once, and what is poisoned costs itself."""

from __future__ import annotations

from typing import Any

import pytest

from genrf.errors import InvalidInputError
from genrf.objects import records
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore

pytestmark = pytest.mark.slow


def record(second: int, **values: Any) -> dict[str, Any]:
    return {"time": f"2026-01-31T12:00:{second:02d}+00:00", **values}


def read(store: ObjectStore, log: Location, **keywords: str) -> list[dict[str, Any]]:
    return [each for batch in records.read(store, log, **keywords) for each in batch.records]


def test_batches_are_read_in_the_order_of_their_times(store: ObjectStore, address: Location) -> None:
    late, early = [record(30, met=True)], [record(10, met=False), record(20, met=True)]
    records.append(store, address, late)
    first = records.append(store, address, early)
    assert read(store, address) == early + late
    assert read(store, address, after=first.key) == late


def test_a_batch_that_is_written_twice_counts_once(store: ObjectStore, address: Location) -> None:
    batch = [record(1, design="a"), record(2, design="b")]
    assert records.append(store, address, batch) == records.append(store, address, batch)
    reordered = [dict(reversed(each.items())) for each in batch]
    assert records.append(store, address, reordered) == records.append(store, address, batch)
    assert read(store, address) == batch


def test_a_record_in_two_batches_counts_once(store: ObjectStore, address: Location) -> None:
    """As when a client adds to a batch whose answer it did not hear."""
    records.append(store, address, [record(1)])
    records.append(store, address, [record(1), record(2)])
    assert read(store, address) == [record(1), record(2)]


def test_a_poisoned_line_costs_itself_and_is_reported(store: ObjectStore, address: Location) -> None:
    good = b'{"time": "2026-01-31T12:00:00Z", "met": true}'
    lines = [
        good,
        b"{half",
        b"\xff\xfe",
        b"[]",
        b'{"met": true}',
        b'{"time": "yesterday"}',
        b'{"time": "0001-01-01T00:00:00+14:00"}',
        b'{"time": "2026-01-31T12:00:00Z", "x": NaN}',
    ]
    lines += [b"[" * 100_000, b'{"time": "2026-01-31T12:00:01Z", "met": false}']
    store.write(address / "20260131T120000.000000Z-poisoned.jsonl", b"\n".join(lines))
    records.append(store, address, [record(5)])
    poisoned, after = records.read(store, address)
    assert [each["met"] for each in poisoned.records] == [True, False]
    assert [each.line for each in poisoned.poisoned] == list(range(2, 10))
    assert "line 2: not JSON" in str(poisoned.poisoned[0])
    assert after.records == [record(5)]


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ([], "a batch without records"),
        ([{"met": True}], "record 0: time: expected ISO 8601"),
        ([record(1), {"time": "2026-01-31T12:00:00"}], "record 1: time: expected ISO 8601 with its offset"),
        ([record(1, nf_db=float("nan"))], "not plain data"),
        ([record(1, nf_db={1, 2})], "not plain data"),
    ],
)
def test_what_is_no_record_is_not_written(
    store: ObjectStore, address: Location, batch: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        records.append(store, address, batch)
    assert list(store.list(address)) == []
