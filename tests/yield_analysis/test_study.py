"""The same seed gives the same runs, however they are simulated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from genrf.errors import InvalidInputError
from genrf.export.design_file import write_design
from genrf.generation.design import Design
from genrf.metrics import Metrics
from genrf.simulation.judge import Judge
from genrf.yield_analysis.analysis import CHUNK, analyse
from genrf.yield_analysis.result import YieldResult
from genrf.yield_analysis.run_log import RunLog
from genrf.yield_analysis.study import YieldStudy

RUNS = 2 * CHUNK + 7


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, study: YieldStudy, pool: Judge) -> tuple[Path, YieldResult]:
    """The log of an uninterrupted study, and its result."""
    path = tmp_path_factory.mktemp("whole") / "runs.jsonl"
    return path, analyse(study, RUNS, RunLog(path, study.identity()), pool)


def test_runs_do_not_depend_on_the_number_of_workers(
    whole: tuple[Path, YieldResult], study: YieldStudy, tmp_path: Path
) -> None:
    with Judge(workers=3) as three:
        result = analyse(study, RUNS, RunLog(tmp_path / "runs.jsonl", study.identity()), three)
    assert (tmp_path / "runs.jsonl").read_bytes() == whole[0].read_bytes()
    assert result.content() == whole[1].content()


def test_another_seed_gives_other_runs(study: YieldStudy) -> None:
    assert study.simulation(0) == study.simulation(0)
    assert study.simulation(0) != study.simulation(1)
    assert study.simulation(0) != replace(study, seed=study.seed + 1).simulation(0)


def test_a_study_killed_between_blocks_goes_on_to_the_same_end(
    whole: tuple[Path, YieldResult], study: YieldStudy, pool: Judge, tmp_path: Path
) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
from genrf.export.design_file import read_design
from genrf.simulation.judge import Judge
from genrf.yield_analysis.analysis import analyse
from genrf.yield_analysis.run_log import RunLog
from genrf.yield_analysis.study import YieldStudy
design, spec = read_design(Path({str(tmp_path / "design.json")!r}))
study = YieldStudy(circuit=design.circuit, spec=spec, seed={study.seed})
with Judge(workers=1) as pool:
    log = RunLog(Path({str(tmp_path / "runs.jsonl")!r}), study.identity())
    analyse(study, {RUNS}, log, pool, lambda done, allowed: os.kill(os.getpid(), signal.SIGKILL))
"""
    metrics = Metrics(dict.fromkeys((constraint.metric for constraint in study.spec.constraints), 1.0))
    write_design(
        tmp_path / "design.json", Design(circuit=study.circuit, metrics=metrics, met=False, margin=0.0), study.spec
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "runs.jsonl").read_bytes().count(b"\n") == 1 + CHUNK
    simulated = []
    log = RunLog(tmp_path / "runs.jsonl", study.identity())
    result = analyse(study, RUNS, log, pool, lambda done, allowed: simulated.append(done))
    assert simulated == [2 * CHUNK, RUNS], "what was done is not done again"
    assert (tmp_path / "runs.jsonl").read_bytes() == whole[0].read_bytes()
    assert result.content() == whole[1].content()


@pytest.mark.parametrize("share", [0.31, 0.77])
def test_what_a_kill_leaves_of_a_block_is_cut_off(
    share: float, whole: tuple[Path, YieldResult], study: YieldStudy, pool: Judge, tmp_path: Path
) -> None:
    content = whole[0].read_bytes()
    cut = content[: round(share * len(content))]
    assert not cut.endswith(b"\n")
    (tmp_path / "runs.jsonl").write_bytes(cut)
    analyse(study, RUNS, RunLog(tmp_path / "runs.jsonl", study.identity()), pool)
    assert (tmp_path / "runs.jsonl").read_bytes() == content


def test_more_runs_add_to_those_there_are(
    whole: tuple[Path, YieldResult], study: YieldStudy, pool: Judge, tmp_path: Path
) -> None:
    log = tmp_path / "runs.jsonl"
    analyse(study, 20, RunLog(log, study.identity()), pool)
    more = analyse(study, 40, RunLog(log, study.identity()), pool)
    assert more.outcomes == whole[1].outcomes[:40]
    fewer = analyse(study, 10, RunLog(log, study.identity()), pool)
    assert fewer.outcomes == whole[1].outcomes[:10]


def test_runs_are_judged_by_new_bounds_without_new_simulations(
    whole: tuple[Path, YieldResult], study: YieldStudy
) -> None:
    unbounded = replace(study, spec=replace(study.spec, constraints=()))
    assert len(RunLog(whole[0], unbounded.identity()).outcomes) == RUNS


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 4}, r"another seed \(3 there, 4 now\)"),
        ({"mismatch": False}, r"another mismatch \(True there, False now\)"),
        ({"supply_tolerance": 0.05}, "another supply tolerance"),
        ({"temperature_c": (0.0, 85.0)}, "another temperature"),
    ],
)
def test_runs_of_another_study_are_refused(
    changes: dict[str, object], named: str, whole: tuple[Path, YieldResult], study: YieldStudy
) -> None:
    before = whole[0].read_bytes()
    with pytest.raises(InvalidInputError, match=rf"runs\.jsonl: holds runs with {named}.*--output.*--force"):
        RunLog(whole[0], replace(study, **changes).identity())
    assert whole[0].read_bytes() == before


def test_runs_of_another_design_are_refused_or_forgotten(
    whole: tuple[Path, YieldResult], study: YieldStudy, tmp_path: Path
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(whole[0].read_bytes())
    values = [1.01 * value if value < 1e-9 else value for value in study.circuit.values]
    other = replace(study, circuit=study.circuit.with_values(values))
    with pytest.raises(InvalidInputError, match="another design; choose"):
        RunLog(path, other.identity())
    assert RunLog(path, other.identity(), overwrite=True).outcomes == []
    assert RunLog(path, other.identity()).outcomes == []


def test_a_file_of_something_else_is_refused(study: YieldStudy, tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text("minutes of a meeting\n")
    with pytest.raises(InvalidInputError, match="holds no yield runs"):
        RunLog(tmp_path / "runs.jsonl", study.identity())


def test_the_corners_are_in_order_at_the_ends_of_the_distribution(whole: tuple[Path, YieldResult]) -> None:
    result = whole[1]
    gain = {corner: outcome.metrics["gain_db"] for corner, outcome in result.corners.items() if outcome.metrics}
    values = result.values("gain_db")
    assert gain["wcs"] < values.min() < gain["typ"] < values.max() < gain["bcs"]


def test_temperature_and_supply_are_uniform_in_their_ranges(study: YieldStudy) -> None:
    varied = replace(study, temperature_c=(0.0, 85.0), supply_tolerance=0.1)
    conditions = [varied.simulation(run).conditions for run in range(400)]
    temperatures = [c.temperature_c for c in conditions]
    supplies = [c.supply_v for c in conditions]
    assert 0.0 <= min(temperatures) < 2.0
    assert 83.0 < max(temperatures) <= 85.0
    assert 1.8 <= min(supplies) < 1.81
    assert 2.19 < max(supplies) <= 2.2
    assert {study.simulation(run).conditions for run in range(5)} == {study.spec.conditions}


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"temperature_c": (85.0, 0.0)}, "lower one first"), ({"temperature_c": (0.0, 400.0)}, "temperature_c")],
)
def test_impossible_ranges_are_refused(changes: dict[str, object], named: str, study: YieldStudy) -> None:
    with pytest.raises(InvalidInputError, match=named):
        replace(study, **changes)
