"""How much SG13G2 devices vary, read from the PDK's ``_stat`` and ``_mismatch`` model text.

Process variation (shared by all devices of a kind) is the ``gauss(NAME_norm, DEVIATION, num_sigmas)`` of the ``_stat``
files: independent normal factors, one sigma relative to typical. The PDK has them about the typical corner only, and
calls its corners three sigma. Its transit time ``vbic_tf`` is commented out there, so it does not vary.

Mismatch (a device's own) has standard deviation, with plate and body dimensions in um:

device       relative standard deviation              source
transistor   0.1 of the area, whatever its emitters   ``qarea`` of sg13g2_hbt_mod_mismatch.lib
capacitor    0.1 / sqrt(plate area)                   ``cap_carea_mm`` of capacitors_mod_mismatch.lib
resistor     see `resistor_deviation`                 ``smm_*`` of res_rppd with the r3_cmc model's equations
inductor     0: our own model, and metal geometry is taken as exact
bias         0: ideal

Transistors in parallel are drawn independently, so N of them together have 1 / sqrt(N) of one's deviation; capacitors
and resistors follow from their total area anyway. The PDK's nominal resistor has every mismatch at one sigma
(``nsmm_rsh=1``); here the designed value is the mean.

A resistor is drawn as a rppd strip, `STRIP_UM` wide and as long as its value needs, or as long and wider where that is
less than one square: an assumption of ours, because a schematic has no layout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache

from genrf.errors import MissingToolError
from genrf.technology.sg13g2 import model_cards

STRIP_UM = 2.0
"""Smaller dimension of a resistor's body."""

_STATISTICS = (("sg13g2_hbt_stat.lib", "vbic_"), ("capacitors_stat.lib", "cap_"), ("resistors_stat.lib", "rsh_rppd"))
"""File and beginning of the names of the parameters that our devices use."""


@cache
def process_deviations() -> Mapping[str, float]:
    """One standard deviation of each model parameter relative to its typical value, by the PDK's name.

    Raises:
        MissingToolError: if the installed text has none.
    """
    deviations: dict[str, float] = {}
    for file, prefix in _STATISTICS:
        text = model_cards.read(file)
        sigmas = float(_number(r"^\.param\s+num_sigmas\s*=\s*(\S+)", file))
        drawn = re.findall(r"^\.param\s+mc_(\w+)\s*=\s*'gauss\(\w+_norm,\s*([\d.]+)\s*,\s*num_sigmas\)'", text, re.M)
        found = {name: float(deviation) / sigmas for name, deviation in drawn if name.startswith(prefix)}
        if not found:
            raise MissingToolError(f"{model_cards.model_folder() / file}: no statistics of {prefix}*")
        deviations |= found
    return deviations


def transistor_deviation(transistors: int) -> float:
    """Relative standard deviation of the area of equal transistors in parallel."""
    return _area_draw("sg13g2_hbt_mod_mismatch.lib", "qarea") / math.sqrt(transistors)


@lru_cache(maxsize=4096)
def capacitor_deviation(plate_area_um2: float) -> float:
    """Relative standard deviation of a MIM capacitance, for the area of all its plates, in um^2."""
    return _area_draw("capacitors_mod_mismatch.lib", "cap_carea_mm") / math.sqrt(plate_area_um2)


@lru_cache(maxsize=4096)
def resistor_deviation(nominal_ohm: float) -> float:
    """Relative standard deviation of a rppd strip of ``nominal_ohm``.

    r3_cmc.va (CMC's R3 resistor model) varies sheet resistance by ``smm_rsh / sqrt(L W)`` percent, width by
    ``smm_w / sqrt(L)`` and length by ``smm_l / sqrt(W)`` um; their sum to first order.
    """
    sheet = model_cards.corner_parameters("cornerRES.lib", "res_typ")["rsh_rppd"]
    squares = nominal_ohm / sheet
    length, width = (STRIP_UM * squares, STRIP_UM) if squares >= 1.0 else (STRIP_UM, STRIP_UM / squares)
    of_sheet = 0.01 * _strip_draw("rsh") / math.sqrt(length * width)
    of_width = _strip_draw("w") / math.sqrt(length) / width
    of_length = _strip_draw("l") / math.sqrt(width) / length
    return math.hypot(of_sheet, of_width, of_length)


@cache
def _area_draw(file: str, name: str) -> float:
    """Standard deviation of ``NAME='agauss(1, DEVIATION, ...)'``; the condition behind it is mismatch switched on."""
    return float(_number(rf"\b{name}\s*=\s*'agauss\(1,\s*([\d.]+)\s*,", file))


@cache
def _strip_draw(quantity: str) -> float:
    return float(_number(rf"^\.model\s+res_rppd\s.*?\bsmm_{quantity}=(\S+)", "resistors_mod_mismatch.lib"))


def _number(pattern: str, file: str) -> str:
    found = re.search(pattern, model_cards.read(file), re.M)
    if not found:
        raise MissingToolError(f"{model_cards.model_folder() / file}: nothing like {pattern}")
    return found[1]
