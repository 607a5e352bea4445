"""Simulate many circuits in watched worker processes.

A crash, a hang or a fatal error of ngspice costs the one circuit that caused it. Outcomes do not depend on the number
of workers, on the order of the circuits or on how busy the machine is: every circuit starts from a fresh deck, its time
limit counts processor time, and circuits that were lost with a neighbour's crash are simulated again.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from types import TracebackType

from genrf.cores import cores
from genrf.simulation.messages import Task, pack_tasks, unpack_answers
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.simulation.worker import SHARED_BYTES, read_progress, time_limit_s, write_progress
from genrf.technology import DEFAULT

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 5.0
"""Processor time that a circuit's label metrics may take; a typical one takes 2 to 200 ms."""
RECYCLE_AFTER = 20_000
"""Circuits after which a worker is replaced: ngspice leaks about 1 MB in 400 circuits."""
_BATCH = 16
"""Circuits a message; enough to hide the message's cost, few enough to share the work evenly."""
_WALL_FACTOR = 12.0
"""A worker that shows no progress for this many time limits of wall time is killed: it sleeps or waits instead of
computing."""
_POLL_S = 1.0
_EARLY_DEATHS = 3
"""Workers that may die in a row without a circuit to blame before the run is given up."""

KEPT_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "500000000",
    "MALLOC_MMAP_THRESHOLD_": "500000000",
    "MALLOC_TOP_PAD_": "16777216",
}
"""Environment of a process in which glibc keeps memory that is free instead of returning it."""
WORKER_ENVIRONMENT = {
    # A worker is single-threaded: threads of libraries would only fight over the cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # ngspice frees and allocates everything for each analysis (8 % faster).
    **KEPT_MEMORY,
}

__all__ = ["Failure", "Outcome", "Simulation", "SimulatorPool"]


@dataclass
class _Run:
    """One call of `SimulatorPool.run_iter`.

    Circuits are numbered over all runs: answers to an earlier run, whose iterator was dropped half-way, are recognised
    and ignored.
    """

    first: int
    next_due: int
    """Number of the outcome to hand out next."""
    waiting: deque[Task] = field(default_factory=deque)
    done: dict[int, Outcome] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    """Circuits whose worker was killed from outside: once that is no fault of theirs."""

    def finish(self, number: int, outcome: Outcome) -> None:
        """Keep an outcome until it is its turn."""
        if number >= self.first:
            self.done[number] = outcome


class _Worker:
    """One worker process as seen from here."""

    def __init__(self, technology: str, timeout_s: float) -> None:
        ours, theirs = socket.socketpair()
        memory = os.memfd_create("genrf-progress")
        os.ftruncate(memory, SHARED_BYTES)
        self.shared = mmap.mmap(memory, SHARED_BYTES)
        write_progress(self.shared, -1)
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        environment = os.environ | {"PYTHONPATH": path} | WORKER_ENVIRONMENT
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "genrf.simulation.worker",
                str(theirs.fileno()),
                str(memory),
                technology,
                str(timeout_s),
            ],
            pass_fds=(theirs.fileno(), memory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C in a terminal is for the parent, which ends its workers; they would only print tracebacks.
            start_new_session=True,
        )
        theirs.close()
        os.close(memory)
        self.connection = connection.Connection(ours.detach())
        self.ready = False
        self.simulated = 0
        self.pending: dict[int, Task] = {}
        self.seen = (-1, time.monotonic())
        """Circuit in progress when last looked at, and since when."""

    def close(self) -> int:
        """End the process; return its exit status, negative for a signal."""
        self.connection.close()
        try:
            status = self.process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.shared.close()
        return status


class SimulatorPool:
    """A context manager around worker processes, each holding one libngspice.

    Args:
        workers: number of processes; None for one a core.
        technology: name of the process to simulate in.
        timeout_s: processor time a circuit may take, in s.
        recycle_after: circuits after which a worker is replaced.
    """

    def __init__(
        self,
        workers: int | None = None,
        technology: str = DEFAULT,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        self._count = max(1, workers if workers is not None else cores())
        self._technology = technology
        self._timeout_s = timeout_s
        self._recycle_after = recycle_after
        self._workers: list[_Worker] = []
        self._run: _Run | None = None
        self._next_number = 0
        self._early_deaths = 0

    def __enter__(self) -> SimulatorPool:
        self._workers = [self._start() for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            if kind is not None or worker.pending:
                worker.process.kill()
            worker.connection.close()
        for worker in self._workers:
            worker.close()
        self._workers = []

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Process identifiers of the current workers."""
        return tuple(worker.process.pid for worker in self._workers)

    def _start(self) -> _Worker:
        return _Worker(self._technology, self._timeout_s)

    def run(self, simulations: Sequence[Simulation], *, curves: bool = False) -> list[Outcome]:
        """Simulate circuits; outcomes in the same order.

        Raises:
            MissingToolError: if ngspice's library or the technology's models are not installed.
        """
        return list(self.run_iter(simulations, curves=curves))

    def run_iter(self, simulations: Iterable[Simulation], *, curves: bool = False) -> Iterator[Outcome]:
        """Simulate circuits as an iterable yields them; outcomes in the same order, each as soon as it is its turn.

        At most a few hundred circuits are in flight, so the iterable may be endless. One run at a time.

        Raises:
            MissingToolError: if ngspice's library or the technology's models are not installed.
        """
        if not self._workers:
            raise RuntimeError("SimulatorPool is used outside its `with` block")
        run = self._run = _Run(first=self._next_number, next_due=self._next_number)
        source = iter(simulations)
        exhausted = False
        ahead = self._count * _BATCH * 8
        while True:
            if self._run is not run:
                raise RuntimeError("SimulatorPool: another run was started before this one ended")
            while not exhausted and self._next_number - run.next_due < ahead:
                simulation = next(source, None)
                if simulation is None:
                    exhausted = True
                    break
                run.waiting.append((self._next_number, simulation, curves))
                self._next_number += 1
            self._assign(run, exhausted)
            while run.next_due in run.done:
                yield run.done.pop(run.next_due)
                run.next_due += 1
            if run.next_due < self._next_number:
                self._collect(run)
            elif exhausted:
                return

    def _assign(self, run: _Run, exhausted: bool) -> None:
        """Give every worker that is nearly idle a batch; small ones at the end, so that all workers end together."""
        for index, worker in enumerate(self._workers):
            if worker.simulated >= self._recycle_after and not worker.pending:
                worker.close()
                worker = self._workers[index] = self._start()
            # A second batch lies ready in the socket while the first is simulated, unless the worker is due for
            # replacement.
            room = worker.simulated + len(worker.pending) < self._recycle_after
            if not run.waiting or not room or len(worker.pending) > _BATCH // 2:
                continue
            size = _BATCH if not exhausted else max(1, min(_BATCH, len(run.waiting) // (2 * self._count)))
            batch = [run.waiting.popleft() for _ in range(min(size, len(run.waiting)))]
            worker.pending.update((task[0], task) for task in batch)
            # A worker that has died is found by `_collect`, which sends its circuits elsewhere.
            with contextlib.suppress(OSError):
                worker.connection.send_bytes(pack_tasks(batch))

    def _collect(self, run: _Run) -> None:
        """Wait for a message or a death, and deal with it."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for ready in connection.wait(list(by_connection), timeout=_POLL_S):
            worker = by_connection[ready]  # type: ignore[index]
            try:
                message = worker.connection.recv_bytes()
            except (EOFError, OSError):
                self._bury(worker, run, killed=False)
                continue
            answers = unpack_answers(message)
            if answers is None:
                worker.ready = True
                continue
            self._early_deaths = 0
            for number, outcome in answers:
                worker.pending.pop(number)
                worker.simulated += 1
                run.finish(number, outcome)
        self._watch(run)

    def _watch(self, run: _Run) -> None:
        """Kill workers that make no progress although their processor-time limit has not ended them."""
        now = time.monotonic()
        for worker in list(self._workers):
            current = read_progress(worker.shared)
            if current != worker.seen[0] or not worker.pending or not worker.ready:
                worker.seen = (current, now)
            elif now - worker.seen[1] > _WALL_FACTOR * time_limit_s(self._timeout_s, worker.pending.get(current)):
                worker.process.kill()
                self._bury(worker, run, killed=True)

    def _bury(self, worker: _Worker, run: _Run, killed: bool) -> None:
        """Replace a dead worker, blame the circuit it died of, and put its other circuits back in the queue."""
        culprit = read_progress(worker.shared)
        status = worker.close()
        self._workers[self._workers.index(worker)] = self._start()
        task = worker.pending.pop(culprit, None)
        if task and not killed and status == -signal.SIGKILL and culprit not in run.killed:
            # By somebody, or by the kernel for lack of memory, which is the circuit's doing only if it happens again.
            run.killed.add(culprit)
            worker.pending[culprit] = task
        elif task:
            if killed or status == -signal.SIGVTALRM:
                limit_s = time_limit_s(self._timeout_s, task)
                failure = Failure("timeout", f"more than {limit_s:g} s of processor time")
            else:
                failure = Failure("crash", f"the simulator ended with status {status}")
            log.debug("circuit %d: %s", culprit, failure)
            run.finish(culprit, Outcome(None, failure))
        else:
            self._early_deaths += 1
            if self._early_deaths > _EARLY_DEATHS:
                raise RuntimeError(f"simulation workers end with status {status} before they simulate anything")
        run.waiting.extendleft(task for task in reversed(worker.pending.values()) if task[0] >= run.first)
