"""A user's netlist as the testbenches of this program take it: one subcircuit between our ports.

The user's lines become the body of a subcircuit whose terminals are the user's own net names; an instance of it joins
them to the ports and the supply of the circuit class. No name in the user's text is changed, so none can be changed
wrongly, and none can collide with the testbench's. DC sources from a net to ground are taken out of the body and stand
in the circuit as bias sources, so that the testbench counts their power.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from genrf import classes
from genrf.circuit.topology import SUPPLY
from genrf.errors import InvalidInputError
from genrf.measurement.cards import Cards, nets_of, sorted_cards
from genrf.measurement.lines import Line, read_lines

OPEN = "-"
"""Stands for an optional port that the netlist does not have."""
PROBE = "probe"
"""Our name of the net of an oscillator's resonator, at which its testbench kicks and watches it."""
_PROBED = ("vco",)
"""Classes whose testbench looks at a net inside the circuit."""
_SUBCIRCUIT = "genrf_netlist"
_GROUNDS = ("0", "gnd")
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(t|g|meg|k|m|u|n|p|f)?v?\Z")
_EXPONENTS = {"t": 12, "g": 9, "meg": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}


@dataclass(frozen=True, kw_only=True)
class UserNetlist:
    """What a testbench simulates."""

    circuit_class: str
    lines: tuple[str, ...]
    """The subcircuit and its instance, without bias sources."""
    ports: tuple[str, ...]
    """The class's ports that the netlist has."""
    probed: bool
    """Whether the net `PROBE` is there."""
    bias: tuple[tuple[str, float], ...]
    """Net, as the testbench sees it, and voltage in V of every bias source."""
    notes: tuple[str, ...]
    """What was left out of the file, and what is not counted."""


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
    nets = {net for line in cards.top for net in nets_of(line, cards.models)}
    if ports is None:
        ports = [
            name if name in nets or name not in definition.ports.optional else OPEN for name in definition.ports.names
        ]
    terminals = _terminals(path, circuit_class, [port.lower() for port in ports], supply and supply.lower(), nets)
    for net in terminals:
        if net in cards.global_nets:
            raise InvalidInputError(f"{path}: {net} is a global net, so it cannot be a port or the supply")
    _check_sources(cards, terminals, None if supply is None else supply.lower())
    if (probe is not None) != (circuit_class in _PROBED):
        wanted = "name the net at the resonator" if probe is None else f"class {circuit_class} needs none"
        raise InvalidInputError(f"--probe: {wanted}")
    inside = [] if probe is None else [probe.lower()]
    if probe is not None and probe.lower() not in nets - cards.global_nets - {*terminals, *_GROUNDS}:
        raise InvalidInputError(f"{path}: no net {probe} inside the circuit, which --probe names")
    bias, body = _taken_out(cards, terminals, {*inside})
    # A thermal net that is held outside must be a terminal: `genrf.simulation.transient` looks for it by this name.
    thermal = [line.tokens[5] for line in cards.top if _heats_itself(line, cards)]
    outer = [*terminals.values(), *(PROBE for _ in inside), *(f"bias{n}" for n, _ in enumerate(bias, 1)), *thermal]
    inner = [*terminals, *inside, *(net for net, _ in bias), *thermal]
    return UserNetlist(
        circuit_class=circuit_class,
        lines=(
            *cards.outside,
            f".subckt {_SUBCIRCUIT} {' '.join(inner)}",
            *(line.text for line in body),
            ".ends",
            f"x_{_SUBCIRCUIT} {' '.join(outer)} {_SUBCIRCUIT}",
        ),
        ports=tuple(net for net in terminals.values() if net != SUPPLY),
        probed=bool(inside),
        bias=tuple((f"bias{number}", value) for number, (_, value) in enumerate(bias, start=1)),
        notes=tuple(cards.notes),
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


def _taken_out(cards: Cards, terminals: dict[str, str], probed: set[str]) -> tuple[list[tuple[str, float]], list[Line]]:
    """Grounded DC voltage sources, and the body without them; notes the sources whose power is not counted."""
    bias: dict[str, float] = {}
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


def _volts(words: Sequence[str]) -> float | None:
    """A source's plain DC value, or none if it is anything else."""
    words = [word for word in words if word]
    if words[:1] == ["dc"]:
        words = words[1:]
    if words[1:] == ["ac", "0"]:
        words = words[:1]
    found = _NUMBER.match(words[0]) if len(words) == 1 else None
    return float(Decimal(found[1]).scaleb(_EXPONENTS.get(found[2] or "", 0))) if found else None


def _heats_itself(line: Line, cards: Cards) -> bool:
    """Whether it is a transistor whose junction temperature large-signal testbenches hold."""
    if line.text[0] != "q":
        return False
    words = line.tokens
    # Named as this program exports them, so the net's name can be no one else's.
    return len(words) >= 7 and words[5] == f"{words[0]}_t" and words[6] in cards.models and words[6].startswith("npn")
