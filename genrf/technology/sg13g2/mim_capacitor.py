"""Parasitics of a MIM capacitor, evaluated from the PDK's own ``cap_rfcmim`` subcircuit.

A capacitor is drawn as square plates of at most 75 um (the model's limit), several in parallel above that. Of the
subcircuit the series resistance (``rmim_val`` plus the skin resistance ``rskin_val``) and the bottom plate's
capacitance ``cox_val`` are kept; its few pH of plate and feed inductance depend on the layout and are left out, and the
substrate below the oxide counts as ground. A schematic capacitor has no orientation, so the bottom plate is shared
equally between both ends (two halves, connected anti-parallel), unless one end is ground: then the bottom plate is at
that end and costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from genrf.errors import MissingToolError
from genrf.technology.sg13g2 import model_cards

SMALLEST_PLATE_M, LARGEST_PLATE_M = 7e-6, 75e-6
"""Range of validity of ``cap_rfcmim``, in m."""
LARGEST_FEED_M = 30e-6
_FEED_MARGIN_M = 1.2e-6
_TYPICAL_DENSITY_F_PER_UM2 = 1.5e-15
SMALLEST_F = SMALLEST_PLATE_M**2 * 1e12 * _TYPICAL_DENSITY_F_PER_UM2
"""Capacitance of the smallest plate, in F: 73.5 fF."""


@dataclass(frozen=True, slots=True)
class MimCapacitor:
    """Element values of one capacitor in one corner at one temperature."""

    capacitance_f: float
    series_ohm: float
    bottom_plate_f: float


def plate_area_um2(nominal_f: float) -> float:
    """Area of all plates of a capacitor designed for ``nominal_f``, in um^2."""
    return nominal_f / _TYPICAL_DENSITY_F_PER_UM2


def mim_capacitor(nominal_f: float, corner: str, temperature_c: float) -> MimCapacitor:
    """The capacitor designed for ``nominal_f`` (in F, typical corner, 27 degrees) as it comes out.

    Args:
        nominal_f: designed capacitance, in F.
        corner: ``typ``, ``bcs`` or ``wcs``.
        temperature_c: in degrees Celsius.
    """
    capacitance, series, bottom = mim_capacitors(np.array([nominal_f]), corner, temperature_c)
    return MimCapacitor(float(capacitance[0]), float(series[0]), float(bottom[0]))


def mim_capacitors(
    nominal_f: NDArray[np.float64], corner: str, temperature_c: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The same of many: capacitance, series resistance and bottom plate's capacitance, each (n,)."""
    density, parasitic, drift = _process(corner, temperature_c)
    plate_m = np.sqrt(nominal_f / _TYPICAL_DENSITY_F_PER_UM2) * 1e-6
    units = np.ceil(plate_m**2 / LARGEST_PLATE_M**2)
    side_m = plate_m / np.sqrt(units)
    inside_m = np.maximum(side_m, SMALLEST_PLATE_M)
    feed_m = np.minimum(inside_m - _FEED_MARGIN_M, LARGEST_FEED_M)
    shape = {"l": inside_m, "w": inside_m, "wfeed": feed_m, "sf": 1e-6}
    series = sum(model_cards.evaluate_all(_expression(name), shape) for name in ("rmim_val", "rskin_val"))
    shape = {"l": side_m, "w": side_m, "wfeed": np.minimum(side_m, LARGEST_FEED_M), "sf": 1e-6}
    bottom = model_cards.evaluate_all(_expression("cox_val"), shape)
    return nominal_f * (density * drift), series / units, units * bottom * parasitic


@cache
def _process(corner: str, temperature_c: float) -> tuple[float, float, float]:
    """Capacitance and parasitic relative to typical, and the temperature's factor."""
    parameters = model_cards.corner_parameters("cornerCAP.lib", f"cap_{corner}")
    typical = model_cards.corner_parameters("cornerCAP.lib", "cap_typ")
    model = re.search(r"^\.model\s+cmim_core\s+C\s*\((.*?)\)", model_cards.read("capacitors_mod.lib"), re.I | re.M)
    coefficients = dict(re.findall(r"(TC1|TC2)=(\S+)", model.group(1))) if model else {}
    rise = temperature_c - 27.0
    drift = 1.0 + float(coefficients.get("TC1", 0.0)) * rise + float(coefficients.get("TC2", 0.0)) * rise**2
    return parameters["cap_carea"] / typical["cap_carea"], parameters["cap_cpara"], drift


@cache
def _expression(name: str) -> str:
    found = re.search(rf"^\.param\s+{name}\s*=\s*\{{(.*)\}}\s*$", model_cards.read("capacitors_mod.lib"), re.M)
    if not found:
        raise MissingToolError(f"{model_cards.model_folder() / 'capacitors_mod.lib'}: no parameter {name}")
    return found.group(1)
