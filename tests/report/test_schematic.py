"""A schematic shows every device once, connects exactly what the circuit connects, and overlaps nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from genrf import classes
from genrf.circuit.topology import GROUND, SUPPLY, Circuit, Topology
from genrf.report.schematic import place, write_schematic
from genrf.report.sheet import LENGTH, Point, Sheet, Symbol, move, points_between, transistor_pins
from tests.amplifiers import ALL, CASCODE, COMMON_EMITTER, MATCHED_28GHZ, circuit

VALUES = {"resistor": 1234.0, "inductor": 123e-12, "capacitor": 456e-15, "hbt": 4.0, "bias_voltage": 0.9}
SAMPLES = 40


def sampled(seed: int) -> Circuit:
    topology = classes.get("lna").sample_topology(np.random.default_rng(seed))
    return Circuit(topology, tuple(VALUES[device.kind] for device in topology.devices))


CIRCUITS = {**ALL, **{f"sample {seed}": None for seed in range(SAMPLES)}}


@cache
def placed(name: str) -> tuple[Circuit, Sheet]:
    it = CIRCUITS[name] or sampled(int(name.split()[1]))
    sheet, named = place(it)
    assert named == [], "a wire found no way"
    return it, sheet


@pytest.fixture(params=CIRCUITS)
def drawn(request: pytest.FixtureRequest) -> tuple[Circuit, Sheet]:
    return placed(request.param)


def terminals(symbol: Symbol, topology: Topology) -> dict[Point, str]:
    """Terminal points of a device's symbol and the nets that belong there."""
    assert symbol.device is not None
    nets = topology.devices[symbol.device].nets
    if symbol.kind == "hbt":
        return dict(zip(transistor_pins(symbol.at), nets, strict=True))
    return {symbol.at: "", move(symbol.at, symbol.direction, LENGTH): ""}


def test_every_device_is_drawn_once(drawn: tuple[Circuit, Sheet]) -> None:
    it, sheet = drawn
    count = Counter(symbol.device for symbol in sheet.symbols if symbol.device is not None)
    expected = {i for i, device in enumerate(it.topology.devices) if device.kind != "bias_voltage"}
    assert dict(count) == dict.fromkeys(expected, 1)
    shown = {symbol.texts[0] for symbol in sheet.symbols if symbol.texts}
    assert set(it.topology.designators) <= shown


def test_wires_connect_what_the_circuit_connects_and_nothing_else(drawn: tuple[Circuit, Sheet]) -> None:
    it, sheet = drawn
    neighbours: dict[Point, set[Point]] = defaultdict(set)
    owner: dict[Point, set[str]] = defaultdict(set)
    for net, edges in sheet.edges.items():
        for a, b in edges:
            neighbours[a].add(b)
            neighbours[b].add(a)
            owner[a].add(net)
            owner[b].add(net)
    pins: dict[Point, list[tuple[int, str]]] = defaultdict(list)
    for symbol in sheet.symbols:
        if symbol.device is None:
            continue
        points = list(terminals(symbol, it.topology))
        nets = [sheet.pins[point] for point in points]
        expected = it.topology.devices[symbol.device].nets
        assert sorted(nets) == sorted(expected)
        if symbol.kind == "hbt":
            assert tuple(nets) == expected
        for point, net in zip(points, nets, strict=True):
            pins[point].append((symbol.device, net))
    rails = {GROUND, SUPPLY} | {d.nets[0] for d in it.topology.devices if d.kind == "bias_voltage"}
    for net in set(it.topology.nets) - rails:
        points = {point for point, at in pins.items() if any(name == net for _, name in at)}
        reached, stack = set(), [min(points)]
        while stack:
            point = stack.pop()
            if point not in reached:
                reached.add(point)
                stack += [
                    other for other in neighbours[point] if (min(point, other), max(point, other)) in sheet.edges[net]
                ]
        assert points <= reached, f"net {net} is drawn in pieces"
        for point in reached:
            assert sheet.pins.get(point, net) == net, f"net {net} touches a terminal of {sheet.pins[point]}"


def test_wires_of_different_nets_only_ever_cross(drawn: tuple[Circuit, Sheet]) -> None:
    _, sheet = drawn
    at: dict[Point, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for net, edges in sheet.edges.items():
        for a, b in edges:
            way = "across" if a[1] == b[1] else "along"
            at[a][net].add(way + "+")
            at[b][net].add(way + "-")
    for ways in at.values():
        if len(ways) > 1:
            # Straight through, one across and one along: anything else would look like a connection.
            assert sorted(map(sorted, ways.values())) == [["across+", "across-"], ["along+", "along-"]]


def test_nothing_lies_on_a_symbol(drawn: tuple[Circuit, Sheet]) -> None:
    _, sheet = drawn
    wires = {point for edges in sheet.edges.values() for edge in edges for point in edge}
    assert not wires & sheet.body
    assert not sheet.text & sheet.body
    assert not sheet.pins.keys() & (sheet.body | sheet.text)
    for column, lowest in sheet.risers.items():
        above = {(column, y) for y in range(lowest + 1, 200)}
        assert not above & (sheet.body | sheet.text | sheet.pins.keys())


def test_a_wire_may_pass_a_text_but_hardly_ever_has_to() -> None:
    crossed = 0
    for seed in range(SAMPLES):
        _, sheet = placed(f"sample {seed}")
        crossed += bool({p for edges in sheet.edges.values() for edge in edges for p in edge} & sheet.text)
    assert crossed <= SAMPLES // 10


def test_signal_flows_from_left_to_right_between_the_rails() -> None:
    for it in (COMMON_EMITTER, CASCODE, MATCHED_28GHZ):
        sheet, _ = place(it)
        ports = {symbol.texts[0]: symbol.at[0] for symbol in sheet.symbols if symbol.kind == "port"}
        devices = [symbol for symbol in sheet.symbols if symbol.device is not None]
        assert ports["in"] <= min(symbol.at[0] for symbol in devices)
        assert ports["out"] > max(symbol.at[0] for symbol in devices if symbol.kind == "hbt")
        top = max(y for _, y in sheet.body)
        assert all(y <= top + 1 for y in sheet.risers.values())


def test_a_cascode_is_stacked() -> None:
    sheet, _ = place(CASCODE)
    names = {symbol.texts[0]: symbol for symbol in sheet.symbols if symbol.kind == "hbt"}
    lower, upper = transistor_pins(names["Q1"].at), transistor_pins(names["Q2"].at)
    assert lower[0][0] == upper[2][0]
    assert lower[0][1] <= upper[2][1]
    assert set(points_between(lower[0], upper[2])) - {lower[0], upper[2]} <= sheet.along.keys()


def test_parallel_and_odd_connections_are_drawn_too() -> None:
    odd = circuit(
        ("capacitor", "in n1", 1e-12),
        ("resistor", "in n1", 100.0),
        ("hbt", "n2 n1 n2", 2.0),
        ("hbt", "vdd n2 n3", 2.0),
        ("resistor", "n3 0", 500.0),
        ("resistor", "vdd n1", 5000.0),
        ("capacitor", "vdd 0", 1e-12),
        ("hbt", "out vdd n3", 2.0),
        ("resistor", "out out", 10.0),
    )
    sheet, _ = place(odd)
    assert {symbol.device for symbol in sheet.symbols if symbol.device is not None} == set(range(9))


def test_svg_shows_designators_and_engineering_values(tmp_path: Path) -> None:
    path = tmp_path / "schematic.svg"
    write_schematic(COMMON_EMITTER, path, supply_v=2.5, title="an amplifier")
    texts = {element.text for element in ElementTree.parse(path).iter() if element.text and element.text.strip()}
    assert {"an amplifier", "VDD 2.5 V", "in", "out", "L1", "180 pH", "R1", "2 kΩ", "Q1", "×4", "V1", "0.87 V"} <= texts


def test_the_same_circuit_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        write_schematic(MATCHED_28GHZ, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
