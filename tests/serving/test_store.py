"""Answers and jobs on disk."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

pytest.importorskip("grpc_interceptor")

from genrf.errors import InvalidInputError
from serving.failures import BusyError
from serving.store import Store, TakenError


def test_answers_and_jobs_outlive_the_server(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.keep("key", {"designs": [1.5, "text"]})
    job = store.new_job({"specification": {}}, "somebody")
    store.change(job.id, "working")
    store.close()
    again = Store(tmp_path / "store")
    assert again.answer("key") == {"designs": [1.5, "text"]}
    assert [(found.id, found.state, found.caller) for found in again.open_jobs()] == [(job.id, "working", "somebody")]


def test_a_file_that_another_program_locks_is_still_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.keep("key", {"designs": []})
    other = sqlite3.connect(tmp_path / "store", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert store.answer("key") == {"designs": []}
    assert time.monotonic() - began < 2.0
    other.close()
    store.close()


def test_answers_that_nobody_asks_for_make_room() -> None:
    store = Store(None, most_answers=2)
    for key in ("first", "second"):
        store.keep(key, {})
    store.answer("first")
    store.keep("third", {})
    assert [key for key in ("first", "second", "third") if store.answer(key) is not None] == ["first", "third"]


def test_a_job_that_has_ended_stays_as_it_is() -> None:
    store = Store(None)
    job = store.new_job({}, "")
    store.change(job.id, "cancelled")
    store.change(job.id, "done", answer="key")
    found = store.job(job.id)
    assert found is not None
    assert (found.state, found.answer) == ("cancelled", None)


def test_jobs_that_have_ended_make_room_and_open_ones_do_not() -> None:
    store = Store(None, most_jobs=2)
    done, waiting = store.new_job({}, ""), store.new_job({}, "")
    store.change(done.id, "done", answer="key")
    latest = store.new_job({}, "")
    assert store.job(done.id) is None
    assert [job.id for job in store.open_jobs()] == [waiting.id, latest.id]
    with pytest.raises(BusyError, match="2 jobs are waiting already"):
        store.new_job({}, "")


@pytest.mark.parametrize("content", [b"not a database, but some text that is long enough", None])
def test_a_file_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "store"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content * 100)
    with pytest.raises(InvalidInputError, match=f"^{path}: cannot hold answers and jobs .*; name another with --store"):
        Store(path)


def test_two_servers_do_not_share_a_file(tmp_path: Path) -> None:
    first = Store(tmp_path / "store")
    with pytest.raises(TakenError, match="another server has it; name another with --store, or end that one"):
        Store(tmp_path / "store")
    first.close()
    Store(tmp_path / "store").close()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(InvalidInputError, match="version 7, this program reads 1"):
        Store(path)
    assert os.listdir(tmp_path) != []
