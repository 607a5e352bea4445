"""Searches that their callers come back for: they are remembered on disk, tell of their progress, and outlive the server."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

from genrf.errors import InvalidInputError
from serving import telemetry
from serving.failures import BusyError, RefusedError, UnknownError, UnreadyError
from serving.request import DesignRequest
from serving.service import Answered, DesignService
from serving.store import Job, State, Store
from serving.workers import Told

log = logging.getLogger(__name__)

MOST_AT_ONCE = 4
"""Jobs that are searched for, or wait for a process, at once."""
MOST_UNREAD = 100
"""Events that are kept for who watches a job and does not read them."""
HEARTBEAT_S = 10.0
"""Pause after which who watches a job hears that the line is not dead."""


class Jobs:
    """Jobs of one server.

    Args:
        service: does them.
        store: remembers them.
        within_s: how long one may take, in s.
    """

    def __init__(self, service: DesignService, store: Store, *, within_s: float = 3600.0) -> None:
        self._service = service
        self._store = store
        self._within_s = within_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watched: dict[str, list[asyncio.Queue[dict[str, Any] | None]]] = {}
        self._working: set[str] = set()
        # Those that wait for a job's turn hold no place among requests that somebody waits for.
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._closing = False

    def submit(self, request: DesignRequest, caller: str) -> Job:
        """Begin a job.

        Raises:
            RefusedError: if too many are waiting, or the server ends.
        """
        self._service.require()
        try:
            job = self._store.new_job(request.content(), caller)
        except sqlite3.Error as error:
            log.warning("serving: a job is not taken: %s", error)
            raise UnreadyError("jobs: the store takes none now; try again", retry_after_s=5.0) from error
        self._run(job)
        return job

    def resume(self) -> int:
        """Begin again with the jobs that a server before this one did not end; how many those are."""
        jobs = self._store.open_jobs()
        for job in jobs:
            self._run(job)
        return len(jobs)

    def _run(self, job: Job) -> None:
        def tell(said: dict[str, Any]) -> None:
            if job.id not in self._working:
                self._working.add(job.id)
                self._store.change(job.id, "working")
            self._tell(job.id, {"event": "progress", **said})

        async def run() -> None:
            try:
                request = DesignRequest.parse(job.request)
                async with self._turns:
                    found = await self._found(request, job, tell)
                self._end(job.id, "done", answer=found.key)
            except asyncio.CancelledError:
                if not self._closing:
                    self._end(job.id, "cancelled")
                raise
            except (RefusedError, InvalidInputError) as error:
                self._end(job.id, "failed", error=str(error))
            except sqlite3.Error as error:
                # It is open in the store, and begun again by the next server.
                log.warning("serving: how job %s ended cannot be kept: %s", job.id, error)
            finally:
                self._tell(job.id, None)

        task = asyncio.create_task(run())
        self._tasks[job.id] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.pop(job.id, None)
            self._working.discard(job.id)

        task.add_done_callback(ended)

    async def _found(self, request: DesignRequest, job: Job, tell: Told) -> Answered:
        """Search, again and again while others keep it from beginning."""
        while True:
            try:
                return await self._service.design(
                    request, f"{job.caller}, a job", told=tell, within_s=self._within_s, count_busy=False
                )
            except (BusyError, UnreadyError) as error:
                # Of a server that ends this task is cancelled, and the job left to the next one.
                await asyncio.sleep(min(10.0, error.retry_after_s or 1.0))

    def cancel(self, identifier: str) -> Job:
        """End a job; one that has ended stays as it is.

        Raises:
            UnknownError: if there is none such.
        """
        job = self.job(identifier)
        task = self._tasks.get(identifier)
        if task is not None:
            task.cancel()
            self._store.change(identifier, "cancelled")
        return self.job(job.id)

    def job(self, identifier: str) -> Job:
        """A job.

        Raises:
            UnknownError: if there is none such.
        """
        job = self._store.job(identifier)
        if job is None:
            raise UnknownError("jobs: no such job; it may be long ago")
        return job

    async def events(self, identifier: str) -> AsyncIterator[dict[str, Any] | None]:
        """What happens to a job, from now to its end; None now and then, so that the line is not taken for dead.

        Raises:
            UnknownError: if there is none such.
        """
        job = self.job(identifier)
        if identifier not in self._tasks:
            yield {"event": job.state, "answer": job.answer, "error": job.error}
            return
        told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(MOST_UNREAD)
        self._watched.setdefault(identifier, []).append(told)
        try:
            yield {"event": job.state}
            while True:
                try:
                    said = await asyncio.wait_for(told.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield None
                    continue
                if said is None:
                    return
                yield said
        finally:
            watchers = self._watched[identifier]
            watchers.remove(told)
            if not watchers:
                del self._watched[identifier]

    def _end(self, identifier: str, state: State, **how: str) -> None:
        """Remember how a job ended, and tell who watches it."""
        self._store.change(identifier, state, **how)
        self._tell(identifier, {"event": state, **how})

    def _tell(self, identifier: str, said: dict[str, Any] | None) -> None:
        for queue in self._watched.get(identifier, []):
            if queue.full():
                # Who does not read misses progress, never the end, which comes last.
                queue.get_nowait()
            queue.put_nowait(said)

    def close(self) -> None:
        """End; jobs that are open are begun again by the next server."""
        self._closing = True
        for task in self._tasks.values():
            task.cancel()

    def measure(self) -> None:
        """Set what Prometheus reads."""
        for state, number in self._store.count().items():
            telemetry.JOBS.labels(state).set(number)
