"""What surrounds a step: its work survives a kill, its output is whole, its failure is one line and an exit code."""

from __future__ import annotations

import errno
import json
import multiprocessing
import multiprocessing.synchronize
import os
import shutil
from pathlib import Path

import pytest

from genrf.errors import CheckpointError
from genrf.progress import ERROR, MESSAGES, message_of
from training.config.loading import load_config
from training.running import machine, pipeline_run, tracking
from training.running import step as steps
from training.running.step import read_report, step

PARAMS = Path(__file__).parents[2] / "params.yaml"
CONFIG = load_config(PARAMS).select("surrogate", "tracking")


@pytest.fixture(autouse=True)
def environment(
    tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, request.node.name)
    monkeypatch.setenv(steps.WORK, str(tmp_path / "work"))
    monkeypatch.delenv(pipeline_run.LAUNCHER, raising=False)
    monkeypatch.delenv(MESSAGES, raising=False)


def test_a_finished_step_leaves_its_files_and_its_report(tmp_path: Path) -> None:
    with step("train", CONFIG, tmp_path / "out") as current:
        (current.folder / "model.pt").write_text("weights")
        assert not (tmp_path / "out").exists()
        current.finish({"loss": 0.5, "note": "fine"})
    assert (tmp_path / "out" / "model.pt").read_text() == "weights"
    report = read_report(tmp_path / "out")
    assert report["step"] == "train"
    assert report["result"] == {"loss": 0.5, "note": "fine"}
    assert report["seconds"] >= 0
    assert (report["recipe"], report["commit"]) == ("smoke", machine.commit())
    assert "cores of" in report["hardware"]
    assert not list((tmp_path / "work").glob("train*"))


def test_what_a_step_returns_is_in_mlflow(tmp_path: Path) -> None:
    with step("train", CONFIG, tmp_path / "out") as current:
        current.finish({"loss": 0.5, "note": "fine"})
    run = current.run.client.get_run(current.run.run_id)
    assert run.data.metrics["loss"] == 0.5
    assert run.data.metrics["seconds"] >= 0
    assert run.data.tags["note"] == "fine"
    assert run.data.params["surrogate.width"] == str(load_config(PARAMS).surrogate.width)


def test_the_runs_are_tagged_with_the_dataset_of_their_input(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "report.json").write_text(json.dumps({"dataset_sha256": "abc"}))
    with step("train", CONFIG, tmp_path / "out", prepared) as current:
        current.finish({})
    for run_id in (current.run.run_id, current.run.parent_id):
        assert current.run.client.get_run(run_id).data.tags[tracking.DATASET_TAG] == "abc"


def test_an_interrupted_step_finds_its_work_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, step("train", CONFIG, tmp_path / "out") as current:
        (current.folder / "epoch.txt").write_text("3")
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert "interrupted; run again to continue" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with step("train", CONFIG, tmp_path / "out") as current:
        assert (current.folder / "epoch.txt").read_text() == "3"
        current.finish({})
    assert (tmp_path / "out" / "epoch.txt").exists()


@pytest.mark.parametrize("change", ["config", "input", "name", "run"])
def test_work_of_another_step_configuration_input_or_run_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with pytest.raises(SystemExit), step("train", CONFIG, tmp_path / "out", tmp_path / "a") as current:
        (current.folder / "epoch.txt").write_text("3")
        raise KeyboardInterrupt
    config, name, given = CONFIG, "train", tmp_path / "a"
    if change == "config":
        config = load_config(PARAMS, overrides={"surrogate.width": 32}).select("surrogate", "tracking")
    elif change == "input":
        given = tmp_path / "b"
    elif change == "name":
        name = "evaluate"
    else:
        monkeypatch.setenv(pipeline_run.PIPELINE_RUN, "another-run")
    with step(name, config, tmp_path / "out", given) as current:
        assert not list(current.folder.glob("epoch.txt"))
        current.finish({})


def test_without_a_place_for_work_a_step_works_in_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(steps.WORK)
    with step("train", CONFIG, tmp_path / "out") as current:
        assert current.folder == tmp_path / "out"
        current.finish({})
    assert read_report(tmp_path / "out")["step"] == "train"


def test_a_volume_that_cannot_be_written_is_told_of_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    volume = tmp_path / "file" / "work"
    monkeypatch.setenv(steps.WORK, str(volume))
    with step("train", CONFIG, tmp_path / "out") as current:
        assert current.folder == tmp_path / "out"
        current.finish({})
    assert f"warning: {steps.WORK}: {volume} cannot be written by user {os.getuid()}" in capsys.readouterr().err
    assert read_report(tmp_path / "out")["step"] == "train"


def test_work_on_another_disk_is_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def refuse_across(source: str | Path, target: str | Path) -> None:
        if Path(source).parent.name == "work":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_across)
    with step("train", CONFIG, tmp_path / "out") as current:
        (current.folder / "model.pt").write_text("weights")
        current.finish({})
    assert (tmp_path / "out" / "model.pt").read_text() == "weights"
    assert not list(tmp_path.glob(".out*"))
    assert not list((tmp_path / "work").glob("train*"))


@pytest.mark.parametrize("launched", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CheckpointError("model.pt: corrupt; train again"), 4, "model.pt: corrupt; train again"),
        (OSError(errno.ENOSPC, "No space left", "rows.parquet"), 1, "rows.parquet: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 1, "PermissionError: [Errno 13]"),
        (ValueError("shapes differ"), 1, "ValueError: shapes differ"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    launched: bool,
    error: Exception,
    code: int,
    line: str,
) -> None:
    if launched:
        monkeypatch.setenv(MESSAGES, "1")
    with pytest.raises(SystemExit) as stopped, step("train", CONFIG, tmp_path / "out"):
        raise error
    assert stopped.value.code == code
    said = capsys.readouterr().err.strip().splitlines()[-1]
    if launched:
        kind, content = message_of(said) or ("", {})
        assert (kind, content["code"]) == (ERROR, code)
        assert content["message"].startswith(line)
    else:
        assert said.startswith(f"error: {line}")
    assert not (tmp_path / "out").exists()


def test_a_failure_on_a_full_disk_is_told_as_such_whatever_was_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(10**9, 10**9, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(SystemExit), step("train", CONFIG, tmp_path / "out"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/3")
    assert "the disk is full; free some space and run again" in capsys.readouterr().err


def _linger(folder: str, entered: multiprocessing.synchronize.Event, leave: multiprocessing.synchronize.Event) -> None:
    with steps._alone_in(Path(folder)):
        entered.set()
        leave.wait(30)


def test_a_step_waits_for_a_process_that_still_works_in_its_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    folder = tmp_path / "train-1"
    folder.mkdir()
    first, second = context.Event(), context.Event()
    leave = context.Event()
    processes = [context.Process(target=_linger, args=(str(folder), entered, leave)) for entered in (first, second)]
    processes[0].start()
    assert first.wait(30)
    processes[1].start()
    assert not second.wait(1.5)
    leave.set()
    assert second.wait(30)
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
