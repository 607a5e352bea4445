"""Both simulators side by side: what is compared, what is marked, and what the commands say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrf import classes, signoff
from genrf.cli import app
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError, MissingToolError
from genrf.export.design_file import read_design
from genrf.generation.design import DesignResult
from genrf.generation.record import Record
from genrf.metrics import Metrics
from genrf.report.page import Pictures, write_page
from genrf.report.second import comparison_cells, comparison_notes
from genrf.resimulate import Sweep, resimulate
from genrf.signoff import SignedOff, compared, require_second_simulator, tolerance
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.vacask import locate
from genrf.spec import DesignSpec
from tests.vacask.circuits import DESIGNS, design

LNA = classes.get("lna").metrics
MIXER = {"class": "mixer", "frequency": "28 GHz", "supply": "1.8 V"}
NOISE_BOUND = {**MIXER, "constraints": {"nf_ssb_db": {"max": "10 dB"}}}


def _outcome(**values: float) -> Outcome:
    return Outcome(Metrics(values))


def test_differences_beyond_the_tolerance_are_marked() -> None:
    rows = {
        row.metric.name: row
        for row in compared(
            "lna",
            _outcome(gain_db=20.0, nf_db=2.0, s11_db=-32.0, power_w=10e-3, iip3_dbm=-10.0),
            _outcome(gain_db=20.4, nf_db=2.2, s11_db=-28.0, power_w=10.1e-3),
        )
    }
    assert [name for name, row in rows.items() if row.differs] == ["nf_db"]
    assert rows["gain_db"].difference == pytest.approx(0.4)
    assert rows["iip3_dbm"].second is None
    assert comparison_cells(rows["nf_db"])[-2:] == ("±0.1", "differs")
    assert comparison_cells(rows["iip3_dbm"])[2:5] == ("–", "–", "–")


def test_every_metric_has_a_tolerance() -> None:
    for name in classes.names():
        for metric in classes.get(name).metrics.values():
            assert tolerance(metric, 1.0) > 0.0, metric


def test_a_second_simulator_that_fails_is_told() -> None:
    failed = Outcome(None, Failure("no_convergence", "nothing"))
    assert comparison_notes(_outcome(gain_db=1.0), failed) == ["VACASK: no_convergence: nothing"]
    assert compared("lna", _outcome(gain_db=1.0), failed) == []


def test_noise_figures_are_vacasks_alone() -> None:
    (row,) = compared("mixer", _outcome(nf_ssb_db=9.0), _outcome(nf_ssb_db=9.0))
    assert (row.first, row.second, row.differs) == (None, 9.0, False)


def test_a_specification_that_needs_vacask_says_so_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DesignSpec.from_dict(NOISE_BOUND)
    assert not spec.needs_signoff
    assert spec.second_metrics == ("nf_ssb_db",)
    monkeypatch.setattr(signoff, "installed", lambda: False)
    with pytest.raises(
        MissingToolError, match=r"constraints\.nf_ssb_db: measured by the simulator VACASK.*pip install"
    ):
        require_second_simulator(spec)
    require_second_simulator(DesignSpec.from_dict(MIXER))


def test_the_command_says_it_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(signoff, "installed", lambda: False)
    file = tmp_path / "mixer.yaml"
    file.write_text(json.dumps(NOISE_BOUND))
    result = CliRunner().invoke(app, ["generate", str(file), "--output", str(tmp_path / "out")])
    assert result.exit_code == MissingToolError.exit_code
    assert result.stderr.count("\n") == 1
    assert "nf_ssb_db" in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_only_vacask_measures_is_asked_of_what_meets_the_rest() -> None:
    spec = DesignSpec.from_dict({**MIXER, "constraints": {"nf_ssb_db": {"max": 10}, "ip1db_dbm": {"min": -10}}})
    assert [constraint.metric for constraint in spec.screen.constraints] == ["ip1db_dbm"]
    unmeasured = Metrics({"ip1db_dbm": 0.0})
    assert not spec.meets(unmeasured)
    assert -1e-300 < spec.worst_margin(unmeasured) < 0.0
    asked: list[list[Simulation]] = []

    class Pool:
        def run_iter(self, simulations: Iterable[Simulation]) -> Iterator[Outcome]:
            asked.append(list(simulations))
            for index, simulation in enumerate(asked[-1]):
                found = {"nf_ssb_db": 9.0} if simulation.second else {}
                yield Outcome(Metrics({"ip1db_dbm": (-20.0, 0.0)[index % 2] if not found else 0.0, **found}))

    circuit, _ = design("mixer_28ghz")
    record = Record(spec)
    record.simulate(Pool(), [circuit] * 4, [""] * 4, allowed=4, progress=None, provenance={})  # type: ignore[arg-type]
    assert [[simulation.second for simulation in batch] for batch in asked] == [[False] * 4, [True] * 2]
    assert [found.met for found in record.designs] == [False, True, False, True]


def test_tone_spacing_is_read_written_and_checked() -> None:
    given = {"class": "lna", "frequency": "5 GHz", "supply": "1.8 V", "tone_spacing": "10 MHz"}
    spec = DesignSpec.from_dict(given)
    assert spec.conditions.tone_spacing_hz == 10e6
    assert DesignSpec.from_dict(spec.to_dict()) == spec
    assert "tone_spacing" not in DesignSpec.from_dict(MIXER).to_dict()
    for wrong in ("1 Hz", "2 GHz"):
        with pytest.raises(InvalidInputError, match="tone_spacing: expected a number from"):
            DesignSpec.from_dict({**given, "tone_spacing": wrong})
    with pytest.raises(InvalidInputError, match="tone_spacing_hz"):
        Conditions(frequency_hz=5e9, supply_v=1.8, tone_spacing_hz=float("nan"))


def test_conditions_reach_the_workers_whole() -> None:
    from genrf.simulation.messages import pack_tasks, unpack_tasks

    circuit, spec = design("lna_5ghz")
    sent = Simulation(circuit, replace(spec.conditions, tone_spacing_hz=1e7), True, second=True)
    ((_, received, _),) = unpack_tasks(pack_tasks([(1, sent, False)]))
    assert received == sent


@pytest.mark.vacask
def test_simulate_signoff_shows_both_simulators() -> None:
    result = CliRunner().invoke(app, ["simulate", str(DESIGNS / "mixer_28ghz.json"), "--signoff", "--json"])
    (content,) = json.loads(result.stdout)
    first, second = content["signoff"]["judge"]["metrics"], content["signoff"]["vacask"]["metrics"]
    assert second["conversion_gain_db"] == pytest.approx(first["conversion_gain_db"], abs=0.3)
    assert second["power_w"] == pytest.approx(first["power_w"], rel=0.02)
    # Both of the mixer's sidebands reach the IF, so counting the image as signal helps by at least 3 dB less a bit.
    assert second["nf_ssb_db"] - second["nf_dsb_db"] > 2.0
    assert content["metrics"]["nf_ssb_db"] == pytest.approx(second["nf_ssb_db"], abs=1e-6)


@pytest.mark.vacask
def test_a_worker_adds_what_only_vacask_measures() -> None:
    circuit, spec = design("mixer_28ghz")
    with SimulatorPool(workers=1) as pool:
        plain, second = pool.run([Simulation(circuit, spec.conditions, second=wanted) for wanted in (False, True)])
    assert plain.metrics is not None
    assert second.metrics is not None
    assert second.metrics.keys() - plain.metrics.keys() == {"nf_ssb_db", "nf_dsb_db"}
    assert all(second.metrics[name] == plain.metrics[name] for name in plain.metrics)


@pytest.mark.vacask
def test_simulate_judges_a_bounded_noise_figure() -> None:
    path = DESIGNS / "mixer_28ghz.json"
    (simulated,) = resimulate([path], None, Sweep(), signoff=True)
    assert simulated.outcome.metrics is not None
    found = simulated.outcome.metrics["nf_ssb_db"]
    for bound, met in ((found + 0.5, True), (found - 0.5, False)):
        spec = DesignSpec.from_dict({**MIXER, "constraints": {"nf_ssb_db": {"max": bound}}})
        assert spec.meets(simulated.outcome.metrics) == met


def test_simulate_without_vacask_goes_on_with_ngspice(monkeypatch: pytest.MonkeyPatch) -> None:
    from genrf import resimulate as module

    for place in (signoff, module, locate):
        monkeypatch.setattr(place, "installed", lambda: False)
    result = CliRunner().invoke(app, ["simulate", str(DESIGNS / "lna_28ghz.json"), "--signoff", "--json"])
    (content,) = json.loads(result.stdout)
    assert "iip3_dbm" in content["metrics"]
    assert "signoff" not in content
    assert "VACASK is not installed" in result.stderr


def test_the_report_has_both_simulators_side_by_side(tmp_path: Path) -> None:
    read, spec = read_design(DESIGNS / "lna_28ghz.json")
    second = Outcome(Metrics({**read.metrics, "nf_db": read.metrics["nf_db"] + 0.4}), notes=("nf_db: hot",))
    result = DesignResult(
        spec=spec,
        designs=(read,),
        simulated=1,
        failed={},
        first_met=1,
        seconds={"spice": 1.0},
        signed_off=(SignedOff(Outcome(read.metrics), second),),
    )
    picture = tmp_path / "picture.svg"
    picture.write_text("<svg/>")
    write_page(tmp_path / "report.html", result, [Pictures(picture, picture)])
    text = (tmp_path / "report.html").read_text()
    assert "Sign-off in two simulators" in text
    (marked,) = re.findall(r'<tr class="missed">(.*?)</tr>', text)
    assert "<td>nf_db</td>" in marked
    assert "<td>differs</td>" in marked
    assert "VACASK: nf_db: hot" in text


def test_generate_signs_the_written_designs_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genrf import generate as module

    second = _outcome(gain_db=20.0)
    monkeypatch.setattr(module, "installed", lambda: True)
    monkeypatch.setattr(module, "second_opinions", lambda jobs, technologies: [second] * len(jobs))
    output = tmp_path / "out"
    arguments = [
        "generate",
        "examples/lna_28ghz.yaml",
        "--calls",
        "8",
        "--designs",
        "1",
        "--signoff",
        "--output",
        str(output),
    ]
    result = CliRunner().invoke(app, arguments)
    assert "design 1: sign-off in two simulators" in result.stdout
    written = json.loads((output / "design_1" / "signoff.json").read_text())
    assert written["vacask"]["metrics"] == {"gain_db": 20.0}
    assert "iip3_dbm" in written["judge"]["metrics"]
    assert "Sign-off in two simulators" in (output / "report.html").read_text()
