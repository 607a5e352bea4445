"""What is said where one netlist does other than its blocks."""

from __future__ import annotations

import math

from genrf.chain.budget import Figures, cascade
from genrf.chain.differences import differences

BAND = Figures(gain_db=-1.0, nf_db=1.0, iip3_dbm=math.inf, power_w=0.0)
LNA = Figures(gain_db=20.0, nf_db=2.0, iip3_dbm=-10.0, power_w=10e-3)
MIXER = Figures(gain_db=0.0, nf_db=12.0, iip3_dbm=0.0, power_w=10e-3)
BLOCKS = [BAND, LNA, MIXER]
NAMES = ["1 filter", "2 lna", "3 mixer"]
CASCADE = cascade(BLOCKS)
FRONT = Figures(gain_db=19.0, power_w=10e-3)


def changed(gain_db: float = 0.0, iip3_db: float = 0.0, power_w: float = 0.0) -> Figures:
    assert CASCADE.iip3_dbm is not None
    assert CASCADE.power_w is not None
    return Figures(
        gain_db=CASCADE.gain_db + gain_db, iip3_dbm=CASCADE.iip3_dbm + iip3_db, power_w=CASCADE.power_w + power_w
    )


def test_a_whole_that_is_its_blocks_needs_no_word() -> None:
    assert differences(NAMES, BLOCKS, CASCADE, changed(0.9, -0.9, 0.9e-3), FRONT) == []


def test_gain_is_lost_before_the_mixer_and_at_it() -> None:
    front = Figures(gain_db=18.0, power_w=10e-3)
    (note,) = differences(NAMES, BLOCKS, CASCADE, changed(gain_db=-3.0), front)
    assert "-3.0 dB off its blocks'" in note
    assert "-1.0 dB before the mixer, -2.0 dB at its port" in note


def test_distortion_is_laid_at_the_blocks_that_make_it() -> None:
    """Referred to the input: the amplifier's 10 and the mixer's 100 per mW, less the filter's 1 dB of loss for both."""
    (note,) = differences(NAMES, BLOCKS, CASCADE, changed(iip3_db=-2.0), FRONT)
    assert "-2.0 dB off its blocks'" in note
    assert note.endswith("3 mixer makes 91% of it, 2 lna makes 9% of it")


def test_power_that_only_a_signal_makes_it_draw_is_said_to_be_that() -> None:
    (note,) = differences(NAMES, BLOCKS, CASCADE, changed(power_w=17e-3), FRONT)
    assert "+17 mW off its blocks': +0 mW without a signal" in note
    assert "amplified by the gain before it" in note


def test_a_chain_without_mixer_is_explained_without_one() -> None:
    whole = Figures(gain_db=16.0, iip3_dbm=-9.0, power_w=12e-3)
    notes = differences(NAMES[:2], BLOCKS[:2], cascade(BLOCKS[:2]), whole, None)
    assert [note.split()[0] for note in notes] == ["gain_db", "power_w"]
    assert all("mixer" not in note for note in notes)
