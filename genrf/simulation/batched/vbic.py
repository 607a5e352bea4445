"""VBIC with self-heating, as far as IHP's npn13G2 uses it, in plain arithmetic.

After McAndrew et al., "VBIC95, the vertical bipolar inter-company model", IEEE JSSC 31(10), 1996, and the public description
of VBIC 1.2. Left out, because the card does not use it (`genrf.simulation.batched.cards` refuses a card that does): base-emitter
breakdown, a base-emitter junction split between intrinsic and extrinsic base (wbe = 1), high injection of the parasitic
transistor (ikp = 0), reach-through, smoothed depletion charges (aj* = -0.5). The fixed overlap capacitances are capacitors of the
netlist.

::

    c --rcx-- cx --rci-- ci                     transport current ci -> ei, its charge bi-ei
              |           |                     parasitic transistor bx, bp, si: its base is the collector
              rbp         bci
              |           |
              bp  b --rbx-- bx --rbi-- bi --bei-- ei --re-- e          si --rs-- s

symbol   variable     meaning                                              unit
V        volts        voltages between inner nodes, by the name of a branch V
T        kelvin       temperature of the device                            K
dT       t            its rise above ambient temperature                   K
qb       qb           normalised base charge                               1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genrf.simulation.batched.tape import Dual, Number

BOLTZMANN_OVER_CHARGE = 1.380662e-23 / 1.602189e-19
"""k/q in V/K, with the constants that VBIC is defined with."""
NOMINAL_K = 300.15
"""Temperature of the card, in K: tnom is 27 degrees Celsius."""

OUTER = ("c", "b", "e")
INNER = ("cx", "ci", "bx", "bi", "ei", "bp", "si", "s", "t")
"""Inner nodes; ``s`` is the substrate's contact, ``t`` the rise of temperature."""
NODES = (*OUTER, *INNER)

VOLTAGES: Mapping[str, tuple[str, str | None]] = {
    "bei": ("bi", "ei"),
    "bex": ("bx", "ei"),
    "bci": ("bi", "ci"),
    "bcx": ("bi", "cx"),
    "bep": ("bx", "bp"),
    "bcp": ("si", "bp"),
    "rcx": ("c", "cx"),
    "rci": ("cx", "ci"),
    "rbx": ("b", "bx"),
    "rbi": ("bx", "bi"),
    "re": ("e", "ei"),
    "rbp": ("bp", "cx"),
    "rs": ("s", "si"),
    "t": ("t", None),
}
"""Voltages that currents and charges depend on -> the nodes that they lie between."""
CURRENTS: Mapping[str, tuple[str | None, str | None]] = {
    "ibe": ("bi", "ei"),
    "ibex": ("bx", "ei"),
    "itzf": ("ci", "ei"),
    "itzr": ("ei", "ci"),
    "ibc": ("bi", "ci"),
    "ibep": ("bx", "bp"),
    "ircx": ("c", "cx"),
    "irci": ("cx", "ci"),
    "irbx": ("b", "bx"),
    "irbi": ("bx", "bi"),
    "ire": ("e", "ei"),
    "irbp": ("bp", "cx"),
    "ibcp": ("si", "bp"),
    "iccp": ("bx", "si"),
    "irs": ("s", "si"),
    "power": (None, "t"),
    "irth": ("t", None),
}
"""Currents -> the nodes that each flows from and to; of the thermal ones power in W."""
CHARGES: Mapping[str, tuple[str, str]] = {
    "qbe": ("bi", "ei"),
    "qbc": ("bi", "ci"),
    "qbcx": ("bi", "cx"),
    "qbep": ("bx", "bp"),
    "qbcp": ("si", "bp"),
}
LIMITED = ("bei", "bci", "bcx", "bep", "bcp", "t")
"""Voltages whose steps Newton's iteration limits."""

PARAMETERS = (
    *(
        "pe",
        "me",
        "pc",
        "mc",
        "ps",
        "ms",
        "fc",
        "vef",
        "ver",
        "nf",
        "nei",
        "nen",
        "nr",
        "nci",
        "ncn",
        "nfp",
        "ncip",
        "ncnp",
    ),
    *("rs", "qco", "vo", "gamm", "hrcf", "avc1", "avc2", "tf", "qtf", "xtf", "vtf", "tr", "td"),
    *(
        "ea",
        "eap",
        "eaie",
        "eaic",
        "eais",
        "eane",
        "eanc",
        "eans",
        "xre",
        "xrb",
        "xrc",
        "xrs",
        "xvo",
        "xis",
        "xii",
        "xin",
    ),
    *("tnf", "tavc", "afn", "cje", "cjc", "cjep", "cjcp", "is", "ibei", "iben", "ikf", "ibci", "ibcn", "ikr", "isp"),
    *(
        "ibcip",
        "ibcnp",
        "ibeip",
        "ibenp",
        "re",
        "rcx",
        "rci",
        "rbx",
        "rbi",
        "rbp",
        "itf",
        "kfn",
        "rth",
        "cth",
        "rsub",
        "csub",
    ),
)
"""Parameters of a card, and the substrate's resistance and capacitance beside it."""
DEFAULTS = {"eap": 1.12}
"""Parameters that a card need not name."""
UNUSED = {"aje": -0.5, "ajc": -0.5, "ajs": -0.5, "wbe": 1.0, "wsp": 1.0, "ikp": 0.0, "bfn": 1.0, "tnom": 27.0}
"""Parameters of which these values only are known here."""


class _Temperature:
    """What the card's parameters are at the device's temperature."""

    def __init__(self, p: Mapping[str, Number], kelvin: Dual) -> None:
        self._p = p
        self.vt = kelvin * BOLTZMANN_OVER_CHARGE
        self._ratio = kelvin * (1.0 / NOMINAL_K)
        self._log = self._ratio.log()
        self._gap = (self._ratio - 1.0) / self.vt
        rise = kelvin - NOMINAL_K
        drift = rise * p["tnf"] + 1.0
        self.nf, self.nr = drift * p["nf"], drift * p["nr"]
        self.avc2 = (rise * p["tavc"] + 1.0) * p["avc2"]
        self.pe = self._potential(p["pe"], p["eaie"])
        self.pc = self._potential(p["pc"], p["eaic"])

    def current(self, name: str, exponent: str, gap: str, emission: Number) -> Dual:
        """A saturation current."""
        return ((self._log * self._p[exponent] + self._gap * self._p[gap]) * (1.0 / emission)).exp() * self._p[name]

    def power(self, exponent: Number) -> Dual:
        """(T / Tnom) ** exponent."""
        return (self._log * exponent).exp()

    def substrate_potential(self) -> Dual:
        """Built-in potential of the collector-substrate junction."""
        return self._potential(self._p["ps"], self._p["eais"])

    def _potential(self, nominal: Number, gap: Number) -> Dual:
        vt0 = BOLTZMANN_OVER_CHARGE * NOMINAL_K
        at_nominal = 2.0 * vt0 * ((0.5 / vt0 * nominal).exp() - (-0.5 / vt0 * nominal).exp()).log()
        psi = self._ratio * at_nominal - self.vt * self._log * 3.0 - (self._ratio - 1.0) * gap
        return psi + self.vt * 2.0 * ((((-psi / self.vt).exp() * 4.0 + 1.0).sqrt() + 1.0) * 0.5).log()


def _depletion(v: Dual, p: Dual, m: Number, fc: Number) -> Dual:
    """Charge of a junction by its capacitance at 0 V, in V: a power law, a parabola above ``fc * p``."""
    excess = v - p * fc
    below = excess.choose(v * 0.0, v)
    grading = 1.0 - m
    low = p * (1.0 - ((1.0 - below / p).log() * grading).exp()) * (1.0 / grading)
    rest = 1.0 - fc
    q = ((-1.0 - m) * rest.log()).exp()
    high = p * ((1.0 - q * rest * rest) / grading) + excess * (excess / p * (0.5 * m) + rest) * q
    return excess.choose(high, low)


class _Transport:
    """Forward and reverse transport currents and the normalised base charge."""

    def __init__(self, p: Mapping[str, Number], u: Mapping[str, Dual], at: _Temperature) -> None:
        saturation = at.current("is", "xis", "ea", p["nf"])
        self.forward = saturation * ((u["bei"] / (at.nf * at.vt)).exp() - 1.0)
        # VBIC has one saturation current for both directions.
        self.reverse = saturation * ((u["bci"] / (at.nr * at.vt)).exp() - 1.0)
        self.depletion_be = _depletion(u["bei"], at.pe, p["me"], p["fc"])
        self.depletion_bc = _depletion(u["bci"], at.pc, p["mc"], p["fc"])
        x = self.depletion_be / p["ver"] + self.depletion_bc / p["vef"] + (1.0 - 1e-4)
        self.q1 = ((x * x + 1e-8).sqrt() + x) * 0.5 + 1e-4
        q2 = self.forward * (1.0 / p["ikf"]) + self.reverse * (1.0 / p["ikr"])
        self.qb = (self.q1 + (self.q1 * self.q1 + q2 * 4.0).sqrt()) * 0.5


def currents(p: Mapping[str, Number], u: Mapping[str, Dual], kelvin: Dual) -> dict[str, Dual]:
    """Every current of `CURRENTS` of one transistor, with its derivatives.

    Args:
        p: `PARAMETERS`, and ``gmin``, the conductance beside each junction, and ``leak``, that beside the thermal resistance.
        u: `VOLTAGES`.
        kelvin: temperature of the device.
    """
    at = _Temperature(p, kelvin)
    vt = at.vt
    transport = _Transport(p, u, at)
    inverse = transport.qb.inverse()
    itzf, itzr = transport.forward * inverse, transport.reverse * inverse

    def junction(v: Dual, ideal: Dual, n_ideal: Number, leak: Dual, n_leak: Number) -> Dual:
        x = v / vt
        return ideal * ((x * (1.0 / n_ideal)).exp() - 1.0) + leak * ((x * (1.0 / n_leak)).exp() - 1.0)

    ibe = junction(
        u["bei"],
        at.current("ibei", "xii", "eaie", p["nei"]),
        p["nei"],
        at.current("iben", "xin", "eane", p["nen"]),
        p["nen"],
    )
    diode = junction(
        u["bci"],
        at.current("ibci", "xii", "eaic", p["nci"]),
        p["nci"],
        at.current("ibcn", "xin", "eanc", p["ncn"]),
        p["ncn"],
    )
    ibep = junction(
        u["bep"],
        at.current("ibeip", "xii", "eaic", p["nci"]),
        p["nci"],
        at.current("ibenp", "xin", "eanc", p["ncn"]),
        p["ncn"],
    )
    ibcp = junction(
        u["bcp"],
        at.current("ibcip", "xii", "eais", p["ncip"]),
        p["ncip"],
        at.current("ibcnp", "xin", "eans", p["ncnp"]),
        p["ncnp"],
    )
    isp = at.current("isp", "xis", "eap", p["nfp"])
    parasitic = vt * p["nfp"]
    iccp = isp * ((u["bep"] / parasitic).exp() - (u["bcp"] / parasitic).exp())

    drop = at.pc - u["bci"]
    reverse = ((drop * drop + 0.01).sqrt() + drop) * 0.5
    avalanche = reverse * (-at.avc2 * (reverse.log() * (p["mc"] - 1.0)).exp()).exp() * p["avc1"]
    ibc = diode - (itzf - itzr - diode) * avalanche

    gamm = at.current("gamm", "xis", "ea", 1.0)
    kbci = (gamm * (u["bci"] / vt).exp() + 1.0).sqrt()
    kbcx = (gamm * (u["bcx"] / vt).exp() + 1.0).sqrt()
    # Rci times the current without velocity saturation, a voltage.
    ohmic = u["rci"] + vt * (kbci - kbcx - ((kbci + 1.0) / (kbcx + 1.0)).log())
    saturation = (at.power(p["xvo"]) * p["vo"]).inverse()
    derivative = saturation * ohmic / (saturation * (0.5 / p["hrcf"]) * (u["rci"] * u["rci"] + 0.01).sqrt() + 1.0)
    irci = ohmic / (at.power(p["xrc"]) * p["rci"] * (derivative * derivative + 1.0).sqrt())

    base = at.power(-p["xrb"])
    resistors = {
        "ircx": u["rcx"] * at.power(-p["xrc"]) * (1.0 / p["rcx"]),
        "irci": irci,
        "irbx": u["rbx"] * base * (1.0 / p["rbx"]),
        "irbi": u["rbi"] * transport.qb * base * (1.0 / p["rbi"]),
        "ire": u["re"] * at.power(-p["xre"]) * (1.0 / p["re"]),
        "irbp": u["rbp"] * at.power(-p["xrc"]) * (1.0 / p["rbp"]),
        "irs": u["rs"] * at.power(-p["xrs"]) * (1.0 / p["rs"]),
    }
    power = (
        ibe * u["bei"]
        + ibc * u["bci"]
        + (itzf - itzr) * (u["bei"] - u["bci"])
        + ibep * u["bep"]
        + ibcp * u["bcp"]
        + iccp * (u["bep"] - u["bcp"])
    )
    for name, current in resistors.items():
        power = power + current * u[name[1:]]
    gmin = p["gmin"]
    return resistors | {
        "itzf": itzf,
        "itzr": itzr,
        "ibe": ibe + u["bei"] * gmin,
        "ibex": u["bex"] * gmin,
        "ibc": ibc + u["bci"] * gmin,
        "ibep": ibep + u["bep"] * gmin,
        "irci": irci + (u["rci"] + u["bci"] + u["bcx"]) * gmin,
        "ibcp": ibcp + u["bcp"] * gmin,
        "iccp": iccp,
        "power": power,
        "irth": u["t"] * (1.0 / p["rth"] + p["leak"]),
    }


def charges(p: Mapping[str, Number], u: Mapping[str, Dual], kelvin: Dual) -> dict[str, Dual]:
    """Every charge of `CHARGES` of one transistor, with its derivatives; arguments as those of `currents`."""
    at = _Temperature(p, kelvin)
    vt = at.vt
    transport = _Transport(p, u, at)
    ps = at.substrate_potential()

    def capacitance(name: str, nominal: Number, potential: Dual, grading: Number) -> Dual:
        return ((potential.inverse() * nominal).log() * grading).exp() * p[name]

    forward = transport.forward
    ratio = forward * (1.0 / p["itf"])
    m = ratio / (ratio + 1.0)
    quasi = (u["bci"] * (1.0 / 1.44 / p["vtf"])).exp() * m * m * p["xtf"]
    tff = (transport.q1 * p["qtf"] + 1.0) * (forward.choose(quasi, forward * 0.0) + 1.0) * p["tf"]
    gamm = at.current("gamm", "xis", "ea", 1.0)
    kbci = ((u["bci"] / vt).exp() * gamm + 1.0).sqrt()
    kbcx = ((u["bcx"] / vt).exp() * gamm + 1.0).sqrt()
    parasitic = at.current("isp", "xis", "eap", p["nfp"]) * ((u["bep"] / (vt * p["nfp"])).exp() - 1.0)
    return {
        "qbe": transport.depletion_be * capacitance("cje", p["pe"], at.pe, p["me"]) + tff * forward / transport.qb,
        "qbc": transport.depletion_bc * capacitance("cjc", p["pc"], at.pc, p["mc"])
        + transport.reverse * p["tr"]
        + kbci * p["qco"],
        "qbcx": kbcx * p["qco"],
        "qbep": _depletion(u["bep"], at.pc, p["mc"], p["fc"]) * capacitance("cjep", p["pc"], at.pc, p["mc"])
        + parasitic * p["tr"],
        "qbcp": _depletion(u["bcp"], ps, p["ms"], p["fc"]) * capacitance("cjcp", p["ps"], ps, p["ms"]),
    }


def at(name: str, nodes: Mapping[str, Any]) -> Any:
    """A voltage of `VOLTAGES` from those of the nodes."""
    first, second = VOLTAGES[name]
    return nodes[first] if second is None else nodes[first] - nodes[second]
