"""A user's netlist as the testbenches of this program take it: one subcircuit between our ports.

The user's lines become the body of a subcircuit whose terminals are the user's own net names; an instance of it joins
them to the ports and the supply of the circuit class. No name in the user's text is changed, so none can be changed
wrongly, and none can collide with the testbench's; only transistors that share a card get one each. DC sources from a net to
ground are taken out of the body and stand in the circuit as bias sources, so that the testbench counts their power.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genrf import classes
from genrf.circuit.topology import SUPPLY
from genrf.errors import InvalidInputError
from genrf.measurement.cards import EXPRESSION, Cards, bipolar_transistors, nets_of, sorted_cards
from genrf.measurement.cautions import cautions, spice_number
from genrf.measurement.lines import Line, read_lines
from genrf.measurement.own_cards import give_own_cards

OPEN = "-"
"""Stands for an optional port that the netlist does not have."""
PROBE = "probe"
"""Our name of the net of an oscillator's resonator, at which its testbench kicks and watches it."""
_PROBED = ("vco",)
"""Classes whose testbench looks at a net inside the circuit."""
SUBCIRCUIT = "genrf_netlist"
"""Name of the subcircuit that the user's lines become, and of its instance after ``x_``."""
_GROUNDS = ("0", "gnd")
_TESTBENCH_NET = re.compile(r"bias\d+|(rf|lop|lon|hold|source|middle|read)_\w+")


@dataclass(frozen=True, kw_only=True)
class UserNetlist:
    """What a testbench simulates."""

    circuit_class: str
    definitions: tuple[str, ...]
    """Options, global nets, models, parameters, functions and subcircuits, which stand before the circuit."""
    lines: tuple[str, ...]
    """The circuit as a subcircuit and its instance, without bias sources."""
    ports: tuple[str, ...]
    """The class's ports that the netlist has."""
    probed: bool
    """Whether the net `PROBE` is there."""
    bias: tuple[tuple[str, float | str], ...]
    """Net, as the testbench sees it, and voltage of every bias source: in V, or an expression of the definitions'
    parameters."""
    transistors: tuple[str, ...]
    """Names of all bipolar transistors as ngspice calls them."""
    heated: tuple[tuple[str, str, str], ...]
    """Thermal net, name and model, as ngspice calls them, of every bipolar transistor that has such a net of its own."""
    notes: tuple[str, ...]
    """What was left out of the file, what is not counted, and what ngspice reads otherwise than it looks."""
    places: tuple[tuple[str, str], ...] = ()
    """Text, and file and line, of every line."""

    def explain(self, detail: str) -> tuple[str, str]:
        """File and line that ngspice speaks of, or nothing, and what it says in the words of the user's file."""
        said = re.sub(rf"\b[a-z]\.x_{SUBCIRCUIT}\.|\bx_{SUBCIRCUIT}\.", "", detail)
        undefined = re.search(r"undefined parameter \[(\w+)\]", said, re.I)
        device = re.match(r"(?:\w+\.)*(\w+) ", said)
        for text, where in self.places:
            if undefined and any(undefined[1] in re.findall(r"\w+", part) for part in EXPRESSION.findall(text)):
                return where, said
            if device and not undefined and text.split()[0] == device[1]:
                return where, said
        return "", said


def read_netlist(
    path: Path,
    circuit_class: str,
    ports: Sequence[str] | None = None,
    supply: str | None = None,
    probe: str | None = None,
) -> UserNetlist:
    """Read a netlist to be measured as a circuit of a class.

    Args:
        ports: the user's names of the class's ports, in the class's order; `OPEN` for an optional one that is not
            there. By default the class's own names.
        supply: the user's name of the supply net; none for a circuit without supply.
        probe: the user's name of the net at an oscillator's resonator; none for other classes.

    Raises:
        InvalidInputError: naming file and line.
    """
    definition = classes.get(circuit_class)
    cards = sorted_cards(read_lines(path))
    give_own_cards(cards)
    nets = {net for line in cards.top for net in nets_of(line, cards.models)} | cards.global_nets
    if ports is None:
        ports = [
            name if name in nets or name not in definition.ports.optional else OPEN for name in definition.ports.names
        ]
    terminals = _terminals(path, circuit_class, [port.lower() for port in ports], supply and supply.lower(), nets)
    _check_global_nets(path, cards, terminals, definition.ports.names)
    _check_sources(cards, terminals, None if supply is None else supply.lower())
    if (probe is not None) != (circuit_class in _PROBED):
        wanted = "name the net at the resonator" if probe is None else f"class {circuit_class} needs none"
        raise InvalidInputError(f"--probe: {wanted}")
    inside = [] if probe is None else [probe.lower()]
    if probe is not None and probe.lower() not in nets - cards.global_nets - {*terminals, *_GROUNDS}:
        raise InvalidInputError(f"{path}: no net {probe} inside the circuit, which --probe names")
    bias, body = _taken_out(cards, terminals, {*inside})
    # A global net is no terminal: it is joined to the testbench's net outside.
    joined = {net: ours for net, ours in terminals.items() if net in cards.global_nets}
    own = {net: ours for net, ours in terminals.items() if net not in joined}
    outer = [
        *own.values(),
        *(PROBE for _ in inside),
        *(f"bias{number}" for number, _ in enumerate(bias, start=1)),
    ]
    inner = [*own, *inside, *(net for net, _ in bias)]
    transistors = bipolar_transistors(cards)
    return UserNetlist(
        circuit_class=circuit_class,
        definitions=(*cards.outside, *(line.text for line in body if line in cards.definitions)),
        lines=(
            f".subckt {SUBCIRCUIT} {' '.join(inner)}",
            *(line.text for line in body if line not in cards.definitions),
            ".ends",
            f"x_{SUBCIRCUIT} {' '.join(outer)} {SUBCIRCUIT}",
            *(f"v_join_{ours} {net} {ours} 0" for net, ours in joined.items() if net != ours),
        ),
        ports=tuple(net for net in terminals.values() if net != SUPPLY),
        probed=bool(inside),
        bias=tuple((f"bias{number}", value) for number, (_, value) in enumerate(bias, start=1)),
        transistors=tuple(f"q.x_{SUBCIRCUIT}.{transistor.path}" for transistor in transistors),
        heated=tuple(
            (
                f"x_{SUBCIRCUIT}.{transistor.thermal_net}",
                f"q.x_{SUBCIRCUIT}.{transistor.path}",
                f"x_{SUBCIRCUIT}.{transistor.model}" if ":" in transistor.model else transistor.model,
            )
            for transistor in transistors
            if transistor.thermal_net
        ),
        notes=(*cards.notes, *cautions(cards)),
        places=tuple((line.text, line.where) for line in cards.body),
    )


def _terminals(
    path: Path, circuit_class: str, ports: Sequence[str], supply: str | None, nets: set[str]
) -> dict[str, str]:
    """The user's net -> our net, ports first."""
    definition = classes.get(circuit_class)
    expected = ", ".join(definition.ports.names)
    if len(ports) != len(definition.ports.names):
        raise InvalidInputError(
            f"--ports: class {circuit_class} has {len(definition.ports.names)} ports ({expected}), got {len(ports)} nets"
        )
    terminals: dict[str, str] = {}
    for ours, theirs in [*zip(definition.ports.names, ports, strict=True), *([(SUPPLY, supply)] if supply else [])]:
        option = "--supply" if ours == SUPPLY else "--ports"
        if theirs == OPEN and ours in definition.ports.optional:
            continue
        if theirs in _GROUNDS:
            raise InvalidInputError(f"{option}: {theirs} is ground")
        if theirs in terminals:
            raise InvalidInputError(f"{option}: net {theirs} is given twice")
        if theirs not in nets:
            raise InvalidInputError(
                f"{path}: no net {theirs}, which {option} names as {ours}; ports of class {circuit_class}: {expected}"
            )
        terminals[theirs] = ours
    return terminals


def _check_global_nets(path: Path, cards: Cards, terminals: dict[str, str], ports: Sequence[str]) -> None:
    """Refuse a global net that has the name of a net of the testbench's and would be joined to it."""
    for net in sorted(cards.global_nets):
        taken = net in (*ports, SUPPLY, PROBE) or _TESTBENCH_NET.fullmatch(net)
        if taken and terminals.get(net) != net:
            raise InvalidInputError(f"{path}: the testbench has a net {net} too: give the global net another name")


def _check_sources(cards: Cards, terminals: dict[str, str], supply: str | None) -> None:
    """Refuse sources that hold or drive what the testbench holds and drives."""
    fixed = {*terminals, *_GROUNDS}
    for line in cards.top:
        if line.text[0] not in "vi":
            continue
        nets = nets_of(line, cards.models)
        # Between ports, supply and ground only: a source in series with one of them is part of the circuit. A current
        # that the circuit draws from the supply is a load.
        if not fixed.issuperset(nets) or (line.text[0] == "i" and {*nets} <= {supply, *_GROUNDS}):
            continue
        for net in nets:
            if net in terminals:
                kind = "supply net" if net == supply else "port"
                raise line.refuse(
                    f"{line.tokens[0]}: a source on {kind} {net}, which the testbench drives itself; remove the source"
                )


def _taken_out(
    cards: Cards, terminals: dict[str, str], probed: set[str]
) -> tuple[list[tuple[str, float | str]], list[Line]]:
    """Grounded DC voltage sources, and the body without them; notes the sources whose power is not counted."""
    bias: dict[str, float | str] = {}
    taken: set[Line] = set()
    for line in cards.body:
        if line.text[0] not in "vi":
            continue
        name, plus, minus, *rest = [*line.tokens, "", ""]
        value = _volts(rest)
        if value == 0.0:
            continue
        alone = not any(_names_source(other, name) for other in cards.body)
        grounded = line.text[0] == "v" and minus in _GROUNDS and value is not None
        free = plus not in terminals and plus not in probed and plus not in cards.global_nets and plus not in bias
        if line in cards.top and grounded and alone and free and value is not None:
            bias[plus] = value
            taken.add(line)
        elif not (line.text[0] == "i" and terminals.get(plus) == SUPPLY):
            cards.notes.append(
                f"{line.where}: the power of {name} is not counted: only that of DC voltages from a net to ground is"
            )
    return list(bias.items()), [line for line in cards.body if line not in taken]


def _names_source(line: Line, name: str) -> bool:
    """Whether a line asks for the current of the source of that name. Nets may be called as sources are."""
    word = rf"(?<![\w.]){re.escape(name)}(?![\w.])"
    controlled = line.text[0] in "fhw" and re.search(word, " ".join(line.tokens[3:]))
    return bool(controlled or re.search(rf"\bi ?\( ?{word} ?\)|@{word}\[|{word}#branch", line.text))


def _volts(words: Sequence[str]) -> float | str | None:
    """A source's DC value: a number, an expression in braces or quotes or of one name, or none if it is neither."""
    words = [word for word in words if word]
    if words[:1] == ["dc"]:
        words = words[1:]
    if words[1:] == ["ac", "0"]:
        words = words[:1]
    if len(words) != 1:
        return None
    value = words[0].removeprefix("dc=")
    number = spice_number(value)
    if number is None and EXPRESSION.fullmatch(value):
        return value
    return number
