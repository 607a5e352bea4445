"""Circuits with junctions and with more ports than two are drawn as well as amplifiers are."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from genrf import classes
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.report.chains import CircuitGraph
from genrf.report.labels import clear_labels, label_places
from genrf.report.schematic import drawing, place, write_schematic
from genrf.report.sheet import Direction, Label, Sheet, Symbol, device_piece
from genrf.report.values import value_text


def circuit(circuit_class: str, *parts: tuple[str, str, float]) -> Circuit:
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology(circuit_class, devices), tuple(value for _, _, value in parts))


JUNCTIONS = circuit(
    "lna",
    ("capacitor", "in n1", 1e-12),
    ("diode", "n1 n2", 4.0),
    ("varactor", "0 n2", 20.0),
    ("resistor", "n1 0", 1e3),
    ("diode", "n3 n2", 8.0),
    ("resistor", "vdd n3", 1e3),
    ("capacitor", "n3 out", 1e-12),
)
OSCILLATOR = circuit(
    "vco",
    ("inductor", "vdd n1", 100e-12),
    ("inductor", "vdd n2", 100e-12),
    ("varactor", "tune n1", 20.0),
    ("varactor", "tune n2", 20.0),
    ("capacitor", "n1 n3", 100e-15),
    ("capacitor", "n2 n4", 100e-15),
    ("bias_voltage", "n5", 0.85),
    ("resistor", "n5 n3", 2e3),
    ("resistor", "n5 n4", 2e3),
    ("hbt", "n1 n4 n6", 4.0),
    ("hbt", "n2 n3 n6", 4.0),
    ("resistor", "n6 0", 50.0),
    ("capacitor", "n2 out", 30e-15),
)
MIXER = circuit(
    "mixer",
    ("capacitor", "rf n1", 1e-12),
    ("bias_voltage", "n2", 0.85),
    ("resistor", "n2 n1", 2e3),
    ("hbt", "n3 n1 0", 4.0),
    ("capacitor", "lop n4", 1e-12),
    ("bias_voltage", "n5", 1.6),
    ("resistor", "n5 n4", 2e3),
    ("hbt", "n6 n4 n3", 4.0),
    ("capacitor", "lon n7", 1e-12),
    ("resistor", "n5 n7", 2e3),
    ("hbt", "vdd n7 n3", 4.0),
    ("resistor", "vdd n6", 200.0),
    ("capacitor", "n6 out", 1e-12),
)


def ports(sheet: Sheet) -> dict[str, list[Symbol]]:
    found: dict[str, list[Symbol]] = {}
    for symbol in sheet.symbols:
        if symbol.kind == "port":
            found.setdefault(symbol.texts[0], []).append(symbol)
    return found


def test_junctions_have_symbols_with_the_cathode_where_the_circuit_has_it() -> None:
    from schemdraw import elements

    sheet, named = place(JUNCTIONS)
    assert not named
    for symbol in sheet.symbols:
        if symbol.kind in ("diode", "varactor"):
            assert symbol.device is not None
            first = JUNCTIONS.topology.devices[symbol.device].nets[0]
            assert (sheet.pins[symbol.at] == first) is not symbol.flipped
    assert {symbol.flipped for symbol in sheet.symbols if symbol.kind == "diode"} == {True, False}
    drawn = [type(element) for element in drawing(JUNCTIONS).elements]
    assert (drawn.count(elements.Diode), drawn.count(elements.Varactor)) == (2, 1)


@pytest.mark.parametrize("direction", ["up", "down", "left", "right"])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_diode_points_from_anode_to_cathode_whichever_way_it_is_drawn(direction: Direction, flipped: bool) -> None:
    import schemdraw
    from schemdraw import elements

    from genrf.report.schematic import _draw_symbol, _xy
    from genrf.report.sheet import LENGTH, move

    (symbol,) = device_piece("diode", 0, ("D1", "×4"), (2, 3), direction, ("a", "b"), flipped=flipped).symbols
    sketch = schemdraw.Drawing(canvas="svg", show=False)
    _draw_symbol(sketch, symbol)
    diode = next(element for element in sketch.elements if isinstance(element, elements.Diode))
    start, end = (2, 3), move((2, 3), direction, LENGTH)
    anode, cathode = (end, start) if flipped else (start, end)
    assert tuple(diode.absanchors["start"]) == pytest.approx(_xy(anode))
    assert tuple(diode.absanchors["end"]) == pytest.approx(_xy(cathode))


def test_junctions_are_valued_in_emitters() -> None:
    assert value_text("varactor", 20.0) == "×20"
    assert value_text("diode", 4.0) == "×4"


def test_a_tuning_voltage_is_marked_wherever_it_is_used_and_the_output_is_on_the_right() -> None:
    sheet, named = place(OSCILLATOR)
    assert not named
    marks = ports(sheet)
    assert {name: len(symbols) for name, symbols in marks.items()} == {"tune": 2, "out": 1}
    transistors = [symbol.at[0] for symbol in sheet.symbols if symbol.kind == "hbt"]
    assert marks["out"][0].at[0] > max(transistors)
    assert marks["out"][0].direction == "right"


def test_a_mixer_has_its_signal_from_left_to_right_and_the_local_oscillator_beside_it() -> None:
    graph = CircuitGraph(MIXER.topology, classes.get("mixer").ports.names, classes.get("mixer").ports.held)
    assert (graph.source, graph.sink, graph.side_ports) == ("rf", "out", {"lop", "lon"})
    sheet, named = place(MIXER)
    assert not named
    marks = ports(sheet)
    assert marks.keys() == {"rf", "lop", "lon", "out"}
    across = {name: symbols[0].at[0] for name, symbols in marks.items()}
    assert across["rf"] < across["out"]


def test_a_port_that_a_circuit_leaves_open_is_not_drawn() -> None:
    single = MIXER.topology.devices[:8] + MIXER.topology.devices[11:]
    sheet, _ = place(Circuit(Topology("mixer", single), MIXER.values[:8] + MIXER.values[11:]))
    assert ports(sheet).keys() == {"rf", "lop", "out"}


@pytest.mark.parametrize("name", ["filter", "mixer", "vco"])
def test_every_device_of_random_circuits_is_drawn_once_and_nothing_lies_on_a_symbol(name: str) -> None:
    definition = classes.get(name)
    rng = np.random.default_rng(7)
    for _ in range(12):
        topology = definition.sample_topology(rng)
        sheet, _ = place(Circuit(topology, tuple(1.0 for _ in topology.devices)))
        drawn = sorted(symbol.device for symbol in sheet.symbols if symbol.device is not None)
        assert drawn == [i for i, device in enumerate(topology.devices) if device.kind != "bias_voltage"]
        assert ports(sheet).keys() == set(definition.ports.names) & set(topology.nets)
        wires = {point for edges in sheet.edges.values() for edge in edges for point in edge}
        assert not wires & sheet.body
        assert not sheet.pins.keys() & (sheet.body | sheet.text)


def upright(wires: list[tuple[tuple[int, int], tuple[int, int]]]) -> Sheet:
    sheet = Sheet()
    sheet.put(device_piece("capacitor", 0, ("C1", "1 pF"), (0, 0), "up", ("a", "b")))
    for a, b in wires:
        sheet.edges["other"].add((a, b))
    return sheet


@pytest.mark.parametrize(
    ("wires", "label"),
    [
        ([], ""),
        ([((2, 1), (2, 2)), ((2, 2), (2, 3))], "left"),
        ([((2, 2), (3, 2)), ((-2, 2), (-1, 2))], "upper right"),
    ],
)
def test_a_text_moves_off_a_wire_that_runs_through_it(
    wires: list[tuple[tuple[int, int], tuple[int, int]]], label: Label
) -> None:
    sheet = upright(wires)
    clear_labels(sheet)
    (symbol,) = sheet.symbols
    assert symbol.label == label
    crossed = {point for edge in sheet.edges["other"] for point in edge}
    assert sheet.text == label_places(symbol)[label or "right"]
    assert not sheet.text & crossed


def test_svg_of_an_oscillator_names_its_ports_and_varactors(tmp_path: Path) -> None:
    path = tmp_path / "schematic.svg"
    write_schematic(OSCILLATOR, path, supply_v=1.8)
    texts = {element.text for element in ElementTree.parse(path).iter() if element.text and element.text.strip()}
    assert {"tune", "out", "VD1", "VD2", "×20", "VDD 1.8 V"} <= texts
