"""A resistor as the PDK's rppd would be drawn: a strip of polysilicon between two contacts.

The body has the sheet resistance, which corners and process move and which rises with temperature; the contacts' heads
have a resistance of their own over the width, which no corner moves and which falls. For the strip that
`genrf.technology.sg13g2.statistics` assumes, heads are 35 Ohm of every resistor above 290 Ohm, and 12 % of those below,
which are as long as that strip is wide, and wider.

Compared with the PDK's r3_cmc model in VACASK the resistance is the same within 0.01 % at 0 V. Not modelled here: what r3_cmc
adds with the voltage (0.1 % at 1 V across 1 kOhm, 0.6 % across 260 Ohm, mostly its own heat), its capacitance to the substrate
(0.12 fF a micrometre of length at each end when 2 um wide: 1 fF for 1 kOhm, 9 fF for 10 kOhm; a tenth of that drawn 0.5 um wide)
and flicker noise, which only a direct current makes. Its thermal noise is the ideal one's.

symbol  variable   meaning                                       unit
h       share      heads' share of the designed resistance       1
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from genrf.errors import MissingToolError
from genrf.technology.sg13g2 import model_cards
from genrf.technology.sg13g2.statistics import STRIP_UM

NOMINAL_C = 27.0


def resistances(nominal_ohm: Any, corner: str, temperature_c: float, sheet_factor: float = 1.0) -> Any:
    """Resistance at 0 V of resistors designed for ``nominal_ohm``, in Ohm.

    Args:
        nominal_ohm: number or array (n,), at 27 degrees Celsius in the typical corner.
        corner: of the process.
        temperature_c: ambient temperature.
        sheet_factor: what process variation makes of the sheet resistance.
    """
    heads_ohm, square_ohm = _strip()
    body, heads = _factors(corner, temperature_c)
    share = heads_ohm / np.maximum(nominal_ohm, square_ohm)
    return nominal_ohm * (1.0 + (1.0 - share) * (body * sheet_factor - 1.0) + share * (heads - 1.0))


@cache
def _strip() -> tuple[float, float]:
    """Resistance of both heads of the strip, and of a whole resistor as long as it is wide, in Ohm."""
    heads_ohm = 2e6 * _number(r"\brzspec=(\S+)") / STRIP_UM
    wider_um = 1e6 * _number(r"\bweff=w\+(\S+)") + _number(r"^\.model\s+res_rppd\s.*?\bxw=(\S+)")
    return heads_ohm, heads_ohm + _sheet("typ") * STRIP_UM / (STRIP_UM + wider_um)


@cache
def _factors(corner: str, temperature_c: float) -> tuple[float, float]:
    """Of body and heads, relative to their designed resistances."""
    rise = temperature_c - NOMINAL_C
    body = 1.0 + _coefficient("tc1") * rise + _coefficient("tc2") * rise**2
    return _sheet(corner) / _sheet("typ") * body, 1.0 + _coefficient("tc1rc") * rise


def _sheet(corner: str) -> float:
    return model_cards.corner_parameters("cornerRES.lib", f"res_{corner}")["rsh_rppd"]


def _coefficient(name: str) -> float:
    return _number(rf"^\.model\s+res_rppd\s.*?\b{name}=(\S+)")


def _number(pattern: str) -> float:
    strip = re.search(r"^\.subckt\s+rppd\s.*?^\.ends", model_cards.read("resistors_mod.lib"), re.M | re.S)
    found = strip and re.search(pattern, strip[0], re.M)
    if not found:
        raise MissingToolError(f"{model_cards.model_folder() / 'resistors_mod.lib'}: nothing like {pattern} in rppd")
    return float(found[1])
