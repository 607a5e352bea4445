"""One look for every long step's progress: bars on a terminal, a line now and then everywhere else."""

from __future__ import annotations

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

SECONDS_BETWEEN_LINES = 0.5


def progress_bar() -> Progress:
    """A progress bar on standard error; a context manager.

    Where standard error is no terminal (a step of a pipeline, a log file) it writes lines such as
    ``progress: lna shard 0: 2400/20000``, which `pipelines.terminal` turns back into bars.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    if sys.stderr.isatty():
        return Progress(*columns, console=Console(stderr=True))
    return _Lines(*columns, console=Console(stderr=True), disable=True)


class _Lines(Progress):
    """Writes progress as lines of text, at most one every half second a task besides the first and last."""

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

    def track(self, sequence: Iterable[T], total: float | None = None, **keywords: Any) -> Iterator[T]:
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
        line = f"progress: {task.description}: {task.completed:.0f}/{task.total:.0f}"
        print(line, file=sys.stderr, flush=True)
