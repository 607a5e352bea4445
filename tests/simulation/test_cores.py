"""A container's share of its node decides how many processes are started in it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from genrf.cores import LIMIT, cores
from genrf.errors import InvalidInputError
from genrf.simulation.pool import SimulatorPool


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv(LIMIT, raising=False)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 16),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16),
        ({}, 16),
    ],
)
def test_a_container_uses_what_its_control_group_grants(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cores(tmp_path) == expected


def test_a_pod_uses_what_it_asked_its_node_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "3")
    assert cores(tmp_path) == 3
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert cores(tmp_path) == 2


@pytest.mark.parametrize("value", ["0", "-2", "many", "2.5"])
def test_a_number_of_cores_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(LIMIT, value)
    with pytest.raises(InvalidInputError, match=f"{LIMIT}.*{value}"):
        cores()


def test_as_many_simulators_are_started_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1")
    before = set(psutil.Process().children())
    with SimulatorPool():
        assert len(set(psutil.Process().children()) - before) == 1
