"""Amplifiers written by hand, as an engineer would draw them; circuits for tests that need no grammar."""

from __future__ import annotations

from genrf.circuit.topology import Circuit, Device, Topology


def circuit(*parts: tuple[str, str, float]) -> Circuit:
    """A circuit from (kind, "net net ...", value)."""
    return Circuit(
        Topology("lna", tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)),
        tuple(value for _, _, value in parts),
    )


COMMON_EMITTER = circuit(
    ("capacitor", "in n1", 400e-15),
    ("inductor", "n1 0", 180e-12),
    ("inductor", "n1 n2", 120e-12),
    ("resistor", "n2 n3", 2000.0),
    ("bias_voltage", "n3", 0.87),
    ("hbt", "n4 n2 n5", 4.0),
    ("inductor", "n5 0", 30e-12),
    ("inductor", "n4 vdd", 150e-12),
    ("capacitor", "n4 out", 60e-15),
    ("capacitor", "out 0", 40e-15),
)

CASCODE = circuit(
    ("capacitor", "in n1", 400e-15),
    ("inductor", "n1 n2", 120e-12),
    ("resistor", "n2 n3", 2000.0),
    ("bias_voltage", "n3", 0.87),
    ("hbt", "n4 n2 n5", 4.0),
    ("inductor", "n5 0", 30e-12),
    ("hbt", "n6 n7 n4", 4.0),
    ("resistor", "n7 n8", 200.0),
    ("bias_voltage", "n8", 1.6),
    ("capacitor", "n7 0", 1e-12),
    ("inductor", "n6 vdd", 150e-12),
    ("resistor", "n6 vdd", 700.0),
    ("capacitor", "n6 n9", 60e-15),
    ("inductor", "n9 out", 100e-12),
    ("capacitor", "n9 0", 40e-15),
)

COMMON_BASE = circuit(
    ("capacitor", "in n1", 400e-15),
    ("inductor", "n1 0", 300e-12),
    ("hbt", "n2 n3 n1", 4.0),
    ("bias_voltage", "n3", 0.9),
    ("inductor", "n2 n4", 100e-12),
    ("resistor", "n4 vdd", 20.0),
    ("capacitor", "n4 0", 2e-12),
    ("capacitor", "n2 out", 100e-15),
)

FEEDBACK_TWO_STAGE = circuit(
    ("capacitor", "in n1", 400e-15),
    ("hbt", "n2 n1 0", 4.0),
    ("resistor", "n1 b1", 3000.0),
    ("bias_voltage", "b1", 0.87),
    ("resistor", "n2 f1", 500.0),
    ("capacitor", "f1 n1", 200e-15),
    ("resistor", "n2 l1", 100.0),
    ("inductor", "l1 vdd", 100e-12),
    ("capacitor", "n2 n3", 150e-15),
    ("inductor", "n3 0", 90e-12),
    ("capacitor", "n3 n4", 150e-15),
    ("resistor", "n4 b2", 3000.0),
    ("bias_voltage", "b2", 0.88),
    ("hbt", "n5 n4 e2", 6.0),
    ("resistor", "e2 0", 10.0),
    ("capacitor", "e2 0", 1e-12),
    ("hbt", "n6 b3 n5", 6.0),
    ("bias_voltage", "b3", 1.7),
    ("inductor", "n6 vdd", 120e-12),
    ("capacitor", "n6 out", 80e-15),
)

MATCHED_28GHZ = circuit(
    ("inductor", "in 0", 3.951e-10),
    ("capacitor", "in n1", 1.109e-13),
    ("inductor", "n1 n2", 2.841e-10),
    ("inductor", "n1 n3", 4.29e-10),
    ("bias_voltage", "n3", 0.826),
    ("hbt", "n4 n2 0", 9),
    ("inductor", "n4 n5", 1.103e-10),
    ("inductor", "n4 n6", 1.681e-10),
    ("resistor", "n5 vdd", 337.6),
    ("capacitor", "n6 n7", 9.137e-14),
    ("inductor", "n7 n8", 2.197e-10),
    ("hbt", "n9 n7 0", 6),
    ("resistor", "n8 n10", 2.197e04),
    ("bias_voltage", "n10", 0.91),
    ("resistor", "n9 vdd", 260.6),
    ("capacitor", "n9 0", 1.127e-14),
    ("capacitor", "n9 n11", 3.676e-13),
    ("inductor", "n11 out", 2.606e-10),
    ("inductor", "out 0", 4.405e-10),
)
"""Two stages that meet `SPECIFICATION_28GHZ` in simulation."""

ALL = {
    "common emitter": COMMON_EMITTER,
    "cascode": CASCODE,
    "common base": COMMON_BASE,
    "feedback, two stages": FEEDBACK_TWO_STAGE,
    "matched, two stages": MATCHED_28GHZ,
}

SPECIFICATION_28GHZ = {
    "class": "lna",
    "name": "lna_28ghz",
    "frequency": "28 GHz",
    "supply": "2 V",
    "constraints": {
        "gain_db": {"min": 16},
        "nf_db": {"max": 3},
        "s11_db": {"max": -10},
        "s22_db": {"max": -10},
        "power_w": {"max": "15 mW"},
        "mu_min": {"min": 1},
    },
}
"""The content of a specification file."""
