"""Answers requests: from what was answered before, or by a search of a variant's processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from genrf.errors import InvalidInputError
from genrf.feedback.record import SearchRecord
from genrf.spec import DesignSpec
from serving import telemetry
from serving.failures import BrokenError, BusyError, InvalidError, LateError, RefusedError, UnknownError, UnreadyError
from serving.feedback import Recorder
from serving.request import DesignRequest
from serving.store import Store
from serving.variants import CHALLENGER, CHAMPION, Variants
from serving.workers import Lane, Told, Workers

log = logging.getLogger(__name__)

LONG_CALLS = 256
"""A search of more calls is a long one, as is one that refines."""
LONG_S = 5.0
"""A search that is expected to take longer, in s, by what those like it took, is a long one."""
_MEMORY = 0.2
"""Weight of the newest search in what those like it take."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer, and where it came from."""

    key: str
    variant: str
    content: dict[str, Any]
    cached: bool


@dataclass
class _Shared:
    """A search that several callers may wait for."""

    task: asyncio.Task[dict[str, Any]]
    waiting: int = 0
    told: list[Told] = field(default_factory=list)
    last: dict[str, Any] | None = None


class DesignService:
    """Answers requests of many callers at once.

    Args:
        variants: the models that serve.
        store: answers and jobs.
        recorder: is told of every search.
        patience_s: how long a request may wait and be worked on, in s.
        pair: whether the variant that does not answer searches as well, to compare both.
    """

    def __init__(
        self,
        variants: Variants,
        store: Store,
        *,
        recorder: Recorder | None = None,
        patience_s: float = 60.0,
        pair: bool = True,
    ) -> None:
        self.variants = variants
        self.store = store
        self._recorder = recorder
        self._patience_s = patience_s
        self._pair = pair
        self._shared: dict[str, _Shared] = {}
        self._typical_s: dict[tuple[str, bool, bool], float] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._closing = False

    async def design(
        self,
        request: DesignRequest,
        caller: str,
        *,
        told: Told | None = None,
        within_s: float | None = None,
        count_busy: bool = True,
    ) -> Answered:
        """Answer a request; a search that nobody waits for any more, as all tasks that did were cancelled, is ended.

        Args:
            caller: who asks, for turns and variants.
            told: called with progress.
            within_s: how long it may take, in s; by default the service's patience.
            count_busy: whether a refusal for too many requests is counted; not if it is asked again.

        Raises:
            RefusedError: if it cannot be answered.
        """
        circuit_class = request.spec.circuit_class
        variant = self.variants.of(caller)
        try:
            answered = await self._answered(request, caller, variant, told, within_s or self._patience_s)
        except RefusedError as error:
            if isinstance(error, BusyError) and not count_busy:
                raise
            telemetry.REQUESTS.labels(circuit_class, variant, _outcome(error)).inc()
            raise
        except asyncio.CancelledError:
            telemetry.REQUESTS.labels(circuit_class, variant, "abandoned").inc()
            raise
        except Exception as error:  # of our own making: the client is told no more than that
            log.exception("serving: a request failed")
            telemetry.REQUESTS.labels(circuit_class, variant, "error").inc()
            raise BrokenError("the server failed; its log says how") from error
        found = "missed" if answered.content["first_met"] is None else "met"
        telemetry.REQUESTS.labels(circuit_class, variant, "cached" if answered.cached else found).inc()
        return answered

    async def _answered(
        self, request: DesignRequest, caller: str, variant: str, told: Told | None, within_s: float
    ) -> Answered:
        self.require()
        workers = self.variants[variant]
        if request.spec.circuit_class not in workers.identity["classes"]:
            known = ", ".join(workers.identity["classes"])
            raise InvalidError(f"class: the models design {known}, not {request.spec.circuit_class}")
        key = request.key(workers.identity)
        kept = self.store.answer(key)
        if kept is not None:
            return Answered(key=key, variant=variant, content=kept, cached=True)
        shared = self._shared.get(key)
        if shared is None:
            lane = self._lane(request)
            self._admit(workers, lane, caller, within_s)
            shared = self._begin(key, request, caller, variant, workers, lane)
        if told is not None:
            shared.told.append(told)
            if shared.last is not None:
                told(shared.last)
        shared.waiting += 1
        try:
            content = await asyncio.wait_for(asyncio.shield(shared.task), within_s)
        except TimeoutError as error:
            raise LateError(f"no answer within {within_s:g} s; try again, or ask for a job at /v1/jobs") from error
        except asyncio.CancelledError as error:
            if self._closing and shared.task.cancelled():
                raise UnreadyError("the server ends; try again", retry_after_s=5.0) from error
            raise
        finally:
            shared.waiting -= 1
            if told is not None:
                shared.told.remove(told)
            if not shared.waiting and not shared.task.done():
                # Who asks for the same from now on begins it anew: what ends is nobody's to join.
                self._forget(key, shared)
                shared.task.cancel()
        return Answered(key=key, variant=variant, content=content, cached=False)

    def _begin(
        self,
        key: str,
        request: DesignRequest,
        caller: str,
        variant: str,
        workers: Workers,
        lane: Lane,
    ) -> _Shared:
        def tell(said: dict[str, Any]) -> None:
            shared.last = said
            for told in list(shared.told):
                told(said)

        began: float | None = None

        def begun() -> None:
            nonlocal began
            began = time.monotonic()

        async def search() -> dict[str, Any]:
            asked = time.monotonic()
            job = {"do": "search", "request": request.content()}
            try:
                # Without a deadline of its own: it ends once the last who waits has gone.
                said = await workers.do(job, lane=lane, caller=caller, told=tell, begun=begun)
            except asyncio.CancelledError:
                if began is not None:
                    # It would have taken longer than this.
                    self._learn(request, time.monotonic() - began, at_least=True)
                raise
            if lane == "short":
                self._learn(request, said["answer"]["seconds"])
            return self._finish(key, request, variant, said, time.monotonic() - asked)

        task = asyncio.create_task(search())
        shared = self._shared[key] = _Shared(task)

        def ended(done: asyncio.Task[dict[str, Any]]) -> None:
            self._forget(key, shared)
            # Looked at, so that asyncio does not complain of what nobody waits for.
            if not done.cancelled() and done.exception() is None:
                self._compare(request, variant, done.result())

        task.add_done_callback(ended)
        return shared

    def _forget(self, key: str, shared: _Shared) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]

    def _finish(
        self, key: str, request: DesignRequest, variant: str, said: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        answer: dict[str, Any] = said["answer"]
        telemetry.count(answer, variant)
        telemetry.PHASES.labels("queue").observe(max(0.0, seconds - answer["seconds"]))
        start = time.perf_counter()
        try:
            self.store.keep(key, answer)
        except Exception as error:  # of SQLite: the answer is given all the same
            log.warning("serving: an answer is not kept: %s", error)
        if self._recorder is not None:
            self._recorder.record(SearchRecord.parse(said["record"]))
        telemetry.PHASES.labels("write").observe(time.perf_counter() - start)
        return answer

    def _learn(self, request: DesignRequest, seconds: float, *, at_least: bool = False) -> None:
        """Remember how long a search took, or has taken at least."""
        before = self._typical_s.get(_kind(request), seconds)
        if not at_least or seconds > before:
            self._typical_s[_kind(request)] = before + (1.0 if at_least else _MEMORY) * (seconds - before)

    def _lane(self, request: DesignRequest) -> Lane:
        # What is measured for sign-off takes long, until it is known not to.
        unknown_s = 2.0 * LONG_S if _signs_off(request.spec) else 0.0
        long = request.refine or request.calls > LONG_CALLS or self._typical_s.get(_kind(request), unknown_s) > LONG_S
        return "long" if long else "short"

    def _admit(self, workers: Workers, lane: Lane, caller: str, within_s: float) -> None:
        """Refuse what could not be answered in time anyway: to begin it would cost those who can be."""
        workers.require()
        mean_s = sum(self._typical_s.values()) / len(self._typical_s) if self._typical_s else 0.0
        ahead = workers.ahead(caller, lane)
        ahead_s = mean_s * ahead / (workers.count if lane == "short" else 1)
        if ahead_s > 0.5 * within_s:
            raise BusyError(
                f"{ahead} requests are waiting, some {ahead_s:.0f} s of work; try again later",
                retry_after_s=ahead_s - 0.25 * within_s,
            )

    def _compare(self, request: DesignRequest, variant: str, answer: dict[str, Any]) -> None:
        """Have the other variant search for the same, unseen, if it has nothing else to do."""
        comparison = self.variants.comparison
        if comparison is None or not self._pair or self._closing:
            return
        other = CHAMPION if variant == CHALLENGER else CHALLENGER
        workers = self.variants[other]
        # One request at a time, and none of what is searched for long: pairs must not slow answers down.
        if self._beside or not workers.idle("long") or request.refine or request.calls > LONG_CALLS:
            return

        async def beside() -> None:
            key = request.key(workers.identity)
            theirs = self.store.answer(key)
            if theirs is None:
                with contextlib.suppress(RefusedError):
                    said = await workers.do({"do": "search", "request": request.content()}, lane="long")
                    theirs = said["answer"]
                    self.store.keep(key, theirs)
            if theirs is not None and self.variants.comparison is comparison:
                met = {variant: answer["first_met"] is not None, other: theirs["first_met"] is not None}
                # By the specification alone: the same with another seed, name or number of calls is no new evidence.
                what = DesignRequest(spec=replace(request.spec, name="")).key({})
                comparison.add(what, request.spec.circuit_class, met[CHAMPION], met[CHALLENGER])

        task = asyncio.create_task(beside())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def require(self) -> None:
        """Refuse if no models are loaded.

        Raises:
            UnreadyError: then.
        """
        if self._closing or CHAMPION not in self.variants:
            raise UnreadyError("the models are not loaded; try again", retry_after_s=5.0)

    def ready(self) -> None:
        """Refuse if nothing can be designed.

        Raises:
            UnreadyError: then.
        """
        self.require()
        self.variants[CHAMPION].require()

    async def made(self, job: dict[str, Any], caller: str) -> Any:
        """Have a process measure or draw a design, see `serving.worker`.

        Raises:
            RefusedError: if it cannot be.
        """
        self.require()
        workers = self.variants[CHAMPION]
        workers.require()
        try:
            long = _signs_off(DesignSpec.from_dict(job["design"].get("specification")))
        except InvalidInputError as error:
            raise InvalidError(f"design: specification: {error}") from error
        return await workers.do(job, lane="long" if long else "short", caller=caller, within_s=self._patience_s)

    def answer(self, key: str) -> dict[str, Any]:
        """An answer that was given.

        Raises:
            UnknownError: if there is none such, or none any more.
        """
        kept = self.store.answer(key)
        if kept is None:
            raise UnknownError("designs: no such answer is kept; ask for it again")
        return kept

    def design_of(self, key: str, number: int) -> dict[str, Any]:
        """A design that was answered, by the answer's key and its place, from 1.

        Raises:
            UnknownError: if there is none such, or none any more.
        """
        answer = self.answer(key)
        if not 1 <= number <= len(answer["designs"]):
            raise UnknownError(f"designs: the answer has {len(answer['designs'])}, there is no number {number}")
        design: dict[str, Any] = answer["designs"][number - 1]
        return design

    async def close(self, within_s: float = 0.0) -> None:
        """End: nothing new is begun, and what is being searched for is given up after a time, in s."""
        self._closing = True
        working = [shared.task for shared in self._shared.values()]
        if working and within_s > 0.0:
            await asyncio.wait(working, timeout=within_s)
        for task in [*self._beside, *(shared.task for shared in self._shared.values())]:
            task.cancel()
        for workers in self.variants.items().values():
            await workers.stop()
        await asyncio.sleep(0)

    def measure(self) -> None:
        """Set what Prometheus reads off the queues."""
        for lane in ("short", "long"):
            every = self.variants.items().values()
            telemetry.WAITING.labels(lane).set(sum(workers.waiting(lane) for workers in every))
            telemetry.OLDEST.labels(lane).set(max((w.oldest_s(lane) for w in every), default=0.0))
        for name in (CHAMPION, CHALLENGER):
            telemetry.WORKING.labels(name).set(self.variants[name].alive if name in self.variants else 0)


def _kind(request: DesignRequest) -> tuple[str, bool, bool]:
    """What searches that take about as long have in common."""
    return request.spec.circuit_class, request.all_calls, _signs_off(request.spec)


def _signs_off(spec: DesignSpec) -> bool:
    return spec.needs_signoff or bool(spec.second_metrics)


def _outcome(error: RefusedError) -> str:
    for kind, name in ((InvalidError, "invalid"), (BusyError, "busy"), (LateError, "late"), (UnreadyError, "busy")):
        if isinstance(error, kind):
            return name
    return "error"
