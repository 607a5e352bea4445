"""Which lines of a user's netlist are kept, which are left out with a note, and which are refused.

Kept lines describe devices and models. Analyses and output cards are left out: the testbench has its own. Everything
that is neither is refused, so that a card this program has never heard of can neither run a command nor read or write a
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from genrf.errors import InvalidInputError
from genrf.measurement.lines import Line

_KEPT = {".model", ".subckt", ".ends", ".param", ".func", ".ic", ".nodeset", ".if", ".elseif", ".else", ".endif"}
_HOISTED = {".global"}
_ANALYSES = {
    ".op", ".ac", ".dc", ".tran", ".noise", ".sp", ".pz", ".sens", ".tf", ".disto", ".pss", ".four", ".hb"
}  # fmt: skip
_OUTPUT = {".save", ".print", ".plot", ".probe", ".measure", ".meas", ".width", ".title"}
_SETTINGS = {".options", ".option", ".opt", ".temp"}
_KEPT_OPTIONS = {"scale", "tnom", "defw", "defl", "defad", "defas", "wnflag"}
"""Options that say what the devices are; others say how to simulate, which is the testbench's business."""
_CONDITIONS = {".if", ".elseif", ".else", ".endif"}

_ELEMENTS = "rclkdqmjzviefghbswtox"
_REFUSED_ELEMENTS = {
    "a": "XSPICE code models may load code and read files",
    "n": "OSDI devices load code",
    "p": "coupled multiconductor lines are not supported",
    "u": "uniform RC lines are not supported",
    "y": "single lossy lines are not supported; write O elements",
}
_MODEL_TYPES = {
    "r", "res", "c", "cap", "l", "ind", "d", "npn", "pnp", "nmos", "pmos", "njf", "pjf", "nmf", "pmf", "nhfet", "phfet",
    "sw", "csw", "ltra", "vdmos", "vdmosn", "vdmosp",
}  # fmt: skip
"""Device models without files of their own: neither XSPICE's code models nor CIDER's numerical devices."""
_VARYING = re.compile(r"(?:^|\s)(sin|pulse|pwl|exp|sffm|am|trnoise|trrandom|external)\b")


@dataclass
class Cards:
    """A netlist's lines by what becomes of them."""

    body: list[Line] = field(default_factory=list)
    """Devices, models and subcircuits, in order."""
    top: list[Line] = field(default_factory=list)
    """Those of the body that are devices outside every subcircuit."""
    outside: list[str] = field(default_factory=list)
    """Text that ngspice accepts only outside a subcircuit: global nets and options."""
    global_nets: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    """What was left out, for the user to read."""


def sorted_cards(lines: Iterable[Line]) -> Cards:
    """Sort a netlist's lines.

    Raises:
        InvalidInputError: naming file and line, for whatever may not be in a netlist.
    """
    cards = Cards()
    subcircuits: list[Line] = []
    for line in lines:
        word = line.tokens[0]
        if not word.startswith("."):
            _check_element(line)
            if not subcircuits:
                cards.top.append(line)
            cards.body.append(line)
        elif word in _KEPT:
            if word == ".subckt":
                subcircuits.append(line)
            elif word == ".ends":
                if not subcircuits:
                    raise line.refuse(".ends without .subckt")
                subcircuits.pop()
            elif word == ".model":
                cards.models.add(_model_name(line))
            cards.body.append(line)
        elif word in _HOISTED:
            cards.global_nets.update(line.tokens[1:])
            cards.outside.append(line.text)
        elif word in _SETTINGS:
            _settings(line, cards)
        elif word in _ANALYSES | _OUTPUT:
            cards.notes.append(f"{line.where}: {word} is left out; the testbench has its own analyses")
        else:
            reason = "commands are not allowed in a netlist" if word in (".control", ".endc", ".exec") else "unknown"
            raise line.refuse(f"{word}: {reason if reason != 'unknown' else 'not a card that a netlist may have here'}")
    if subcircuits:
        raise subcircuits[0].refuse(".subckt without .ends")
    return cards


def _settings(line: Line, cards: Cards) -> None:
    word, *options = line.tokens
    kept = [option for option in options if word != ".temp" and option.split("=")[0] in _KEPT_OPTIONS]
    if kept:
        cards.outside.append(f".options {' '.join(kept)}")
    dropped = [option for option in options if option not in kept]
    if dropped:
        cards.notes.append(f"{line.where}: {word} {' '.join(dropped)} is left out; the testbench sets its own")


def _model_name(line: Line) -> str:
    words = line.text.replace("(", " ").split()
    if len(words) < 3:
        raise line.refuse("expected .model NAME TYPE ...")
    if words[2] not in _MODEL_TYPES:
        raise line.refuse(f"models of type {words[2]} are not allowed; known: {', '.join(sorted(_MODEL_TYPES))}")
    return words[1]


def _check_element(line: Line) -> None:
    letter = line.text[0]
    if letter in _REFUSED_ELEMENTS:
        raise line.refuse(f"{line.tokens[0]}: {_REFUSED_ELEMENTS[letter]}")
    if letter not in _ELEMENTS:
        raise line.refuse(f"{line.tokens[0]}: not a device")
    if letter in "vi":
        rest = " ".join(line.tokens[3:])
        if re.search(r"\b(portnum|distof1|distof2)\b", rest) or re.search(r"(?:^|\s)ac\b(?!\s*0(?:\s|$))", rest):
            raise line.refuse(f"{line.tokens[0]}: the testbench drives the circuit; only DC bias sources may stay")
        if _VARYING.search(rest):
            raise line.refuse(f"{line.tokens[0]}: the source varies in time; only DC bias sources may stay")


def nets_of(line: Line, models: set[str]) -> list[str]:
    """Nets at an element's terminals, in order.

    Args:
        models: names of all models, by which transistors with and without substrate net are told apart.

    Raises:
        InvalidInputError: naming the line, if it is cut short or names no model.
    """
    letter, words = line.text[0], line.tokens
    counts = {"k": 0, "j": 3, "z": 3, "s": 4, "t": 4, "o": 4, "e": 4, "g": 4}
    if letter == "x":
        words = [word for word in words[1:] if "=" not in word]
        if "params:" in words:
            words = words[: words.index("params:")]
        return words[:-1]
    if letter in "qm":
        least = 4 if letter == "q" else 5
        bases = models | {name.rpartition(".")[0] for name in models}
        end = next((index for index in range(least, len(words)) if words[index] in bases), None)
        if end is None:
            raise line.refuse(f"{words[0]}: names no model that the netlist defines")
        return words[1:end]
    count = counts.get(letter, 2)
    if letter in "eg" and len(words) > 3 and re.match(r"(poly|table|value|vol|cur|laplace)\b", words[3]):
        count = 2
    if len(words) < count + 1:
        raise InvalidInputError(f"{line.where}: {words[0]}: expected {count} nets")
    return words[1 : 1 + count]
