"""A card of its own for every transistor of a user's netlist that shares one and heats itself.

So each can be held at its junction's temperature (`genrf.simulation.held_junctions`). Where a card stands in a cell, as in IHP's
PDK, ngspice gives every instance of the cell a copy of it. Of cards outside cells every transistor gets a copy here, but those
of a cell that is called more than once share theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from genrf.measurement.cards import Cards, cell_of, nets_of
from genrf.measurement.lines import Line
from genrf.technology import vbic_temperature

NOTE = (
    "gain_db, s11_db, s22_db, nf_db: a cell that is called more than once has a transistor whose card stands outside of it, or a "
    "card has what is not known here; ngspice takes charges at ambient temperature then"
)
_TERMINALS = 5
"""Nets of a transistor that has one for its temperature."""


def give_own_cards(cards: Cards) -> None:
    """Let no two transistors share a card that stands outside subcircuits, as long as no cell is called twice."""
    outside = _models_outside(cards)
    taken: set[str] = set()
    changed: dict[Line, Line] = {}
    copies: dict[Line, list[Line]] = {}
    within = _models_within(cards)
    for cell, line in _transistors(cards):
        words = line.tokens
        model = words[1 + _TERMINALS]
        if model not in outside or model in within:
            continue
        if model not in taken:
            taken.add(model)
            continue
        own = "_".join(filter(None, (model, cell, words[0])))
        if own in cards.models:
            continue
        card = outside[model]
        text = re.sub(r"(\.model )\S+?(?=[\s(])", rf"\g<1>{own}", card.text, count=1)
        copies.setdefault(card, []).append(replace(card, text=text))
        cards.models.add(own)
        words[1 + _TERMINALS] = own
        changed[line] = replace(line, text=" ".join(words))
    cards.top = [changed.get(line, line) for line in cards.top]
    cards.body = [each for line in cards.body for each in (changed.get(line, line), *copies.get(line, ()))]
    cards.definitions = {changed.get(line, line) for line in cards.definitions}
    cards.definitions.update(copy for made in copies.values() for copy in made)


def _transistors(cards: Cards) -> Iterator[tuple[str, Line]]:
    """Bipolar transistors with a net for their temperature, and the cell that each stands in."""
    scope = [""]
    for line in cards.body:
        if line.tokens[0] == ".subckt":
            scope.append(cell_of(line)[0])
        elif line.tokens[0] == ".ends":
            scope.pop()
        elif line.text[0] == "q" and len(nets_of(line, cards.models)) == _TERMINALS:
            yield scope[-1], line


def hold_commands(
    heated: tuple[tuple[str, str, str], ...], cards: Mapping[str, Mapping[str, float]], rise_k: Mapping[str, float]
) -> list[str] | None:
    """Commands that hold transistors at their junctions' temperatures, for a deck that is loaded.

    Args:
        heated: of `genrf.measurement.user_netlist.UserNetlist`, those that heat themselves.
        cards: VBIC's parameters by the name of the card.
        rise_k: of their thermal nets above ambient temperature, in K.

    Returns:
        None where some share a card, or have one that is not known well enough.
    """
    if len({model for _, _, model in heated}) < len(heated) or any(model not in cards for _, _, model in heated):
        return None
    commands = []
    for net, name, model in heated:
        card = cards[model]
        hot = vbic_temperature.scaled(card, card["tnom"] + rise_k[net]) | {"rth": 0.0}
        moved = {*vbic_temperature.FACTORS, "tnom", "rth"} - vbic_temperature.ONLY_FOR_SCALING_AGAIN
        commands += [f"altermod {model} {parameter}={hot[parameter]:.12g}" for parameter in sorted(moved)]
        commands.append(f"alter {name} dtemp={rise_k[net]:.12g}")
    return commands


def _models_outside(cards: Cards) -> dict[str, Line]:
    """Cards that stand outside subcircuits and conditions, by name."""
    return {name: line for name, line, depth in _models(cards) if not depth and line in cards.definitions}


def _models_within(cards: Cards) -> set[str]:
    """Names of cards within subcircuits; one of these hides one outside."""
    return {name for name, _, depth in _models(cards) if depth}


def _models(cards: Cards) -> Iterator[tuple[str, Line, int]]:
    depth = 0
    for line in cards.body:
        word = line.tokens[0]
        depth += (word == ".subckt") - (word == ".ends")
        if word == ".model":
            yield line.text.replace("(", " ").split()[1], line, depth
