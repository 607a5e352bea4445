"""What a person sees of a local run: a bar for a step that works, a line for one that is done, one line for a failure.

KFP's local runner prints everything that steps print, from several threads at once, to standard output. `Terminal`
stands in its place: it writes all of it to a log file, understands the lines that matter, and shows those.
"""

from __future__ import annotations

import contextlib
import io
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, TaskID

from genrf.progress import ERROR, PROGRESS, message_of, progress_bar

SECONDS_BETWEEN_LINES = 10.0
"""How often a long step reports where there is no terminal for bars."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"Executing task '(?P<task>[^']+)'")
_CACHED = re.compile(r"Task (?P<task>\S+) cache hit")
_ENDED = re.compile(r"Task '(?P<task>[^']+)' finished with status (?P<status>SUCCESS|FAILURE)")
_EXCEPTION = re.compile(r"^(?P<message>(?:\w+\.)*\w*(?:Error|Exception|Interrupt)(?::.*)?)$")


@dataclass
class Failure:
    """Why a step failed."""

    task: str
    message: str
    code: int = 1


@dataclass
class _Activity:
    """What one thread's step is doing."""

    task: str
    start: float = field(default_factory=time.monotonic)
    bars: dict[str, TaskID] = field(default_factory=dict)
    shown: float = 0.0
    failure: Failure | None = None


class Terminal(io.TextIOBase):
    """Standard output of a local run; a context manager.

    Args:
        log: file that everything is written to.
        console: where a person looks.
    """

    def __init__(self, log: Path, console: Console) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.console = console
        self.failure: Failure | None = None
        self.executed: list[str] = []
        """Tasks that ran, in order."""
        self.cached: list[str] = []
        """Tasks that were not needed."""
        self._file: TextIO = log.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.RLock()
        self._lines: dict[int, str] = {}
        self._activities: dict[int, _Activity] = {}
        self._bars = Progress(disable=True) if not console.is_terminal else progress_bar(console, transient=True)

    def __enter__(self) -> Terminal:
        self._bars.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._bars.stop()
        with contextlib.suppress(OSError):
            self._file.close()

    def writable(self) -> bool:
        """A stream that can be written to."""
        return True

    def write(self, text: str) -> int:
        """Take text from any thread; lines of one thread are kept together."""
        with self._lock:
            thread = threading.get_ident()
            *lines, rest = (self._lines.get(thread, "") + text).split("\n")
            self._lines[thread] = rest
            for line in lines:
                self._read(thread, _COLOUR.sub("", line).strip())
        return len(text)

    def note(self, text: str) -> None:
        """Show a line of the launcher's own, and keep it."""
        with self._lock:
            self._keep(f"{time.strftime('%H:%M:%S')} pipeline: {text}\n")
            self._say(text)

    def _read(self, thread: int, line: str) -> None:
        if not line or set(line) == {"-"}:
            return
        activity = self._activities.get(thread)
        self._keep(f"{time.strftime('%H:%M:%S')} {activity.task if activity else 'pipeline'}: {line}\n")
        if match := _STARTED.search(line):
            self._activities[thread] = _Activity(match["task"])
            self.executed.append(match["task"])
            self._say(f"{match['task']}: started")
        elif match := _CACHED.search(line):
            self.cached.append(match["task"])
            self._say(f"{match['task']}: reused from an earlier run")
        elif match := _ENDED.search(line):
            self._end(thread, match["status"])
        elif activity is not None:
            self._follow(activity, line)

    def _keep(self, line: str) -> None:
        """Write to the log. A full disk must not stop the steps' last words from being read."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.write(line)

    def _follow(self, activity: _Activity, line: str) -> None:
        """A line of a step's own output."""
        kind, content = message_of(line) or ("", {})
        if kind == PROGRESS:
            what, done, total = content["what"], content["done"], content["total"]
            if what not in activity.bars:
                activity.bars[what] = self._bars.add_task(f"{activity.task}: {what}", total=total)
            self._bars.update(activity.bars[what], completed=done, total=total)
            now = time.monotonic()
            if not self.console.is_terminal and now - max(activity.shown, activity.start) > SECONDS_BETWEEN_LINES:
                activity.shown = now
                self._say(f"{activity.task}: {what} {done:,}/{total:,}")
        elif kind == ERROR:
            activity.failure = Failure(activity.task, content["message"], content["code"])
        elif (match := _EXCEPTION.match(line)) and (activity.failure is None or activity.failure.code == 1):
            activity.failure = Failure(activity.task, match["message"])

    def _end(self, thread: int, status: str) -> None:
        activity = self._activities.pop(thread, None)
        if activity is None:
            return
        for bar in activity.bars.values():
            self._bars.remove_task(bar)
        if status == "SUCCESS":
            self._say(f"{activity.task}: done in {time.monotonic() - activity.start:.1f} s")
            return
        failure = activity.failure or Failure(
            activity.task, "ended without a word, as a process does that is killed or finds no memory"
        )
        # The first failure is the cause; the others were stopped by it.
        self.failure = self.failure or failure

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False)
