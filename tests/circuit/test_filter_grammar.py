"""The grammar draws many different, legal filters; first-order values make some of them work."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.biasing import fits_supply
from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.graph import net_graph
from genrf.circuit.mutation import mutate
from genrf.circuit.rules import is_legal, violations
from genrf.circuit.tokens import MAX_DEVICES, encode
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.filter.grammar import sample_topology
from genrf.classes.filter.recognition import recognise
from genrf.classes.filter.sizing import first_order_values
from genrf.conditions import Conditions
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool

CONDITIONS = Conditions(frequency_hz=10e9, supply_v=1.8)


def topology(*parts: tuple[str, str]) -> Topology:
    return Topology("filter", tuple(Device(kind, tuple(nets.split())) for kind, nets in parts))


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(2026)
    return [sample_topology(rng) for _ in range(1500)]


def test_topologies_are_legal_canonical_and_fit_the_tokens(sample):
    for drawn in sample[:300]:
        assert is_legal(drawn)
        assert canonical(drawn)[0] == drawn
        assert fits_supply(drawn, CONDITIONS.supply_v)
        encode(drawn)


def test_the_seed_decides():
    assert sample_topology(np.random.default_rng(5)) == sample_topology(np.random.default_rng(5))


def test_sizes_span_simple_to_full(sample):
    sizes = [len(drawn.devices) for drawn in sample]
    assert min(sizes) <= 3
    assert 15 <= max(sizes) <= MAX_DEVICES
    assert 5 <= np.median(sizes) <= 14


def test_plain_ladders_of_all_responses_and_orders_up_to_seven(sample):
    found = [ladder for drawn in sample if (ladder := recognise(net_graph(drawn)))]
    responses = Counter(ladder.response for ladder in found)
    assert min(responses[r] for r in ("low-pass", "high-pass", "band-pass", "band-stop")) > 20
    assert {2, 3, 4, 5, 6, 7} <= {len(ladder.branches) for ladder in found}
    assert len(found) < len(sample) / 2, "most filters are something else"


def test_hundreds_of_distinct_topologies_among_few_draws(sample):
    assert len({fingerprint(drawn) for drawn in sample}) > 700


@pytest.mark.slow
def test_thousands_of_distinct_topologies():
    rng = np.random.default_rng(0)
    found: set[str] = set()
    for _ in range(20_000):
        found.add(fingerprint(sample_topology(rng)))
        if len(found) > 4_000:
            break
    assert len(found) > 4_000


@pytest.mark.parametrize(
    ("parts", "response", "count"),
    [
        ([("inductor", "in n1"), ("capacitor", "n1 0"), ("inductor", "n1 out")], "low-pass", 3),
        ([("capacitor", "in out"), ("inductor", "out 0")], "high-pass", 2),
        (
            [("inductor", "in n1"), ("capacitor", "n1 out"), ("inductor", "out 0"), ("capacitor", "out 0")],
            "band-pass",
            2,
        ),
        (
            [("inductor", "in 0"), ("capacitor", "in 0"), ("capacitor", "in n1"), ("inductor", "n1 out")],
            "band-pass",
            2,
        ),
        (
            [("inductor", "in out"), ("capacitor", "in out"), ("inductor", "out n1"), ("capacitor", "n1 0")],
            "band-stop",
            2,
        ),
    ],
)
def test_a_ladder_is_recognised_with_its_response(parts, response, count):
    ladder = recognise(net_graph(topology(*parts)))
    assert ladder is not None
    assert (ladder.response, len(ladder.branches)) == (response, count)


@pytest.mark.parametrize(
    "parts",
    [
        [("inductor", "in n1"), ("capacitor", "n1 0"), ("capacitor", "n1 out")],
        [("inductor", "in out"), ("capacitor", "out 0"), ("resistor", "out 0")],
        [("capacitor", "in out"), ("inductor", "in n1"), ("inductor", "n1 out"), ("capacitor", "n1 0")],
    ],
)
def test_what_is_no_ladder_of_one_response_is_not_taken_for_one(parts):
    assert recognise(net_graph(topology(*parts))) is None


@pytest.mark.parametrize("odd", [("hbt", "out in 0"), ("resistor", "vdd in"), ("varactor", "out 0")])
def test_only_passive_parts_and_none_on_the_supply(odd):
    broken = violations(topology(("inductor", "in out"), ("capacitor", "out 0"), odd))
    assert broken, "a filter with an active part or on the supply is not legal"


def test_a_filter_connects_its_ports():
    apart = topology(("inductor", "in 0"), ("capacitor", "in 0"), ("inductor", "out 0"), ("capacitor", "out 0"))
    assert "connected" in {violation.rule for violation in violations(apart)}


def test_any_legal_topology_gets_values_mutated_ones_too(sample):
    rng = np.random.default_rng(3)
    for drawn in sample[:60]:
        other = mutate(drawn, rng)
        values = first_order_values(other, CONDITIONS, rng)
        assert len(values) == len(other.devices)
        assert all(np.isfinite(value) and value > 0.0 for value in values)


def test_a_few_per_cent_of_random_filters_are_useful(sample):
    definition, process = classes.get("filter"), technology.get()
    rng = np.random.default_rng(4)
    simulations = []
    for drawn in sample[:300]:
        values = first_order_values(drawn, CONDITIONS, rng)
        legal = tuple(process.snap(device.kind, v) for device, v in zip(drawn.devices, values, strict=True))
        simulations.append(Simulation(Circuit(drawn, legal), CONDITIONS))
    with SimulatorPool(workers=1) as pool:
        outcomes = pool.run(simulations)
    useful = sum(outcome.metrics is not None and definition.is_useful(outcome.metrics) for outcome in outcomes)
    assert sum(outcome.metrics is not None for outcome in outcomes) > 295
    assert 0.02 < useful / len(simulations) < 0.25
