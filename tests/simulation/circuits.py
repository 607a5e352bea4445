"""Circuits that the simulation's tests share."""

from __future__ import annotations

from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.simulation.outcome import Simulation

CONDITIONS = Conditions(frequency_hz=28e9, supply_v=1.8)


def circuit(*parts: tuple[str, str, float]) -> Circuit:
    """A circuit from (kind, "net net ...", value)."""
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology("lna", devices), tuple(value for _, _, value in parts))


def cascode(input_h: float = 160e-12) -> Circuit:
    """A 28 GHz cascode with inductive degeneration, that works."""
    return circuit(
        ("capacitor", "in n1", 300e-15),
        ("inductor", "n1 n2", input_h),
        ("bias_voltage", "n3", 0.9),
        ("resistor", "n3 n2", 3000.0),
        ("hbt", "n4 n2 n5", 8),
        ("inductor", "n5 0", 30e-12),
        ("bias_voltage", "n6", 1.65),
        ("hbt", "n7 n6 n4", 8),
        ("inductor", "vdd n7", 140e-12),
        ("capacitor", "n7 out", 60e-15),
    )


def divider(series_ohm: float, conditions: Conditions = CONDITIONS) -> Simulation:
    """A series resistor with a shunt resistor of 80 Ohm at the output."""
    return Simulation(circuit(("resistor", "in out", series_ohm), ("resistor", "out 0", 80.0)), conditions)
