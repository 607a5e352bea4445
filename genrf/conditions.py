"""What circuits are measured under, and bounds on what is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from genrf.errors import InvalidInputError

LEAST_TONE_SPACING_HZ = 1e4
LARGEST_TONE_SPACING = 0.2
"""Of two tones, relative to the frequency that they are even about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The conditions that a circuit is measured under."""

    frequency_hz: float
    """Centre frequency f0, in Hz."""
    supply_v: float
    """Supply voltage, in V."""
    source_ohm: float = 50.0
    """Resistive source impedance at the input port, in Ohm."""
    load_ohm: float = 50.0
    """Resistive load impedance at the output port, in Ohm."""
    temperature_c: float = 27.0
    """Ambient temperature, in degrees Celsius."""
    corner: str = "typ"
    """Process corner of the technology."""
    tone_spacing_hz: float | None = None
    """Distance of the two tones of an intercept point, in Hz, where it can be chosen (VACASK); None: that of the testbench,
    f0 / 20.5 for amplifiers."""

    def __post_init__(self) -> None:
        limits = {
            "frequency_hz": (0.5e9, 100e9),
            "supply_v": (0.5, 5.0),
            "source_ohm": (1.0, 1000.0),
            "load_ohm": (1.0, 1000.0),
            "temperature_c": (-40.0, 125.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high):
                raise InvalidInputError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
        spacing, most = self.tone_spacing_hz, LARGEST_TONE_SPACING * self.frequency_hz
        if spacing is not None and not (isinstance(spacing, (int, float)) and LEAST_TONE_SPACING_HZ <= spacing <= most):
            raise InvalidInputError(
                f"tone_spacing_hz: expected a number from {LEAST_TONE_SPACING_HZ:g} to {most:g},"
                f" a fifth of the frequency, got {spacing!r}"
            )


@dataclass(frozen=True, slots=True)
class Constraint:
    """``metric >= bound`` or ``metric <= bound``."""

    metric: str
    sense: Literal[">=", "<="]
    bound: float

    def slack(self, value: float) -> float:
        """How far a value is on the right side of the bound, in the metric's unit; negative if it is not met."""
        return value - self.bound if self.sense == ">=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.metric} {self.sense} {self.bound:.4g}"
