"""Records of what was asked and answered, written to the feedback log while requests go on: none ever waits for the log."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from genrf.errors import GenRFError, InvalidInputError
from genrf.feedback.log import VARIABLE, FeedbackLog, FolderLog, chosen_log
from genrf.feedback.record import SearchRecord
from genrf.objects.failures import ConflictError
from serving import telemetry

FOLDER = Path("feedback")
"""The log where none is named, below the working directory."""
GRACE_S = 10.0
"""How long the end of the server waits for the log, in s; Kubernetes kills it after 30 s."""


def log_of(named: str | None) -> tuple[FeedbackLog | None, str]:
    """The log to write, and a line that says which one it is.

    Args:
        named: what the user named; without it a folder in the working directory, and none where that cannot be written.

    Raises:
        InvalidInputError: if it is neither a folder nor a place in S3, or the variables of S3 are not complete.
        MissingToolError: if it is in S3 and boto3 is not installed.
    """
    if named:
        log = chosen_log(named)
        return log, f"feedback: {log.place}" if log else "feedback: off"
    if os.access(FOLDER if FOLDER.exists() else Path(), os.W_OK):
        return FolderLog(FOLDER), f"feedback: {FOLDER.absolute()}"
    return None, (
        f"feedback: none is recorded, {FOLDER.absolute()} cannot be written; name a log with --feedback or {VARIABLE}, "
        "or switch it off with --feedback off"
    )


def _say(message: str) -> None:
    print(f"serving: {message}", file=sys.stderr, flush=True)


class Recorder:
    """Writes records in small batches, from a thread of its own, and tries again where the log is down.

    Args:
        log: where to.
        most: records that may be in memory; the oldest are dropped beyond that, and counted.
        batch: records of one batch.
        gather_s: how long a record waits for others of its batch, in s.
        pause_s: pause after the first failure, in s; doubled after each further one, up to ``longest_pause_s``.
        say: is told when the log fails, is back, and how many records were lost.
    """

    def __init__(
        self,
        log: FeedbackLog,
        *,
        most: int = 10_000,
        batch: int = 100,
        gather_s: float = 5.0,
        pause_s: float = 1.0,
        longest_pause_s: float = 60.0,
        say: Callable[[str], None] = _say,
    ) -> None:
        self._log = log
        self._most, self._batch, self._gather_s = most, batch, gather_s
        self._pause_s, self._longest_pause_s = pause_s, longest_pause_s
        self._say = say
        self._change = threading.Condition()
        self._waiting: deque[SearchRecord] = deque()
        self._writing: list[SearchRecord] = []
        self._singly = 0
        """Records next in line that are written one by one, as one of them cannot be written."""
        self._dropped = 0
        """Records that were lost and not yet told of."""
        self._ends_at: float | None = None
        # What cannot be written must not keep the server from ending.
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def record(self, record: SearchRecord) -> None:
        """Take a record; it is written later."""
        with self._change:
            self._waiting.append(record)
            while len(self._waiting) + len(self._writing) > self._most and len(self._waiting) > 1:
                self._waiting.popleft()
                self._count_dropped(1)
            self._change.notify()

    def stop(self, within_s: float = GRACE_S) -> None:
        """Write what waits, as far as that goes in the time, in s, and end."""
        if not self._thread.is_alive():
            return
        with self._change:
            self._ends_at = time.monotonic() + within_s
            self._change.notify()
        self._thread.join(within_s)
        with self._change:
            self._count_dropped(len(self._waiting) + len(self._writing))
            self._waiting.clear()
            self._writing = []
            if self._dropped:
                self._say(f"feedback: {self._lost()}, {self._log.place} could not be written in time")

    def _run(self) -> None:
        down, pause_s = not self._attempt(self._log.check, down=False), self._pause_s
        while self._next_batch():
            if self._attempt(self._write, down=down):
                if down:
                    self._say(f"feedback: {self._log.place} is written again{self._lost(', ')}")
                down, pause_s = False, self._pause_s
            else:
                down = True
                if not self._rest(pause_s):
                    return
                pause_s = min(2.0 * pause_s, self._longest_pause_s)

    def _attempt(self, action: Callable[[], None], *, down: bool) -> bool:
        """Do something with the log; False, and said once, if it is down."""
        try:
            action()
        except Exception as error:  # of the log's client, of many types: the thread must outlive them
            if not down or self._dropped:
                reason = str(error) if isinstance(error, GenRFError) else f"{type(error).__name__}: {error}"
                self._say(f"feedback: {reason}; records wait in memory and are tried again{self._lost(', ')}")
            return False
        return True

    def _next_batch(self) -> bool:
        """Have a batch to write, the same again if it failed before; False at the end."""
        with self._change:
            if self._writing:
                return True
            self._change.wait_for(lambda: self._waiting or self._ends_at is not None)
            size = 1 if self._singly else self._batch
            self._change.wait_for(
                lambda: len(self._waiting) >= size or self._ends_at is not None, timeout=self._gather_s
            )
            self._singly = max(0, self._singly - 1)
            while self._waiting and len(self._writing) < size:
                self._writing.append(self._waiting.popleft())
            return bool(self._writing)

    def _write(self) -> None:
        """Write the batch; one that holds something that cannot be written is taken apart, and only that is lost."""
        try:
            self._log.append(self._writing)
        except (InvalidInputError, ConflictError) as error:
            with self._change:
                batch, self._writing = self._writing, []
                if len(batch) > 1:
                    self._waiting.extendleft(reversed(batch))
                    self._singly = len(batch)
                    return
                self._count_dropped(1)
                self._say(f"feedback: {self._lost()}: {error}")
                return
        with self._change:
            telemetry.FEEDBACK.labels("written").inc(len(self._writing))
            self._writing = []

    def _rest(self, seconds: float) -> bool:
        """Pause; False once the time to end is over."""
        with self._change:
            if self._ends_at is None:
                self._change.wait_for(lambda: self._ends_at is not None, timeout=seconds)
                return True
            left_s = self._ends_at - time.monotonic()
            if left_s > 0.0:
                self._change.wait(min(self._pause_s, left_s))
            return left_s > 0.0

    def _count_dropped(self, count: int) -> None:
        self._dropped += count
        telemetry.FEEDBACK.labels("dropped").inc(count)

    def _lost(self, before: str = "") -> str:
        """How many records were lost since that was last said; empty if none."""
        with self._change:
            count, self._dropped = self._dropped, 0
        return f"{before}{count} {'record was' if count == 1 else 'records were'} lost" if count else ""
