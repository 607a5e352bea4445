"""Work for many cores: spawned processes that are opened once and then do one task after another.

Unlike a pool of `multiprocessing` it hands out tasks one at a time, so that what is next can be decided late, tells of a
process that died instead of waiting for it, and can be left at any time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from types import TracebackType
from typing import Any, Generic, TypeVar

from genrf.simulation.pool import KEPT_MEMORY
from training.running.environment import variables

Task = TypeVar("Task")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Threads of libraries would only fight over the cores."""
ENVIRONMENT = ONE_THREAD | KEPT_MEMORY
"""Environment of the processes; sampling allocates and frees much, and takes a third less processor time so."""


class ProcessDiedError(RuntimeError):
    """The process that did a task died of it."""


@dataclass
class _Process(Generic[Task]):
    process: Any
    connection: connection.Connection
    task: Task | None = None


class Processes(Generic[Task, Result]):
    """A context manager around processes.

    Args:
        count: how many.
        open_worker: makes a context manager that gives the function which does a task; runs once in every process, and must
            be picklable, as must tasks and results.
    """

    def __init__(self, count: int, open_worker: Callable[[], AbstractContextManager[Callable[[Task], Result]]]) -> None:
        self._count = count
        self._open_worker = open_worker
        # Spawned, because a forked process must not use the threads of PyTorch and ONNX Runtime that its parent started.
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Process[Task]] = []

    def __enter__(self) -> Processes[Task, Result]:
        self._workers = [self._start() for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            if worker.task is not None:
                worker.process.terminate()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(timeout=10.0)
            if worker.process.is_alive():
                worker.process.kill()
        self._workers = []

    @property
    def idle(self) -> int:
        """Processes that have nothing to do."""
        return sum(worker.task is None for worker in self._workers)

    @property
    def running(self) -> list[Task]:
        """Tasks in progress."""
        return [worker.task for worker in self._workers if worker.task is not None]

    def submit(self, task: Task) -> None:
        """Give a task to an idle process."""
        worker = next(worker for worker in self._workers if worker.task is None)
        worker.task = task
        # A process that has died is found by `collect`.
        with contextlib.suppress(OSError):
            worker.connection.send(task)

    def collect(self, timeout: float | None = None) -> list[tuple[Task, Result | Exception]]:
        """Wait until some task ends, at most ``timeout`` s; the tasks that did, with what they gave or raised."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        ended: list[tuple[Task, Result | Exception]] = []
        for ready in connection.wait(list(busy), timeout=timeout) if busy else []:
            worker = busy[ready]  # type: ignore[index]
            task, worker.task = worker.task, None
            assert task is not None
            try:
                ended.append((task, worker.connection.recv()))
            except (EOFError, OSError):
                worker.process.join()
                ended.append((task, ProcessDiedError(f"a process ended with exit code {worker.process.exitcode}")))
                worker.connection.close()
                self._workers[self._workers.index(worker)] = self._start()
        return ended

    def map(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Do all tasks; results come in the order in which they are ready.

        Raises:
            ProcessDiedError: if the process that did a task died; what a task itself raises is raised here too.
        """
        source = iter(tasks)
        exhausted = False
        while True:
            while self.idle and not exhausted:
                try:
                    self.submit(next(source))
                except StopIteration:
                    exhausted = True
            if not self.running:
                return
            for _, result in self.collect():
                if isinstance(result, Exception):
                    raise result
                yield result

    def _start(self) -> _Process[Task]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._open_worker), daemon=True)
        with variables(ENVIRONMENT):
            process.start()
        theirs.close()
        return _Process(process=process, connection=ours)


def _work(tasks: connection.Connection, open_worker: Callable[[], Any]) -> None:
    """In a process: do tasks until the parent hangs up."""
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt), contextlib.ExitStack() as stack:
        try:
            work = stack.enter_context(open_worker())
        except Exception as error:
            # Every task says why it cannot be done.
            work = partial(_refuse, error)
        while True:
            task = tasks.recv()
            try:
                answer = work(task)
            except Exception as error:
                answer = _sendable(error)
            tasks.send(answer)


def _refuse(error: Exception, task: Any) -> Any:
    raise error


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as a note, or its text where it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}\n{error.__notes__[0]}")
    return error
