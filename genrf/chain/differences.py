"""Why a joined netlist does other than its blocks: what the cascade's formulas leave out, in words with figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from genrf.chain.budget import Figures, linear

NOTEWORTHY_DB = 1.0
"""Difference from which gain and intercept are explained."""
NOTEWORTHY_POWER = 0.05
"""Difference from which power is explained, relative to the blocks' sum."""


def differences(
    names: Sequence[str], blocks: Sequence[Figures], cascaded: Figures, whole: Figures, front: Figures | None
) -> list[str]:
    """Explain each figure in which the whole is not what its blocks make together.

    Args:
        names: of the blocks, such as ``2 lna``.
        blocks: what each does alone.
        cascaded: what the formulas make of that.
        whole: the joined netlist.
        front: the part before a mixer, simulated without LO and signal; none in a chain without mixer.
    """
    notes = []
    gain_db = whole.gain_db - cascaded.gain_db
    if abs(gain_db) > NOTEWORTHY_DB:
        where = ""
        if front is not None:
            before_db = front.gain_db - sum(block.gain_db for block in blocks[:-1])
            where = f": {before_db:+.1f} dB before the mixer, {gain_db - before_db:+.1f} dB at its port"
        notes.append(
            f"gain_db of the whole is {gain_db:+.1f} dB off its blocks', which are matched less than perfectly where they "
            f"meet{where}"
        )
    if _apart(whole.iip3_dbm, cascaded.iip3_dbm):
        notes.append(
            f"iip3_dbm of the whole is {_difference(whole.iip3_dbm, cascaded.iip3_dbm):+.1f} dB off its blocks': distortion "
            "adds in phase in the formula only, and grows with gain_db; " + _distortion(names, blocks)
        )
    if whole.power_w is not None and cascaded.power_w is not None:
        more_w = whole.power_w - cascaded.power_w
        if abs(more_w) > NOTEWORTHY_POWER * cascaded.power_w:
            notes.append(_power(more_w, blocks, front))
    return notes


def _power(more_w: float, blocks: Sequence[Figures], front: Figures | None) -> str:
    note = f"power_w of the whole is {more_w * 1e3:+.3g} mW off its blocks'"
    if front is None or front.power_w is None:
        return note
    alone_w = sum(block.power_w or 0.0 for block in blocks[:-1])
    return (
        f"{note}: {(front.power_w - alone_w) * 1e3:+.3g} mW without a signal, the rest because the RF that a mixer is "
        "measured with, amplified by the gain before it, drives the last stages"
    )


def _distortion(names: Sequence[str], blocks: Sequence[Figures]) -> str:
    """How much of the cascade's distortion each block makes, the most first."""
    ahead, made = 1.0, []
    for name, block in zip(names, blocks, strict=True):
        made.append((0.0 if block.iip3_dbm is None else ahead / linear(block.iip3_dbm), name))
        ahead *= linear(block.gain_db)
    whole = sum(share for share, _ in made)
    shares = [f"{name} makes {share / whole:.0%} of it" for share, name in sorted(made, reverse=True) if share > 0.0]
    return ", ".join(shares)


def _difference(value: float | None, other: float | None) -> float:
    return 0.0 if value is None or other is None else value - other


def _apart(value: float | None, other: float | None) -> bool:
    difference = _difference(value, other)
    return math.isfinite(difference) and abs(difference) > NOTEWORTHY_DB
