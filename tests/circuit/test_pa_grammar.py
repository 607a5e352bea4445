"""The grammar of power amplifiers draws many different, legal ones of every sort it promises, with values for each."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.biasing import fits_supply
from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.mutation import mutate
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES, encode
from genrf.circuit.topology import Circuit
from genrf.classes.pa.grammar import sample_topology
from genrf.conditions import Conditions

SUPPLIES_V = (1.2, 1.5, 1.8, 2.5, 3.3)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(2026)
    return [sample_topology(rng) for _ in range(1500)]


def transistors(topology):
    return [device.nets for device in topology.devices if device.kind == "hbt"]


def test_topologies_are_legal_canonical_and_fit_the_tokens(sample):
    for topology in sample[:300]:
        assert topology.circuit_class == "pa"
        assert is_legal(topology)
        assert canonical(topology)[0] == topology
        assert len(topology.devices) <= MAX_DEVICES
        encode(topology)


def test_the_seed_decides():
    assert sample_topology(np.random.default_rng(5)) == sample_topology(np.random.default_rng(5))


def test_one_and_two_stages_of_common_emitters_cascodes_and_stacks(sample):
    def height(topology):
        above = {emitter: collector for collector, _, emitter in transistors(topology)}

        def climb(net):
            return 1 + climb(above[net]) if net in above else 0

        return max(climb(emitter) for _, _, emitter in transistors(topology))

    heights = Counter(height(topology) for topology in sample)
    assert heights[1] > 100
    assert heights[2] > 100
    assert heights[3] > 30
    assert Counter(len(transistors(topology)) for topology in sample).keys() >= {1, 2, 3, 4}


def test_stacks_have_capacitors_at_their_upper_bases_and_cascodes_may_have_ideal_grounds(sample):
    def held(topology):
        return {device.nets[0] for device in topology.devices if device.kind == "bias_voltage"}

    bases = Counter(base in held(topology) for topology in sample for _, base, _ in transistors(topology))
    assert min(bases.values()) > 100


def test_nearly_every_draw_is_a_new_topology(sample):
    """1,500 draws with hardly a repeat come from many thousands of topologies."""
    distinct = len({fingerprint(topology) for topology in sample})
    pairs = len(sample) * (len(sample) - 1) / 2
    # Birthday bound: with N equally likely topologies pairs / N repeats are expected; fewer if some are likelier.
    assert pairs / max(len(sample) - distinct, 1) > 10_000


def test_every_supply_suits_some_topologies(sample):
    for supply in SUPPLIES_V:
        assert sum(fits_supply(topology, supply) for topology in sample[:300]) > 20, supply


def test_any_legal_topology_gets_values_that_the_technology_can_make(sample):
    process, rng = technology.get("sg13g2"), np.random.default_rng(7)
    for topology in sample[:60]:
        mutated = mutate(topology, rng)
        for any_topology in (topology, mutated):
            conditions = Conditions(frequency_hz=float(rng.uniform(2e9, 60e9)), supply_v=float(rng.choice(SUPPLIES_V)))
            values = classes.get("pa").first_order_values(any_topology, conditions, rng)
            assert np.isfinite(values).all()
            snapped = [process.snap(device.kind, v) for device, v in zip(any_topology.devices, values, strict=True)]
            process.instances(Circuit(any_topology, tuple(snapped)))
