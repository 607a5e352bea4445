"""One look for the progress of everything long: bars on a terminal, a line now and then elsewhere.

A process that was started by another one tells it by lines of JSON, ``{"progress": {"what": ..., "done": ..., "total": ...}}``,
which the other turns back into bars; the variable `MESSAGES` in its environment asks for that. `tell` sends such lines.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

MESSAGES = "GENRF_MESSAGES"
"""Environment variable: any value asks for JSON lines in place of lines for people."""
PROGRESS, ERROR = "progress", "error"
"""Kinds of message: what is done of how much, and the ``message`` and exit ``code`` that a process ends with."""
SECONDS_BETWEEN_LINES = 0.5


def progress_bar(console: Console | None = None, *, transient: bool = False) -> Progress:
    """A progress bar; a context manager.

    Args:
        console: where it is shown; by default standard error.
        transient: whether it goes away when it is done.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = console or Console(stderr=True)
    if console.is_terminal and not os.environ.get(MESSAGES):
        return Progress(*columns, console=console, transient=transient)
    return _Lines(*columns, console=console, disable=True)


def tell(kind: str, content: Any) -> None:
    """Send a message to the process that started this one."""
    print(json.dumps({kind: content}), file=sys.stderr, flush=True)


def message_of(line: str) -> tuple[str, Any] | None:
    """Kind and content of a line that `tell` sent; none for any other line."""
    if not line.startswith("{"):
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return next(iter(message.items())) if isinstance(message, dict) and len(message) == 1 else None


class _Lines(Progress):
    """Writes progress as lines, at most one every half second a task besides the first and last."""

    def add_task(self, *arguments: Any, **keywords: Any) -> TaskID:
        task = super().add_task(*arguments, **keywords)
        self._write(task)
        return task

    def update(self, task_id: TaskID, **keywords: Any) -> None:
        super().update(task_id, **keywords)
        self._write(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._write(task_id)

    def track(self, sequence: Iterable[T], total: float | None = None, *_: Any, **keywords: Any) -> Iterator[T]:
        """Iterate over a sequence; rich's own counts in a thread that needs a terminal."""
        description = keywords.get("description", "working")
        task = self.add_task(description, total=len(sequence) if isinstance(sequence, Sized) else total)
        for item in sequence:
            yield item
            self.advance(task)

    def _write(self, task_id: TaskID) -> None:
        task = self._tasks[task_id]
        now = time.monotonic()
        if task.total is None or (now < task.fields.get("due", 0.0) and not task.finished):
            return
        if task.fields.get("written") == task.completed:
            return
        task.fields.update(due=now + SECONDS_BETWEEN_LINES, written=task.completed)
        done, total = round(task.completed), round(task.total)
        if os.environ.get(MESSAGES):
            tell(PROGRESS, {"what": task.description, "done": done, "total": total})
        else:
            print(f"{task.description}: {done}/{total}", file=sys.stderr, flush=True)
