"""A user's netlist through ``genrf measure``: against the simulator pool, closed forms and ngspice on its own."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrf import technology
from genrf.cli import app
from genrf.conditions import Conditions
from genrf.measurement.process import measure_netlist
from genrf.measurement.user_netlist import read_netlist
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.technology.sg13g2 import model_cards
from tests.amplifiers import CASCODE

EXAMPLE = Path("examples/bsim4_lna.cir")
AMBIENT = 300.15 / 290.0
"""27 degrees Celsius relative to the 290 K that noise figures refer to."""


def measured(path: Path, *options: str) -> dict[str, float]:
    result = CliRunner().invoke(app, ["measure", str(path), "--class", "lna", "--json", *options])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["metrics"]


def test_a_netlist_of_ours_gives_the_metrics_of_the_pool(tmp_path: Path) -> None:
    conditions = Conditions(frequency_hz=28e9, supply_v=1.8)
    process = technology.get("sg13g2")
    lines = [*process.instances(CASCODE), *process.models(CASCODE, "typ", 27.0)]
    # Other names for the ports, one of which is that of another port.
    renamed = [re.sub(r"\bvdd\b", "vcc", re.sub(r"\bout\b", "in", re.sub(r"\bin\b", "rf", line))) for line in lines]
    path = tmp_path / "cascode.cir"
    path.write_text("\n".join(["exported", *renamed, ""]))
    found = measured(path, "--frequency", "28e9", "--ports", "rf,in", "--supply", "vcc=1.8")
    with SimulatorPool(1) as pool:
        expected = pool.run([Simulation(CASCODE, conditions)])[0].metrics
    assert expected is not None
    assert found == pytest.approx(dict(expected), rel=1e-6)


def test_cells_of_the_pdk_have_their_junctions_held(tmp_path: Path) -> None:
    """Their cards stand within the cells; overlap capacitances, which ngspice leaves out of small signal, beside them."""
    folder = model_cards.model_folder()
    for name in ("cornerHBT.lib", "sg13g2_hbt_mod.lib"):
        shutil.copy(folder / name, tmp_path / name)
    ours = re.compile(r"(q|rsub_q|csub_q|rt_q)\d+ ")
    lines = technology.get("sg13g2").instances(CASCODE)
    cells = [f"x{line.split()[0]} {' '.join(line.split()[1:4])} 0 npn13G2 Nx=4" for line in lines if line[0] == "q"]
    kept = [line for line in lines if not ours.match(line)]
    path = tmp_path / "cells.cir"
    path.write_text("\n".join(["cells", '.lib "cornerHBT.lib" hbt_typ', *kept, *cells, ""]))
    found = measured(path, "--frequency", "28e9", "--supply", "vdd=1.8")
    with SimulatorPool(1) as pool:
        expected = pool.run([Simulation(CASCODE, Conditions(frequency_hz=28e9, supply_v=1.8))])[0].metrics
    assert expected is not None
    assert found == pytest.approx(dict(expected), rel=1e-6)


def test_transistors_that_cannot_have_cards_of_their_own_have_a_note(tmp_path: Path) -> None:
    (card,) = technology.get("sg13g2").models(CASCODE, "typ", 27.0)
    stage = ["c1 in n1 1p", "r1 n1 vdd 20k", "r2 n1 0 19k", "q1 n2 n1 0 s t npn_x4", "rt t 0 1g", "rs s 0 500"]
    stage += ["r3 vdd n2 60", "c2 n2 out 1p"]
    lines = [
        "twice",
        "x1 in mid vdd stage",
        "x2 mid out vdd stage",
        "rm mid 0 1meg",
        ".subckt stage in out vdd",
        *stage,
        ".ends",
        card,
    ]
    path = tmp_path / "twice.cir"
    path.write_text("\n".join([*lines, ""]))
    outcome = measure_netlist(read_netlist(path, "lna", None, "vdd"), Conditions(frequency_hz=20e9, supply_v=1.6))
    assert outcome.metrics is not None, outcome.failure
    assert any("called more than once" in note for note in outcome.notes)
    (tmp_path / "once.cir").write_text("\n".join(["once", "x1 in out vdd stage", *lines[4:], ""]))
    once = measure_netlist(
        read_netlist(tmp_path / "once.cir", "lna", None, "vdd"), Conditions(frequency_hz=20e9, supply_v=1.6)
    )
    assert once.metrics is not None, once.failure
    assert not any("called more than once" in note for note in once.notes)


@pytest.mark.parametrize(("source_ohm", "load_ohm"), [(50.0, 50.0), (100.0, 25.0)])
def test_a_resistive_divider_has_the_gain_and_noise_of_its_closed_form(
    tmp_path: Path, source_ohm: float, load_ohm: float
) -> None:
    upper, lower = 30.0, 80.0
    path = tmp_path / "divider.cir"
    path.write_text("divider\nXpad in out pad u=30\n.subckt pad a b u=1\nRu a b {u}\nRl b 0 80\n.ends\n.end\n")
    found = measured(path, "--frequency", "10GHz", "--source", str(source_ohm), "--load", str(load_ohm))
    # Referred to the source's voltage: 4kT R_u, and 4kT/R_l times (R_s + R_u)^2. The load's noise does not count.
    factor = 1 + AMBIENT * (upper + (source_ohm + upper) ** 2 / lower) / source_ohm
    parallel = 1 / (1 / lower + 1 / load_ohm)
    gain = 4 * source_ohm / load_ohm * (parallel / (source_ohm + upper + parallel)) ** 2
    reflection = (upper + parallel - source_ohm) / (upper + parallel + source_ohm)
    assert found["nf_db"] == pytest.approx(10 * math.log10(factor), abs=1e-4)
    assert found["gain_db"] == pytest.approx(10 * math.log10(gain), abs=1e-4)
    assert found["s11_db"] == pytest.approx(20 * math.log10(abs(reflection)), abs=1e-4)
    assert found["power_w"] == pytest.approx(0.0, abs=1e-12)


def test_the_bsim4_example_agrees_with_ngspice_on_its_own(tmp_path: Path) -> None:
    """Real resistors as source and load, ``.ac`` for gain and match, their noise subtracted from the output's."""
    found = measured(EXAMPLE, "--frequency", "5GHz", "--ports", "rfin,rfout", "--supply", "vcc=1.2")
    assert found["gain_db"] > 10
    circuit = EXAMPLE.read_text().removesuffix(".end\n")
    path = tmp_path / "by_hand.cir"
    path.write_text(
        circuit
        + "\n".join(
            [
                "vcc vcc 0 1.2",
                "vs s0 0 dc 0 ac 2",
                "rs s0 rfin 50",
                "rl rfout 0 50",
                ".control",
                "op",
                "let power_w = -1.2*vcc#branch - 0.35*vbias#branch",
                "print power_w",
                "ac lin 1 5g 5g",
                "let gain_db = db(v(rfout))",
                "let s11_db = db(v(rfin) - 1)",
                "print gain_db s11_db",
                "noise v(rfout) vs lin 1 5g 5g 1",
                "setplot noise1",
                "print onoise_spectrum onoise_rs onoise_rl",
                "quit",
                ".endc",
                ".end",
                "",
            ]
        )
    )
    program = shutil.which("ngspice")
    assert program is not None
    run = subprocess.run([program, "-b", str(path)], capture_output=True, text=True, timeout=60, check=False)
    values = {name: float(value) for name, value in re.findall(r"^(\w+) = (\S+)$", run.stdout, re.M)}
    total, source, load = (values[f"onoise_{name}"] ** 2 for name in ("spectrum", "rs", "rl"))
    noise_factor = 1 + ((total - load) / source - 1) * AMBIENT
    assert found["gain_db"] == pytest.approx(values["gain_db"], abs=1e-3)
    assert found["s11_db"] == pytest.approx(values["s11_db"], abs=1e-3)
    assert found["nf_db"] == pytest.approx(10 * math.log10(noise_factor), abs=1e-3)
    assert found["power_w"] == pytest.approx(values["power_w"], rel=1e-4)


def test_prints_a_table_with_notes(tmp_path: Path) -> None:
    path = tmp_path / "pad.cir"
    path.write_text("pad\nr1 in out 10\nr2 out 0 100\n.ac lin 1 1g 1g\n")
    result = CliRunner().invoke(app, ["measure", str(path), "--class", "lna", "--frequency", "1e9"])
    assert result.exit_code == 0
    assert re.search(r"gain_db\s+-\d+\.\d\d dB", result.stdout)
    assert f"note: {path}:4: .ac is left out" in result.stdout


def test_a_netlist_that_does_not_simulate_ends_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.cir"
    path.write_text("broken\nr1 in out 10\nl1 in out 1n rser=4\n")
    result = CliRunner().invoke(app, ["measure", str(path), "--class", "lna", "--frequency", "1e9"])
    assert result.exit_code == 1
    assert re.fullmatch(rf"genrf: {re.escape(str(path))}:3: netlist_error: .*\n", result.stderr)


@pytest.mark.parametrize("supply", ["vcc", "=1.8", "vcc=high", "vcc=1.8A"])
def test_a_malformed_supply_is_refused(supply: str) -> None:
    options = ["--class", "lna", "--frequency", "5e9", "--supply", supply]
    result = CliRunner().invoke(app, ["measure", str(EXAMPLE), *options])
    assert result.exit_code == 2
    assert result.stderr.startswith("genrf: --supply: expected")


def test_a_netlist_that_takes_too_long_is_given_up() -> None:
    netlist = read_netlist(EXAMPLE, "lna", ["rfin", "rfout"], "vcc")
    outcome = measure_netlist(netlist, Conditions(frequency_hz=5e9, supply_v=1.2), limit_s=1e-3)
    assert outcome.failure is not None
    assert outcome.failure.cause == "timeout"


def test_the_intercept_of_a_cubic_is_that_of_its_coefficients(tmp_path: Path) -> None:
    """A_IIP3 = sqrt(4/3 |a1 / a3|) (Razavi, RF Microelectronics, 2.2), here across a matched input."""
    linear, cubic = 0.1, 4.0
    path = tmp_path / "cubic.cir"
    path.write_text(f"cubic\nrin in 0 50\nb1 0 out i={linear}*v(in) - {cubic}*v(in)*v(in)*v(in)\nrout out 0 50\n")
    found = measured(path, "--frequency", "5GHz", "--signoff")
    expected_w = 4.0 / 3.0 * linear / cubic / (2.0 * 50.0)
    assert found["gain_db"] == pytest.approx(20 * math.log10(linear * 25.0), abs=1e-3)
    assert found["iip3_dbm"] == pytest.approx(10 * math.log10(expected_w / 1e-3), abs=0.05)
