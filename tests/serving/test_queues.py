"""Who waits for a process, and whose turn it is."""

from __future__ import annotations

import asyncio
import time

import pytest

pytest.importorskip("grpc_interceptor")

from serving.failures import BusyError, LateError, UnreadyError
from serving.queues import FairQueue


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_callers_take_turns_whatever_each_has_asked_for() -> None:
    async def scene() -> list[str]:
        queue, served = FairQueue(20), []

        async def ask(caller: str) -> None:
            thing = await queue.turn(caller, None)
            served.append(caller)
            await asyncio.sleep(0)
            queue.give(thing)

        waiting = [asyncio.create_task(ask(caller)) for caller in ["a"] * 5 + ["b", "c"]]
        await settle()
        queue.add("process")
        await asyncio.gather(*waiting)
        assert queue.idle
        return served

    assert asyncio.run(scene()) == ["a", "b", "c", "a", "a", "a", "a"]


def test_what_was_used_last_is_handed_out_first() -> None:
    async def scene() -> list[str]:
        queue = FairQueue(20)
        for thing in ("cold", "warm"):
            queue.add(thing)
        served = []
        for _ in range(3):
            served.append(await queue.turn("a", None))
            queue.give(served[-1])
        return served

    assert asyncio.run(scene()) == ["warm"] * 3


def test_more_than_may_wait_are_refused_with_when_to_try_again() -> None:
    async def scene() -> None:
        queue = FairQueue(2)
        waiting = [asyncio.create_task(queue.turn("a", None)) for _ in range(2)]
        await settle()
        with pytest.raises(BusyError, match="2 requests are waiting already") as caught:
            await queue.turn("a", None)
        assert caught.value.headers == {"Retry-After": "5"}
        for task in waiting:
            task.cancel()
        await settle()
        assert len(queue) == 0

    asyncio.run(scene())


def test_who_waits_for_most_makes_room_for_others() -> None:
    async def scene() -> None:
        queue = FairQueue(4)
        greedy = [asyncio.create_task(queue.turn("greedy", None)) for _ in range(4)]
        await settle()
        assert (queue.ahead("greedy"), queue.ahead("poor")) == (4, 1)
        others = [asyncio.create_task(queue.turn(caller, None)) for caller in ("poor", "poor")]
        await settle()
        for refused in greedy[2:]:
            with pytest.raises(BusyError):
                await refused
        # Two each: nobody has more than the next.
        with pytest.raises(BusyError):
            await queue.turn("poor", None)
        queue.close()
        await asyncio.gather(*greedy, *others, return_exceptions=True)

    asyncio.run(scene())


def test_who_is_too_late_gets_nothing_and_takes_nothing() -> None:
    async def scene() -> None:
        queue = FairQueue(2)
        with pytest.raises(LateError, match="no process was free in time"):
            await queue.turn("a", time.monotonic() + 0.02)
        queue.add("process")
        assert await queue.turn("b", None) == "process"

    asyncio.run(scene())


def test_what_is_handed_to_who_leaves_at_that_moment_goes_to_the_next() -> None:
    async def scene() -> None:
        queue = FairQueue(5)
        first, second = (asyncio.create_task(queue.turn(caller, None)) for caller in "ab")
        await settle()
        queue.add("process")
        first.cancel()
        assert await asyncio.wait_for(second, 1.0) == "process"
        queue.give("process")
        assert queue.idle

    asyncio.run(scene())


def test_a_closed_queue_refuses_who_waits_and_who_comes() -> None:
    async def scene() -> None:
        queue = FairQueue(5)
        waiting = asyncio.create_task(queue.turn("a", None))
        await settle()
        queue.close()
        for late in (waiting, queue.turn("b", None)):
            with pytest.raises(UnreadyError):
                await late

    asyncio.run(scene())
