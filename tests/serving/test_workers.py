"""Designing processes: what crashes or hangs costs one search, and what nobody waits for is ended."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kserve")

from genrf.errors import GenRFError, InvalidInputError
from genrf.export.design_file import design_content
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.generation.design import Design
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.spec import DesignSpec
from serving.failures import BrokenError, InvalidError, LateError
from serving.request import DesignRequest
from serving.worker import Worker
from serving.workers import Workers
from tests.amplifiers import SPECIFICATION_28GHZ
from tests.serving.scripted_server import workers
from tests.simulation.test_mixer import gilbert

ROOT = Path(__file__).resolve().parents[2]


def search(name: str = "design", **options: Any) -> dict[str, Any]:
    asked = DesignRequest.parse({"specification": SPECIFICATION_28GHZ | {"name": name}, **options})
    return {"do": "search", "request": asked.content()}


@pytest.fixture(scope="module")
def slow(run: Callable[..., Any]) -> Iterator[Workers]:
    """Two processes that wait in searches whose specification's name begins with wait."""
    started = workers("slow", 2)
    run(started.start())
    yield started
    run(started.stop())


def test_answers_as_the_search_does_and_tells_of_it(slow: Workers, run: Callable[..., Any]) -> None:
    told: list[dict[str, Any]] = []
    done = run(slow.do(search(designs=2, all_calls=True), told=told.append))
    assert [design["met"] for design in done["answer"]["designs"]] == [True, False]
    assert {name.split()[0] for name in done["answer"]["designs"][0]["margins"]} >= {"gain_db", "nf_db", "s11_db"}
    assert told[-1]["of"] == 64
    assert any(said["design"] and said["design"]["met"] for said in told)
    assert SearchRecord.parse(done["record"]).simulated == done["answer"]["simulated"] == 3


def test_two_searches_run_side_by_side(slow: Workers, run: Callable[..., Any]) -> None:
    async def scene() -> set[int]:
        waiting = [asyncio.create_task(slow.do(search(f"wait {number}"))) for number in range(3)]
        await asyncio.sleep(0.3)
        left = slow.waiting()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return {left}

    assert run(scene()) == {1}


def test_a_search_that_nobody_waits_for_is_ended_and_its_process_goes_on(
    slow: Workers, run: Callable[..., Any]
) -> None:
    async def scene() -> None:
        before = set(slow.process_ids)
        task = asyncio.create_task(slow.do(search("wait")))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(slow.process_ids) == before
        assert (await slow.do(search()))["answer"]["first_met"] == 2

    run(scene())


def test_what_is_cancelled_twice_leaves_nothing_behind_for_the_next(run: Callable[..., Any]) -> None:
    async def scene() -> list[str]:
        one = workers("deaf", 1)
        await one.start()
        try:
            task = asyncio.create_task(one.do(search("wait")))
            await asyncio.sleep(0.2)
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0.1)
            await asyncio.gather(task, return_exceptions=True)
            done = await asyncio.gather(*(one.do(search(name)) for name in "abc"))
            return [said["answer"]["request"]["specification"]["name"] for said in done]
        finally:
            await one.stop()

    assert run(scene()) == ["a", "b", "c"]


def test_an_error_of_who_is_told_costs_the_next_nothing(slow: Workers, run: Callable[..., Any]) -> None:
    def told(said: dict[str, Any]) -> None:
        raise OSError("the disk is full")

    async def scene() -> list[str]:
        for _ in range(2):
            with pytest.raises(OSError, match="the disk is full"):
                await slow.do(search("wait"), told=told)
        done = await asyncio.gather(*(slow.do(search(name)) for name in "ab"))
        return [said["answer"]["request"]["specification"]["name"] for said in done]

    assert run(scene()) == ["a", "b"]


def test_a_search_can_be_ended_before_it_begins(slow: Workers, run: Callable[..., Any]) -> None:
    async def scene() -> set[int]:
        before = set(slow.process_ids)
        for _ in range(20):
            task = asyncio.create_task(slow.do(search("wait")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await slow.do(search())
        return before ^ set(slow.process_ids)

    assert run(scene()) == set()


def test_a_search_that_is_late_is_ended(slow: Workers, run: Callable[..., Any]) -> None:
    with pytest.raises(LateError, match="ask for fewer calls, or as a job"):
        run(slow.do(search("wait"), within_s=0.2))
    assert run(slow.do(search()))["answer"]["simulated"] == 2


def test_a_process_that_is_killed_costs_no_answer(slow: Workers, run: Callable[..., Any]) -> None:
    async def scene() -> dict[str, Any]:
        # Both: whichever has the search.
        task = asyncio.create_task(slow.do(search("wait a little"), within_s=60.0))
        await asyncio.sleep(0.3)
        killed = slow.process_ids
        for process in killed:
            os.kill(process, signal.SIGKILL)
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answered = await slow.do(search(seed=5))
        assert not set(killed) & set(slow.process_ids)
        return answered

    assert run(scene())["answer"]["first_met"] == 2


def test_processes_that_are_killed_while_idle_are_replaced_before_anybody_asks(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        both = workers("plain", 2)
        await both.start()
        try:
            killed = both.process_ids
            for process in killed:
                os.kill(process, signal.SIGKILL)
            async with asyncio.timeout(60):
                while both.alive < 2 or set(killed) & set(both.process_ids):
                    await asyncio.sleep(0.02)
            assert (await both.do(search()))["answer"]["first_met"] == 2
        finally:
            await both.stop()

    run(scene())


def test_a_process_that_has_done_much_is_replaced_and_no_search_is_lost(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        command = [sys.executable, "-m", "tests.serving.scripted_worker", "plain"]
        recycled = Workers(command, 1, recycle_after=2)
        await recycled.start()
        try:
            first = recycled.process_ids
            for seed in range(5):
                assert (await recycled.do(search(seed=seed)))["answer"]["first_met"] == 2
            # The second ended the first process, the fourth that after it.
            assert not set(first) & set(recycled.process_ids)
            assert recycled.alive == 1
        finally:
            await recycled.stop()

    run(scene())


def test_a_design_is_measured_and_drawn(slow: Workers, run: Callable[..., Any]) -> None:
    design = run(slow.do(search()))["answer"]["designs"][0]
    measured = run(slow.do({"do": "measure", "design": design}))
    assert measured["metrics"] == pytest.approx(design["metrics"], rel=1e-9)
    assert measured["met"] is True
    assert len(measured["curves"]["s21"]["re"]) == len(measured["curves"]["s21"]["x"])
    asked = {**design["specification"], "constraints": {"mu_min": {"min": 1}}}
    unmeasured = run(slow.do({"do": "measure", "design": {**design, "specification": asked, "metrics": {}}}))
    assert unmeasured["metrics"] == measured["metrics"]
    drawn = run(slow.do({"do": "draw", "design": design, "what": "touchstone"}))
    assert (drawn["name"], drawn["media"]) == ("s_parameters.s2p", "text/plain")
    endless = {**design, "circuit": {**design["circuit"], "devices": design["circuit"]["devices"] * 20}}
    for broken, line in (
        ({}, "format: expected"),
        (endless, "circuit.devices: .* of them, at most 28 are simulated here"),
    ):
        with pytest.raises(InvalidError, match=line):
            run(slow.do({"do": "measure", "design": broken}))
    with pytest.raises(InvalidError, match=r"metrics.gain_db: missing"):
        run(slow.do({"do": "draw", "design": {**design, "metrics": {}}, "what": "schematic.svg"}))


def test_what_only_the_second_simulator_measures_is_asked_of_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Simulation] = []

    class Asked:
        def simulate(self, simulations: list[Simulation], *, curves: bool) -> list[Outcome]:
            asked.extend(simulations)
            return [Outcome(None, Failure("no_convergence", "as scripted"))]

    monkeypatch.setattr("genrf.signoff.installed", lambda: True)
    bounds = {"conversion_gain_db": {"min": 0}, "nf_ssb_db": {"max": 12}}
    spec = DesignSpec.from_dict({"class": "mixer", "frequency": "28 GHz", "supply": "1.8 V", "constraints": bounds})
    design = Design.judged(gilbert(), Metrics({"conversion_gain_db": 3.0}), spec, {})
    worker = Worker(Asked(), ModelVersion(bundle="0" * 64), io.StringIO(), io.StringIO())
    with pytest.raises(InvalidInputError, match="no_convergence: as scripted"):
        worker._do({"do": "measure", "design": design_content(design, spec)})
    assert [simulation.second for simulation in asked] == [True]


def test_a_process_that_does_not_hear_is_killed_and_replaced(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        deaf = workers("deaf", 1)
        await deaf.start()
        try:
            before = deaf.process_ids
            with pytest.raises(LateError):
                await deaf.do(search("wait"), within_s=0.1)
            assert (await deaf.do(search()))["answer"]["simulated"] == 2
            assert deaf.process_ids != before
        finally:
            await deaf.stop()

    run(scene())


def test_an_error_of_the_search_costs_that_search(run: Callable[..., Any]) -> None:
    async def scene() -> None:
        broken = workers("broken", 1)
        await broken.start()
        try:
            for _ in range(2):
                with pytest.raises(BrokenError, match="libngspice: gone"):
                    await broken.do(search())
        finally:
            await broken.stop()

    run(scene())


def test_is_never_ready_when_nothing_simulates(run: Callable[..., Any]) -> None:
    with pytest.raises(GenRFError, match=r"warm-up: no circuit of class lna simulates \(16 invalid_value\)"):
        run(workers("hopeless", 1).start())


def test_a_class_of_which_nothing_simulates_is_told_of_and_costs_the_others_nothing(
    run: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    told = ""

    async def scene() -> dict[str, Any]:
        nonlocal told
        half = workers("half", 1)
        await half.start()
        try:
            answered = dict(await half.do(search()))
            async with asyncio.timeout(60):
                while not told.endswith("\n"):
                    await asyncio.sleep(0.05)
                    told += capfd.readouterr().err
            return answered
        finally:
            await half.stop()

    assert run(scene())["answer"]["designs"]
    assert (
        told
        == "serving: warm-up: no circuit of class pa simulates (no legal circuit was generated); check the bundle and ngspice\n"
    )


def test_processes_end_with_the_server_that_was_killed() -> None:
    code = (
        "import asyncio, time\n"
        "from tests.serving.scripted_server import workers\n"
        "async def main():\n"
        "    started = workers('plain', 1)\n"
        "    await started.start()\n"
        "    print(*started.process_ids, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    process = int(server.stdout.readline())
    server.kill()
    server.wait()
    server.stdout.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{process}/cmdline").exists() and Path(f"/proc/{process}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the designing process lives on"
        time.sleep(0.05)
