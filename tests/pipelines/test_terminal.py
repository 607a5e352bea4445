"""What a person is shown of what the steps print."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from genrf.progress import MESSAGES, progress_bar
from pipelines.terminal import Failure, Terminal


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def terminal(tmp_path: Path, shown: io.StringIO) -> Terminal:
    return Terminal(tmp_path / "logs" / "run.log", Console(file=shown, width=200))


def step(terminal: Terminal, name: str, *lines: str, status: str = "SUCCESS") -> None:
    """What KFP prints of one step."""
    terminal.write(f"19:01:17.355 - INFO - Executing task \x1b[96m'{name}'\x1b[0m\n")
    for line in lines:
        # KFP writes the indentation and the line separately.
        terminal.write("    ")
        terminal.write(line + "\n")
    terminal.write(f"19:01:18.355 - INFO - Task \x1b[96m'{name}'\x1b[0m finished with status \x1b[92m{status}\x1b[0m\n")


def test_steps_are_announced_and_everything_is_in_the_log(terminal: Terminal, shown: io.StringIO) -> None:
    with terminal:
        step(terminal, "prepare-data", "reading 12 files")
        terminal.write("Task train-surrogate cache hit (key=abc); skipping execution.\n")
    assert shown.getvalue().splitlines()[0] == "prepare-data: started"
    assert "prepare-data: done in" in shown.getvalue()
    assert "train-surrogate: reused from an earlier run" in shown.getvalue()
    assert "reading" not in shown.getvalue()
    assert "prepare-data: reading 12 files" in terminal.log.read_text()
    assert (terminal.executed, terminal.cached) == (["prepare-data"], ["train-surrogate"])


def test_the_line_that_a_step_ends_with_is_the_failure(terminal: Terminal) -> None:
    with terminal:
        step(
            terminal,
            "train-surrogate",
            "Traceback (most recent call last):",
            "ValueError: shapes differ",
            '{"error": {"code": 4, "message": "model.pt: the checkpoint is corrupt; train again"}}',
            status="FAILURE",
        )
    assert terminal.failure == Failure("train-surrogate", "model.pt: the checkpoint is corrupt; train again", 4)


def test_a_step_that_only_leaves_a_traceback_is_told_by_its_last_line(terminal: Terminal) -> None:
    lines = ["Traceback (most recent call last):", 'File "x.py", line 1', "genrf.errors.MissingToolError: no ngspice"]
    with terminal:
        step(terminal, "plan-data", *lines, status="FAILURE")
    assert terminal.failure == Failure("plan-data", "genrf.errors.MissingToolError: no ngspice")


def test_the_first_of_several_failures_counts(terminal: Terminal) -> None:
    with terminal:
        step(terminal, "simulate-shard", '{"error": {"code": 3, "message": "ngspice is missing"}}', status="FAILURE")
        step(terminal, "simulate-shard", '{"error": {"code": 130, "message": "interrupted"}}', status="FAILURE")
    assert terminal.failure is not None
    assert terminal.failure.code == 3


def test_steps_that_print_at_once_are_kept_apart(terminal: Terminal) -> None:
    barrier = threading.Barrier(2)

    def print_lines(name: str) -> None:
        terminal.write(f"INFO - Executing task '{name}'\n")
        for index in range(50):
            terminal.write("    ")
            barrier.wait(10)
            terminal.write(f"{name} says {index}\n")

    threads = [threading.Thread(target=print_lines, args=(name,)) for name in ("one", "two")]
    with terminal:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    for line in terminal.log.read_text().splitlines():
        if " says " in line:
            assert line.split(" ")[1].rstrip(":") == line.split(" ")[2]


def test_bars_follow_the_progress_that_steps_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MESSAGES, "1")
    with progress_bar() as progress:
        for _ in progress.track(range(3), description="lna shard 0"):
            pass
    reported = capsys.readouterr().err.splitlines()
    assert reported[0] == '{"progress": {"what": "lna shard 0", "done": 0, "total": 3}}'
    assert reported[-1] == '{"progress": {"what": "lna shard 0", "done": 3, "total": 3}}'
    monkeypatch.delenv(MESSAGES)
    screen = io.StringIO()
    with Terminal(tmp_path / "run.log", Console(file=screen, force_terminal=True, width=120)) as terminal:
        terminal.write("INFO - Executing task 'simulate-shard'\n")
        for line in reported:
            terminal.write(f"    {line}\n")
        terminal._bars.refresh()
    assert "lna shard 0" in screen.getvalue()
    assert "3/3" in screen.getvalue()
