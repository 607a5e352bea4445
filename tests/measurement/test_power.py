"""The power of a user's netlist counts every DC source, whatever it is called; ngspice on its own is the judge."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from genrf.conditions import Conditions
from genrf.measurement.process import measure_netlist
from genrf.measurement.user_netlist import read_netlist

CONDITIONS = Conditions(frequency_hz=1e9, supply_v=1.5)
STAGE = ["cin in b 1p", "q1 c b 0 qn", "rc vcc c 200", "cout c out 1p", ".model qn npn(is=1e-16 bf=100)"]


def power_by_hand(path: Path, sources: dict[str, float]) -> float:
    """What ngspice's own operating point says that the supply and these sources deliver, in W."""
    terms = [f"-{volt}*{name}#branch" for name, volt in {**sources, "v_own_supply": CONDITIONS.supply_v}.items()]
    control = [".control", "op", f"let total = {' '.join(terms)}", "print total", "quit", ".endc", ".end"]
    ports = ["r_own_in in 0 50", "r_own_out out 0 50", f"v_own_supply vcc 0 {CONDITIONS.supply_v}"]
    deck = path.with_name("by_hand.cir")
    deck.write_text("\n".join([*path.read_text().splitlines(), *ports, *control, ""]))
    program = shutil.which("ngspice")
    assert program is not None
    done = subprocess.run([program, "-b", str(deck)], capture_output=True, text=True, timeout=60, check=False)
    return float(re.findall(r"^total = (\S+)$", done.stdout, re.MULTILINE)[0])


@pytest.mark.parametrize(
    ("lines", "sources"),
    [
        pytest.param(["rb b vb 2k", "vb vb 0 dc 0.85"], {"vb": 0.85}, id="named as its net"),
        pytest.param(
            ["rb b v1 2k", "vb v1 0 0.85", "rx v1 0 1k"], {"vb": 0.85}, id="on a net named as a source could be"
        ),
        pytest.param(
            ["rb b v2 2k", "v1 v2 0 0.85", "v2 v1 0 0.4", "rx v1 0 1k"],
            {"v1": 0.85, "v2": 0.4},
            id="each on the other's net",
        ),
        pytest.param(
            ["rb b vb 2k", "vb vb 0 0.85", "b1 0 aux i=1e-3*v(vb)", "raux aux 0 1k", ".nodeset v(vb)=0.8"],
            {"vb": 0.85},
            id="net's voltage used elsewhere",
        ),
        pytest.param(
            ["rb b vb 2k", "vb vb 0 0.85", "xload vb 0 load", ".subckt load vb low", "rl vb low 500", ".ends"],
            {"vb": 0.85},
            id="net of that name in a subcircuit",
        ),
        pytest.param(
            ["rb b bias1 2k", "v_supply bias1 0 0.85"], {"v_supply": 0.85}, id="named as our own source and net"
        ),
        pytest.param(
            ["rb b vb1 2k", "vb1 vb1 0 0.85", "rx in2 0 1k", "v_in in2 0 0.2"], {"vb1": 0.85, "v_in": 0.2}, id="as ours"
        ),
    ],
)
def test_a_bias_source_counts_whatever_it_is_called(
    tmp_path: Path, lines: list[str], sources: dict[str, float]
) -> None:
    path = tmp_path / "user.cir"
    path.write_text("\n".join(["title", *STAGE, *lines, ""]))
    netlist = read_netlist(path, "lna", ["in", "out"], "vcc")
    assert not [note for note in netlist.notes if "not counted" in note]
    outcome = measure_netlist(netlist, CONDITIONS)
    assert outcome.metrics is not None, outcome.failure
    expected = power_by_hand(path, sources)
    assert expected > 1e-4
    assert outcome.metrics["power_w"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "line",
    ["f1 0 aux vb 2", "h1 aux 0 vb 50", "b1 aux 0 v=50*i(vb)", "b1 aux 0 v=50*i( vb )", "w1 aux 0 vb sw"],
)
def test_a_source_whose_current_steers_something_stays_and_a_note_says_so(tmp_path: Path, line: str) -> None:
    path = tmp_path / "user.cir"
    steering = ["rb b vb 2k", "vb vb 0 0.85", line, "raux aux 0 1k", ".model sw csw(it=1m)"]
    path.write_text("\n".join(["title", *STAGE, *steering, ""]))
    netlist = read_netlist(path, "lna", ["in", "out"], "vcc")
    assert netlist.bias == ()
    assert any("the power of vb is not counted" in note for note in netlist.notes)
    assert measure_netlist(netlist, CONDITIONS).failure is None
