"""A VBIC card at another temperature than its own, for ngspice 39, whose kT/q stays that of ``tnom``.

A card written for the temperature that it is used at, with ``tnom`` that temperature, is scaled by ngspice by nothing,
and its kT/q is right. Self-heating still scales from there: powers of the temperature, activation energies and built-in
potentials compose without error, emission coefficients with their own temperature coefficients too. Only the 1/nf in the
exponent of ``is`` is another by then; ``xis`` and ``ea`` are written so that ``is`` composes, ``eap`` so that ``isp`` does
to first order, and ``gamm`` is left with that error (a few percent at the worst, where the collector's epilayer is
flooded). ngspice does not scale ``rbp`` with self-heating, VBIC 1.3 does; here it is written for the card's temperature.

The mappings are those of McAndrew et al., "VBIC95, the vertical bipolar inter-company model", IEEE JSSC 31(10), 1996, with
``eap`` and ``tavc`` of VBIC 1.2. They are text, because a netlist's ``.control`` block needs them as well: what Python
evaluates is what it prints.

name   meaning                                   unit
r      absolute temperature over the card's      1
rise   temperature above the card's              K
vt     kT/q                                      V
gap    what activation energies are scaled with  1/V
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from types import CodeType

ZERO_CELSIUS_K = 273.15
BOLTZMANN_OVER_CHARGE = 1.380662e-23 / 1.602189e-19
"""k/q in V/K, with the constants that VBIC is defined with."""

_FUNCTIONS = {"exp": math.exp, "ln": math.log, "sqrt": math.sqrt}


def _potential(name: str, energy: str) -> dict[str, str]:
    """A built-in potential: 2 Vt ln(2 sinh(P / 2 Vt)) scales like a band gap, and the potential follows from it."""
    psi = f"psi_{name}"
    return {
        psi: f"r*2*vt_card*ln(exp({name}/(2*vt_card)) - exp(-{name}/(2*vt_card))) - 3*vt*ln(r) - {energy}*(r - 1)",
        f"hot_{name}": f"{psi} + 2*vt*ln(0.5*(1 + sqrt(1 + 4*exp(-{psi}/vt))))",
    }


def _current(exponent: str, energy: str, emission: str) -> str:
    return f"exp(({exponent}*ln(r) + {energy}*gap)/{emission})"


STEPS: Mapping[str, str] = {
    "vt_card": f"{BOLTZMANN_OVER_CHARGE:.12g}*card_k",
    "r": "1 + rise/card_k",
    "vt": "vt_card*r",
    "gap": "(r - 1)/vt",
    "drift": "1 + rise*tnf",
    "drift_avc": "1 + rise*tavc",
    **_potential("pe", "eaie"),
    **_potential("pc", "eaic"),
    **_potential("ps", "eais"),
    "ideal_c": _current("xii", "eaic", "nci"),
    "leak_c": _current("xin", "eanc", "ncn"),
    "depletion_c": "exp(mc*ln(pc/hot_pc))",
}
"""What factors are made of -> its expression; of the card's parameters, ``card_k`` (its temperature in K), ``rise`` and
what stands before."""

FACTORS: Mapping[str, str] = {
    "is": _current("xis", "ea", "nf"),
    "ibei": _current("xii", "eaie", "nei"),
    "iben": _current("xin", "eane", "nen"),
    "ibci": "ideal_c",
    "ibcn": "leak_c",
    "ibeip": "ideal_c",
    "ibenp": "leak_c",
    "isp": _current("xis", "eap", "nfp"),
    "ibcip": _current("xii", "eais", "ncip"),
    "ibcnp": _current("xin", "eans", "ncnp"),
    "gamm": _current("xis", "ea", "1"),
    "re": "exp(xre*ln(r))",
    "rcx": "exp(xrc*ln(r))",
    "rci": "exp(xrc*ln(r))",
    "rbx": "exp(xrb*ln(r))",
    "rbi": "exp(xrb*ln(r))",
    "rbp": "exp(xrc*ln(r))",
    "rs": "exp(xrs*ln(r))",
    "vo": "exp(xvo*ln(r))",
    "nf": "drift",
    "nr": "drift",
    "tnf": "1/drift",
    "avc2": "drift_avc",
    "tavc": "1/drift_avc",
    "xis": "drift",
    "ea": "drift",
    "eap": "1 + xis*(1 - drift)*vt/eap",
    "pe": "hot_pe/pe",
    "pc": "hot_pc/pc",
    "ps": "hot_ps/ps",
    "cje": "exp(me*ln(pe/hot_pe))",
    "cjc": "depletion_c",
    "cjep": "depletion_c",
    "cjcp": "exp(ms*ln(ps/hot_ps))",
}
"""Parameter -> what it is multiplied by. All others but ``tnom`` stay; ``tf`` has the temperature from the PDK."""

ONLY_FOR_SCALING_AGAIN = frozenset({"tnf", "tavc", "xis", "ea", "eap"})
"""Of `FACTORS`, what a transistor does without that does not heat itself."""
DEFAULTS = {"eap": 1.12}
"""Parameters that a card need not name."""
_NAME = re.compile(r"(?<![\w.])[a-z_]\w*")


def used_parameters() -> frozenset[str]:
    """Parameters of the card that `STEPS` and `FACTORS` read."""
    names = {name for text in (*STEPS.values(), *FACTORS.values()) for name in _NAME.findall(text)}
    return frozenset(names - STEPS.keys() - _FUNCTIONS.keys() - {"card_k", "rise"})


SEPARATE = frozenset({"xikf", "xrci", "xrcx", "xrbi", "xrbx", "xrbp", "dear", "xisr"})
"""Parameters that ngspice's VBIC has besides; `scaled` knows cards that leave them out or at 0 only."""


def with_numbers(text: str, card: Mapping[str, float]) -> str:
    """An expression in which the card's parameters, and ``card_k`` where it is given with them, are numbers."""
    known = DEFAULTS | dict(card)
    numbers = used_parameters() | ({"card_k"} & known.keys())

    def number(found: re.Match[str]) -> str:
        if found[0] not in numbers:
            return found[0]
        value = known[found[0]]
        return f"{value:.9g}" if value >= 0.0 else f"({value:.9g})"

    return _NAME.sub(number, text)


def scaled(card: Mapping[str, float], temperature_c: float) -> dict[str, float]:
    """A card for its ``tnom`` as a card for another temperature, the same where that is its own.

    Args:
        card: VBIC's parameters by name, ``tnom`` in degrees Celsius among them.
        temperature_c: in degrees Celsius.
    """
    rise = temperature_c - card["tnom"]
    if rise == 0.0:
        return dict(card)
    values: dict[str, float] = DEFAULTS | dict(card) | {"rise": rise, "card_k": card["tnom"] + ZERO_CELSIUS_K}
    for name, text in STEPS.items():
        values[name] = _value(text, values)
    factors = {name: _value(text, values) for name, text in FACTORS.items()}
    moved = {name: values[name] * factor for name, factor in factors.items()}
    return dict(card) | moved | {"tnom": temperature_c}


def _value(text: str, names: Mapping[str, float]) -> float:
    return float(eval(_compiled(text), {"__builtins__": {}, **_FUNCTIONS}, dict(names)))


@cache
def _compiled(text: str) -> CodeType:
    return compile(text, "<VBIC temperature>", "eval")
