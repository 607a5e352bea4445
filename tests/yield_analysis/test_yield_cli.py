"""``genrf yield`` as a user meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrf.cli import app
from genrf.conditions import Constraint
from genrf.export.design_file import read_design, write_design
from genrf.generation.design import Design
from genrf.metrics import Metrics
from genrf.simulation.judge import Judge
from genrf.spec import DesignSpec
from genrf.yield_analysis.analysis import CHUNK
from genrf.yield_analysis.study import YieldStudy

RUNS = str(CHUNK)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, output, and error output of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def written(folder: Path, study: YieldStudy, *constraints: Constraint) -> Path:
    spec = study.spec
    if constraints:
        spec = DesignSpec(circuit_class=spec.circuit_class, conditions=spec.conditions, constraints=constraints)
    metrics = Metrics(dict.fromkeys((constraint.metric for constraint in spec.constraints), 1.0))
    write_design(folder / "design.json", Design(circuit=study.circuit, metrics=metrics, met=False, margin=0.0), spec)
    return folder / "design.json"


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, study: YieldStudy) -> tuple[Path, str]:
    """The design's file after one analysis, and what was printed."""
    design = written(tmp_path_factory.mktemp("cli"), study)
    code, output, errors = run("yield", design, "--runs", RUNS, "--seed", "3", "--workers", "1")
    assert (code, errors) == (0, "")
    return design, output


def test_prints_the_yield_every_bound_and_every_corner(analysed: tuple[Path, str]) -> None:
    _, output = analysed
    assert re.search(rf"yield \d+\.\d % \(\d+ of {RUNS} runs\), 95 % confidence \d+\.\d to \d+\.\d %", output)
    rows = {line.split()[0]: line for line in output.splitlines() if line.split()}
    assert "≥ 16.00 dB" in rows["gain_db"]
    assert "17.27 dB" in rows["gain_db"]
    assert {"typ", "bcs", "wcs"} <= rows.keys()
    assert "Inductors do not vary" in output


def test_writes_result_runs_and_histograms(analysed: tuple[Path, str]) -> None:
    folder = analysed[0].parent / "yield"
    assert {path.name for path in folder.iterdir()} == {
        "result.json",
        "runs.jsonl",
        "histograms.png",
        "histograms.svg",
    }
    result = json.loads((folder / "result.json").read_text())
    assert result["runs"] == int(RUNS)
    assert result["yield"] == result["passed"] / result["runs"]
    assert result["yield_interval"][0] < result["yield"] < result["yield_interval"][1]
    assert result["corners"]["typ"]["met"]
    svg = (folder / "histograms.svg").read_text()
    assert all(constraint["metric"] in svg for constraint in result["constraints"])


def test_a_second_time_gives_the_same_without_simulating(
    analysed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    design, output = analysed
    folder = design.parent / "yield"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(YieldStudy, "simulation", lambda *_: pytest.fail("a run was simulated again"))
    assert run("yield", design, "--runs", RUNS, "--seed", "3") == (0, output, "")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_json_is_what_the_result_file_holds(analysed: tuple[Path, str]) -> None:
    design, _ = analysed
    code, output, _ = run("yield", design, "--runs", RUNS, "--seed", "3", "--json")
    assert code == 0
    assert json.loads(output) == json.loads((design.parent / "yield" / "result.json").read_text())


def test_another_option_is_refused_and_forced(analysed: tuple[Path, str], tmp_path: Path) -> None:
    design, _ = analysed
    output = tmp_path / "out"
    assert run("yield", design, "--runs", "3", "-o", output)[0] == 0
    code, _, errors = run("yield", design, "--runs", "3", "-o", output, "--no-mismatch")
    assert code == 2
    assert "holds runs with another mismatch" in errors
    assert errors.count("\n") == 1
    assert run("yield", design, "--runs", "3", "-o", output, "--no-mismatch", "--force")[0] == 0


def test_a_target_that_is_missed_is_an_exit_code(analysed: tuple[Path, str]) -> None:
    design, _ = analysed
    result = json.loads((design.parent / "yield" / "result.json").read_text())
    assert result["yield"] < 1.0
    code, _, errors = run("yield", design, "--runs", RUNS, "--seed", "3", "--target", "100")
    assert code == 5
    assert re.search(r"yield \d+\.\d % is below 100 %", errors)
    assert run("yield", design, "--runs", RUNS, "--seed", "3", "--target", "1")[0] == 0


def test_runs_that_break_a_device_limit_count_against_the_yield(study: YieldStudy, tmp_path: Path) -> None:
    design = written(tmp_path, study, Constraint("gain_db", ">=", 0.0))
    content = json.loads(design.read_text())
    next(device for device in content["circuit"]["devices"] if device["kind"] == "hbt")["emitters"] = 1.0
    design.write_text(json.dumps(content))
    code, output, _ = run("yield", design, "--runs", "12", "--json")
    result = json.loads(output)
    assert code == 0
    assert result["failed"] == {"device_limit": 12}
    assert (result["passed"], result["yield"]) == (0, 0.0)
    assert (tmp_path / "yield" / "histograms.png").stat().st_size > 0


@pytest.mark.parametrize("given", ["hot", "0", "0:85:90", "0-85", "85:0", "0:900"])
def test_a_malformed_temperature_range_is_named(given: str, study: YieldStudy, tmp_path: Path) -> None:
    code, _, errors = run("yield", written(tmp_path, study), "--temperature", given)
    assert code == 2
    assert "temperature" in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "yield").exists()


def test_temperature_and_supply_widen_the_spread(study: YieldStudy, tmp_path: Path) -> None:
    design = written(tmp_path, study)
    alone = ("yield", design, "--runs", "20", "--no-process", "--no-mismatch", "--json")
    still = json.loads(run(*alone, "-o", tmp_path / "still")[1])
    moved = json.loads(run(*alone, "-o", tmp_path / "moved", "--temperature", "0:60", "--supply-tolerance", "5")[1])
    assert still["metrics"]["gain_db"]["deviation"] < 1e-12
    assert moved["metrics"]["gain_db"]["deviation"] > 0.1
    assert any("temperature" in assumption for assumption in moved["assumptions"])
    assert not any("temperature" in assumption for assumption in still["assumptions"])


def test_a_missing_design_is_named(tmp_path: Path) -> None:
    code, _, errors = run("yield", tmp_path / "none.json")
    assert code == 2
    assert "none.json: cannot be read" in errors


def test_the_design_file_is_read_as_written(analysed: tuple[Path, str], study: YieldStudy, pool: Judge) -> None:
    design, _ = read_design(analysed[0])
    result = json.loads((analysed[0].parent / "yield" / "result.json").read_text())
    (outcome,) = pool.run([study.corners()["typ"]])
    assert outcome.metrics is not None
    assert design.circuit == study.circuit
    assert result["corners"]["typ"]["metrics"] == dict(outcome.metrics)
