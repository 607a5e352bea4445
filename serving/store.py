"""Answers and jobs in one SQLite file: what was computed once is answered again, and jobs outlive the server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import sqlite3
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from genrf.errors import InvalidInputError
from serving.failures import BusyError

State = Literal["waiting", "working", "done", "failed", "cancelled"]
OPEN = ("waiting", "working")
"""States of jobs that are still to be done."""
MOST_ANSWERS = 20_000
"""Answers that are kept; those that were asked for longest ago go first. A typical one takes 3 KB."""
MOST_JOBS = 2_000
"""Jobs that are kept, and that may wait."""
LOCKED_S = 0.2
"""How long another program may lock the file, in s: everybody waits meanwhile."""
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, used REAL NOT NULL, content BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS answers_by_use ON answers (used);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, created REAL NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL, caller TEXT NOT NULL,
    answer TEXT, error TEXT
);
CREATE INDEX IF NOT EXISTS jobs_by_age ON jobs (created);
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A search that its caller comes back for."""

    id: str
    created: float
    """Seconds since 1970."""
    state: State
    request: dict[str, Any]
    caller: str
    """Whose turn it takes; not shown."""
    answer: str | None
    """Key of the answer, once there is one."""
    error: str | None


class TakenError(InvalidInputError):
    """Another server has the store."""


def _locked(path: Path) -> IO[str]:
    """A file beside a store, locked as long as it is open: two servers would both begin the jobs that an earlier one left.

    Raises:
        InvalidInputError: if it cannot be made.
        TakenError: if another server has it.
    """
    try:
        lock = path.with_name(f"{path.name}.lock").open("w")
    except OSError as error:
        raise InvalidInputError(
            f"{path}: cannot hold answers and jobs ({error.strerror}); name another with --store"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise TakenError(f"{path}: another server has it; name another with --store, or end that one") from error
    return lock


class Store:
    """Answers and jobs.

    Args:
        path: file, made if it is not there; None to keep them in memory.
        most_answers: answers that are kept.
        most_jobs: jobs that are kept, and that may wait.

    Raises:
        InvalidInputError: if the file cannot be used, naming it and the remedy.
        TakenError: if another server has it.
    """

    def __init__(self, path: Path | None, *, most_answers: int = MOST_ANSWERS, most_jobs: int = MOST_JOBS) -> None:
        self._most_answers, self._most_jobs = most_answers, most_jobs
        self._lock = None if path is None else _locked(path)
        try:
            self._database = sqlite3.connect(
                path or ":memory:", timeout=LOCKED_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise InvalidInputError(
                    f"{path}: version {version}, this program reads {_VERSION}; name another with --store"
                )
            self._database.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
        except sqlite3.Error as error:
            raise InvalidInputError(
                f"{path}: cannot hold answers and jobs ({error}); name another with --store"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        if self._lock is not None:
            self._lock.close()

    def answer(self, key: str) -> dict[str, Any] | None:
        """An answer that is kept."""
        row = self._database.execute("SELECT content FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        # Only for what goes first: a file that is full or locked for the moment keeps no answer from who asks.
        with contextlib.suppress(sqlite3.OperationalError):
            self._database.execute("UPDATE answers SET used = ? WHERE key = ?", (time.time(), key))
        content = json.loads(zlib.decompress(row[0]))
        assert isinstance(content, dict)
        return content

    def keep(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer; those that were asked for longest ago make room."""
        content = zlib.compress(json.dumps(answer).encode(), 1)
        self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, time.time(), content))
        self._database.execute(
            "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used DESC LIMIT -1 OFFSET ?)",
            (self._most_answers,),
        )

    def new_job(self, request: Mapping[str, Any], caller: str) -> Job:
        """Remember a job.

        Raises:
            BusyError: if too many are waiting.
        """
        if self.count()["waiting"] >= self._most_jobs:
            raise BusyError(f"{self._most_jobs} jobs are waiting already; try again later", retry_after_s=60.0)
        job = Job(
            id=uuid.uuid4().hex,
            created=time.time(),
            state="waiting",
            request=dict(request),
            caller=caller,
            answer=None,
            error=None,
        )
        self._database.execute(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)",
            (job.id, job.created, job.state, json.dumps(job.request), caller, None, None),
        )
        self._database.execute(
            "DELETE FROM jobs WHERE state NOT IN (?, ?) AND id IN "
            "(SELECT id FROM jobs ORDER BY created DESC LIMIT -1 OFFSET ?)",
            (*OPEN, self._most_jobs),
        )
        return job

    def job(self, identifier: str) -> Job | None:
        """A job by its identifier."""
        row = self._database.execute("SELECT * FROM jobs WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else _job(row)

    def open_jobs(self) -> list[Job]:
        """Jobs that are still to be done, in order."""
        rows = self._database.execute("SELECT * FROM jobs WHERE state IN (?, ?) ORDER BY created, id", OPEN)
        return [_job(row) for row in rows]

    def change(self, identifier: str, state: State, *, answer: str | None = None, error: str | None = None) -> None:
        """Say how a job goes on; one that has ended stays as it is."""
        self._database.execute(
            "UPDATE jobs SET state = ?, answer = ?, error = ? WHERE id = ? AND state IN (?, ?)",
            (state, answer, error, identifier, *OPEN),
        )

    def count(self) -> dict[str, int]:
        """Jobs by state."""
        found = dict.fromkeys(("waiting", "working", "done", "failed", "cancelled"), 0)
        return found | dict(self._database.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state"))


def _job(row: tuple[Any, ...]) -> Job:
    identifier, created, state, request, caller, answer, error = row
    return Job(
        id=identifier,
        created=created,
        state=state,
        request=json.loads(request),
        caller=caller,
        answer=answer,
        error=error,
    )
