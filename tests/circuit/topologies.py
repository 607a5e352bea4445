"""Topologies for tests: written out by hand, or drawn by seed."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from genrf.circuit.mutation import mutate
from genrf.circuit.topology import Device, Topology
from genrf.classes.lna.grammar import sample_topology

KIND_BY_LETTER = {"R": "resistor", "L": "inductor", "C": "capacitor", "Q": "hbt", "V": "bias_voltage"}


def written(*lines: str, circuit_class: str = "lna") -> Topology:
    """A topology from lines such as ``"C in n1"``, a kind's letter and the nets."""
    devices = []
    for line in lines:
        letter, *nets = line.split()
        devices.append(Device(KIND_BY_LETTER[letter], tuple(nets)))
    return Topology(circuit_class, tuple(devices))


COMMON_EMITTER = ("C in b", "V bias", "R bias b", "Q c b 0", "L vdd c", "C c out")
"""The smallest amplifier that breaks no rule."""


def drawn(seed: int, mutations: int = 0) -> Topology:
    """A topology from the grammar, mutated a number of times."""
    rng = np.random.default_rng(seed)
    topology = sample_topology(rng)
    for _ in range(mutations):
        topology = mutate(topology, rng)
    return topology


def topologies(most_mutations: int = 4) -> st.SearchStrategy[Topology]:
    """Topologies from the grammar, as they are or mutated."""
    return st.builds(drawn, st.integers(0, 2**32 - 1), st.integers(0, most_mutations))


def disguised(topology: Topology, seed: int) -> Topology:
    """The same circuit with internal nets renamed, devices reordered and swappable terminals swapped at random."""
    rng = np.random.default_rng(seed)
    fixed = {"0", "vdd", "in", "out"}
    internal = [net for net in topology.nets if net not in fixed]
    names = {net: f"x{number}" for net, number in zip(internal, rng.permutation(len(internal)), strict=True)}
    devices = []
    for index in rng.permutation(len(topology.devices)):
        device = topology.devices[index]
        nets = tuple(names.get(net, net) for net in device.nets)
        if len(nets) == 2 and rng.random() < 0.5:
            nets = nets[::-1]
        devices.append(Device(device.kind, nets))
    return Topology(topology.circuit_class, tuple(devices))
