"""Isomorphic topologies have one canonical form, and only they."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrf.circuit.canonical import canonical, canonical_circuit, fingerprint
from genrf.circuit.devices import KINDS
from genrf.circuit.topology import Circuit, Device, Topology
from tests.circuit.topologies import COMMON_EMITTER, disguised, drawn, topologies, written

FIXED = ("0", "vdd", "in", "out")


def as_graph(topology: Topology) -> nx.Graph:
    """Devices and nets as vertices, terminals as edges: isomorphic exactly if the topologies are."""
    graph = nx.Graph()
    for net in {*topology.nets, *FIXED}:
        graph.add_node(("net", net), label=net if net in FIXED else "internal")
    for index, device in enumerate(topology.devices):
        graph.add_node(("device", index), label=device.kind)
        for terminal, net in enumerate(device.nets):
            # A vertex of its own for a terminal: both terminals of a device may lie on one net.
            role = "any" if KINDS[device.kind].interchangeable else str(terminal)
            graph.add_node(("terminal", index, terminal), label=role)
            graph.add_edge(("device", index), ("terminal", index, terminal))
            graph.add_edge(("terminal", index, terminal), ("net", net))
    return graph


def isomorphic(first: Topology, second: Topology) -> bool:
    return nx.is_isomorphic(as_graph(first), as_graph(second), node_match=lambda a, b: a["label"] == b["label"])


@settings(max_examples=60, deadline=None)
@given(topologies())
def test_canonical_form_of_a_canonical_form_is_itself(topology):
    form, _ = canonical(topology)
    assert canonical(form) == (form, tuple(range(len(form.devices))))


@settings(max_examples=120, deadline=None)
@given(topologies(), st.integers(0, 2**32 - 1))
def test_names_order_and_terminal_swaps_do_not_matter(topology, seed):
    disguise = disguised(topology, seed)
    assert canonical(disguise)[0] == canonical(topology)[0]
    assert fingerprint(disguise) == fingerprint(topology) == fingerprint(topology)


@settings(max_examples=60, deadline=None)
@given(topologies(), st.integers(0, 2**32 - 1))
def test_canonical_form_is_the_same_circuit(topology, seed):
    disguise = disguised(topology, seed)
    form, order = canonical(disguise)
    assert isomorphic(form, disguise)
    assert sorted(order) == list(range(len(disguise.devices)))
    assert [device.kind for device in form.devices] == [disguise.devices[index].kind for index in order]


@settings(max_examples=60, deadline=None)
@given(topologies(0), st.integers(0, 2**32 - 1), st.data())
def test_agrees_with_graph_isomorphism_after_a_small_change(topology, seed, data):
    """One terminal moved to another net gives another circuit or, by symmetry, the same: networkx decides."""
    index = data.draw(st.integers(0, len(topology.devices) - 1))
    device = topology.devices[index]
    terminal = data.draw(st.integers(0, len(device.nets) - 1))
    net = data.draw(st.sampled_from(topology.nets))
    nets = (*device.nets[:terminal], net, *device.nets[terminal + 1 :])
    devices = (*topology.devices[:index], Device(device.kind, nets), *topology.devices[index + 1 :])
    changed = disguised(Topology(topology.circuit_class, devices), seed)
    assert (fingerprint(changed) == fingerprint(topology)) == isomorphic(changed, topology)


def test_agrees_with_graph_isomorphism_on_random_pairs():
    drawn_ones = [drawn(seed) for seed in range(40)]
    pairs = [
        (first, second)
        for first, second in combinations(drawn_ones, 2)
        if sorted(d.kind for d in first.devices) == sorted(d.kind for d in second.devices)
    ]
    for first, second in pairs:
        assert (fingerprint(first) == fingerprint(second)) == isomorphic(first, second)


# Graphs in which colour refinement alone decides nothing: every net looks like every other.
PRISM = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]
COMPLETE_BIPARTITE = [(a, b) for a in (0, 1, 2) for b in (3, 4, 5)]


def resistor_network(edges: list[tuple[int, int]], order: list[int]) -> Topology:
    return Topology("lna", tuple(Device("resistor", (f"x{order[a]}", f"x{order[b]}")) for a, b in edges))


@pytest.mark.parametrize("edges", [PRISM, COMPLETE_BIPARTITE], ids=["prism", "K3,3"])
def test_regular_graphs_have_one_form_for_all_numberings(edges):
    rng = np.random.default_rng(0)
    forms = {canonical(resistor_network(edges, rng.permutation(6).tolist()))[0] for _ in range(30)}
    assert len(forms) == 1


def test_regular_graphs_with_equal_degrees_are_told_apart():
    same = list(range(6))
    assert fingerprint(resistor_network(PRISM, same)) != fingerprint(resistor_network(COMPLETE_BIPARTITE, same))


def test_many_interchangeable_parts_do_not_explode():
    """Twelve equal branches have 12! symmetries; a search through them would never end."""
    branches = [line for k in range(12) for line in (f"R in a{k}", f"L a{k} b{k}", f"C b{k} out")]
    topology = written(*branches)
    assert canonical(disguised(topology, 1))[0] == canonical(topology)[0]


def test_order_of_base_and_emitter_matters_and_that_of_a_resistor_does_not():
    emitter_first = written(*COMMON_EMITTER[:3], "Q c 0 b", *COMMON_EMITTER[4:])
    resistor_turned = written(*COMMON_EMITTER[:2], "R b bias", *COMMON_EMITTER[3:])
    assert fingerprint(written(*COMMON_EMITTER)) != fingerprint(emitter_first)
    assert fingerprint(written(*COMMON_EMITTER)) == fingerprint(resistor_turned)


def test_ports_are_told_apart():
    assert fingerprint(written("R in a", "C a out")) != fingerprint(written("R out a", "C a in"))


def test_devices_are_listed_along_the_signal_path():
    shuffled = disguised(written(*COMMON_EMITTER), 3)
    form, _ = canonical(shuffled)
    assert form.devices[0] == Device("capacitor", ("in", "n1"))
    assert form.devices[-1] == Device("capacitor", ("n3", "out"))
    assert form.nets[:2] == ("in", "n1")


def test_values_follow_their_devices():
    topology = disguised(written(*COMMON_EMITTER), 5)
    by_kind = {"capacitor": 1e-12, "bias_voltage": 0.86, "resistor": 2e3, "hbt": 8.0, "inductor": 3e-10}
    circuit = canonical_circuit(Circuit(topology, tuple(by_kind[device.kind] for device in topology.devices)))
    assert circuit.topology == canonical(topology)[0]
    assert circuit.values == tuple(by_kind[device.kind] for device in circuit.topology.devices)
