"""Device values as numbers of about unit scale, relative to 50 Ohm and the centre frequency, and back.

| kind | normalised value before centring and scaling |
|---|---|
| inductor | log10(2 pi f L / 50 Ohm) |
| capacitor | log10(2 pi f C * 50 Ohm) |
| resistor | log10(R / 50 Ohm) |
| hbt, diode, varactor | log10(emitters) |
| bias_voltage | V / 1 V |

Frequency thereby drops out of inductors and capacitors: a circuit rescaled to another frequency keeps its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrf.circuit.devices import KINDS
from genrf.circuit.tokens import KIND_TOKENS
from genrf.technology.base import Technology

REFERENCE_OHM = 50.0

_CENTRE = {
    "resistor": 1.0,
    "inductor": 0.0,
    "capacitor": 0.3,
    "hbt": 0.9,
    "bias_voltage": 1.2,
    "diode": 0.9,
    "varactor": 1.1,
}
_SPREAD = {
    "resistor": 1.0,
    "inductor": 0.5,
    "capacitor": 0.8,
    "hbt": 0.35,
    "bias_voltage": 0.4,
    "diode": 0.35,
    "varactor": 0.4,
}
"""Roughly the mean and standard deviation of useful circuits' values; constants, so that stored data stays valid."""

_CENTRES = np.array([0.0, *(_CENTRE[name] for name in KINDS)])
_SPREADS = np.array([1.0, *(_SPREAD[name] for name in KINDS)])
_LOG = np.array([False, *(kind.scale == "log" for kind in KINDS.values())])
_INDUCTOR, _CAPACITOR, _RESISTOR = (KIND_TOKENS[name] for name in ("inductor", "capacitor", "resistor"))


def _unit(kinds: NDArray[Any], frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """The value that each slot is measured in, (..., slots)."""
    omega = 2.0 * np.pi * np.asarray(frequency_hz, dtype=np.float64)[..., None]
    unit = np.ones(np.broadcast_shapes(kinds.shape, omega.shape))
    unit = np.where(kinds == _INDUCTOR, REFERENCE_OHM / omega, unit)
    unit = np.where(kinds == _CAPACITOR, 1.0 / (omega * REFERENCE_OHM), unit)
    return np.where(kinds == _RESISTOR, REFERENCE_OHM, unit)


def normalise(kinds: ArrayLike, values: ArrayLike, frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """Normalise device values.

    Args:
        kinds: kind tokens, (..., slots); 0 is an empty slot.
        values: values in SI units, (..., slots); whatever stands in empty slots is ignored.
        frequency_hz: centre frequency in Hz, a number or (...).

    Returns:
        Normalised values, (..., slots); 0 in empty slots.
    """
    kind = np.asarray(kinds, dtype=np.int64)
    value = np.where(kind == 0, 1.0, np.asarray(values, dtype=np.float64))
    ratio = value / _unit(kind, frequency_hz)
    log = _LOG[kind]
    scale = np.where(log, np.log10(np.where(log, ratio, 1.0)), ratio)
    return np.where(kind == 0, 0.0, (scale - _CENTRES[kind]) / _SPREADS[kind])


def denormalise(
    kinds: ArrayLike,
    x: ArrayLike,
    frequency_hz: ArrayLike,
    technology: Technology,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> NDArray[np.float64]:
    """Inverse of `normalise`, clipped to the technology's legal range and snapped to its grid.

    Args:
        kinds: kind tokens, (..., slots); 0 is an empty slot.
        x: normalised values, (..., slots).
        frequency_hz: centre frequency in Hz, a number or (...).
        technology: whose grids to keep to.
        ranges: smallest and largest value of every kind, in SI units; by default the technology's.

    Returns:
        Legal values in SI units, (..., slots); 0 in empty slots.
    """
    kind = np.asarray(kinds, dtype=np.int64)
    scale = np.asarray(x, dtype=np.float64) * _SPREADS[kind] + _CENTRES[kind]
    log = _LOG[kind]
    # Far outside any legal range is as good as anywhere outside it, and 10**x must not overflow.
    ratio = np.where(log, 10.0 ** np.clip(np.where(log, scale, 0.0), -12.0, 12.0), scale)
    value = np.where(kind == 0, 0.0, ratio * _unit(kind, frequency_hz))
    for name, token in KIND_TOKENS.items():
        low, high = technology.value_range(name) if ranges is None else ranges[name]
        at = np.nonzero(kind == token)
        clipped = np.clip(value[at], low, high)
        value[at] = [technology.snap(name, float(item)) for item in clipped]
    return value
