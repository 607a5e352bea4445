"""Processes do tasks one at a time, say what went wrong, and are replaced when they die."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from genrf.errors import CheckpointError
from training.running.processes import ONE_THREAD, ProcessDiedError, Processes


@contextmanager
def opened() -> Iterator[Callable[[int], int]]:
    assert {os.environ[name] for name in ONE_THREAD} == {"1"}
    yield work


@contextmanager
def broken() -> Iterator[Callable[[int], int]]:
    raise CheckpointError("bundle: missing")
    yield work


def work(number: int) -> int:
    if number == 13:
        raise CheckpointError("thirteen")
    if number == 66:
        os._exit(7)
    return number * number


def test_all_tasks_are_done_and_the_environment_is_left_as_it_was() -> None:
    before = dict(os.environ)
    with Processes(2, opened) as processes:
        assert sorted(processes.map(range(9))) == [number * number for number in range(9)]
        assert processes.idle == 2
    assert dict(os.environ) == before


def test_an_error_is_that_of_its_task_and_the_others_go_on() -> None:
    with Processes(1, opened) as processes:
        answers = {}
        for number in (13, 66, 3):
            processes.submit(number)
            assert processes.running == [number]
            ((task, answers[number]),) = processes.collect()
            assert task == number
    assert isinstance(answers[13], CheckpointError)
    assert "in work" in answers[13].__notes__[0]
    assert isinstance(answers[66], ProcessDiedError)
    assert "exit code 7" in str(answers[66])
    assert answers[3] == 9


def test_processes_that_cannot_be_opened_say_why() -> None:
    with Processes(1, broken) as processes, pytest.raises(CheckpointError, match="bundle: missing"):
        list(processes.map([1]))


def test_waiting_ends_in_time_and_what_runs_can_be_left() -> None:
    with Processes(1, opened) as processes:
        assert processes.collect(timeout=0.0) == []
        processes.submit(1)
