"""A log keeps every search once, in a folder as in S3: what is written again counts once, what is poisoned costs itself."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from genrf.errors import GenRFError, InvalidInputError
from genrf.feedback.log import FeedbackLog, FolderLog, ObjectLog, Reading, chosen_log, open_log
from genrf.objects.batch import LARGEST_LINE, encode, text_of
from genrf.objects.failures import ACCESS_KEY, ENDPOINT, SECRET_KEY, ObjectStoreError
from genrf.objects.location import Location
from tests.feedback.conftest import NOON, RecordFactory, put
from tests.object_store import BUCKET, ObjectServer

HOUR = timedelta(hours=1)


def names(log: FeedbackLog) -> list[str]:
    """Batches of a log."""
    if isinstance(log, ObjectLog):
        keys = [Path(each.location.key).name for each in log._store.list(log._location)]
    else:
        keys = [path.name for path in Path(log.place).iterdir()]
    return sorted(key for key in keys if not key.startswith("."))


def test_what_is_written_is_read_in_the_order_of_time(log: FeedbackLog, record: RecordFactory) -> None:
    first, second, third = (record(second) for second in range(3))
    log.check()
    log.append([third, first])
    log.append([second])
    assert log.read() == Reading([first, second, third], [])


def test_a_checked_log_is_empty_and_none_is_an_error(log: FeedbackLog) -> None:
    with pytest.raises(InvalidInputError, match=f"{log.place}.*: no feedback log is there"):
        log.read()
    log.check()
    log.check()
    assert log.read() == Reading()


def test_a_batch_that_is_written_twice_counts_once(log: FeedbackLog, record: RecordFactory) -> None:
    batch = [record(1), record(2)]
    log.append(batch)
    log.append(batch[::-1])
    assert len(names(log)) == 1
    assert log.read().records == batch


def test_a_search_in_two_batches_counts_once_and_the_earliest_wins(log: FeedbackLog, record: RecordFactory) -> None:
    made = record(5)
    log.append([made, record(6)])
    log.append([made])
    log.append([replace(made, time=NOON, seconds=9.0)])
    assert [each.seconds for each in log.read().records if each.id == made.id] == [9.0]
    assert len(log.read().records) == 2


def test_a_reading_since_a_time_has_what_is_not_older(log: FeedbackLog, record: RecordFactory) -> None:
    """Records that waited for a log that was down lie in batches that are older than they are."""
    records = [record(3600.0 * hours) for hours in (0, 0.9, 1.5, 30)]
    log.append(records)
    assert log.read(NOON + 0.5 * HOUR).records == records[1:]
    assert log.read(NOON + 30 * HOUR).records == records[3:]
    assert log.read(NOON + 31 * HOUR) == Reading()


def test_poison_costs_itself_and_is_reported_with_place_and_reason(log: FeedbackLog, record: RecordFactory) -> None:
    good, other = record(1), record(2)
    log.append([good])
    bad = {**record().content(), "calls": -1}
    lines = [text_of(other.content()), "{half", text_of(bad), "[]", json.dumps({"time": "x" * LARGEST_LINE}), "\xff"]
    mixed = put(log, "20260131T120000.000000Z-copied.jsonl", "\n".join(lines).encode("latin-1"))
    foreign = put(log, "notes.txt", b"buy milk")
    put(log, ".20260131T120000.000000Z-1.jsonl.77.tmp", b"{a writer is at wo")
    reading = log.read()
    assert reading.records == [good, other]
    found = {(poisoned.place, poisoned.line): poisoned.reason for poisoned in reading.poisoned}
    assert found.keys() == {(mixed, 2), (mixed, 3), (mixed, 4), (mixed, 5), (mixed, 6), (foreign, None)}
    assert "not JSON" in found[mixed, 2]
    assert found[mixed, 3] == "calls: expected a whole number from 1, got -1"
    assert "expected a JSON object" in found[mixed, 4]
    assert f"more than the {LARGEST_LINE} of a record" in found[mixed, 5]
    assert found[mixed, 6] == "not UTF-8"
    assert "is no batch of this log" in found[foreign, None]


@pytest.mark.parametrize("kept", [0.5, 0.75])
def test_a_batch_that_was_copied_by_half_is_reported(log: FeedbackLog, record: RecordFactory, kept: float) -> None:
    """Also where it ends with a whole line."""
    records = [record(1), record(2)]
    batch = encode(log.place, [each.content() for each in records])
    end = batch.content.index(b"\n") + 1 if kept == 0.5 else round(kept * len(batch.content))
    place = put(log, batch.name, batch.content[:end])
    reading = log.read()
    assert reading.records == records[:1]
    (poisoned,) = reading.poisoned
    assert poisoned.place == place
    assert ("lines are missing" if kept == 0.5 else "not JSON") in poisoned.reason
    with pytest.raises(GenRFError, match="holds something else than its name says"):
        log.append(records)


def test_several_writers_at_once_lose_nothing(log: FeedbackLog, record: RecordFactory) -> None:
    batches = [[record(writer * 10 + number) for number in range(3)] for writer in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log.append, batches))
    assert log.read() == Reading([each for batch in batches for each in batch], [])


def test_nothing_is_written_of_what_is_no_plain_data(log: FeedbackLog, record: RecordFactory) -> None:
    log.check()
    with pytest.raises(InvalidInputError, match="a record is not plain data"):
        log.append([record(seconds=float("nan"))])
    assert names(log) == []


# In a folder


def test_files_that_cannot_be_read_cost_themselves(folder_log: FeedbackLog, record: RecordFactory) -> None:
    folder_log.append([record(1)])
    folder = Path(folder_log.place)
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "gone.jsonl").symlink_to(folder / "nowhere")
    with (folder / "huge.jsonl").open("wb") as huge:
        huge.truncate(2**40)
    reading = folder_log.read()
    assert len(reading.records) == 1
    reasons = {Path(poisoned.place).name: poisoned.reason for poisoned in reading.poisoned}
    assert reasons.keys() == {"folder.jsonl", "pipe.jsonl", "huge.jsonl"}
    assert "more than the 67108864 of a batch" in reasons["huge.jsonl"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, record: RecordFactory) -> None:
    (tmp_path / "file").touch()
    log = open_log(str(tmp_path / "file" / "log"))
    said = rf"{log.place}.*: cannot be written: .*; name another folder with --feedback or GENRF_FEEDBACK"
    with pytest.raises(GenRFError, match=said):
        log.check()
    with pytest.raises(GenRFError, match=f"{log.place}.*: cannot be"):
        log.append([record()])


def test_a_log_in_a_folder_can_be_copied_to_s3(tmp_path: Path, record: RecordFactory) -> None:
    """Names and bytes are those of `genrf.objects.records`."""
    log = FolderLog(tmp_path)
    made = record()
    log.append([made])
    (path,) = tmp_path.iterdir()
    assert (path.name, path.read_bytes()) == encode("", [made.content()])


# In S3


@pytest.mark.slow
def test_a_server_that_is_gone_for_a_while_is_written_to_when_it_is_back(
    object_store: ObjectServer, record: RecordFactory
) -> None:
    location = Location(BUCKET, "feedback/interrupted")
    log = ObjectLog(object_store.store(attempts=1), location)
    before, after = record(1), record(2)
    log.append([before])
    object_store.lose()
    try:
        with pytest.raises(ObjectStoreError, match=r"cannot be reached.*start the server"):
            log.append([before, after])
    finally:
        object_store.start()
    log.append([before, after])
    assert log.read() == Reading([before, after], [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({SECRET_KEY: "hunter2"}, "the secret key is not that of the access key"),
        ({ACCESS_KEY: "nobody"}, "the server knows no such access key"),
        ({ENDPOINT: "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_credentials_are_checked_before_they_are_needed(
    object_store: ObjectServer, variables: dict[str, str], said: str
) -> None:
    log = ObjectLog(object_store.store(1, **variables), Location(BUCKET, "feedback"))
    with pytest.raises(ObjectStoreError, match=said):
        log.check()


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_said(object_store: ObjectServer) -> None:
    with pytest.raises(ObjectStoreError, match=r"there is no such bucket; genrf objects check s3://no-such --create"):
        ObjectLog(object_store.store(), Location("no-such", "feedback")).check()


@pytest.mark.parametrize("place", ["", "gs://bucket/log", "s3://UPPER/log", "s3://bucket"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(InvalidInputError, match=r"expected|a key of its own"):
        open_log(place)


def test_no_log_is_chosen_by_saying_so_or_nothing() -> None:
    assert [chosen_log(place) for place in (None, "", "off")] == [None, None, None]
    assert isinstance(chosen_log("log"), FolderLog)
