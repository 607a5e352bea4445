"""Transistors of a ngspice netlist at given junction temperatures, without self-heating.

ngspice 39's small-signal analyses take a heated transistor's conductances at its junction's temperature, but its charges
at ambient temperature, which moves gains by up to 1.5 dB. A transistor whose card is scaled to its junction's
temperature, and which heats itself no more, has both at that temperature, and the same operating point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genrf.technology import vbic_temperature
from genrf.technology.sg13g2 import model_cards

_THERMAL_NET, _MODEL = 5, 6
"""Places among the words of a transistor's line."""


def with_own_cards(netlist: Sequence[str]) -> list[str]:
    """The netlist with a card ``npn_NAME`` for every transistor, all else the same."""
    return _with_cards(netlist, None)


def held(netlist: Sequence[str], rise_k: Mapping[str, float]) -> list[str]:
    """The netlist with a card for every transistor, scaled to its junction's temperature.

    Args:
        netlist: lines of `genrf.technology.base.Technology.instances` and ``models`` among others.
        rise_k: of every transistor's thermal net above ambient temperature, in K.
    """
    return _with_cards(netlist, rise_k)


def hold_commands(transistors: Sequence[str], models: Sequence[str]) -> list[str]:
    """The same in ngspice's own language: commands for a netlist `with_own_cards`, before all others.

    They leave ``unknown1.heat_NAME``, the rise over the absolute ambient temperature, and no other plot, which others
    are counted from.

    Args:
        transistors: SPICE names.
        models: cards at the ambient temperature. They may differ in what emitters scale, which commands ask ngspice for.
    """
    if not transistors:
        return []
    card = _parameters(models[0])
    known = {**card, "card_k": card["tnom"] + vbic_temperature.ZERO_CELSIUS_K}
    return [
        "* ngspice 39 takes charges at the ambient temperature, conductances at the junction's. So every transistor's card",
        "* is scaled to its junction's temperature by VBIC's own rules, and self-heating is switched off.",
        "op",
        "setplot new",
        f"foreach q {' '.join(transistors)}",
        "  let rise = op1.{$q}_t",
        f"  let heat_{{$q}} = rise/{known['card_k']:.9g}",
        *(
            f"  let {name} = {vbic_temperature.with_numbers(text, known)}"
            for name, text in vbic_temperature.STEPS.items()
        ),
        *(
            f"  altermod npn_{{$q}} {name} = @npn_{{$q}}[{name}]*({vbic_temperature.with_numbers(factor, known)})"
            for name, factor in vbic_temperature.FACTORS.items()
            if name not in vbic_temperature.ONLY_FOR_SCALING_AGAIN
        ),
        "  let junction = @npn_{$q}[tnom] + rise",
        "  altermod npn_{$q} tnom = junction",
        "  altermod npn_{$q} rth = 0",
        "  alter {$q} dtemp = rise",
        "end",
        "destroy op1",
    ]


def _with_cards(netlist: Sequence[str], rise_k: Mapping[str, float] | None) -> list[str]:
    cards = {line.split()[1]: line for line in netlist if line.startswith(".model ")}
    lines: list[str] = []
    models: list[str] = []
    for line in netlist:
        words = line.split()
        if not _is_transistor(words):
            lines += [] if line.startswith(".model ") else [line]
            continue
        card = cards[words[_MODEL]]
        words[_MODEL] = own = f"npn_{words[0]}"
        values = _parameters(card)
        if rise_k is not None:
            rise = rise_k[words[_THERMAL_NET]]
            words.append(f"dtemp={rise:.9g}")
            values = vbic_temperature.scaled(values, values["tnom"] + rise) | {"rth": 0.0}
        lines.append(" ".join(words))
        models.append(model_cards.model_line(own, card.split()[2], values))
    return [*lines, *models]


def _is_transistor(words: Sequence[str]) -> bool:
    return len(words) > _MODEL and words[0].startswith("q")


def _parameters(card: str) -> dict[str, float]:
    return {name: float(number) for name, _, number in (word.partition("=") for word in card.split()[3:])}
