"""Circuits of the second simulator's tests, and where written designs lie."""

from __future__ import annotations

from pathlib import Path

from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.export.design_file import read_design
from genrf.spec import DesignSpec

DESIGNS = Path(__file__).parent / "designs"
CONDITIONS = Conditions(frequency_hz=10e9, supply_v=1.8)


def circuit(*parts: tuple[str, str, float]) -> Circuit:
    """A two-port from (kind, "net net ...", value)."""
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology("lna", devices), tuple(value for _, _, value in parts))


def design(name: str) -> tuple[Circuit, DesignSpec]:
    """A design that ``genrf generate`` wrote for an example, and its specification."""
    read, spec = read_design(DESIGNS / f"{name}.json")
    return read.circuit, spec


COMMON_EMITTER = circuit(
    ("capacitor", "in n1", 10e-12),
    ("bias_voltage", "n2", 0.87),
    ("resistor", "n2 n1", 500.0),
    ("hbt", "out2 n1 0", 8.0),
    ("resistor", "vdd out2", 100.0),
    ("capacitor", "out2 out", 10e-12),
)
