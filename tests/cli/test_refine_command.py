"""``genrf generate --refine`` and ``--pareto`` as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import genrf.cli
import genrf.cli_options
from genrf.cli import app
from genrf.generation.design import Design, DesignResult, ranked
from genrf.simulation.outcome import Simulation
from tests.amplifiers import CASCODE, MATCHED_28GHZ, SPECIFICATION_28GHZ
from tests.scripted_designer import ScriptedDesigner

OBJECTIVES = ("gain_db", "power_w")


class Refining(ScriptedDesigner):
    """Refines by simulating an amplifier with a little less of everything, once a call."""

    def refine(
        self,
        result: DesignResult,
        *,
        calls: int,
        objectives: Sequence[str] = (),
        seed: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> DesignResult:
        circuits = [
            MATCHED_28GHZ.with_values([v * (1 - 0.001 * step) if v < 1e-9 else v for v in MATCHED_28GHZ.values])
            for step in range(1, calls + 1)
        ]
        outcomes = self.simulate([Simulation(circuit, result.spec.conditions) for circuit in circuits])
        new = [
            Design(
                circuit=circuit,
                metrics=outcome.metrics,
                met=result.spec.meets(outcome.metrics),
                margin=result.spec.worst_margin(outcome.metrics),
                provenance={"order": result.simulated + order, "source": "refinement", "seed": seed},
            )
            for order, (circuit, outcome) in enumerate(zip(circuits, outcomes, strict=True), start=1)
        ]
        return replace(
            result,
            designs=ranked([*result.designs, *new], result.spec, objectives),
            simulated=result.simulated + calls,
            objectives=tuple(objectives),
            refined_from=result.simulated,
            hypervolume=(1.0, 1.5),
        )


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: Refining([CASCODE, MATCHED_28GHZ]))
    path = tmp_path / "wanted.yaml"
    path.write_text(yaml.safe_dump(SPECIFICATION_28GHZ))
    return path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["generate", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_refined_run_shows_the_front_before_and_after(spec: Path, tmp_path: Path) -> None:
    code, output, errors = run(spec, "--refine", "3", "--pareto", "gain_db, power_w", "-n", "1", "-o", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert "best of 5 simulated" in output
    assert "Refined with 3 calls after the first 2: the front in gain_db, power_w went from 1 to " in output
    assert "dominates 1.5 times the volume." in output
    assert "Seconds by stage: spice 0.00" in output
    assert (tmp_path / "out" / "front.svg").stat().st_size > 1000
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Refined with 3 calls" in page
    assert "equals or beats in all of gain_db, power_w" in page
    assert page.count("data:image/svg") == 3
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    assert content["objectives"] == list(OBJECTIVES)
    assert content["refined_from"] == 2
    assert content["hypervolume"] == [1.0, 1.5]
    assert {design["provenance"]["source"] for design in content["designs"]} == {"script", "refinement"}


def test_objectives_alone_mark_the_front(spec: Path, tmp_path: Path) -> None:
    code, output, _ = run(spec, "--pareto", "gain_db,power_w", "--json", "-n", "1", "-o", tmp_path / "out")
    content = json.loads(output)
    assert code == 0
    assert content["objectives"] == list(OBJECTIVES)
    assert content["refined_from"] is None
    assert [design["pareto"] for design in content["designs"]] == [design["met"] for design in content["designs"]]
    assert not (tmp_path / "out" / "front.svg").exists()
    assert "Refinement" not in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("pareto", "message"),
    [
        ("gain_db,gian_db", "genrf: pareto: 'gian_db' is not a metric of class lna; choose from gain_db, nf_db, "),
        ("gain_db", "genrf: pareto: expected 2 to 4 metrics, got 1"),
        (",", "genrf: pareto: names no metric; choose from gain_db, nf_db, "),
    ],
)
def test_unusable_objectives_are_refused_before_any_work(
    pareto: str, message: str, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: pytest.fail("work was done"))
    code, _, errors = run(spec, "--refine", "8", "--pareto", pareto, "-o", tmp_path / "out")
    assert code == 2
    assert errors.startswith(message)
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("circuit_class", "bound"),
    [("mixer", {"conversion_gain_db": {"min": 8}}), ("lna", {"iip3_dbm": {"min": -20}})],
    ids=["a class that ngspice judges", "a bound on sign-off"],
)
def test_bayesian_refinement_without_botorch_ends_before_any_work(
    circuit_class: str, bound: dict[str, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genrf.cli_options, "designer", lambda *_: pytest.fail("work was done"))
    monkeypatch.setitem(sys.modules, "genrf.generation.acquisition", None)
    spec = tmp_path / "wanted.yaml"
    content = {"class": circuit_class, "frequency": "28 GHz", "supply": "1.8 V", "constraints": bound}
    spec.write_text(yaml.safe_dump(content))
    code, _, errors = run(spec, "--refine", "8", "-o", tmp_path / "out")
    assert code == 3
    assert errors.startswith("genrf: refinement by Bayesian optimization needs BoTorch")
    assert "pip install botorch" in errors


def test_what_small_signal_measures_is_refined_without_botorch(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genrf.generation.acquisition", None)
    code, output, _ = run(spec, "--refine", "3", "-n", "1", "-o", tmp_path / "out")
    assert code == 0
    assert "Refined with 3 calls" in output


def test_help_shows_how_to_refine() -> None:
    _, output, _ = run("--help")
    words = " ".join(output.split())
    assert "--refine 128 --pareto gain_db,nf_db,power_w" in words
    assert "--refine" in words
