"""What may not be in a user's netlist, and what is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrf.errors import InvalidInputError
from genrf.measurement.user_netlist import UserNetlist, read_netlist

PAD = ["r1 a m 10", "r2 m 0 100", "r3 m b 10"]


def netlist(folder: Path, *lines: str, pad: bool = True) -> Path:
    path = folder / "user.cir"
    path.write_text("\n".join(["title", *(PAD if pad else []), *lines, ".end"]) + "\n")
    return path


def read(path: Path, supply: str | None = None) -> UserNetlist:
    return read_netlist(path, "lna", ["a", "b"], supply)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (".control", "commands are not allowed"),
        (".endc", "commands are not allowed"),
        (".exec ls", "commands are not allowed"),
        (".csparam x=1", "not a card"),
        (".codemodel evil.cm", "not a card"),
        (".pre_osdi evil.osdi", "not a card"),
        (".hdl evil.va", "not a card"),
        ("!ls", "shell escape"),
        ("r4 a 0 `ls`", "back quote"),
        ("r4 a 0 \\", "backslash"),
        ('r4 a 0 "x"', "double quote"),
        ("a1 [a b] gate", "XSPICE"),
        ("n1 a b mod", "OSDI"),
        ("%1 a b", "not a device"),
        (".model gate d_source (input_file=secret)", "models of type d_source"),
        (".model dev numd level=1", "models of type numd"),
        ("m1 a b 0 0 nomodel", "no model"),
        ("v1 m2 0 sin(0 1 1g)", "varies in time"),
        ("v1 m2 0 dc 0 ac 1", "the testbench drives"),
        ("v1 m2 0 dc 0 portnum 1 z0 50", "the testbench drives"),
        ("r4 a 0 1kΩ", "ASCII"),
        (".subckt cell x", "without .ends"),
        (".ends", "without .subckt"),
        (".include /etc/passwd", "outside the netlist's folder"),
        (".include ../other.cir", "outside the netlist's folder"),
        (".lib /etc/passwd typ", "outside the netlist's folder"),
        (".lib models.lib", "expected .lib FILE SECTION"),
        (".include missing.cir", "no such file"),
    ],
)
def test_refuses_and_names_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    path = netlist(tmp_path, line)
    with pytest.raises(InvalidInputError, match=reason) as caught:
        read(path)
    assert str(caught.value).startswith((f"{path}:5: ", f"{tmp_path / 'missing.cir'}: "))


def test_refuses_a_link_that_leads_outside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.cir").write_text("r9 a b 1\n")
    (inside / "link.cir").symlink_to(tmp_path / "secret.cir")
    with pytest.raises(InvalidInputError, match="outside the netlist's folder"):
        read(netlist(inside, ".include link.cir"))


def test_refuses_a_file_that_includes_itself(tmp_path: Path) -> None:
    (tmp_path / "loop.cir").write_text(".include loop.cir\n")
    with pytest.raises(InvalidInputError, match="does one include itself"):
        read(netlist(tmp_path, ".include loop.cir"))


def test_refuses_commands_in_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "cards.cir").write_text("* models\n.control\nshell ls\n.endc\n")
    with pytest.raises(InvalidInputError, match=r"cards\.cir:2: \.control"):
        read(netlist(tmp_path, ".include cards.cir"))


@pytest.mark.parametrize("line", ["v1 a 0 0", "v1 0 b dc 1", "i1 a 0 1m", "vx a b 0", "vdrive a vcc 1"])
def test_refuses_a_source_on_a_port(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidInputError, match=r"user\.cir:6: .*a source on port"):
        read(netlist(tmp_path, "rs vcc m 1k", line), "vcc")


def test_refuses_a_source_on_the_supply_but_not_a_load_or_a_meter(tmp_path: Path) -> None:
    allowed = ["rs inner m 1k", "vmeter vcc inner 0", "iload vcc 0 1m"]
    assert read(netlist(tmp_path, *allowed), "vcc").bias == ()
    with pytest.raises(InvalidInputError, match=r"user\.cir:8: vdd: a source on supply net vcc"):
        read(netlist(tmp_path, *allowed, "vdd vcc 0 1.8"), "vcc")


@pytest.mark.parametrize(
    ("ports", "supply", "reason"),
    [
        (["a", "c"], None, "no net c, which --ports names as out"),
        (["a"], None, "class lna has 2 ports"),
        (["a", "a"], None, "given twice"),
        (["a", "0"], None, "is ground"),
        (["a", "b"], "vcc", "no net vcc, which --supply names as vdd"),
        (["a", "-"], None, "no net -"),
    ],
)
def test_refuses_ports_that_are_not_there(tmp_path: Path, ports: list[str], supply: str | None, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        read_netlist(netlist(tmp_path), "lna", ports, supply)


def test_refuses_an_unknown_class(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="unknown circuit class 'antenna'"):
        read_netlist(netlist(tmp_path), "antenna", ["a", "b"])


def test_leaves_analyses_out_and_says_so(tmp_path: Path) -> None:
    found = read(netlist(tmp_path, ".ac dec 10 1g 10g", ".print ac v(b)", ".options reltol=1e-4 scale=1u", ".temp 85"))
    assert [note.split(": ", 1)[0].rpartition(":")[2] for note in found.notes] == ["5", "6", "7", "8"]
    text = "\n".join([*found.definitions, *found.lines])
    assert ".options scale=1u" in text
    assert not {"ac", ".print", "reltol", ".temp"} & set(text.replace("=", " ").split())


def test_reads_continuations_comments_case_and_libraries(tmp_path: Path) -> None:
    (tmp_path / "parts.lib").write_text(
        ".LIB slow\n.param rx=99\n.endl\n.lib Typ\n.param rx=20 $ typical\n.include more.cir\n.endl typ\n"
    )
    (tmp_path / "more.cir").write_text("R5 A B {Rx}\n")
    path = netlist(
        tmp_path, "R1 A", "* between", "+ B", "+ 10 ; end", "R2 b 0 5 // end", ".lib parts.lib typ", pad=False
    )
    found = read(path)
    body = (*found.definitions, *found.lines[1:-2])
    assert body == (".param rx=20", "r1 a b 10", "r2 b 0 5", "r5 a b {rx}")


def test_stops_at_the_end_card(tmp_path: Path) -> None:
    path = netlist(tmp_path)
    path.write_text(path.read_text() + ".control\nshell ls\n.endc\n")
    assert len(read(path).lines) == 6


def test_takes_grounded_bias_sources_out_and_notes_the_others(tmp_path: Path) -> None:
    found = read(
        netlist(tmp_path, "vb1 n1 0 dc 700m", "rb n1 m 1k", "vb2 n2 m 0.5", "rb2 n2 0 1k", "vb3 n3 0 1", "f1 0 m vb3 1")
    )
    assert found.bias == (("bias1", 0.7),)
    assert not any(line.startswith("vb1") for line in found.lines)
    assert [note.split(": ", 1)[1].split()[3] for note in found.notes] == ["vb2", "vb3"]


@pytest.mark.parametrize(
    ("circuit_class", "ports", "probe", "reason"),
    [
        ("vco", ["a", "b"], None, "--probe: name the net at the resonator"),
        ("vco", ["a", "b"], "nowhere", "no net nowhere inside the circuit"),
        ("vco", ["a", "b"], "a", "no net a inside the circuit"),
        ("lna", ["a", "b"], "m", "--probe: class lna needs none"),
    ],
)
def test_an_oscillator_needs_a_probe_inside_and_other_classes_none(
    tmp_path: Path, circuit_class: str, ports: list[str], probe: str | None, reason: str
) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        read_netlist(netlist(tmp_path), circuit_class, ports, None, probe)
