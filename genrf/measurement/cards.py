"""Which lines of a user's netlist are kept, which are left out with a note, and which are refused.

Kept lines describe devices and models. Analyses and output cards are left out: the testbench has its own. Everything
that is neither is refused, so that a card this program has never heard of can neither run a command nor read or write a
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from genrf.errors import InvalidInputError
from genrf.measurement.lines import Line

_KEPT = {".model", ".subckt", ".ends", ".param", ".func", ".ic", ".nodeset", ".if", ".elseif", ".else", ".endif"}
_HOISTED = {".global"}
_ANALYSES = {
    ".op", ".ac", ".dc", ".tran", ".noise", ".sp", ".pz", ".sens", ".tf", ".disto", ".pss", ".four", ".hb"
}  # fmt: skip
_OUTPUT = {".save", ".print", ".plot", ".probe", ".measure", ".meas", ".width", ".title", ".backanno"}
_SETTINGS = {".options", ".option", ".opt", ".temp"}
_KEPT_OPTIONS = {"scale", "tnom", "defw", "defl", "defad", "defas", "wnflag"}
"""Options that say what the devices are; others say how to simulate, which is the testbench's business."""
_DEFINITIONS = {".model", ".param", ".func"}
"""Cards that go before the circuit. ngspice 39 looks for a bipolar transistor's model in the wrong place where a model
stands in a subcircuit and a cell within that subcircuit is called with ``m=``."""

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
_INITIAL = re.compile(r"v ?\( ?(\S+?) ?\)=(\{[^}]*\}|'[^']*'|\S+)")
_BEFOREEXPRESSIONS = "bviefghsw"
"""Devices whose nets stand before something in which brackets and commas mean something."""
_FUNCTION = re.compile(r"\b(poly|table|value|vol|cur|laplace)\b")
EXPRESSION = re.compile(r"(\{[^}]*\}|'[^']*')")
"""An expression in braces or quotes."""
_VARYING = re.compile(r"(?:^|\s)(sin|pulse|pwl|exp|sffm|am|trnoise|trrandom|external)\b")


@dataclass
class Cards:
    """A netlist's lines by what becomes of them."""

    body: list[Line] = field(default_factory=list)
    """Devices, models and subcircuits, in order."""
    top: list[Line] = field(default_factory=list)
    """Those of the body that are devices outside every subcircuit."""
    definitions: set[Line] = field(default_factory=set)
    """Those of the body that stand before the circuit: models, parameters, functions and whole subcircuits."""
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
    conditions = 0
    defines = False
    named: list[dict[str, Line]] = [{}]
    for line in lines:
        word = line.tokens[0]
        if not subcircuits:
            # A whole subcircuit is one definition, conditions within it included.
            defines = not conditions and word in _DEFINITIONS | {".subckt"}
        if not word.startswith("."):
            _check_element(line)
            line = _with_plain_nets(line)
            if not conditions:
                _check_name(line, named[-1])
            if not subcircuits:
                cards.top.append(line)
            cards.body.append(line)
        elif word in _KEPT:
            if word == ".subckt":
                line = _with_plain_nets(line)
                subcircuits.append(line)
                named.append({})
            elif word == ".ends":
                if not subcircuits:
                    raise line.refuse(".ends without .subckt")
                subcircuits.pop()
                named.pop()
            elif word == ".model":
                cards.models.add(_model_name(line))
            elif word in (".if", ".endif"):
                conditions += 1 if word == ".if" else -1
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
        if defines and cards.body and cards.body[-1] is line:
            cards.definitions.add(line)
    if subcircuits:
        raise subcircuits[0].refuse(".subckt without .ends")
    _check_calls(cards.body)
    cards.body = [kept for line in cards.body if (kept := _without_inductors(line, cards)) is not None]
    return cards


def _without_inductors(line: Line, cards: Cards) -> Line | None:
    """An ``.ic`` card without nets at inductors: ngspice 39 starts them at voltages without bounds."""
    if line.tokens[0] != ".ic":
        return line
    nets = {net for other in cards.top if other.text[0] == "l" for net in nets_of(other, cards.models)}
    given = _INITIAL.findall(line.text)
    dropped = [net for net, _ in given if net in nets]
    if not dropped:
        return line
    cards.notes.append(f"{line.where}: .ic of {', '.join(dropped)} is left out, as an inductor is there")
    kept = [f"v({net})={value}" for net, value in given if net not in nets]
    return Line(line.path, line.number, f".ic {' '.join(kept)}") if kept else None


def cell_of(line: Line) -> tuple[str, list[str]]:
    """The subcircuit that a line defines or calls, and its nets there."""
    words = [word for word in line.tokens[1:] if "=" not in word]
    if "params:" in words:
        words = words[: words.index("params:")]
    if not words:
        raise line.refuse(f"{line.tokens[0]}: names no subcircuit")
    return (words[0], words[1:]) if line.text[0] == "." else (words[-1], words[:-1])


@dataclass(frozen=True)
class Transistor:
    """A bipolar transistor of a circuit, as ngspice calls it once subcircuits are put in their place."""

    path: str
    """Its name, after those of the instances that lead to it."""
    model: str
    """Its card's, after the instances that lead to it and a colon where the card stands in a subcircuit."""
    thermal_net: str | None
    """Net of its junction's temperature, with the same path, if it has one of its own."""


def bipolar_transistors(cards: Cards) -> list[Transistor]:
    """All bipolar transistors of a circuit, also those in subcircuits.

    Raises:
        InvalidInputError: if a subcircuit contains itself.
    """
    inside: dict[str, list[Line]] = {"": []}
    formal: dict[str, list[str]] = {"": []}
    own_models: set[tuple[str, str]] = set()
    scope = [""]
    for line in cards.body:
        word = line.tokens[0]
        if word == ".subckt":
            name, nets = cell_of(line)
            scope.append(name)
            inside[name], formal[name] = [], nets
        elif word == ".ends":
            scope.pop()
        elif word == ".model" and scope[-1]:
            own_models.add((scope[-1], _model_name(line)))
        elif line.text[0] in "qx":
            inside[scope[-1]].append(line)

    def within(cell: str, path: str, above: tuple[str, ...]) -> Iterator[Transistor]:
        for line in inside[cell]:
            name = line.tokens[0]
            if line.text[0] == "q":
                nets = nets_of(line, cards.models)
                own = len(nets) == 5 and nets[4] not in {*formal[cell], *cards.global_nets, "0", "gnd"}
                model = line.tokens[1 + len(nets)]
                if (cell, model) in own_models:
                    model = f"{path.removesuffix('.')}:{model}"
                yield Transistor(path + name, model, path + nets[4] if own else None)
                continue
            called = cell_of(line)[0]
            if called in above:
                raise line.refuse(f"{name}: subcircuit {called} contains itself")
            yield from within(called, f"{path}{name}.", (*above, called))

    return list(within("", "", ()))


def _check_calls(body: Iterable[Line]) -> None:
    """Refuse calls of subcircuits that are not there or have another number of nets."""
    defined = {name: (nets, line) for line in body if line.tokens[0] == ".subckt" for name, nets in [cell_of(line)]}
    for line in body:
        if line.text[0] != "x":
            continue
        name, nets = cell_of(line)
        if name not in defined:
            raise line.refuse(f"{line.tokens[0]}: no subcircuit {name}")
        wanted, definition = defined[name]
        if len(nets) != len(wanted):
            raise line.refuse(
                f"{line.tokens[0]}: {name} has {len(wanted)} nets ({definition.where}: {' '.join(wanted)}), "
                f"got {len(nets)}: {' '.join(nets)}"
            )


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


def _check_name(line: Line, named: dict[str, Line]) -> None:
    """Refuse a second device of a name: ngspice keeps the first."""
    earlier = named.setdefault(line.tokens[0], line)
    if earlier is not line:
        raise line.refuse(f"{line.tokens[0]}: there is a device of that name already, at {earlier.where}")


def _with_plain_nets(line: Line) -> Line:
    """The line with blanks between its nets, where ngspice takes brackets and commas for blanks."""
    if not re.search(r"[(),]", line.text):
        return line
    letter = line.text[0]
    if letter in _BEFOREEXPRESSIONS:
        count = 4 if letter in "egs" and not _FUNCTION.search(line.text) else 2
        found = re.match(rf"([^\s(),]+)((?:[\s(),]+[^\s(),={{}}]+){{{count}}})(?=[\s(),]|\Z)(.*)", line.text)
        if found is None:
            return line
        text = f"{found[1]}{_blank(found[2])} {found[3].lstrip(' ),')}"
    else:
        parts = EXPRESSION.split(line.text)
        text = "".join(part if index % 2 else _blank(part) for index, part in enumerate(parts))
    return Line(line.path, line.number, " ".join(text.split()))


def _blank(text: str) -> str:
    return re.sub(r"[(),]", " ", text)


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
        return cell_of(line)[1]
    if letter in "qm":
        least = 4 if letter == "q" else 5
        bases = models | {name.rpartition(".")[0] for name in models}
        end = next((index for index in range(least, len(words)) if words[index] in bases), None)
        if end is None:
            raise line.refuse(f"{words[0]}: names no model that the netlist defines")
        return words[1:end]
    count = counts.get(letter, 2)
    if letter in "eg" and len(words) > 3 and _FUNCTION.match(words[3]):
        count = 2
    if len(words) < count + 1:
        raise InvalidInputError(f"{line.where}: {words[0]}: expected {count} nets")
    return words[1 : 1 + count]
