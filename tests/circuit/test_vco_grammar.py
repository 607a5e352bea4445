"""The grammar of oscillators draws many different, legal ones of every sort, and values can be drawn for each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.mutation import mutate
from genrf.circuit.rules import is_legal, violations
from genrf.circuit.tokens import MAX_DEVICES, encode
from genrf.circuit.topology import Device, Topology
from genrf.classes.vco.grammar import sample_topology
from genrf.classes.vco.sizing import first_order_values
from genrf.conditions import Conditions

CONDITIONS = Conditions(frequency_hz=10e9, supply_v=1.5)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(2026)
    return [sample_topology(rng) for _ in range(600)]


def test_topologies_are_legal_canonical_and_fit_the_tokens(sample):
    for topology in sample[:150]:
        assert is_legal(topology)
        assert canonical(topology)[0] == topology
        assert len(topology.devices) <= MAX_DEVICES
        encode(topology)


def test_nearly_every_draw_is_a_new_topology(sample):
    distinct = len({fingerprint(topology) for topology in sample})
    pairs = len(sample) * (len(sample) - 1) / 2
    assert pairs / max(len(sample) - distinct, 1) > 5_000


def test_cross_coupled_and_single_transistor_cores_with_and_without_buffer(sample):
    def transistors(topology):
        return [device.nets for device in topology.devices if device.kind == "hbt"]

    def cross_coupled(topology):
        nets = transistors(topology)
        return any(a[0] == b[1] and b[0] == a[1] for a in nets for b in nets if a != b)

    def colpitts(topology):
        return len(transistors(topology)) == 1

    def buffered(topology):
        return any(device.kind == "capacitor" and "out" in device.nets for device in topology.devices) and any(
            collector == "vdd" for collector, _, _ in transistors(topology)
        )

    for sort in (cross_coupled, colpitts, buffered):
        assert sum(sort(topology) for topology in sample) > 30, sort.__name__


def test_values_can_be_drawn_for_mutated_topologies_too(sample):
    rng = np.random.default_rng(3)
    for topology in sample[:25]:
        mutated = mutate(topology, rng)
        for legal in (topology, mutated):
            values = first_order_values(legal, CONDITIONS, rng)
            assert len(values) == len(legal.devices)
            assert all(math.isfinite(value) and value >= 0.0 for value in values)


@pytest.mark.parametrize(
    ("removed", "rule"), [("varactor", "no_tuning"), ("hbt", "no_transistor"), ("inductor", "no_resonator")]
)
def test_oscillator_without_an_essential_part_is_illegal(removed, rule):
    kept = [device for device in _pair().devices if device.kind != removed]
    if removed == "varactor":
        kept += [Device("capacitor", ("tune", "a"))]
    if removed == "inductor":
        kept += [Device("resistor", ("vdd", net)) for net in "ab"]
    if removed == "hbt":
        kept = [device for device in kept if "e" not in device.nets] + [Device("capacitor", ("a", "b"))]
    assert [violation.rule for violation in violations(Topology("vco", tuple(kept)))] == [rule]


def test_transistor_without_feedback_is_illegal():
    amplifier = Topology(
        "vco",
        (
            Device("bias_voltage", ("base",)),
            Device("hbt", ("a", "base", "0")),
            Device("inductor", ("vdd", "a")),
            Device("varactor", ("tune", "a")),
            Device("capacitor", ("a", "out")),
        ),
    )
    assert [violation.rule for violation in violations(amplifier)] == ["no_feedback"]


def _pair() -> Topology:
    return Topology(
        "vco",
        (
            Device("inductor", ("vdd", "a")),
            Device("inductor", ("vdd", "b")),
            Device("varactor", ("tune", "a")),
            Device("hbt", ("a", "b", "e")),
            Device("hbt", ("b", "a", "e")),
            Device("resistor", ("e", "0")),
            Device("capacitor", ("a", "out")),
        ),
    )
