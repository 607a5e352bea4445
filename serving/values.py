"""What may be changed of a design by hand: each device's value, and how far it may go."""

from __future__ import annotations

import math
from typing import Any

from genrf import technology
from genrf.circuit.devices import KINDS
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions

STEP_V = 0.001
"""Grid of a bias."""


def values_of(circuit: Circuit, conditions: Conditions, process: str) -> list[dict[str, Any]]:
    """Values of a circuit's devices in their order, each with its name and unit and what a designer would accept instead.

    ``allowed`` lists the values of what cannot be drawn in any size, such as emitters; ``step`` is the grid of a linear one.
    """
    topology = circuit.topology
    return [
        {"designator": designator, "kind": device.kind, "value": value, **_about(device.kind, conditions, process)}
        for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True)
    ]


def _about(kind: str, conditions: Conditions, process: str) -> dict[str, Any]:
    chosen = technology.get(process)
    known = KINDS[kind]
    low, high = chosen.design_range(kind, conditions.frequency_hz, conditions.supply_v)
    allowed = None
    if known.value == "emitters":
        allowed = sorted({chosen.snap(kind, float(number)) for number in range(math.ceil(low), math.floor(high) + 1)})
    return {
        "name": known.value,
        "unit": known.unit,
        "scale": known.scale,
        "low": low,
        "high": high,
        "step": STEP_V if known.scale == "linear" else None,
        "allowed": allowed,
    }
