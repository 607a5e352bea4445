"""The mixers' grammar draws many different, legal mixers of every sort it promises, and all of them get values."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.graph import net_graph
from genrf.circuit.mutation import mutate
from genrf.circuit.rules import is_legal, violations
from genrf.circuit.tokens import MAX_DEVICES, encode
from genrf.circuit.topology import Device, Topology
from genrf.classes.mixer.bias import mixer_bias
from genrf.classes.mixer.grammar import sample_topology
from genrf.classes.mixer.sizing import first_order_values
from genrf.conditions import Conditions

KIND_BY_LETTER = {
    "R": "resistor", "L": "inductor", "C": "capacitor", "Q": "hbt", "V": "bias_voltage", "D": "diode",
}  # fmt: skip
SUPPLIES_V = (1.2, 1.5, 1.8, 2.5, 3.3)


def written(*lines: str) -> Topology:
    devices = []
    for line in lines:
        letter, *nets = line.split()
        devices.append(Device(KIND_BY_LETTER[letter], tuple(nets)))
    return Topology("mixer", tuple(devices))


ACTIVE = ("C rf b", "C lop b", "V bias", "R bias b", "Q c b 0", "R vdd c", "C c out")
"""The smallest active mixer: the LO's second phase is left open."""
SINGLE_BALANCED = (
    *("C rf b", "V bias", "R bias b", "Q t b 0"),
    *("V upper", "R upper p", "R upper m", "C lop p", "C lon m", "Q x p t", "Q y m t"),
    *("R vdd x", "R vdd y", "C x out"),
)


@pytest.fixture(scope="module")
def sample() -> list[Topology]:
    rng = np.random.default_rng(2026)
    return [sample_topology(rng) for _ in range(800)]


def count(topology: Topology, kind: str) -> int:
    return sum(device.kind == kind for device in topology.devices)


def test_topologies_are_legal_canonical_and_fit_the_tokens(sample: list[Topology]) -> None:
    for topology in sample[:200]:
        assert is_legal(topology)
        assert canonical(topology)[0] == topology
        assert len(topology.devices) <= MAX_DEVICES
        encode(topology)


def test_the_seed_decides() -> None:
    assert sample_topology(np.random.default_rng(5)) == sample_topology(np.random.default_rng(5))


def test_every_sort_is_drawn(sample: list[Topology]) -> None:
    def pairs(topology: Topology) -> int:
        """Emitters that two transistors share."""
        emitters = Counter(device.nets[2] for device in topology.devices if device.kind == "hbt")
        return sum(number == 2 for net, number in emitters.items() if net != "0")

    sorts = {
        "double-balanced": [t for t in sample if pairs(t) >= 2],
        "single-balanced": [t for t in sample if pairs(t) == 1],
        "one transistor": [t for t in sample if count(t, "hbt") == 1],
        "one diode": [t for t in sample if count(t, "diode") == 1],
        "two diodes": [t for t in sample if count(t, "diode") == 2],
        "ring": [t for t in sample if count(t, "diode") == 4],
        "open second phase": [t for t in sample if "lon" not in t.nets],
        "tank": [t for t in sample if any(d.kind == "inductor" and "vdd" in d.nets for d in t.devices)],
        "resistive load": [t for t in sample if any(d.kind == "resistor" and "vdd" in d.nets for d in t.devices)],
    }
    for name, drawn in sorts.items():
        assert len(drawn) >= 15, name


def test_nearly_every_draw_is_a_new_topology(sample: list[Topology]) -> None:
    distinct = len({fingerprint(topology) for topology in sample})
    pairs = len(sample) * (len(sample) - 1) / 2
    # Birthday bound: with N equally likely topologies pairs / N repeats are expected.
    assert pairs / max(len(sample) - distinct, 1) > 3000


@pytest.mark.parametrize("lines", [ACTIVE, SINGLE_BALANCED])
def test_ordinary_practice_breaks_no_rule(lines: tuple[str, ...]) -> None:
    assert violations(written(*lines)) == []


BROKEN = {
    "no transistor and no diode": (("C rf x", "C lop x", "R x 0", "C x out"), "no_mixing_device", None),
    "lo that passes by": (
        ("C rf b", "V bias", "R bias b", "Q c b 0", "R vdd c", "C c out", "R lop lon"),
        "mixing_path",
        "lop",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_port_reaches_a_device_that_mixes(name: str) -> None:
    lines, rule, net = BROKEN[name]
    group = classes.get("mixer").rules
    topology = written(*lines)
    found = [violation for rule_of in group for violation in rule_of(topology, net_graph(topology))]
    assert (rule, net) in {(violation.rule, violation.net) for violation in found}
    assert not is_legal(topology)


def test_every_legal_topology_gets_legal_values(sample: list[Topology]) -> None:
    rng = np.random.default_rng(3)
    process = technology.get("sg13g2")
    for index, topology in enumerate(sample[:250]):
        for _ in range(index % 4):
            topology = mutate(topology, rng)
        supply_v = SUPPLIES_V[index % len(SUPPLIES_V)]
        conditions = Conditions(frequency_hz=float(10.0 ** rng.uniform(9.0, 10.9)), supply_v=supply_v)
        seed = int(rng.integers(2**32))
        values = first_order_values(topology, conditions, np.random.default_rng(seed))
        assert values == first_order_values(topology, conditions, np.random.default_rng(seed))
        assert len(values) == len(topology.devices)
        assert np.isfinite(values).all()
        for device, value in zip(topology.devices, values, strict=True):
            assert value > 0.0 or device.kind == "bias_voltage"
            low, high = process.value_range(device.kind)
            assert low <= process.snap(device.kind, value) <= high


def test_a_switching_pair_shares_the_current_below() -> None:
    topology = written(*SINGLE_BALANCED)
    for seed in range(10):
        point = mixer_bias(net_graph(topology), 2.5, np.random.default_rng(seed))
        below, *pair = (point.current_a[index] for index, device in enumerate(topology.devices) if device.kind == "hbt")
        assert pair == pytest.approx([below / 2.0] * 2)


def test_balanced_halves_are_alike() -> None:
    topology = written(*SINGLE_BALANCED)
    conditions = Conditions(frequency_hz=28e9, supply_v=2.5)
    values = np.array([first_order_values(topology, conditions, np.random.default_rng(seed)) for seed in range(40)])
    named = dict(zip(topology.designators, values.T, strict=True))
    np.testing.assert_array_equal(named["Q2"], named["Q3"])
    np.testing.assert_allclose(named["R4"], named["R5"])
    # Coupling capacitors mostly.
    assert (named["C2"] == named["C3"]).mean() > 0.6
