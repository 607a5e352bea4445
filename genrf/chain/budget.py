"""How a receiver's figures follow from those of its blocks, and the other way round: what each block may spend.

symbol  variable        meaning                                                     unit
G_i     gain_db         gain of a block, power over available power, matched        dB
F_i     nf_db           noise factor of a block, source at T0 = 290 K               dB
P_i     iip3_dbm        input-referred third-order intercept of a block             dBm
A_i     before          gain of all blocks before block i, linear                   1
w_i     share           share of excess noise and distortion that block i takes     1

Friis: F - 1 = sum_i (F_i - 1) / A_i (Friis, Proc. IRE 32(7), 1944; Razavi, RF Microelectronics, 2nd ed., 2.3.5).
Intercept, distortion adding in phase: 1 / P = sum_i A_i / P_i (Razavi, 2.2.4, in powers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genrf.errors import InvalidInputError

FILTER_LOSS_DB = 2.0
"""Insertion loss of a filter for which the specification gives none."""
MIXER_GAIN_DB = 0.0
"""Conversion gain of a mixer for which the specification gives none."""
AMBIENT_K = 300.15
REFERENCE_K = 290.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a block or a chain does, or may do; infinite intercept for a linear block, none for what is unknown."""

    gain_db: float
    nf_db: float | None = None
    iip3_dbm: float | None = None
    power_w: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What a chain's specification says of one block."""

    passive: bool
    gain_db: float | None
    """None to take what the total leaves."""
    share: float = 1.0
    """Share of noise, distortion and power, relative to other blocks; passive blocks take what their loss makes."""


def linear(decibels: float) -> float:
    """Power ratio of a figure in dB."""
    return 10.0 ** (decibels / 10.0)


def decibels(ratio: float) -> float:
    """A power ratio in dB."""
    return 10.0 * math.log10(ratio)


def passive_nf_db(loss_db: float, temperature_k: float = AMBIENT_K) -> float:
    """Noise figure of a matched attenuator: F = 1 + (L - 1) T / T0 (Pozar, Microwave Engineering, eq. 10.20)."""
    return decibels(1.0 + (linear(loss_db) - 1.0) * temperature_k / REFERENCE_K)


def friis_nf_db(blocks: Sequence[tuple[float, float]]) -> float:
    """Noise figure of a cascade.

    Args:
        blocks: gain in dB and noise figure in dB of each block, the first block first.
    """
    excess, before = 0.0, 1.0
    for gain_db, nf_db in blocks:
        excess += (linear(nf_db) - 1.0) / before
        before *= linear(gain_db)
    return decibels(1.0 + excess)


def cascaded_iip3_dbm(blocks: Sequence[tuple[float, float]]) -> float:
    """Input-referred intercept of a cascade; infinite if every block is linear.

    Args:
        blocks: gain in dB and IIP3 in dBm of each block, infinite for a linear one, the first block first.
    """
    inverse, before = 0.0, 1.0
    for gain_db, iip3_dbm in blocks:
        inverse += before / linear(iip3_dbm)
        before *= linear(gain_db)
    return -decibels(inverse) if inverse > 0.0 else math.inf


def cascade(blocks: Sequence[Figures]) -> Figures:
    """Figures of a whole chain from those of its blocks; what one block does not say, the chain does not."""
    noise = [(block.gain_db, block.nf_db) for block in blocks if block.nf_db is not None]
    distortion = [(block.gain_db, block.iip3_dbm) for block in blocks if block.iip3_dbm is not None]
    power = [block.power_w for block in blocks if block.power_w is not None]
    return Figures(
        gain_db=sum(block.gain_db for block in blocks),
        nf_db=friis_nf_db(noise) if len(noise) == len(blocks) else None,
        iip3_dbm=cascaded_iip3_dbm(distortion) if len(distortion) == len(blocks) else None,
        power_w=sum(power) if len(power) == len(blocks) else None,
    )


def allocate(
    total: Figures, blocks: Sequence[Demand], temperature_k: float = AMBIENT_K, designed: Sequence[Figures] = ()
) -> list[Figures]:
    """Give each block its share of a chain's figures, so that `cascade` of the shares is the total.

    Gain that is not asked of one block in particular is shared in dB. Active block i may add the part w_i of the noise
    that passive and designed blocks leave, (F_i - 1) / A_i = w_i E, and of the distortion, A_i / P_i = w_i D.

    Args:
        total: with noise figure and intercept; power may be left out.
        temperature_k: of the passive blocks, in K.
        designed: what the first blocks turned out to do, each figure known; the others share what these leave.

    Returns:
        One entry a block; those of the designed blocks are their figures.

    Raises:
        InvalidInputError: naming the field, if no blocks can do it.
    """
    if total.nf_db is None or total.iip3_dbm is None:
        raise ValueError("a chain's budget needs a noise figure and an intercept")
    rest = blocks[len(designed) :]
    spent = sum(block.gain_db for block in designed)
    gains = [*(block.gain_db for block in designed), *_gains(total.gain_db - spent, rest, exact=not designed)]
    before = [linear(sum(gains[:index])) for index in range(len(blocks))]
    known: list[Figures | None] = [
        *designed,
        *(
            Figures(gain_db=gain, nf_db=passive_nf_db(-gain, temperature_k), iip3_dbm=math.inf, power_w=0.0)
            if block.passive
            else None
            for gain, block in zip(gains[len(designed) :], rest, strict=True)
        ),
    ]
    excess, inverse, power_w = linear(total.nf_db) - 1.0, 1.0 / linear(total.iip3_dbm), total.power_w
    for ahead, block in zip(before, known, strict=True):
        if block is None:
            continue
        if block.nf_db is None or block.iip3_dbm is None:
            raise ValueError("the noise figure and intercept of a designed block have to be known")
        excess -= (linear(block.nf_db) - 1.0) / ahead
        inverse -= ahead / linear(block.iip3_dbm)
        if power_w is not None:
            power_w -= block.power_w or 0.0
    if excess <= 0.0:
        what = "passive blocks' loss makes" if not designed else "blocks that are designed already make"
        raise InvalidInputError(
            f"nf_db: {total.nf_db:g} dB is no more than what the {what}; allow more noise or less loss"
        )
    if inverse <= 0.0 or (power_w is not None and power_w <= 0.0):
        raise InvalidInputError("iip3_dbm, power_w: the blocks that are designed already leave nothing to the others")
    whole = sum(block.share for block in rest if not block.passive)

    def share(index: int) -> Figures:
        w = blocks[index].share / whole
        return Figures(
            gain_db=gains[index],
            nf_db=decibels(1.0 + w * excess * before[index]),
            iip3_dbm=-decibels(w * inverse / before[index]),
            power_w=None if power_w is None else w * power_w,
        )

    return [share(index) if block is None else block for index, block in enumerate(known)]


def _gains(total_db: float, blocks: Sequence[Demand], *, exact: bool) -> list[float]:
    given = sum(block.gain_db for block in blocks if block.gain_db is not None)
    free = sum(block.gain_db is None for block in blocks)
    if not free:
        if exact and abs(given - total_db) > 1e-6:
            raise InvalidInputError(
                f"gain_db: the blocks' gains add up to {given:g} dB, not to {total_db:g} dB; leave one of them out"
            )
        return [block.gain_db for block in blocks if block.gain_db is not None]
    rest = (total_db - given) / free
    return [rest if block.gain_db is None else block.gain_db for block in blocks]
