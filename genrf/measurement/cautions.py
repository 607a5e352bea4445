"""What ngspice 39 reads otherwise than people mean it: measured as ngspice does, with a note that names the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from genrf.measurement.cards import Cards, cell_of
from genrf.measurement.lines import Line

EXPONENTS = {"t": 12, "g": 9, "meg": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18}
_VALUE = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([a-z]*)(\d\w*)?\Z")
_SCALE = re.compile(r"meg|mil|[tgkmunpfa]")
_MIL = Decimal("25.4e-6")
_LEAST = {"r": Decimal("0.01"), "c": Decimal("1e-18"), "l": Decimal("1e-15")}
"""What a resistor in Ohm, a capacitor in F or an inductor in H is hardly meant to be below."""
_UNITS = {"r": "Ohm", "c": "F", "l": "H"}
_POWER = re.compile(r"\*\*|\^")


def spice_number(text: str) -> float | None:
    """The number that ngspice reads, which ignores letters after the scale factor; none if it is no number."""
    found = _VALUE.match(text)
    return None if found is None else float(_read(found))


def _read(found: re.Match[str]) -> Decimal:
    scale = _SCALE.match(found[2])
    if scale and scale[0] == "mil":
        return Decimal(found[1]) * _MIL
    return Decimal(found[1]).scaleb(EXPONENTS[scale[0]] if scale else 0)


def cautions(cards: Cards) -> list[str]:
    """Notes on lines whose figures may surprise, in the netlist's order."""
    multiplied = _cells_that_multiply(cards.body)
    notes = []
    for line in cards.body:
        notes += [f"{line.where}: {text}" for text in (*_values(line), *_multiplier(line, multiplied))]
        if line.text[0] in "beg" and _POWER.search(line.text):
            notes.append(f"{line.where}: ngspice takes a power of a negative number as that of its magnitude")
        if line.text[0] == "k" and (factor := spice_number(line.tokens[-1])) is not None and abs(factor) > 1.0:
            notes.append(f"{line.where}: a coupling of {factor:g}, above 1, makes energy from nothing")
    return notes


def _values(line: Line) -> Iterator[str]:
    """Values of resistors, capacitors and inductors, and of parameters."""
    letter = line.text[0]
    words = line.tokens[3:] if letter in "rclvi" else [word for word in line.tokens[1:] if "=" in word]
    for word in words:
        name, _, value = word.rpartition("=")
        found = _VALUE.match(value)
        if found is None:
            continue
        number = _read(found)
        reading = f"{word} is read as {float(number):g}"
        scale = _SCALE.match(found[2])
        main = letter in _LEAST and name in ("", letter)
        if found[3]:
            yield f"{reading}: ngspice ignores what follows {value.removesuffix(found[3])}"
        elif scale and "e" in found[1]:
            yield f"{reading}: ngspice takes {scale[0]} for a scale factor, not for a unit"
        elif main and number != 0 and abs(number) < _LEAST[letter]:
            hint = "; mega is meg" if scale and scale[0] == "m" else ""
            yield f"{reading} {_UNITS[letter]}{hint}"


def _cells_that_multiply(body: Iterable[Line]) -> set[str]:
    """Subcircuits in which, at any depth, a cell is called with a multiplier."""
    calls: dict[str, set[str]] = {}
    found: set[str] = set()
    inside: list[str] = []
    for line in body:
        word = line.tokens[0]
        if word == ".subckt":
            inside.append(line.tokens[1])
        elif word == ".ends":
            inside.pop()
        elif inside and line.text[0] == "x":
            calls.setdefault(cell_of(line)[0], set()).update(inside)
            if _multiplied(line):
                found.update(inside)
    while more := {outer for cell in found for outer in calls.get(cell, ())} - found:
        found |= more
    return found


def _multiplier(line: Line, multiplied: set[str]) -> Iterator[str]:
    if line.text[0] == "x" and _multiplied(line) and cell_of(line)[0] in multiplied:
        yield f"cells within {cell_of(line)[0]} have an m= of their own: ngspice does not multiply it by this line's"


def _multiplied(line: Line) -> bool:
    return any(word.startswith("m=") for word in line.tokens)
