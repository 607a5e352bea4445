"""The PDK's npn13G2 as flat SPICE lines: model cards for one number of emitters, and instances with their parasitics.

ngspice 39 leaves VBIC's fixed overlap capacitances ``cbeo`` and ``cbco`` out of its small-signal analyses (``.ac``,
``.sp``, ``.noise``) but not out of its transient. So the cards have neither, and every instance has both as linear
capacitors between its external terminals, where VBIC has them too: all analyses see the same charge, once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from genrf.technology import vbic_temperature
from genrf.technology.sg13g2 import model_cards

HBT_FILE = "sg13g2_hbt_mod.lib"
HBT_SUBCIRCUIT = "npn13G2"
OVERLAPS = {"cbeo": ("base", "emitter"), "cbco": ("base", "collector")}
"""Parameters of the PDK's card that are capacitors here -> the terminals that each lies between."""
LARGEST_NX = 10
"""Emitters of one npn13G2 at most; more are transistors in parallel."""


@lru_cache(maxsize=4096)
def split_emitters(value: float) -> tuple[int, int]:
    """Number of equal transistors, and emitters of each, nearest to a total number of emitters."""
    total = max(1, round(value))
    transistors = math.ceil(total / LARGEST_NX)
    return transistors, min(LARGEST_NX, round(total / transistors))


@cache
def _subcircuit() -> model_cards.Subcircuit:
    return model_cards.Subcircuit(HBT_FILE, HBT_SUBCIRCUIT)


def model_name(emitters: int) -> str:
    """Name of the card for one number of emitters."""
    return f"npn_x{emitters}"


@cache
def largest_vce() -> float:
    """The largest collector-emitter voltage that the model card allows, in V."""
    return float(_subcircuit().model_parameters["vce_max"])


def multiplied(collector_base_v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Collector current that impact ionisation adds, relative to what enters the junction, at reverse voltages in V.

    VBIC's weak avalanche, AVC1 (PC + V_CB) exp(-AVC2 (PC + V_CB)^(MC - 1)) (McAndrew et al., IEEE JSSC 31(10), 1996), with
    the card's parameters.
    """
    parameters = _subcircuit().model_parameters
    avc1, avc2, pc, mc = (float(parameters[name]) for name in ("avc1", "avc2", "pc", "mc"))
    height = np.maximum(pc + collector_base_v, 1e-3)
    found: NDArray[np.float64] = avc1 * height * np.exp(-avc2 * height ** (mc - 1.0))
    return found


@lru_cache(maxsize=4096)
def card_values(
    emitters: int, corner: str, temperature_c: float, process: tuple[tuple[str, float], ...] = ()
) -> Mapping[str, float]:
    """The PDK's card to nine digits, as it is before it is scaled: ``tnom`` is the card's own. Without `OVERLAPS`.

    Args:
        process: factors on the corner's parameters; those of other devices are ignored.
    """
    environment = _environment(emitters, corner, temperature_c, process)
    values = _subcircuit().model_values(environment, replaced=dict.fromkeys(OVERLAPS, "0"))
    return MappingProxyType({name: float(f"{value:.9g}") for name, value in values.items()})


@lru_cache(maxsize=4096)
def card(emitters: int, corner: str, temperature_c: float, process: tuple[tuple[str, float], ...] = ()) -> str:
    """The ``.model`` line ``npn_xEMITTERS`` for ngspice, scaled to the temperature: see `vbic_temperature`.

    Args:
        process: factors on the corner's parameters; those of other devices are ignored.
    """
    values = vbic_temperature.scaled(card_values(emitters, corner, temperature_c, process), temperature_c)
    return model_cards.model_line(model_name(emitters), _subcircuit().model_type, values)


_NOT_OF_VBIC = ("level", "vbe_max", "vbc_max", "vce_max")
"""Parameters of the card that tell SPICE programs which model it is, and where it ends."""


@lru_cache(maxsize=4096)
def vbic_parameters(
    emitters: int,
    corner: str,
    temperature_c: float,
    process: tuple[tuple[str, float], ...] = (),
    *,
    excess_phase: bool = False,
) -> Mapping[str, float]:
    """`card_values` in full precision, by the names of VBIC 1.3; without `OVERLAPS`.

    For simulators that scale a card to the temperature themselves. ``tf`` is the exception: the PDK's own expression has
    the temperature in it, beside what VBIC does.

    Args:
        process: factors on the corner's parameters; those of other devices are ignored.
        excess_phase: whether ``td`` is 0.28 ps. The PDK's cards for ngspice and VACASK have it behind ``sw_nqs``, which is
            0 there; its card for Xyce has it always.
    """
    environment = _environment(emitters, corner, temperature_c, process, sw_nqs=float(excess_phase))
    values = _subcircuit().model_values(environment, replaced=dict.fromkeys(OVERLAPS, "0"))
    return MappingProxyType({name: value for name, value in values.items() if name not in _NOT_OF_VBIC})


@lru_cache(maxsize=4096)
def thermal_resistance(
    value: float,
    area: float,
    corner: str,
    temperature_c: float,
    process: tuple[tuple[str, float], ...] = (),
) -> float:
    """Between a transistor's thermal node and ambient, in K/W; VBIC divides the card's by multiplier and area.

    Args:
        value: emitters in all.
        area: factor on the emitters' area.
        process: factors on the corner's parameters.
    """
    transistors, emitters = split_emitters(value)
    return card_values(emitters, corner, temperature_c, process)["rth"] / (transistors * area)


def _environment(
    emitters: int, corner: str, temperature_c: float, process: tuple[tuple[str, float], ...] = (), **switches: float
) -> dict[str, float]:
    values = dict(model_cards.corner_parameters("cornerHBT.lib", f"hbt_{corner}"))
    values |= {name: values[name] * factor for name, factor in process if name in values}
    return _subcircuit().environment(values, temperature_c, nx=float(emitters), **switches)


@cache
def parasitics(emitters: int) -> tuple[float, float, float]:
    """Substrate resistance and capacitance and the thermal node's leak; they depend on neither corner nor
    temperature."""
    environment = _environment(emitters, "typ", 27.0)
    parasitics = _subcircuit().parasitics
    rsub, csub, rt = (model_cards.evaluate(parasitics[key], environment) for key in ("rsub", "csub", "rt"))
    return rsub, csub, rt


@cache
def overlaps(emitters: int) -> dict[str, float]:
    """The capacitances of `OVERLAPS` of one transistor, in F; like its parasitics they depend on the emitters only."""
    parameters = _subcircuit().model_parameters
    return {name: model_cards.evaluate(parameters[name], {"nx": float(emitters)}) for name in OVERLAPS}


def overlap_lines(name: str, nets: tuple[str, ...], value: float, area: float = 1.0) -> list[str]:
    """The capacitors ``cbeo_NAME`` and ``cbco_NAME`` of a transistor, whose VBIC scales both with its area.

    Args:
        name: of the SPICE element.
        nets: collector, base and emitter.
        value: emitters in all.
        area: factor on the emitters' area.
    """
    transistors, emitters = split_emitters(value)
    net = dict(zip(("collector", "base", "emitter"), nets, strict=True))
    # One between joined terminals does nothing.
    return [
        f"{overlap}_{name} {net[one]} {net[other]} {capacitance * transistors * area:.7g}"
        for (overlap, (one, other)), capacitance in zip(OVERLAPS.items(), overlaps(emitters).values(), strict=True)
        if net[one] != net[other]
    ]


def lines(name: str, nets: tuple[str, ...], value: float, area: float) -> list[str]:
    """A transistor with its substrate and thermal nodes and its overlap capacitances.

    Args:
        name: of the SPICE element.
        nets: collector, base and emitter.
        value: emitters in all.
        area: factor on the emitters' area.
    """
    transistors, emitters = split_emitters(value)
    rsub, csub, rt = parasitics(emitters)
    collector, base, emitter = nets
    multiplier = f" m={transistors}" if transistors > 1 else ""
    if area != 1.0:
        multiplier += f" area={area:.7g}"
    return [
        f"{name} {collector} {base} {emitter} {name}_s {name}_t {model_name(emitters)}{multiplier}",
        f"rsub_{name} {name}_s 0 {rsub / transistors:.7g}",
        f"csub_{name} {name}_s 0 {csub * transistors:.7g}",
        f"rt_{name} {name}_t 0 {rt:.7g}",
        *overlap_lines(name, nets, value, area),
    ]
