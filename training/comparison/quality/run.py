"""Make trials on all cores until they are done or the time is over."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from genrf.cores import cores
from genrf.progress import progress_bar
from training.comparison.quality.journal import Entry, Journal, entry_of
from training.comparison.quality.queue import FairQueue
from training.comparison.quality.tasks import Task
from training.comparison.quality.worker import Setup, open_worker
from training.evaluation.trials import Trial
from training.running.processes import Processes

GRACE_S = 45.0
"""How long trials that cannot be interrupted may go on after the time is over."""
ATTEMPTS = 2
"""How often a trial that raises is tried."""
MOST_RAISED, MOST_RAISED_SHARE = 3, 0.05
"""Trials that may raise, and share of those that ended, before the run is given up: then the fault is not the method's."""


def run_trials(tasks: Sequence[Task], setup: Setup, journal: Journal, processes: int | None = None) -> None:
    """Make all trials that the journal does not have; stops at the setup's deadline.

    Args:
        processes: by default one a core.

    A trial that raises again and again is written down as one that did not meet its specification.

    Raises:
        Exception: what trials raised, if many did; these are not written down then.
    """
    queue = FairQueue(tasks, journal.entries)
    if not len(queue):
        return
    failures: Counter[str] = Counter()
    gave_up: list[Entry] = []
    ended = 0
    count = min(processes or cores(), len(queue))
    with Processes[Task, Entry | None](count, partial(open_worker, setup)) as workers, progress_bar() as progress:
        bar = progress.add_task("trials", total=len(tasks), completed=len(tasks) - len(queue))
        while True:
            late = time.monotonic() >= setup.deadline
            while workers.idle and not late and (task := queue.take()) is not None:
                workers.submit(task)
            if not workers.running or time.monotonic() >= setup.deadline + GRACE_S:
                break
            for task, result in workers.collect(timeout=1.0):
                if result is None:
                    queue.put_back(task)
                elif not isinstance(result, Exception):
                    journal.add(result)
                    queue.end(task, result)
                    ended += 1
                    progress.update(bar, advance=1)
                elif failures[task.key] + 1 < ATTEMPTS:
                    failures[task.key] += 1
                    queue.put_back(task)
                else:
                    gave_up.append(_failed(task, result, setup.machine))
                    queue.end(task, gave_up[-1])
                    if len(gave_up) > MOST_RAISED + MOST_RAISED_SHARE * ended:
                        raise result
    for entry in gave_up:
        journal.add(entry)


def _failed(task: Task, error: Exception, machine: str) -> Entry:
    """A method that raised has not met the specification."""
    print(f"{task.method} on {task.item.spec.name}: {type(error).__name__}: {error}", file=sys.stderr)
    for note in getattr(error, "__notes__", []):
        print(note, file=sys.stderr)
    circuit_class, level, method, _ = task.group
    trial = Trial(method, circuit_class, level, task.item.spec.name, None, 0, {}, 0.0)
    return entry_of(task, trial, machine, error=f"{type(error).__name__}: {error}")
