"""``genrf generate --feedback`` records what was asked, if that is wanted; ``genrf feedback`` shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import genrf.cli_options
from genrf.cli import app
from genrf.errors import GenRFError
from genrf.feedback.log import FeedbackLog, FolderLog, open_log
from tests.amplifiers import CASCODE, COMMON_EMITTER, MATCHED_28GHZ, SPECIFICATION_28GHZ
from tests.feedback.conftest import RecordFactory, put
from tests.object_store import BUCKET, ObjectServer
from tests.scripted_designer import ScriptedDesigner


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output, and error output of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


Generate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generate:
    """Runs ``genrf generate`` with scripted circuits, in an empty folder."""
    circuits = [CASCODE, MATCHED_28GHZ, COMMON_EMITTER]
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: ScriptedDesigner(circuits))
    monkeypatch.chdir(tmp_path)
    Path("jane.yaml").write_text(yaml.safe_dump(SPECIFICATION_28GHZ | {"name": "jane"}))
    return lambda *options: run("generate", "jane.yaml", "-o", "out", "-n", "1", "--force", *options)


def test_nothing_is_recorded_unless_that_is_asked_for(
    generate: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert generate()[0] == 0
    monkeypatch.setenv("GENRF_FEEDBACK", "named")
    assert generate("--feedback", "off")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"jane.yaml", "out"}
    assert generate()[0] == 0
    assert len(open_log("named").read().records) == 1


def test_a_search_is_recorded_without_its_name(generate: Generate) -> None:
    assert generate("--feedback", "log", "--calls", "7")[::2] == (0, "")
    assert generate("--feedback", "log", "--calls", "1")[0] == 5, "what misses is recorded as well"
    met, missed = open_log("log").read().records
    assert (met.source, met.calls, met.simulated, met.first_met) == ("command line", 7, 3, 2)
    assert (missed.calls, missed.met, [design.met for design in missed.designs]) == (1, False, [False])
    written = "".join(path.read_text() for path in Path("log").iterdir())
    assert "jane" not in written


def test_a_log_that_cannot_be_written_is_an_error_before_any_work(
    generate: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: pytest.fail("work was done"))
    (tmp_path / "file").touch()
    code, _, errors = generate("--feedback", "file/log")
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("genrf: file/log/.genrf-feedback: cannot be written")
    assert "expected a folder or s3://BUCKET/KEY" in generate("--feedback", "ftp://log")[2]


@pytest.mark.slow
def test_wrong_credentials_are_an_error_before_any_work(
    generate: Generate, object_store: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: pytest.fail("work was done"))
    for name, value in (object_store.variables | {"GENRF_S3_SECRET_KEY": "hunter2"}).items():
        monkeypatch.setenv(name, value)
    code, _, errors = generate("--feedback", f"s3://{BUCKET}/feedback")
    assert (code, errors.count("\n")) == (1, 1)
    assert "correct GENRF_S3_SECRET_KEY" in errors
    assert "hunter2" not in errors


def test_a_log_that_fails_by_the_end_costs_no_designs(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise GenRFError("log: No space left on device")

    monkeypatch.setattr(FolderLog, "append", fail)
    code, output, errors = generate("--feedback", "log")
    assert code == 0
    assert errors == "genrf: the designs are written, but the search is not recorded: log: No space left on device\n"
    assert "Written to out" in output
    assert Path("out/design_1/design.json").exists()


# genrf feedback


@pytest.fixture
def asked(folder_log: FeedbackLog, record: RecordFactory) -> str:
    """A log of ten searches for amplifiers, seven of them met, and a poisoned line."""
    met = [record(number, seconds=1.0 + number) for number in range(7)]
    missed = [replace(record(100 + number, seconds=60.0), first_met=None, met=False) for number in range(3)]
    folder_log.append([*met, *missed])
    put(folder_log, "20260131T130000.000000Z-copied.jsonl", b'{"time": "[red]now"}')
    return folder_log.place


def test_shows_how_much_was_asked_and_how_often_it_was_met(asked: str) -> None:
    code, output, _ = run("feedback", asked)
    assert code == 0
    row = next(line.split() for line in output.splitlines() if line.split()[:1] == ["lna"] or " lna " in f"{line} ")
    # Newcombe 1998, formula 10: x = 7, n = 10 gives 39.7 to 89.2 %.
    text = " ".join(row)
    for figure in ("10", "70.0 %", "39.7 to 89.2 %", "5.50"):
        assert figure in text
    (poisoned,) = (line for line in output.splitlines() if line.startswith("poisoned:"))
    assert f"{asked}/20260131T130000.000000Z-copied.jsonl, line 1: record: time: expected ISO 8601" in poisoned


def test_prints_json_for_programs(asked: str) -> None:
    code, output, _ = run("feedback", asked, "--since", "2026-01-31T13:01:40+01:00", "--json")
    content = json.loads(output)
    assert code == 0
    assert content["since"] == "2026-01-31T12:01:40+00:00"
    assert content["classes"]["lna"]["requests"] == 3
    assert content["classes"]["lna"]["met_share"] == 0
    assert [bad["line"] for bad in content["poisoned"]] == [1]


def test_a_log_without_searches_is_no_error(folder_log: FeedbackLog) -> None:
    folder_log.check()
    assert run("feedback", folder_log.place)[0] == 0
    assert json.loads(run("feedback", folder_log.place, "--json")[1])["classes"] == {}


def test_what_is_no_log_or_no_time_is_said(tmp_path: Path) -> None:
    code, _, errors = run("feedback", tmp_path / "none")
    assert code == 2
    assert errors.startswith(f"genrf: {tmp_path}/none: no feedback log is there")
    code, _, errors = run("feedback", tmp_path, "--since", "yesterday")
    assert code == 2
    assert errors.startswith("genrf: --since: expected a date or time such as 2026-01-31")
