"""The DAG on this machine: reuse of finished steps, continuing after a kill, and failures in one line.

The functions that the steps call are quick stand-ins (`fakes/quick.py`); the DAG, the components, KFP's local runner
and the launcher are the real ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from training.config.steps import STEPS as TABLE
from training.running.machine import code_hash
from training.running.store import NOWHERE

ROOT = Path(__file__).parents[2]
FAKES = Path(__file__).parent / "fakes"
STEPS = {name.replace("_", "-") for name in (*TABLE, "resolve_config", "plan_data")}
T = TypeVar("T")


class Place:
    """A folder to run the pipeline in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "params.yaml", folder)
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(FAKES), str(ROOT)]),
            "GENRF_CODE": "as-tested",
            "GENRF_COMMIT": "c0ffee",
            # Importing MLflow takes seconds in each step, and other tests are about it.
            "MLFLOW_TRACKING_URI": NOWHERE,
            # Nothing of this may depend on a home folder.
            "HOME": str(folder / "home"),
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines", "run", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "runs/latest/summary.json").read_text())

    def results(self) -> dict[str, str]:
        """What each published result depends on."""
        latest = self.folder / "runs/latest"
        return {path.parent.name: path.read_text() for path in latest.glob("*/result.txt")}


Done = subprocess.CompletedProcess[str]
Finished = tuple[Place, Done, dict[str, str]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run that nothing disturbed, and its results."""
    place = Place(tmp_path_factory.mktemp("finished"))
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place, done, place.results()


@pytest.fixture(scope="module")
def expected(finished: Finished) -> dict[str, str]:
    """Results of a run that nothing disturbed."""
    return finished[2]


def reused(done: Done) -> set[str]:
    return set(re.findall(r"^([a-z-]+): reused", done.stdout, re.MULTILINE))


def executed(done: Done) -> set[str]:
    return set(re.findall(r"^([a-z-]+): done", done.stdout, re.MULTILINE))


def test_a_run_executes_every_step_and_publishes_every_result(finished: Finished) -> None:
    place, done, _ = finished
    assert executed(done) == STEPS
    assert set(place.results()) == {"evaluation", "bundle", "quantized", "promotion"}
    summary = place.summary()
    assert summary["circuits"]["simulated"] == 20
    assert summary["circuits"]["failed"] == {"timeout": 1}
    assert {entry["method"] for entry in summary["success"]} == {"generator", "retrieval", "random"}
    assert summary["topologies"]["lna"]["valid"] == 1.0
    assert set(summary["seconds"]) >= {"simulate_shard-0", "simulate_shard-1", "train_topology_gan", "quantize"}
    assert "success@64" in done.stdout


def test_a_second_run_reuses_every_step_that_only_makes_its_output(finished: Finished) -> None:
    place, _, before = finished
    done = place.run()
    assert done.returncode == 0, done.stderr
    again = {"resolve-config", "promote-model", "summarize"}
    assert executed(done) == again
    assert reused(done) == STEPS - again
    assert place.results() == before


def test_a_changed_value_runs_only_what_depends_on_it(finished: Finished) -> None:
    place, *_ = finished
    done = place.run("--set", "surrogate.width=48")
    assert done.returncode == 0, done.stderr
    assert reused(done) == {
        "plan-data",
        "simulate-shard",
        "prepare-data",
        "train-topology-gan",
        "train-sizing-diffusion",
    }


def zero(file: Path) -> None:
    """What a power failure may leave: the size is right, the time too, the content is gone."""
    times = file.stat()
    file.write_bytes(bytes(times.st_size))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def extend(file: Path) -> None:
    (file.parent / "stray.txt").write_text("not of this step")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(zero, "result.txt is not as it was written", id="zeroed"),
        pytest.param(Path.unlink, "result.txt is gone", id="deleted"),
        pytest.param(lambda file: shutil.rmtree(file.parent), " is gone", id="folder-deleted"),
        pytest.param(extend, "stray.txt was added", id="added"),
    ],
)
def test_an_output_that_is_not_as_it_was_written_is_made_again(
    place: Place, finished: Finished, damage: Callable[[Path], None], said: str
) -> None:
    shutil.copytree(finished[0].folder / "runs", place.folder / "runs", symlinks=True)
    first = min(place.folder.glob("runs/pipeline/*/train-surrogate/surrogate"))
    damage(first / "result.txt")
    done = place.run()
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "made again" in line)
    assert line.startswith("train-surrogate: surrogate/")
    assert said in line
    assert executed(done) >= {"train-surrogate", "evaluate-generator"}
    assert "train-sizing-diffusion" in reused(done)
    assert place.results() == finished[2]


def test_a_folder_that_was_moved_or_copied_reuses_its_own_steps(place: Place, finished: Finished) -> None:
    folder = place.folder / "elsewhere"
    shutil.copytree(finished[0].folder, folder, symlinks=True)
    moved = Place(place.folder)
    moved.folder = folder
    outputs = finished[0].folder / "runs" / "pipeline"
    hidden = outputs.rename(finished[0].folder / "hidden")
    try:
        done = moved.run()
    finally:
        hidden.rename(outputs)
    assert done.returncode == 0, done.stderr
    assert executed(done) == {"resolve-config", "promote-model", "summarize"}
    assert moved.results() == finished[2]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["simulate_shard", "train_surrogate"])
def test_a_killed_run_continues_and_ends_in_the_same_result(expected: dict[str, str], place: Place, step: str) -> None:
    process = place.start(QUICK_SLOW=step)
    task = step.replace("_", "-")
    state = wait_for(lambda: next(place.folder.glob(f"runs/work/{step}*/state.txt"), None))
    wait_for(lambda: int(state.read_text() or 0) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    work = state.parent
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert task not in reused(done)
    assert place.results() == expected
    visits = [path for path in place.folder.glob("runs/pipeline/**/visits.txt") if len(path.read_text().split()) > 1]
    assert visits, f"{work.name} started from the beginning"
    # Of two shards at once the other may have been killed sooner.
    assert any(int(path.read_text().split()[-1]) >= 2 for path in visits)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_no_process(place: Place, how: signal.Signals) -> None:
    process = place.start(QUICK_SLOW="prepare_data")
    wait_for(lambda: next(place.folder.glob("runs/work/prepare_data*/state.txt"), None))
    process.send_signal(how)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.strip().splitlines()[-1] == "error: interrupted; run again to continue"
    state = next(place.folder.glob("runs/work/prepare_data*/state.txt"))
    wait_for(lambda: not working_in(place.folder))
    assert int(state.read_text()) < 5


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        pytest.param("train_surrogate:user", 4, r"train-surrogate: .*/model\.pt: the checkpoint is corrupt", id="user"),
        pytest.param("prepare_data:bug", 1, r"prepare-data: ValueError: shapes do not match", id="bug"),
        pytest.param("simulate_shard:disk", 1, r"simulate-shard: .*rows\.parquet: the disk is full", id="disk"),
    ],
)
def test_a_failing_step_is_one_line_and_an_exit_code(place: Place, failure: str, code: int, line: str) -> None:
    done = place.run(QUICK_FAIL=failure)
    assert done.returncode == code
    assert len(done.stderr.strip().splitlines()) == 1
    assert re.match(f"error: {line}", done.stderr)
    assert not (place.folder / "runs/latest").exists()


def test_after_a_failure_the_next_run_continues(place: Place) -> None:
    place.run(QUICK_FAIL="quantize:bug")
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert executed(done) == {"resolve-config", "quantize", "promote-model", "summarize"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--recipe", "huge"], "params.yaml: recipes.huge: unknown recipe; known recipes: smoke, nights, nightly, full"),
        (["--set", "data.round=2"], "params.yaml: overrides.data.round: unknown key; known keys: "),
        (["--set", "data.rounds=none"], "params.yaml: data.rounds: expected a whole number, got 'none'"),
        (["--set", "data.rounds"], "--set: expected SECTION.FIELD=VALUE, got 'data.rounds'"),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_runs(place: Place, arguments: list[str], line: str) -> None:
    done = place.run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {line}")
    assert not (place.folder / "runs/pipeline").exists()


def test_two_runs_in_one_folder_do_not_disturb_each_other(place: Place) -> None:
    first = place.start(QUICK_SLOW="prepare_data")
    wait_for(lambda: next(place.folder.glob("runs/work/prepare_data*/state.txt"), None))
    second = place.run()
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    assert second.returncode == 2
    assert "another run is in progress" in second.stderr


def wait_for(condition: Callable[[], T], seconds: float = 60.0) -> T:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def working_in(folder: Path) -> list[int]:
    import psutil

    own = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                own.append(process.pid)
        except psutil.Error:
            continue
    return own


def test_the_code_is_part_of_what_a_step_depends_on(tmp_path: Path) -> None:
    for name in ("genrf", "training", "components", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text("x = 1\n")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "cpu.lock").write_text("numpy==2.4.6\n")
    before = code_hash(tmp_path)
    assert code_hash(tmp_path) == before
    (tmp_path / "training" / "module.py").write_text("x = 2\n")
    changed = code_hash(tmp_path)
    (tmp_path / "locks" / "cpu.lock").write_text("numpy==2.4.7\n")
    assert len({before, changed, code_hash(tmp_path)}) == 3
