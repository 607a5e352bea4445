"""Many callers at once: what is shared, what is refused, what is compared, and what outlives the server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("kserve")

from prometheus_client import REGISTRY

from serving.failures import BusyError, InvalidError, LateError, UnknownError, UnreadyError
from serving.jobs import Jobs
from serving.request import DesignRequest
from serving.server import opened
from serving.service import DesignService
from serving.store import Store
from serving.variants import CHALLENGER, CHAMPION, Variants
from tests.amplifiers import SPECIFICATION_28GHZ
from tests.serving.scripted_server import workers


def request(name: str = "design", **options: Any) -> DesignRequest:
    return DesignRequest.parse({"specification": SPECIFICATION_28GHZ | {"name": name}, **options})


@asynccontextmanager
async def serving(
    behaviour: str = "slow", challenger: str | None = None, count: int = 1, **options: Any
) -> AsyncIterator[DesignService]:
    service = DesignService(Variants(), options.pop("store", None) or Store(None), **options)
    await opened(service.variants, CHAMPION, workers(behaviour, count))
    if challenger:
        await opened(service.variants, CHALLENGER, workers(challenger, count))
    try:
        yield service
    finally:
        await service.close()


def abandoned() -> float:
    return REGISTRY.get_sample_value("genrf_abandoned_searches_total") or 0.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def test_equal_requests_at_once_are_one_search_which_ends_with_the_last_who_waits(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            before = abandoned()
            both = [asyncio.create_task(service.design(request("wait"), caller)) for caller in "ab"]
            await asyncio.sleep(0.2)
            both[0].cancel()
            await asyncio.sleep(0.1)
            assert abandoned() == before
            both[1].cancel()
            await asyncio.gather(*both, return_exceptions=True)
            await until(lambda: abandoned() == before + 1)
            assert (await service.design(request(), "a")).content["first_met"] == 2

    run(scene())


def test_who_asks_while_the_same_search_is_ended_gets_one_of_its_own(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving("deaf") as service:
            first = asyncio.create_task(service.design(request("wait"), "a"))
            await asyncio.sleep(0.2)
            first.cancel()
            await asyncio.sleep(0.05)
            second = asyncio.create_task(service.design(request("wait"), "a"))
            await asyncio.sleep(0.2)
            assert not second.done()
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)
            answered = await service.design(request("other"), "b")
            assert answered.content["request"]["specification"]["name"] == "other"

    run(scene())


def test_who_is_impatient_leaves_the_search_to_who_is_not(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            patient = asyncio.create_task(service.design(request("wait"), "a", within_s=50))
            await asyncio.sleep(0.1)
            with pytest.raises(LateError, match=r"no answer within 0\.1 s; try again, or ask for a job"):
                await service.design(request("wait"), "b", within_s=0.1)
            assert not patient.done()
            patient.cancel()
            await asyncio.gather(patient, return_exceptions=True)

    run(scene())


def test_what_could_not_be_answered_in_time_is_refused_at_once(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            service._typical_s["lna", False, False] = 4.0
            waiting = [
                asyncio.create_task(service.design(request(f"wait {number}"), "a", within_s=10)) for number in range(3)
            ]
            await asyncio.sleep(0.2)
            with pytest.raises(BusyError, match="2 requests are waiting, some 8 s of work") as caught:
                await service.design(request(), "a", within_s=10)
            assert int(caught.value.headers["Retry-After"]) >= 5
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    run(scene())


def test_a_long_search_holds_up_nobody(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            long = asyncio.create_task(service.design(request("wait", calls=1024), "a"))
            await asyncio.sleep(0.1)
            assert (await service.design(request(), "a")).content["simulated"] == 2
            assert not long.done()
            long.cancel()
            await asyncio.gather(long, return_exceptions=True)

    run(scene())


def test_a_class_that_the_models_do_not_know_is_the_clients_mistake(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving("plain") as service:
            asked = DesignRequest.parse({"specification": {"class": "vco", "frequency": 1e10, "supply": 2}})
            with pytest.raises(InvalidError, match="class: the models design lna, not vco"):
                await service.design(asked, "a")

    run(scene())


def test_both_variants_search_and_the_pair_counts_once(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving("plain", "other") as service:
            comparison = service.variants.comparison
            assert comparison is not None
            for asked in (
                request(),
                request(seed=1),
                request(calls=63),
                request(all_calls=True),
                request("another name"),
            ):
                answered = await service.design(asked, "a")
                assert answered.variant == CHAMPION
                await until(lambda: not service._beside)
            assert comparison.total.content() == {"both": 0, "wins": 0, "losses": 1, "neither": 0}
            assert comparison.verdict().action == "hold"

    run(scene())


def test_a_share_of_the_callers_get_the_challenger(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving("plain", "other", pair=False) as service:
            service.variants.set_share(1.0)
            answered = await service.design(request(), "a")
            assert (answered.variant, answered.content["first_met"]) == (CHALLENGER, None)
            service.variants.put(CHALLENGER, None)
            assert (await service.design(request(), "a")).variant == CHAMPION

    run(scene())


def test_a_job_tells_of_its_progress_and_can_be_ended(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            jobs = Jobs(service, service.store)
            done = jobs.submit(request(all_calls=True), "a")
            said = [event async for event in jobs.events(done.id) if event is not None]
            assert said[-1] == {"event": "done", "answer": jobs.job(done.id).answer}
            assert any(event["event"] == "progress" and event["design"]["met"] for event in said if event.get("design"))
            assert service.design_of(str(jobs.job(done.id).answer), 1)["met"]
            endless = jobs.submit(request("wait"), "a")
            await asyncio.sleep(0.2)
            assert jobs.cancel(endless.id).state == "cancelled"
            assert jobs.cancel(done.id).state == "done"
            for unknown in (lambda: jobs.job("nothing"), lambda: jobs.cancel("nothing")):
                with pytest.raises(UnknownError):
                    unknown()

    run(scene())


def test_who_watches_a_job_without_reading_costs_no_memory_and_still_hears_its_end(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.jobs.MOST_UNREAD", 3)

    async def scene() -> None:
        async with serving() as service:
            jobs = Jobs(service, service.store)
            told = []
            job = jobs.submit(request("wait"), "b")
            watching = jobs.events(job.id)
            assert await anext(watching) == {"event": "waiting"}
            service_hears = jobs._tell
            monkeypatch.setattr(jobs, "_tell", lambda own, said: (told.append(said), service_hears(own, said)))
            await until(lambda: len(told) > 5)
            jobs.cancel(job.id)
            await until(lambda: told[-1] is None)
            unread = [event async for event in watching]
            assert [event["event"] for event in unread if event] == ["progress", "cancelled"]

    run(scene())


def test_a_job_that_is_open_when_the_server_ends_is_done_by_the_next(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        store = Store(None)
        async with serving(store=store) as service:
            jobs = Jobs(service, store)
            job = jobs.submit(request("wait"), "a")
            await asyncio.sleep(0.2)
            jobs.close()
        assert [open_job.id for open_job in store.open_jobs()] == [job.id]
        async with serving("plain", store=store) as service:
            jobs = Jobs(service, store)
            assert jobs.resume() == 1
            await until(lambda: jobs.job(job.id).state == "done")

    run(scene())


def test_a_job_waits_for_a_process(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            jobs = Jobs(service, service.store)
            for process in service.variants[CHAMPION].process_ids:
                os.kill(process, signal.SIGKILL)
            await until(lambda: not service.variants[CHAMPION].alive)
            job = jobs.submit(request(), "a")
            await until(lambda: jobs.job(job.id).state == "done")

    run(scene())


def test_who_waits_when_the_server_ends_is_told_to_try_again(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving() as service:
            waiting = asyncio.create_task(service.design(request("wait"), "a"))
            await asyncio.sleep(0.2)
            await service.close(within_s=0.1)
            with pytest.raises(UnreadyError, match="the server ends; try again"):
                await waiting

    run(scene())


def test_a_server_that_ends_begins_nothing_new(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving("plain") as service:
            await service.close()
            with pytest.raises(UnreadyError):
                await service.design(request(), "a")

    run(scene())
