"""Processes that design, watched: what crashes or hangs costs the one search that did it.

Each process has one thread, for that is what uses the cores best. Searches for short stay with their own processes; one that
takes long goes to a process beside them, which steps back, so that a search of a thousand calls holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from genrf.cores import cores
from genrf.errors import GenRFError
from genrf.simulation.pool import KEPT_MEMORY
from serving import telemetry
from serving.failures import BrokenError, InvalidError, LateError, UnreadyError
from serving.queues import FairQueue

log = logging.getLogger(__name__)

Lane = Literal["short", "long"]
Told = Callable[[dict[str, Any]], None]
"""Called with what a process says of a search that is under way."""

START_S = 120.0
"""How long a process may take to be ready."""
RECYCLE_AFTER = 1_000
"""Jobs after which a process is replaced: its memory grows by some 25 KB a search."""
CANCEL_S = 2.0
"""How long a process may take to end what it was told to end; then it is killed and another started."""
_LARGEST_LINE = 64 * 1024 * 1024
_RESTART_S = (0.0, 1.0, 5.0, 30.0)
"""Pauses before a process that keeps dying is started again."""
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **KEPT_MEMORY}


class _Died(Exception):
    """The process is gone."""


class _Process:
    """One process as seen from here; does one job at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: asyncio.subprocess.Process | None = None
        self.idle = True
        """Whether it has said how its last job ended: until then, what it says next is not of the next job."""
        self.jobs = 0
        """Jobs that it has been given."""

    async def start(self) -> dict[str, Any]:
        """Start it, wait until it is ready, and give what it says of its models.

        Raises:
            GenRFError: if it ends instead, or is not ready in time.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LARGEST_LINE,
            env=os.environ | _ENVIRONMENT,
            # Ctrl-C in a terminal is for the server, which ends its processes.
            start_new_session=True,
        )
        try:
            said = await asyncio.wait_for(self._read(), START_S)
        except (_Died, TimeoutError) as error:
            await self.end()
            raise GenRFError(f"a designing process is not ready ({error or f'waited {START_S:g} s'})") from error
        if "ready" not in said:
            await self.end()
            raise GenRFError(str(said.get("failed")))
        return dict(said["ready"])

    async def ended(self) -> None:
        """Wait until it has ended."""
        assert self._process is not None
        await self._process.wait()

    @property
    def process_id(self) -> int | None:
        """Its identifier."""
        return None if self._process is None else self._process.pid

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """End it at once, and wait until it has."""
        self.kill()
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()

    async def do(self, job: Mapping[str, Any], told: Told | None) -> dict[str, Any]:
        """Do a job, and give what the process says at its end.

        Raises:
            _Died: if the process ends meanwhile.
        """
        self.idle = False
        self.jobs += 1
        await self._write(job)
        while True:
            said = await self._read()
            if "spent" not in said:
                self.idle = True
                return said
            if told is not None:
                told(said)

    async def cancel(self) -> bool:
        """End the job that is being done; False if the process had to be killed."""
        try:
            await self._write({"do": "cancel"})
            async with asyncio.timeout(CANCEL_S):
                while "spent" in await self._read():
                    pass
        except (_Died, TimeoutError):
            await self.end()
            return False
        self.idle = True
        return True

    async def _write(self, job: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _Died("its pipe is closed") from error

    async def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except ValueError as error:
            raise _Died(f"a line is longer than {_LARGEST_LINE} bytes") from error
        # One without its end is of a process that was killed while it wrote.
        if not line.endswith(b"\n"):
            raise _Died(f"ended with status {await self._process.wait()}")
        content = json.loads(line)
        assert isinstance(content, dict)
        return content


class Workers:
    """The processes of one bundle.

    Args:
        command: starts a process; ``--number`` or ``--long`` is added.
        count: processes for short searches; by default one a core.
        most_waiting: searches of one lane that may wait.
        recycle_after: jobs after which a process is replaced.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int | None = None,
        *,
        most_waiting: int = 64,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        self._recycle_after = recycle_after
        self._command = list(command)
        self._count = max(1, count or cores())
        self._queues: dict[Lane, FairQueue] = {lane: FairQueue(most_waiting) for lane in ("short", "long")}
        self._all: dict[_Process, Lane] = {}
        self._long_started = False
        self._tending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.identity: dict[str, Any] = {}
        """What the processes say of their models: ``bundle``, ``precision``, ``classes``, ``name``, ``version`` ..."""

    @classmethod
    def of_bundle(
        cls, folder: Path, count: int | None = None, *, device: str = "cpu", most_waiting: int = 64
    ) -> Workers:
        """Processes that design with a bundle's models."""
        command = [sys.executable, "-m", "serving.worker", "--bundle", str(folder), "--device", device]
        return cls(command, count, most_waiting=most_waiting)

    @property
    def count(self) -> int:
        """Processes for short searches."""
        return self._count

    @property
    def alive(self) -> int:
        """Processes for short searches that are ready or work."""
        return list(self._all.values()).count("short")

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Identifiers of the processes."""
        return tuple(process.process_id for process in self._all if process.process_id is not None)

    async def start(self) -> None:
        """Start the processes for short searches.

        Raises:
            GenRFError: if one is not ready: the bundle is unusable, the simulator is missing, or nothing simulates.
        """
        started = [self._process("short", number) for number in range(self._count)]
        try:
            said = await asyncio.gather(*(process.start() for process in started))
        except BaseException:
            await asyncio.gather(*(process.end() for process in started), return_exceptions=True)
            raise
        self.identity = said[0]
        for process in started:
            self._add("short", process)

    async def drain(self, within_s: float) -> None:
        """End the processes once they have nothing left to do, or after a time, in s."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not all(queue.idle for queue in self._queues.values()):
            await asyncio.sleep(0.05)
        await self.stop()

    async def stop(self) -> None:
        """End the processes; searches under way are given up."""
        self._closed = True
        for queue in self._queues.values():
            queue.close()
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, *(process.end() for process in self._all), return_exceptions=True)
        self._all.clear()

    async def do(
        self,
        job: Mapping[str, Any],
        *,
        lane: Lane = "short",
        caller: str = "",
        within_s: float | None = None,
        told: Told | None = None,
        begun: Callable[[], None] | None = None,
    ) -> Any:
        """Do a job as soon as it is its turn; a job that nobody waits for any more, as its task was cancelled, is ended.

        Args:
            caller: who asks; callers take turns.
            within_s: how long it may wait and be worked on, in s.
            told: called with progress.
            begun: called when it is its turn.

        Raises:
            RefusedError: if it is refused, late, or failed.
        """
        deadline = None if within_s is None else time.monotonic() + within_s
        again = True
        while True:
            try:
                async with self._turn(lane, caller, deadline) as process:
                    if begun is not None:
                        begun()
                    said = await self._done(process, job, deadline, told)
            except _Died as error:
                if again and not self._closed:
                    # Not the search's own fault, perhaps: a process was killed, or had used up its memory.
                    again = False
                    continue
                if self._closed:
                    raise UnreadyError("the models are unloaded; try again", retry_after_s=1.0) from error
                raise BrokenError(f"the designing process {error}, twice") from error
            if "done" in said:
                return said["done"]
            if "refused" in said:
                raise InvalidError(str(said["refused"]))
            raise BrokenError(str(said.get("failed", "cancelled")))

    async def _done(
        self, process: _Process, job: Mapping[str, Any], deadline: float | None, told: Told | None
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                return await process.do(job, told)
        except TimeoutError as error:
            raise LateError("no answer in time; ask for fewer calls, or as a job at /v1/jobs") from error
        except asyncio.CancelledError:
            telemetry.ABANDONED.inc()
            raise

    @asynccontextmanager
    async def _turn(self, lane: Lane, caller: str, deadline: float | None) -> AsyncIterator[_Process]:
        if lane == "long" and not self._long_started:
            self._long_started = True
            self._tend(self._replace("long", 0, at_once=True))
        process = await self._queues[lane].turn(caller, deadline)
        try:
            yield process
        except _Died:
            self._lose(lane, process)
            raise
        finally:
            if process.idle and process.jobs >= self._recycle_after and not self._closed:
                self._tend(self._recycle(lane, process))
            elif process.idle:
                self._queues[lane].give(process)
            elif process in self._all and not self._closed:
                # Whoever had it may be gone, or be cancelled at any moment: a task of its own sees to the process.
                self._tend(self._end(lane, process))

    async def _recycle(self, lane: Lane, process: _Process) -> None:
        """Put a fresh process in the place of one that has done much, whose memory has grown."""
        fresh = self._process(lane, 0)
        try:
            await fresh.start()
        except (GenRFError, OSError) as error:
            log.warning("serving: %s; the process before goes on", error)
            process.jobs = 0
            self._queues[lane].give(process)
            return
        except asyncio.CancelledError:
            await fresh.end()
            raise
        self._add(lane, fresh)
        self._all.pop(process, None)
        self._queues[lane].lose()
        await process.end()

    async def _end(self, lane: Lane, process: _Process) -> None:
        """End what a process does for nobody any more; only then is it the next one's."""
        if await process.cancel():
            self._queues[lane].give(process)
        else:
            self._lose(lane, process)

    def _lose(self, lane: Lane, process: _Process) -> None:
        self._all.pop(process, None)
        self._queues[lane].lose()
        if not self._closed:
            self._tend(self._replace(lane, 0))

    async def _replace(self, lane: Lane, attempt: int, *, at_once: bool = False) -> None:
        """Start a process in place of one that is gone, again and again until one lives."""
        if not at_once:
            telemetry.RESTARTS.inc()
            log.warning("serving: a designing process is gone; another is started")
        while not self._closed:
            await asyncio.sleep(_RESTART_S[min(attempt, len(_RESTART_S) - 1)])
            process = self._process(lane, 0)
            try:
                await process.start()
            except (GenRFError, OSError) as error:
                log.warning("serving: %s; it is started again", error)
                attempt += 1
                continue
            except asyncio.CancelledError:
                await process.end()
                raise
            self._add(lane, process)
            return

    def _process(self, lane: Lane, number: int) -> _Process:
        extra = ["--long"] if lane == "long" else ["--number", str(number)]
        return _Process([*self._command, *extra])

    def _add(self, lane: Lane, process: _Process) -> None:
        self._all[process] = lane
        self._queues[lane].add(process)
        self._tend(self._watch(lane, process))

    async def _watch(self, lane: Lane, process: _Process) -> None:
        """Replace a process that ends while it has nothing to do; of one that works, its search hears."""
        await process.ended()
        if self._queues[lane].discard(process):
            self._all.pop(process, None)
            self._tend(self._replace(lane, 0))

    def _tend(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tending.add(task)
        task.add_done_callback(self._tending.discard)

    def waiting(self, lane: Lane = "short") -> int:
        """Searches that wait for their turn."""
        return len(self._queues[lane])

    def ahead(self, caller: str, lane: Lane = "short") -> int:
        """Searches that come before what a caller asks for next."""
        return self._queues[lane].ahead(caller)

    def idle(self, lane: Lane) -> bool:
        """Whether nobody waits for its processes and none works."""
        return self._queues[lane].idle

    def oldest_s(self, lane: Lane = "short") -> float:
        """How long the oldest of them has waited, in s."""
        return self._queues[lane].oldest_s

    def require(self) -> None:
        """Refuse if nothing can be designed.

        Raises:
            UnreadyError: if no process lives.
        """
        if self._closed or not self.alive:
            raise UnreadyError("no designing process is ready; try again later", retry_after_s=5.0)
