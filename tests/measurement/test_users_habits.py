"""What stands in netlists of other programs and people: read as ngspice reads it, and said where that surprises."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from genrf import technology
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.measurement.process import measure_netlist
from genrf.measurement.user_netlist import UserNetlist, read_netlist
from genrf.metrics import Metrics
from genrf.simulation.engine import measure
from genrf.simulation.library import library
from genrf.simulation.outcome import Simulation
from tests.amplifiers import CASCODE

AMPLIFIER = """a stage
.model qrf npn is=2e-17 bf=120 cje=30f cjc=12f tf=1.5p rb=25 re=1.5 rc=10 vaf=60
vbb nbb 0 0.85
rbb nbb b 3k
cin in b 5p
q1 c1 b e 0 qrf
le e 0 0.12n
lc vcc c1 1.2n
rl vcc c1 150
cout c1 out 0.35p
"""
CONDITIONS = Conditions(frequency_hz=5.2e9, supply_v=2.5)
FILTER = "a filter\nL1 in a 5n\nC1 a out 0.2p\nR1 in 0 2k\n"
"""Insertion loss of 0.1098 dB at 5 GHz."""


def amplifier(folder: Path, *changes: tuple[str, str], more: str = "") -> UserNetlist:
    text = AMPLIFIER + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "stage.cir"
    path.write_text(text)
    return read_netlist(path, "lna", None, "vcc")


def metrics(netlist: UserNetlist, conditions: Conditions = CONDITIONS) -> Metrics:
    outcome = measure_netlist(netlist, conditions)
    assert outcome.metrics is not None, outcome.failure
    return outcome.metrics


def read_by_ngspice(folder: Path, lines: str, figure: str) -> float:
    """What ``ngspice -b`` prints of a figure at the operating point of those lines."""
    path = folder / "alone.cir"
    path.write_text(f"alone\n{lines}\n.control\nop\nprint {figure}\n.endc\n.end\n")
    said = subprocess.run(["ngspice", "-b", path.name], cwd=folder, capture_output=True, text=True, check=False).stdout
    found = re.search(rf"^{re.escape(figure)} = (\S+)", said, re.M)
    assert found, said
    return float(found[1])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Metrics:
    return metrics(amplifier(tmp_path_factory.mktemp("plain")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rl vcc c1 150\n", "rl (vcc c1) 150\n"),
        ("cin in b 5p\n", "cin in,b 5p\n"),
        ("le e 0 0.12n\n", "le ( e , 0 ) 0.12n\n"),
        ("cin in b 5p\n", "cin in b 5\N{MICRO SIGN}\n.param p=1\n"),
    ],
)
def test_brackets_commas_and_the_micro_sign_are_read_as_ngspice_does(
    tmp_path: Path, plain: Metrics, old: str, new: str
) -> None:
    netlist = amplifier(tmp_path, (old, new))
    found = metrics(netlist)
    if "\N{MICRO SIGN}" in new:
        wanted = metrics(amplifier(tmp_path, (old, "cin in b 5u\n")))
        assert found == wanted
    else:
        assert found == plain


def test_a_file_of_one_byte_a_character_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.cir"
    path.write_bytes("filter\nL1 in a 5n * \xb5\nC1 a out 0.0000002\xb5\nR1 in 0 2k\n".encode("latin-1"))
    assert "c1 a out 0.0000002u" in read_netlist(path, "filter", None, None).lines


@pytest.mark.parametrize("source", ["vport (in 0) dc 0", "vport in,0 dc 0", "vport (in,0) 0"])
def test_a_source_on_a_port_is_seen_in_brackets_too(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidInputError, match=r"stage.cir:11: vport: a source on port in"):
        amplifier(tmp_path, more=f"{source}\n")


def test_the_end_card_of_an_included_file_ends_that_file_only(tmp_path: Path) -> None:
    (tmp_path / "loss.inc").write_text("R1 in 0 2k\n.end\n")
    (tmp_path / "whole.cir").write_text(FILTER)
    (tmp_path / "split.cir").write_text("split\n.include loss.inc\nL1 in a 5n\nC1 a out 0.2p\n.END filter\nR2 in 0 1\n")
    conditions = Conditions(frequency_hz=5e9, supply_v=1.0)
    found = [
        metrics(read_netlist(tmp_path / name, "filter", None, None), conditions) for name in ("whole.cir", "split.cir")
    ]
    assert found[0]["insertion_loss_db"] == pytest.approx(0.1098, abs=5e-5)
    assert found[1] == found[0]


@pytest.mark.parametrize("value", ["2.5vdc", "dc=2.5", "{vc2}", "'vc2'", "dc {2*vc2/2}", "dc 2.5v", "2500m ac 0"])
def test_the_power_of_a_bias_source_counts_however_it_is_written(tmp_path: Path, plain: Metrics, value: str) -> None:
    """2.5 V into 100 Ohm are 62.5 mW."""
    netlist = amplifier(tmp_path, more=f".param vc2=2.5\nvx nx 0 {value}\nrx nx 0 100\n")
    assert netlist.notes == ()
    assert metrics(netlist)["power_w"] == pytest.approx(plain["power_w"] + 62.5e-3, rel=1e-6)


@pytest.mark.parametrize(
    ("line", "figure", "note"),
    [
        ("rx nx 0 4k7", "@rx[resistance]", "4k7 is read as 4000"),
        ("rx nx 0 4R7", "@rx[resistance]", "4r7 is read as 4"),
        ("rx nx 0 1k2", "@rx[resistance]", "1k2 is read as 1000"),
        ("rx nx 0 3meg5", "@rx[resistance]", "3meg5 is read as 3e"),
        ("rx nx 0 1M", "@rx[resistance]", "1m is read as 0.001 Ohm; mega is meg"),
        ("cx nx 0 5e-12F", "@cx[capacitance]", "5e-12f is read as 5e-27"),
        ("cx nx 0 0.000005F", "@cx[capacitance]", "0.000005f is read as 5e-21 F"),
    ],
)
def test_a_value_that_ngspice_reads_otherwise_than_it_looks_has_a_note(
    tmp_path: Path, line: str, figure: str, note: str
) -> None:
    netlist = amplifier(tmp_path, more=f"r0 e nx 1\n{line}\n")
    (said,) = netlist.notes
    assert f"stage.cir:12: {note}" in said
    read = read_by_ngspice(tmp_path, f"v0 nx 0 1\n{line}", figure)
    assert read == pytest.approx(float(re.findall(r"is read as (\S+?)(?:[ :]|$)", said)[0]), rel=1e-6)


@pytest.mark.parametrize("value", ["4.7k", "2meg", "10f", "5pF", "50e-3", "0.12nH", "150Ohm", "2.2kohm"])
def test_a_value_that_is_read_as_it_looks_has_none(tmp_path: Path, value: str) -> None:
    letter = "l" if value.endswith("H") else "c" if value.lower().endswith("f") else "r"
    assert amplifier(tmp_path, more=f"{letter}x e 0 {value}\n").notes == ()


def test_a_multiplier_within_a_multiplied_cell_has_a_note_and_the_current_that_ngspice_gives(tmp_path: Path) -> None:
    cells = ".subckt outer p\nxi p inner m=2\n.ends\n.subckt inner p\nri p 0 1k\n.ends\n"
    netlist = amplifier(tmp_path, more=f"vx nx 0 1\nxo nx outer m=3\n{cells}")
    (said,) = netlist.notes
    assert "stage.cir:12: cells within outer have an m= of their own" in said
    current = -read_by_ngspice(tmp_path, f"vx nx 0 1\nxo nx outer m=3\n{cells}", "i(vx)")
    assert current == pytest.approx(3e-3)
    without = metrics(amplifier(tmp_path))
    assert metrics(netlist)["power_w"] - without["power_w"] == pytest.approx(current, rel=1e-6)


def test_powers_of_negative_numbers_and_couplings_above_one_have_notes(tmp_path: Path) -> None:
    assert read_by_ngspice(tmp_path, "b1 a 0 v=(-2)**3\nr1 a 0 1", "v(a)") == 8.0
    netlist = amplifier(
        tmp_path, more="bx nx 0 v=(-2)**3\nrx nx 0 1\nlx nx 0 1n\nly ny 0 1n\nry ny 0 50\nkx lx ly 1.2\n"
    )
    assert [note.partition(": ")[2].split(",")[0] for note in netlist.notes] == [
        "ngspice takes a power of a negative number as that of its magnitude",
        "a coupling of 1.2",
    ]


@pytest.mark.parametrize("multiplier", ["m=1", "m=2"])
def test_a_cell_with_a_bipolar_transistor_may_be_called_with_a_multiplier(tmp_path: Path, multiplier: str) -> None:
    cell = ".subckt cell c b e\nq1 c b e 0 qrf\n.ends\n"
    found = metrics(amplifier(tmp_path, ("q1 c1 b e 0 qrf", f"x1 c1 b e cell {multiplier}"), more=cell))
    wanted = metrics(amplifier(tmp_path, ("q1 c1 b e 0 qrf", f"q1 c1 b e 0 qrf {multiplier}")))
    assert found == pytest.approx(dict(wanted), rel=1e-9)


@pytest.mark.parametrize("lines", [".backanno", ".END stage"])
def test_cards_of_other_programs_are_left_out(tmp_path: Path, plain: Metrics, lines: str) -> None:
    assert metrics(amplifier(tmp_path, more=f"{lines}\n")) == plain


def test_a_condition_within_a_cell_goes_where_the_cell_goes(tmp_path: Path, plain: Metrics) -> None:
    cell = ".param big=1\n.subckt tank p v\nlc v p 1.2n\n.if (big == 1)\nrl v p 150\n.else\nrl v p 1\n.endif\n.ends\n"
    netlist = amplifier(tmp_path, ("lc vcc c1 1.2n\nrl vcc c1 150\n", "xt c1 vcc tank\n"), more=cell)
    assert [line for line in netlist.lines if line.startswith(".")] == [netlist.lines[0], ".ends"]
    assert metrics(netlist) == pytest.approx(dict(plain), rel=1e-9)


def test_a_global_supply_is_the_supply(tmp_path: Path, plain: Metrics) -> None:
    cell = ".subckt tank p\nlc vcc p 1.2n\nrl vcc p 150\n.ends\n"
    changes = ("lc vcc c1 1.2n\nrl vcc c1 150\n", "xt c1 tank\n")
    assert metrics(amplifier(tmp_path, changes, more=f".GLOBAL VCC\n{cell}")) == pytest.approx(dict(plain), rel=1e-9)
    text = AMPLIFIER.replace("vcc", "vdd") + ".global vdd\n"
    (tmp_path / "stage.cir").write_text(text)
    assert metrics(read_netlist(tmp_path / "stage.cir", "lna", None, "vdd")) == pytest.approx(dict(plain), rel=1e-9)


@pytest.mark.parametrize("name", ["vdd", "bias1", "hold_q1_t"])
def test_a_global_net_that_would_meet_one_of_the_testbench_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"the testbench has a net {name} too"):
        amplifier(tmp_path, more=f".global {name}\n")


def test_an_initial_voltage_at_an_inductor_is_left_out(tmp_path: Path, plain: Metrics) -> None:
    netlist = amplifier(tmp_path, more=".ic v(c1)=2.5 v(b)=0.85\n")
    assert [note.partition(": ")[2] for note in netlist.notes] == [".ic of c1 is left out, as an inductor is there"]
    assert ".ic v(b)=0.85" in netlist.lines
    assert metrics(netlist) == pytest.approx(dict(plain), rel=1e-6)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("lx e 0 5n rser=4\n", r"11: netlist_error: lx e 0 5n rser=4: unknown parameter \(rser\)"),
        ("lx e 0 {nowhere}\n", r"11: netlist_error: Undefined parameter \[nowhere\]"),
        (".param w={2*pi*1e9}\nlx e 0 {w}\n", r"11: netlist_error: Undefined parameter \[pi\]"),
        ("le e 0 1n\n", r"11: le: there is a device of that name already, at .*stage.cir:7"),
        (
            "xc e pair\n.subckt pair a b\nra a b 1\n.ends\n",
            r"11: xc: pair has 2 nets \(.*stage.cir:12: a b\), got 1: e",
        ),
        ("xc e 0 nowhere\n", r"11: xc: no subcircuit nowhere"),
        ("xc e loop\n.subckt loop a\nxl a loop\n.ends\n", r"13: xl: subcircuit loop contains itself"),
        ("cx e 0 10\N{GREEK SMALL LETTER MU}\n", r"11: a Greek mu, which ngspice ignores"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, more: str, said: str) -> None:
    from typer.testing import CliRunner

    from genrf.cli import app

    path = tmp_path / "stage.cir"
    path.write_text(AMPLIFIER + more)
    arguments = ["measure", str(path), "--class", "lna", "--frequency", "5.2GHz", "--supply", "vcc=2.5"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert re.search(rf"stage.cir:{said}", result.stderr.replace("\n", " ")), result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("card", ["as it is", "rth={1*RTH}", "rth=RTHe-3k", "( )"])
def test_a_vbic_card_may_be_written_as_ngspice_allows(tmp_path: Path, card: str) -> None:
    """Also the figures for which the junctions' temperatures are held, and within a cell."""
    process, conditions = technology.get("sg13g2"), Conditions(frequency_hz=28e9, supply_v=1.8)
    (model,) = process.models(CASCODE, "typ", 27.0)
    given = re.search(r" rth=(\S+)", model)
    assert given
    head, kind, parameters = re.match(r"(\.model \S+) (npn) (.*)", model).groups()  # type: ignore[union-attr]
    if card == "( )":
        model = f"{head} {kind}({parameters})"
    elif card != "as it is":
        model = model.replace(given[0], f" {card.replace('RTH', given[1])}")
    lines = ["cell", "x1 in out vdd cell m=1", ".subckt cell in out vdd", *process.instances(CASCODE), ".ends", model]
    (tmp_path / "cell.cir").write_text("\n".join([*lines, ""]))
    netlist = read_netlist(tmp_path / "cell.cir", "lna", None, "vdd")
    outcome = measure_netlist(netlist, conditions, signoff=True)
    assert outcome.metrics is not None, outcome.failure
    wanted = measure(library(), Simulation(CASCODE, conditions, True), "sg13g2").metrics
    assert wanted is not None
    # The power of sources within a cell is not counted, and a note says so.
    assert {**outcome.metrics, "power_w": 0.0} == pytest.approx({**wanted, "power_w": 0.0}, rel=1e-6)


def test_a_circuit_that_may_oscillate_with_some_terminations_is_measured_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "stage.cir"
    path.write_text("a stage\nl1 in m 2n\nc1 m 0 1p\ng1 m 0 m 0 -0.2m\ne1 o 0 m 0 2\nro o out 50\n")
    outcome = measure_netlist(read_netlist(path, "lna", None, None), Conditions(frequency_hz=2.4e9, supply_v=1.0))
    assert outcome.metrics is not None
    assert outcome.metrics["s11_db"] > 0.0
    assert outcome.metrics["mu_min"] < 1.0
    (note,) = [note for note in outcome.notes if note.startswith("mu_min")]
    assert "negative resistance at the input: reflection up to 1.0" in note


COLPITTS = """an oscillator with a slow tuning input
.model qo npn is=2e-17 bf=120 cje=30f cjc=12f tf=1.5p rb=10 re=1 rc=5 vaf=60
.model dv d is=1e-16 cjo=0.6p vj=0.7 m=0.5 rs=1
vb nb 0 1.6
rb nb b 5k
cb0 b 0 10p
q1 c b e 0 qo
l1 vdd c 0.9n
rp vdd c 600
c1 c e 0.5p
c2 e 0 1p
re e 0 600
cv c v 2p
dv 0 v dv
rvt tune v 2k
cb v 0 3p
co c out 0.1p
"""


def test_an_oscillator_is_waited_for_while_its_tuning_input_settles(tmp_path: Path) -> None:
    path = tmp_path / "oscillator.cir"
    path.write_text(COLPITTS)
    netlist = read_netlist(path, "vco", None, "vdd", "c")
    outcome = measure_netlist(netlist, Conditions(frequency_hz=5e9, supply_v=2.5))
    assert outcome.metrics is not None, outcome.failure
    assert outcome.metrics["tuning_range_percent"] > 0.5


@pytest.mark.slow
def test_compression_is_not_given_while_the_bias_still_charges(tmp_path: Path) -> None:
    """The cascode's base is fed by 93.8 kOhm and held by 29.6 pF: 2.8 us, which no capacitor of ours is known to do here."""
    process, conditions = technology.get("sg13g2"), Conditions(frequency_hz=28e9, supply_v=2.0)
    values = dict(zip(CASCODE.topology.designators, CASCODE.values, strict=True)) | {"R2": 93.8e3, "C2": 29.6e-12}
    slow = CASCODE.with_values(list(values.values()))
    (tmp_path / "slow.cir").write_text(
        "\n".join(["slow", *process.instances(slow), *process.models(slow, "typ", 27.0), ""])
    )
    netlist = read_netlist(tmp_path / "slow.cir", "lna", None, "vdd")
    outcome = measure_netlist(netlist, conditions, signoff=True)
    assert outcome.metrics is not None, outcome.failure
    assert {"gain_db", "iip3_dbm"} <= outcome.metrics.keys()
    assert "ip1db_dbm" not in outcome.metrics
    (note,) = [note for note in outcome.notes if note.startswith("ip1db_dbm")]
    assert "not given, the bias is still charging" in note
