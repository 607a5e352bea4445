"""How a manufactured circuit differs from its design.

Process variation is common to all devices of a kind: one draw a run. Mismatch is between devices: one draw a device and
run. What varies, and by how much, is the technology's to say.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variation:
    """One manufactured copy of one circuit."""

    process: tuple[tuple[str, float], ...] = ()
    """Model parameters by the technology's own names, each a factor on its value in the corner."""
    mismatch: tuple[float, ...] = ()
    """A factor for each device, in the circuit's order, on emitter area, capacitance or resistance; empty: all 1."""


NOMINAL = Variation()
"""Manufactured exactly as designed."""
