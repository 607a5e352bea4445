"""The kinds of device a circuit is built from, their terminals and the one value each carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """A kind of component."""

    name: str
    prefix: str
    """Letter that starts the device's designator in a netlist or schematic."""
    terminals: tuple[str, ...]
    """Terminal names in netlist order."""
    interchangeable: bool
    """Whether swapping the first two terminals leaves the device the same."""
    value: str
    """Name of the value with its unit."""
    unit: str
    """Unit for display."""
    scale: Literal["linear", "log"] = "log"
    """Scale on which values of this kind are spread evenly."""


RESISTOR = DeviceKind("resistor", "R", ("a", "b"), True, "resistance_ohm", "Ohm")
INDUCTOR = DeviceKind("inductor", "L", ("a", "b"), True, "inductance_h", "H")
CAPACITOR = DeviceKind("capacitor", "C", ("a", "b"), True, "capacitance_f", "F")
HBT = DeviceKind("hbt", "Q", ("collector", "base", "emitter"), False, "emitters", "")
BIAS_VOLTAGE = DeviceKind("bias_voltage", "V", ("plus",), False, "voltage_v", "V", scale="linear")
"""An ideal voltage reference to ground; its net is a signal ground."""

DIODE = DeviceKind("diode", "D", ("anode", "cathode"), False, "emitters", "")
"""The base-emitter junction of an HBT whose collector is tied to its base."""
VARACTOR = DeviceKind("varactor", "VD", ("anode", "cathode"), False, "emitters", "")
"""The base-collector junction of an HBT whose emitter is tied to its base; meant to be reverse biased."""

KINDS: dict[str, DeviceKind] = {
    kind.name: kind for kind in (RESISTOR, INDUCTOR, CAPACITOR, HBT, BIAS_VOLTAGE, DIODE, VARACTOR)
}
"""Every kind by name; the order is the token order and must only ever be appended to."""

MAX_TERMINALS = max(len(kind.terminals) for kind in KINDS.values())
