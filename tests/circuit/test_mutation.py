"""Random changes of topology and values stay legal, keep what they should, and repeat with the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrf import technology
from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.devices import KINDS
from genrf.circuit.mutation import cross, mutate, mutate_circuit, vary
from genrf.circuit.rules import violations
from genrf.circuit.tokens import MAX_DEVICES, encode
from genrf.circuit.topology import Circuit
from genrf.classes.lna.sizing import first_order_values
from genrf.conditions import Conditions
from tests.circuit.topologies import COMMON_EMITTER, drawn, topologies, written

SG13G2 = technology.get("sg13g2")
CONDITIONS = Conditions(frequency_hz=20e9, supply_v=1.5)
SEEDS = st.integers(0, 2**32 - 1)


def sized(topology, seed=0) -> Circuit:
    values = first_order_values(topology, CONDITIONS, np.random.default_rng(seed))
    return legal(Circuit(topology, values))


def legal(circuit: Circuit) -> Circuit:
    """Values clipped to the technology's ranges and snapped to its grid."""
    values = []
    for device, value in zip(circuit.topology.devices, circuit.values, strict=True):
        low, high = SG13G2.value_range(device.kind)
        values.append(SG13G2.snap(device.kind, min(max(value, low), high)))
    return circuit.with_values(values)


@settings(max_examples=80, deadline=None)
@given(topologies(2), SEEDS)
def test_a_mutant_is_legal_canonical_and_different(topology, seed):
    mutant = mutate(topology, np.random.default_rng(seed))
    assert violations(mutant) == []
    assert canonical(mutant)[0] == mutant != topology
    assert len(mutant.devices) <= MAX_DEVICES
    encode(mutant)


@settings(max_examples=20, deadline=None)
@given(topologies(1), SEEDS)
def test_the_seed_decides_everything(topology, seed):
    circuit = sized(topology)
    for change in (
        lambda rng: mutate(topology, rng),
        lambda rng: mutate_circuit(circuit, rng, SG13G2),
        lambda rng: vary(circuit, rng, 0.3, SG13G2),
        lambda rng: cross(circuit, sized(topology, 1), rng, SG13G2),
    ):
        assert change(np.random.default_rng(seed)) == change(np.random.default_rng(seed))


@settings(max_examples=60, deadline=None)
@given(topologies(1), SEEDS)
def test_kept_devices_keep_their_values(topology, seed):
    circuit = sized(topology)
    mutant = mutate_circuit(circuit, np.random.default_rng(seed), SG13G2)
    assert mutant == legal(mutant)
    assert violations(mutant.topology) == []
    before = [(device.kind, value) for device, value in zip(topology.devices, circuit.values, strict=True)]
    after = [(device.kind, value) for device, value in zip(mutant.topology.devices, mutant.values, strict=True)]
    kept = sum(min(before.count(pair), after.count(pair)) for pair in set(after))
    # At most three changes of at most two devices each.
    assert kept >= min(len(before), len(after)) - 6


def test_mutants_of_one_circuit_are_many_and_of_all_sorts():
    topology = canonical(written(*COMMON_EMITTER))[0]
    rng = np.random.default_rng(0)
    mutants = [mutate(topology, rng) for _ in range(200)]
    assert len({fingerprint(mutant) for mutant in mutants}) > 50
    sizes = {len(mutant.devices) - len(topology.devices) for mutant in mutants}
    assert min(sizes) < 0 < max(sizes)
    assert any(sum(device.kind == "hbt" for device in mutant.devices) == 2 for mutant in mutants)


def test_a_long_chain_of_mutations_keeps_its_size():
    rng = np.random.default_rng(0)
    topology = drawn(1)
    sizes = []
    for _ in range(150):
        topology = mutate(topology, rng)
        sizes.append(len(topology.devices))
    assert 4 < np.mean(sizes[50:]) < 24


def test_mutation_takes_topologies_with_any_net_names():
    topology = written(*COMMON_EMITTER)
    assert violations(mutate(topology, np.random.default_rng(3))) == []


@settings(max_examples=40, deadline=None)
@given(topologies(1), SEEDS, st.floats(0.05, 1.0))
def test_variation_stays_near_legal_and_on_the_topology(topology, seed, spread):
    circuit = sized(topology)
    varied = vary(circuit, np.random.default_rng(seed), spread, SG13G2)
    assert varied.topology == circuit.topology
    assert varied == legal(varied)
    for device, before, after in zip(topology.devices, circuit.values, varied.values, strict=True):
        if KINDS[device.kind].scale == "linear":
            assert abs(after - before) < 0.4 * spread + 0.001
        elif device.kind != "hbt":
            assert abs(np.log(after / before)) < 6.0 * spread + 0.01


def test_the_spread_of_a_variation_is_what_was_asked_for():
    circuit = Circuit(written("R in out"), (1000.0,))
    rng = np.random.default_rng(0)
    steps = np.log([vary(circuit, rng, 0.2, SG13G2).values[0] / 1000.0 for _ in range(4000)])
    assert np.std(steps[steps != 0.0]) == pytest.approx(0.2, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(topologies(1), SEEDS)
def test_a_cross_lies_between_its_parents(topology, seed):
    first, second = sized(topology, 1), sized(topology, 2)
    child = cross(first, second, np.random.default_rng(seed), SG13G2)
    assert child.topology == topology
    assert child == legal(child)
    for device, one, other, value in zip(topology.devices, first.values, second.values, child.values, strict=True):
        # A blend reaches a fifth of the way beyond either parent, and the emitter grid rounds.
        ratio = max(one, other) / min(one, other)
        if KINDS[device.kind].scale == "log":
            slack = ratio**0.2 * (2.0 if device.kind == "hbt" else 1.001)
            assert min(one, other) / slack <= value <= max(one, other) * slack
        else:
            slack = 0.2 * abs(one - other) + 0.001
            assert min(one, other) - slack <= value <= max(one, other) + slack


def test_a_cross_of_a_circuit_with_itself_is_itself():
    circuit = sized(drawn(4))
    assert cross(circuit, circuit, np.random.default_rng(0), SG13G2) == circuit


def test_different_topologies_cannot_be_crossed():
    with pytest.raises(ValueError, match="same topology"):
        cross(sized(drawn(1)), sized(drawn(2)), np.random.default_rng(0), SG13G2)
