"""The grammar draws many different, legal amplifiers of every sort it promises."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES, encode
from genrf.classes.lna.grammar import sample_topology


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(2026)
    return [sample_topology(rng) for _ in range(1500)]


def test_topologies_are_legal_canonical_and_fit_the_tokens(sample):
    for topology in sample[:300]:
        assert is_legal(topology)
        assert canonical(topology)[0] == topology
        encode(topology)


def test_the_seed_decides():
    assert sample_topology(np.random.default_rng(5)) == sample_topology(np.random.default_rng(5))


def test_sizes_span_simple_to_full_with_the_weight_on_the_middle(sample):
    sizes = [len(topology.devices) for topology in sample]
    assert min(sizes) <= 8
    assert max(sizes) <= MAX_DEVICES
    assert 8 <= np.median(sizes) <= 20


def test_one_to_five_transistors_alone_in_cascode_and_common_base(sample):
    counts = Counter(sum(device.kind == "hbt" for device in topology.devices) for topology in sample)
    assert {1, 2, 3, 4} <= counts.keys()
    assert counts[1] + counts[2] > len(sample) / 2

    def transistors(topology):
        return [device.nets for device in topology.devices if device.kind == "hbt"]

    def common_emitter(topology):
        return any(emitter == "0" for _, _, emitter in transistors(topology))

    def cascode(topology):
        collectors = {collector for collector, _, _ in transistors(topology)}
        return any(emitter in collectors for _, _, emitter in transistors(topology))

    def common_base(topology):
        bias = {device.nets[0] for device in topology.devices if device.kind == "bias_voltage"} | {"vdd"}
        return len(transistors(topology)) == 1 and transistors(topology)[0][1] in bias

    for sort in (common_emitter, cascode, common_base):
        assert sum(sort(topology) for topology in sample) > 30, sort.__name__


def test_stages_share_bias_sources(sample):
    def shared(topology):
        bias = {device.nets[0] for device in topology.devices if device.kind == "bias_voltage"}
        loads = Counter(net for device in topology.devices if device.kind != "bias_voltage" for net in set(device.nets))
        return any(loads[net] > 1 for net in bias)

    assert 20 < sum(shared(topology) for topology in sample) < len(sample) / 2


def test_nearly_every_draw_is_a_new_topology(sample):
    """1,500 draws with hardly a repeat come from far more than 10,000 topologies; the slow test counts them."""
    distinct = len({fingerprint(topology) for topology in sample})
    pairs = len(sample) * (len(sample) - 1) / 2
    # Birthday bound: with N equally likely topologies pairs / N repeats are expected; fewer if some are likelier.
    assert pairs / max(len(sample) - distinct, 1) > 10_000


@pytest.mark.slow
def test_well_over_ten_thousand_distinct_topologies():
    rng = np.random.default_rng(0)
    fingerprints = {fingerprint(sample_topology(rng)) for _ in range(12_000)}
    assert len(fingerprints) > 11_000
