"""Blocks of a 28 GHz receiver that simulate, for tests that need no generator."""

from __future__ import annotations

from genrf.circuit.topology import Circuit, Device, Topology
from tests.amplifiers import MATCHED_28GHZ


def circuit(circuit_class: str, *parts: tuple[str, str, float]) -> Circuit:
    """A circuit from (kind, "net net ...", value)."""
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology(circuit_class, devices), tuple(value for _, _, value in parts))


FILTER = circuit(
    "filter",
    ("capacitor", "in n1", 4.083e-13),
    ("inductor", "n1 out", 2.599e-10),
    ("inductor", "n1 n2", 6.329e-10),
    ("capacitor", "n1 out", 5.412e-13),
    ("capacitor", "n2 0", 2.012e-13),
)
"""Passes 28 GHz and rejects half of it; a capacitor at its input, so the net before it has no path for DC."""

LNA = MATCHED_28GHZ

MIXER = circuit(
    "mixer",
    ("inductor", "rf 0", 3.672e-10),
    ("capacitor", "rf n1", 1.712e-13),
    ("resistor", "n1 n2", 269.1),
    ("bias_voltage", "n2", 0.827),
    ("hbt", "n3 n1 n4", 20),
    ("hbt", "n5 n6 n3", 12),
    ("hbt", "n7 n8 n3", 12),
    ("inductor", "n4 0", 3.358e-11),
    ("inductor", "n5 vdd", 6.681e-09),
    ("capacitor", "n5 vdd", 3.323e-13),
    ("capacitor", "n5 n7", 4.198e-12),
    ("resistor", "n6 n9", 661.9),
    ("bias_voltage", "n9", 1.821),
    ("capacitor", "n6 0", 1.914e-14),
    ("inductor", "n7 vdd", 6.681e-09),
    ("capacitor", "n7 vdd", 3.323e-13),
    ("hbt", "vdd n7 n10", 20),
    ("resistor", "n8 n9", 661.9),
    ("capacitor", "n8 lop", 1.712e-13),
    ("resistor", "n10 0", 198.6),
    ("inductor", "n10 n11", 1.18e-09),
    ("capacitor", "n11 out", 1.109e-11),
)
"""Single-balanced, one LO phase, with an output follower."""
