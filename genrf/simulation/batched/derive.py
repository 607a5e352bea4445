"""Writes ``transistor.py``: VBIC's equations, their derivatives and its inner nodes' elimination as straight-line Python.

    python -m genrf.simulation.batched.derive

The module is committed, so that the compiler's cache can tell whether it has changed; a test derives it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genrf.simulation.batched import vbic
from genrf.simulation.batched.tape import Dual, Number, Phasor, Real, Tape, eliminate

WRITTEN = Path(__file__).with_name("transistor.py")

THERMAL_NOISE = {
    "rcx": ("c", "cx"),
    "rci": ("cx", "ci"),
    "rbx": ("b", "bx"),
    "rbi": ("bx", "bi"),
    "re": ("e", "ei"),
    "rbp": ("bp", "cx"),
    "rs": ("s", "si"),
}
"""Resistors, whose noise is at the device's temperature -> the nodes that they lie between."""
SHOT_NOISE = {"itzf": ("ci", "ei"), "ibe": ("bi", "ei"), "ibep": ("bx", "bp"), "iccp": ("bx", "si")}
FLICKER_NOISE = ("ibe", "ibep")
OUTER_RESISTORS = {"c": "rcx", "b": "rbx", "e": "re"}

_HEADER = '''"""VBIC's equations as straight-line Python; written by ``python -m genrf.simulation.batched.derive``."""

import math

'''


def written() -> str:
    """The module's text."""
    conductances, capacitances, transports = _patterns()
    layout = {
        "G": [f"{a}_{b}" for a, b in conductances],
        "C": [f"{a}_{b}" for a, b in capacitances],
        "T": [f"{a}_{b}" for a, b in transports],
        "R": list(THERMAL_NOISE),
        "I": list(SHOT_NOISE),
    }
    index: dict[str, int] = {}
    for kind, names in layout.items():
        index |= {f"{kind}{name}": len(index) + number for number, name in enumerate(names)}
    for name in ("ic", "flow_c", "flow_b", "flow_e", "td", "kfn", "afn", "rsub", "csub"):
        index[name] = len(index)
    lines = [
        _HEADER.rstrip("\n"),
        "",
        f"LINEARISED = {len(index)}",
        '"""Numbers that `linearised` writes."""',
        *(f"{name.upper()} = {index[name]}" for name in ("ic", "flow_c", "flow_b", "flow_e")),
        "",
        "",
        *_reduced(),
        "",
        "",
        *_linearised(index),
        "",
        "",
        *_admittance(index),
        "",
        "",
        *_noise(index),
    ]
    return "\n".join(lines) + "\n"


def _card(tape: Tape) -> dict[str, Number]:
    return {name: tape.input(f"card[{number}]") for number, name in enumerate(vbic.PARAMETERS)}


def _duals(nodes: Mapping[str, Number]) -> dict[str, Dual]:
    return {name: Dual(vbic.at(name, nodes), {name: 1.0}) for name in vbic.VOLTAGES}


def _stamp(matrix: dict[tuple[str, str], Any], flow: tuple[str | None, str | None], name: str, slope: Any) -> None:
    """Adds a current's slope by a voltage to a nodal matrix."""
    first, second = vbic.VOLTAGES[name]
    for node, sign in ((flow[0], 1.0), (flow[1], -1.0)):
        for column, other in ((first, 1.0), (second, -1.0)):
            if node is not None and column is not None:
                product = slope * (sign * other)
                key = node, column
                matrix[key] = matrix[key] + product if key in matrix else product


def _reduced() -> list[str]:
    tape = Tape()
    card = _card(tape) | {"gmin": tape.input("gmin"), "leak": tape.input("leak")}
    nodes = {name: tape.input(f"volts[{number}]") for number, name in enumerate(vbic.NODES)}
    hot = tape.input("hot")
    own = {name: vbic.at(name, nodes) for name in vbic.VOLTAGES}
    limited = {name: tape.input(f"limited[{number}]") for number, name in enumerate(vbic.LIMITED)}
    u = {name: Dual(limited.get(name, own[name]), {name: 1.0}) for name in vbic.VOLTAGES}
    found = vbic.currents(card, u, u["t"] + tape.input("ambient_k"))
    matrix: dict[tuple[str, str], Any] = {}
    into: dict[str, Number] = dict.fromkeys(vbic.NODES, 0.0)
    for name, dual in found.items():
        flow = vbic.CURRENTS[name]
        value = dual.value
        for voltage, slope in dual.slopes.items():
            _stamp(matrix, flow, voltage, slope)
            if voltage in limited:
                # The tangent plane at the limited voltages, at the nodes' own.
                value = value + slope * (own[voltage] - limited[voltage])
        for node, sign in zip(flow, (1.0, -1.0), strict=True):
            if node is not None:
                into[node] = into[node] + value * sign
    # The substrate's contact, and the heat, which counts once the voltages are near.
    into["s"] = into["s"] + nodes["s"] / card["rsub"]
    matrix["s", "s"] = matrix["s", "s"] + 1.0 / card["rsub"]
    for row, column in matrix:
        if row == "t":
            matrix[row, column] = matrix[row, column] * hot
    matrix["t", "t"] = matrix["t", "t"] + (1.0 - hot)
    into["t"] = into["t"] * hot + nodes["t"] * (1.0 - hot)
    system: dict[tuple[str, str], Any] = {key: Real(value) for key, value in matrix.items()}
    system |= {(node, "residual"): Real(value) for node, value in into.items()}
    solved = eliminate(system, vbic.INNER, vbic.OUTER)
    outputs: dict[str, Number] = {}
    for i, row in enumerate(vbic.OUTER):
        for j, column in enumerate(vbic.OUTER):
            outputs[f"y[{3 * i + j}]"] = system[row, column].value
        outputs[f"residual[{i}]"] = system[row, "residual"].value
    for i, name in enumerate(vbic.INNER):
        for j, column in enumerate((*vbic.OUTER, "residual")):
            value = solved[name].get(column)
            outputs[f"inner[{4 * i + j}]"] = 0.0 if value is None else value.value
    return [
        "def reduced(card, ambient_k, gmin, leak, volts, limited, hot, y, residual, inner):",
        '    """Newton\'s step of one transistor with its inner nodes taken out."""',
        *tape.write(outputs, 4),
    ]


def _operating(tape: Tape) -> tuple[dict[str, Number], dict[str, Dual], dict[str, Dual], dict[str, Number]]:
    card = _card(tape)
    whole = card | {"gmin": tape.input("gmin"), "leak": tape.input("leak")}
    nodes = {name: tape.input(f"volts[{number}]") for number, name in enumerate(vbic.NODES)}
    u = _duals(nodes)
    kelvin = u["t"] + tape.input("ambient_k")
    found = vbic.currents(whole, u, kelvin)
    # With ngspice's defects charges are at ambient temperature.
    rise = u["t"] * tape.input("charges_heated")
    stored = vbic.charges(whole, u, rise + tape.input("ambient_k"))
    return card, found, stored, nodes


def _nodal(
    tape: Tape,
) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any], dict[str, Dual], dict[str, Number], dict[str, Number]]:
    """Nodal conductances, capacitances, and conductances that follow with the excess phase."""
    card, found, stored, nodes = _operating(tape)
    follow = 1.0 - tape.input("defects")
    conductance: dict[tuple[str, str], Any] = {}
    transport: dict[tuple[str, str], Any] = {}
    capacitance: dict[tuple[str, str], Any] = {}
    for name, dual in found.items():
        matrix = transport if name in ("itzf", "itzr") else conductance
        for voltage, slope in dual.slopes.items():
            # ngspice's transistors do not follow their own heat in small signal.
            follows = 1.0 if voltage != "t" or name == "irth" else follow
            _stamp(matrix, vbic.CURRENTS[name], voltage, slope * follows)
    for name, dual in stored.items():
        for voltage, slope in dual.slopes.items():
            _stamp(capacitance, vbic.CHARGES[name], voltage, slope * follow if voltage == "t" else slope)
    capacitance["t", "t"] = card["cth"]
    return conductance, capacitance, transport, found, card, nodes


def _patterns() -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    conductance, capacitance, transport, *_ = _nodal(Tape())
    return list(conductance), list(capacitance), list(transport)


def _linearised(index: Mapping[str, int]) -> list[str]:
    tape = Tape()
    conductance, capacitance, transport, found, card, nodes = _nodal(tape)
    outputs: dict[str, Number] = {}
    for kind, matrix in (("G", conductance), ("C", capacitance), ("T", transport)):
        outputs |= {f"{kind}{a}_{b}": value for (a, b), value in matrix.items()}
    outputs |= {f"R{name}": found[f"i{name}"].slopes[name] for name in THERMAL_NOISE}
    # The epilayer's noise is that of its current over its voltage, as in VBIC 1.3; ngspice has that of the slope.
    defects = tape.input("defects")
    ratio = abs(found["irci"].value / (vbic.at("rci", nodes) + 1e-10))
    outputs["Rrci"] = ratio * (1.0 - defects) + outputs["Rrci"] * defects
    outputs |= {f"I{name}": abs(found[name].value) for name in SHOT_NOISE}
    outputs["ic"] = found["itzf"].value - found["itzr"].value - found["ibc"].value
    outputs |= {f"flow_{node}": found[f"i{name}"].value for node, name in OUTER_RESISTORS.items()}
    outputs |= {name: card[name] for name in ("td", "kfn", "afn", "rsub", "csub")}
    return [
        "def linearised(card, ambient_k, charges_heated, gmin, leak, defects, volts, out):",
        '    """Small-signal elements, noise sources and currents of one transistor at its operating point."""',
        *tape.write({f"out[{index[name]}]": value for name, value in outputs.items()}, 4),
    ]


def _admittances(tape: Tape, index: Mapping[str, int]) -> dict[tuple[str, str], Phasor]:
    """The nodal matrix of one transistor at a frequency."""
    conductances, capacitances, transports = _patterns()
    omega = tape.input("omega")

    def value(name: str) -> Number:
        return tape.input(f"out[{index[name]}]")

    # A transport current that lags: 1 / (1 + s td + (s td)^2 / 3), VBIC's second-order Bessel filter.
    lag = omega * value("td")
    lagging = Phasor(1.0 - lag * lag * (1.0 / 3.0), lag).inverse()
    matrix: dict[tuple[str, str], Phasor] = {}

    def add(key: tuple[str, str], phasor: Phasor) -> None:
        matrix[key] = matrix[key] + phasor if key in matrix else phasor

    for a, b in conductances:
        add((a, b), Phasor(value(f"G{a}_{b}")))
    for a, b in capacitances:
        add((a, b), Phasor(0.0, omega * value(f"C{a}_{b}")))
    for a, b in transports:
        add((a, b), Phasor(value(f"T{a}_{b}")) * lagging)
    add(("s", "s"), Phasor(1.0 / value("rsub"), omega * value("csub")))
    return matrix


def _admittance(index: Mapping[str, int]) -> list[str]:
    tape = Tape()
    matrix: dict[tuple[str, str], Any] = dict(_admittances(tape, index))
    eliminate(matrix, vbic.INNER, vbic.OUTER)
    outputs: dict[str, Number] = {}
    for i, row in enumerate(vbic.OUTER):
        for j, column in enumerate(vbic.OUTER):
            outputs[f"real[{3 * i + j}, k]"] = matrix[row, column].real
            outputs[f"imag[{3 * i + j}, k]"] = matrix[row, column].imag
    return [
        "def admittance(out, omegas, real, imag):",
        '    """Admittances (9, K) among collector, base and emitter at angular frequencies (K,)."""',
        "    for k in range(omegas.shape[0]):",
        "        omega = omegas[k]",
        *tape.write(outputs, 8),
    ]


def _noise(index: Mapping[str, int]) -> list[str]:
    tape = Tape()
    matrix: dict[tuple[str, str], Any] = {(b, a): y for (a, b), y in _admittances(tape, index).items()}
    solved = eliminate(matrix, vbic.INNER, vbic.OUTER)
    z = {node: Phasor(tape.input(f"real[{i}]"), tape.input(f"imag[{i}]")) for i, node in enumerate(vbic.OUTER)}
    for node in vbic.INNER:
        total = Phasor(0.0, 0.0)
        for outer, coefficient in solved[node].items():
            total = total - coefficient * z[outer]
        z[node] = total

    def value(name: str) -> Number:
        return tape.input(f"out[{index[name]}]")

    def hop(nodes: tuple[str, str]) -> Number:
        return (z[nodes[0]] - z[nodes[1]]).power()

    defects = tape.input("defects")
    thermal: Number = 0.0
    for name, nodes in THERMAL_NOISE.items():
        share = hop(nodes)
        if name in ("rbp", "rs"):
            # ngspice puts the noise of rbp across the emitter's resistance, where it is taken out, and has none of rs.
            share = share * (1.0 - defects)
        thermal = thermal + share * value(f"R{name}")
    shot: Number = 0.0
    for name, nodes in SHOT_NOISE.items():
        share = hop(nodes)
        if name == "iccp":
            share = share * (1.0 - defects)
        shot = shot + share * value(f"I{name}")
    flicker: Number = 0.0
    for name in FLICKER_NOISE:
        floor = value(f"I{name}") + 1e-38
        flicker = flicker + hop(SHOT_NOISE[name]) * (floor.log() * value("afn")).exp()
    outputs = {
        "noise[0]": thermal,
        "noise[1]": shot,
        "noise[2]": flicker * value("kfn"),
        "noise[3]": z["s"].power() / value("rsub"),
    }
    return [
        "def noise_powers(out, omega, defects, real, imag, noise):",
        '    """What a transistor\'s noise sources give at the output, by transimpedances (3,) from its outer nodes.',
        "",
        "    Writes conductance times |z|^2 of its resistors, current times |z|^2 of its junctions, the same of flicker",
        '    noise, and of the resistance of its substrate."""',
        *tape.write(outputs, 4),
    ]


def main() -> None:
    """Write the module."""
    WRITTEN.write_text(written(), encoding="utf-8")


if __name__ == "__main__":
    main()
