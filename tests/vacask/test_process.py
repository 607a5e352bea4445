"""One run of a program, with programs that behave as VACASK should not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask import process

_RESULT = (
    r"Title: t\nFlags: real\nNo. Variables: 1\nNo. Points: 1\nVariables:\n\t0\tx\tnotype\nBinary:\n\0\0\0\0\0\0\0\0"
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program to be written by the test."""
    path = tmp_path / "program"
    monkeypatch.setattr(process, "program", lambda: path)
    return path


def _script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def test_a_result_is_read(program: Path) -> None:
    _script(program, f"printf '{_RESULT}' > a.raw")
    assert process.run(["title"], ["a"])["a"]["x"].tolist() == [0.0]


def test_status_0_without_a_result_is_a_failure(program: Path) -> None:
    _script(program, "exit 0")
    with pytest.raises(SimulationFailure, match=r"no result a\.raw") as caught:
        process.run(["title"], ["a"])
    assert caught.value.cause == "not_measurable"


def test_a_result_with_another_status_does_not_count(program: Path) -> None:
    _script(program, f"printf '{_RESULT}' > a.raw", "echo", "echo NR solver failed to converge", "exit 1")
    with pytest.raises(SimulationFailure, match="converge") as caught:
        process.run(["title"], ["a"])
    assert caught.value.cause == "no_convergence"


def test_an_old_result_file_is_never_read(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(program, f"printf '{_RESULT}' > a.raw")
    process.run(["title"], ["a"])
    (tmp_path / "a.raw").write_bytes(b"old")
    monkeypatch.chdir(tmp_path)
    _script(program, "exit 0")
    with pytest.raises(SimulationFailure, match="no result"):
        process.run(["title"], ["a"])


def test_a_hang_is_killed_with_what_it_started(program: Path, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    _script(program, f"(while :; do date > {alive}; sleep 0.05; done) &", "sleep 60")
    with pytest.raises(SimulationFailure, match="longer than") as caught:
        process.run(["title"], ["a"], timeout_s=0.5)
    assert caught.value.cause == "timeout"
    time.sleep(0.2)
    alive.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not alive.exists()


def test_a_crash_is_told(program: Path) -> None:
    _script(program, "kill -ABRT $$")
    with pytest.raises(SimulationFailure, match="signal 6") as caught:
        process.run(["title"], ["a"])
    assert caught.value.cause == "crash"


def test_the_users_configuration_is_not_read(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_MODULE_PATH", "/elsewhere")
    _script(program, 'test -z "$SIM_MODULE_PATH" || exit 3', f"printf '{_RESULT}' > a.raw")
    process.run(["title"], ["a"])


@pytest.mark.vacask
@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (["model v vsource", "v1 (a 0) v dc=1.0", "v2 (a 0) v dc=2.0"], "singular_matrix"),
        (["no such thing"], "netlist_error"),
    ],
)
def test_vacask_says_why_it_fails(lines: list[str], cause: str) -> None:
    control = ["control", "abort always", "analysis a op", "endc"]
    with pytest.raises(SimulationFailure) as caught:
        process.run(["title", "ground 0", *lines, *control], ["a"])
    assert caught.value.cause == cause
