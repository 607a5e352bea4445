"""What a designer would not sign: found, named, and brought within the rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.canonical import canonical_circuit
from genrf.circuit.design_rules import BIAS, HALVES, SELF_RESONANCE, SERIES, SIZE, DesignRules
from genrf.circuit.merging import merged_circuit
from genrf.circuit.symmetry import mirrored
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.technology.sg13g2.inductor import SpiralInductor, largest_inductance
from training.data.breeding import within_rules

PROCESS = technology.get("sg13g2")
CONDITIONS = Conditions(frequency_hz=5e9, supply_v=1.8)


def circuit(circuit_class: str, *parts: tuple[str, str, float]) -> Circuit:
    """A circuit from (kind, "net net ...", value)."""
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology(circuit_class, devices), tuple(value for _, _, value in parts))


AMPLIFIER = circuit(
    "lna",
    ("capacitor", "in n1", 1e-12),
    ("resistor", "n1 n2", 2e3),
    ("bias_voltage", "n2", 0.85),
    ("hbt", "n3 n1 n4", 8.0),
    ("inductor", "n4 0", 100e-12),
    ("inductor", "n3 vdd", 2e-9),
    ("capacitor", "n3 out", 300e-15),
)
BALANCED = circuit(
    "vco",
    ("hbt", "n1 n2 n3", 7.0),
    ("hbt", "n2 n1 n3", 6.0),
    ("resistor", "n3 0", 100.0),
    ("inductor", "n1 vdd", 1.0e-9),
    ("inductor", "n2 vdd", 1.3e-9),
    ("varactor", "tune n1", 60.0),
    ("varactor", "tune n2", 40.0),
    ("capacitor", "n1 out", 200e-15),
)
"""A cross-coupled pair with an output at one side."""


def rules(circuit_class: str = "lna", supply_v: float = 1.8, frequency_hz: float = 5e9) -> DesignRules:
    return DesignRules(circuit_class, Conditions(frequency_hz=frequency_hz, supply_v=supply_v), PROCESS)


def with_value(circuit: Circuit, designator: str, value: float) -> Circuit:
    names = circuit.topology.designators
    return circuit.with_values([value if n == designator else v for n, v in zip(names, circuit.values, strict=True)])


def test_a_circuit_within_the_rules_is_left_as_it_is() -> None:
    assert rules().broken(AMPLIFIER) == []
    assert rules().kept(AMPLIFIER) == AMPLIFIER


@pytest.mark.parametrize(
    ("designator", "value", "rule", "said", "kept"),
    [
        ("V1", 2.6, BIAS, "V1: 2.6 V is above the supply of 1.8 V", 1.8),
        ("L2", 6e-9, SELF_RESONANCE, "L2: 6e-09 H resonates with itself below twice the frequency", 4.041e-9),
        ("C2", 20e-15, SIZE, "C2: 2e-14 F is outside 7.35e-14 to 5e-11 F", 73.5e-15),
    ],
)
def test_a_value_beyond_the_conditions_is_named_and_moved(
    designator: str, value: float, rule: str, said: str, kept: float
) -> None:
    wrong = with_value(AMPLIFIER, designator, value)
    (breach,) = rules().broken(wrong)
    assert breach.rule == rule
    assert breach.message.startswith(said)
    moved = dict(zip(wrong.topology.designators, rules().kept(wrong).values, strict=True))
    assert moved[designator] == pytest.approx(kept, rel=1e-3)
    assert rules().kept(wrong) == with_value(AMPLIFIER, designator, moved[designator])


@pytest.mark.parametrize("resonance_hz", [3e9, 19e9, 120e9])
def test_the_largest_inductor_resonates_there_with_its_own_end(resonance_hz: float) -> None:
    """f = 1 / (2 pi sqrt(L C)), one end grounded."""
    spiral = SpiralInductor.of(largest_inductance(resonance_hz))
    assert 1.0 / (2.0 * math.pi * math.sqrt(spiral.inductance_h * spiral.side_f)) == pytest.approx(resonance_hz)


def test_a_mixers_inductors_work_at_the_intermediate_frequency() -> None:
    assert rules("mixer").ranges["inductor"] == rules("lna", frequency_hz=0.5e9).ranges["inductor"]


def test_halves_mirror_each_other_whatever_hangs_on_one_side() -> None:
    names = BALANCED.topology.designators
    assert [(names[a], names[b]) for a, b in mirrored(BALANCED.topology)] == [
        ("Q1", "Q2"),
        ("L1", "L2"),
        ("VD1", "VD2"),
    ]
    broken = rules("vco").broken(BALANCED)
    assert {breach.rule for breach in broken} == {HALVES}
    assert broken[0].message == "Q1 and Q2: halves of a balanced circuit are unequal, 7 and 6"
    kept = rules("vco").kept(BALANCED)
    assert rules("vco").broken(kept) == []
    values = dict(zip(names, kept.values, strict=True))
    assert values["L1"] == values["L2"] == pytest.approx(math.sqrt(1.3) * 1e-9, rel=1e-3)
    assert values["C1"] == 200e-15


def test_the_phases_of_a_mixer_may_mirror_each_other() -> None:
    pair = circuit(
        "mixer",
        ("hbt", "n1 n2 n3", 10.0),
        ("hbt", "n4 n5 n3", 12.0),
        ("capacitor", "n2 lop", 1e-12),
        ("capacitor", "n5 lon", 2e-12),
        ("resistor", "n2 n6", 300.0),
        ("resistor", "n5 n6", 400.0),
        ("bias_voltage", "n6", 1.4),
        ("inductor", "n1 vdd", 1e-9),
        ("resistor", "n4 vdd", 100.0),
        ("hbt", "n3 rf 0", 8.0),
    )
    names = pair.topology.designators
    assert {(names[a], names[b]) for a, b in mirrored(pair.topology)} == {("Q1", "Q2"), ("C1", "C2"), ("R1", "R2")}


def test_a_device_mirrors_one_other_only() -> None:
    three = circuit(
        "mixer",
        ("hbt", "n1 n4 n7", 8.0),
        ("hbt", "n2 n5 n7", 9.0),
        ("hbt", "n3 n6 n7", 10.0),
        ("resistor", "n7 0", 100.0),
    )
    devices = [device for pair in mirrored(three.topology) for device in pair]
    assert len(devices) == len(set(devices))


def test_an_amplifier_with_feedback_is_no_crossed_pair() -> None:
    two = circuit(
        "lna",
        ("hbt", "n1 n2 0", 10.0),
        ("hbt", "n3 n1 0", 4.0),
        ("resistor", "n3 n2", 1e3),
        ("resistor", "n1 vdd", 200.0),
        ("resistor", "n3 vdd", 100.0),
    )
    assert mirrored(two.topology) == ()


@pytest.mark.parametrize("emitter", ["0", "vdd"])
def test_transistors_with_a_common_fixed_emitter_are_no_pair(emitter: str) -> None:
    two = circuit(
        "lna",
        ("hbt", f"n1 in {emitter}", 10.0),
        ("hbt", f"out n1 {emitter}", 4.0),
        ("resistor", "n1 vdd", 100.0),
    )
    assert mirrored(two.topology) == ()


def test_resistors_and_inductors_in_series_are_one() -> None:
    chain = circuit(
        "filter",
        ("inductor", "in n1", 1e-9),
        ("inductor", "n1 n2", 2e-9),
        ("inductor", "n2 n3", 0.5e-9),
        ("capacitor", "n3 0", 1e-12),
        ("resistor", "n3 n4", 10.0),
        ("resistor", "n4 out", 20.0),
    )
    assert SERIES in {breach.rule for breach in rules("filter", frequency_hz=1e9).broken(chain)}
    one = merged_circuit(chain)
    assert one.topology.devices == (
        Device("inductor", ("in", "n3")),
        Device("capacitor", ("n3", "0")),
        Device("resistor", ("n3", "out")),
    )
    assert one.values == pytest.approx((3.5e-9, 1e-12, 30.0))
    assert merged_circuit(one) is one


@pytest.mark.parametrize("parts", [("in n1", "n1 in"), ("in out", "out 0")], ids=["loop", "port-between"])
def test_what_only_looks_like_a_series_pair_is_kept(parts: tuple[str, str]) -> None:
    two = circuit("filter", *(("inductor", nets, 1e-9) for nets in parts))
    assert merged_circuit(two) is two


@pytest.mark.parametrize("name", classes.names())
def test_drawn_circuits_are_brought_within_the_rules_and_stay_there(name: str) -> None:
    rng = np.random.default_rng(3)
    definition = classes.get(name)
    for _ in range(20):
        topology = definition.sample_topology(rng)
        conditions = Conditions(
            frequency_hz=10e9 * math.exp(0.7 * rng.normal()), supply_v=float(rng.choice([1.2, 1.8, 2.5]))
        )
        drawn = Circuit(topology, definition.first_order_values(topology, conditions, rng))
        own = DesignRules(name, conditions, PROCESS)
        kept = within_rules(drawn, conditions, PROCESS)
        assert own.broken(kept) == []
        assert within_rules(kept, conditions, PROCESS) == kept
        assert canonical_circuit(kept) == kept
