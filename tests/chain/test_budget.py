"""Friis, cascaded intercept, and budgets that add up to what was asked."""

from __future__ import annotations

import math

import pytest

from genrf.chain.budget import Demand, Figures, allocate, cascade, cascaded_iip3_dbm, friis_nf_db, passive_nf_db
from genrf.errors import InvalidInputError

FILTER = Demand(passive=True, gain_db=-2.0)
MIXER = Demand(passive=False, gain_db=0.0)
LNA = Demand(passive=False, gain_db=None)


def test_noise_of_an_amplifier_between_filter_and_mixer() -> None:
    """Pozar, Microwave Engineering, example 10.2: a 10 dB amplifier of 2 dB, a 1 dB filter, a mixer of 4 dB noise."""
    blocks = [(10.0, 2.0), (-1.0, 1.0), (-3.0, 4.0)]
    by_hand = 1.58 + (1.26 - 1.0) / 10.0 + (2.51 - 1.0) / (10.0 * 0.79)
    assert friis_nf_db(blocks) == pytest.approx(10 * math.log10(by_hand), abs=0.01)
    assert friis_nf_db(blocks) == pytest.approx(2.55, abs=0.01)


def test_noise_of_attenuators_in_a_row_is_that_of_one_with_their_loss() -> None:
    pads = [(-loss, passive_nf_db(loss)) for loss in (1.0, 2.5, 3.0)]
    assert friis_nf_db(pads) == pytest.approx(passive_nf_db(6.5), abs=1e-12)
    assert passive_nf_db(3.0, 290.0) == pytest.approx(3.0)


def test_intercepts_of_equal_contributions_add_in_power() -> None:
    # Behind 20 dB of gain, 10 dBm is as much as -10 dBm at the input: half the intercept is left.
    assert cascaded_iip3_dbm([(20.0, -10.0), (0.0, 10.0)]) == pytest.approx(-10.0 - 10 * math.log10(2.0))
    assert cascaded_iip3_dbm([(-3.0, math.inf), (20.0, -10.0)]) == pytest.approx(-7.0)
    assert cascaded_iip3_dbm([(-3.0, math.inf)]) == math.inf


@pytest.mark.parametrize(
    "blocks",
    [
        [FILTER, LNA],
        [FILTER, LNA, MIXER],
        [LNA, FILTER, LNA, MIXER],
        [FILTER, Demand(passive=False, gain_db=None, share=3.0), Demand(passive=False, gain_db=5.0, share=0.5)],
    ],
)
def test_shares_cascade_to_the_total(blocks: list[Demand]) -> None:
    total = Figures(gain_db=15.0, nf_db=6.0, iip3_dbm=-20.0, power_w=30e-3)
    shares = allocate(total, blocks)
    whole = cascade(shares)
    assert whole.gain_db == pytest.approx(total.gain_db)
    assert whole.nf_db == pytest.approx(total.nf_db)
    assert whole.iip3_dbm == pytest.approx(total.iip3_dbm)
    assert whole.power_w == pytest.approx(total.power_w)
    for share, block in zip(shares, blocks, strict=True):
        assert block.gain_db is None or share.gain_db == block.gain_db
        assert not block.passive or (share.power_w == 0.0 and share.nf_db == pytest.approx(passive_nf_db(2.0)))


@pytest.mark.parametrize(
    "lna",
    [
        Figures(gain_db=19.0, nf_db=2.0, iip3_dbm=-12.0, power_w=5e-3),
        Figures(gain_db=14.0, nf_db=4.9, iip3_dbm=-19.5, power_w=25e-3),
    ],
    ids=["leaves-more", "leaves-less"],
)
def test_later_blocks_share_what_the_designed_ones_left(lna: Figures) -> None:
    """The mixer may do just what makes the whole the total, but for gain, which it is given."""
    total = Figures(gain_db=15.0, nf_db=6.0, iip3_dbm=-20.0, power_w=30e-3)
    band = Figures(gain_db=-0.5, nf_db=0.5, iip3_dbm=math.inf, power_w=0.0)
    shares = allocate(total, [FILTER, LNA, MIXER], designed=[band, lna])
    assert shares[:2] == [band, lna]
    assert shares[2].gain_db == MIXER.gain_db
    whole = cascade(shares)
    assert whole.nf_db == pytest.approx(total.nf_db)
    assert whole.iip3_dbm == pytest.approx(total.iip3_dbm)
    assert whole.power_w == pytest.approx(total.power_w)


def test_gain_that_a_filter_does_not_lose_is_not_asked_of_the_amplifier() -> None:
    total = Figures(gain_db=15.0, nf_db=6.0, iip3_dbm=-20.0)
    band = Figures(gain_db=-0.5, nf_db=0.5, iip3_dbm=math.inf)
    assert allocate(total, [FILTER, LNA, MIXER], designed=[band])[1].gain_db == pytest.approx(15.5)


@pytest.mark.parametrize(
    ("lna", "reason"),
    [
        (Figures(gain_db=17.0, nf_db=6.5, iip3_dbm=-10.0, power_w=5e-3), "nf_db: 6 dB is no more than"),
        (Figures(gain_db=17.0, nf_db=2.0, iip3_dbm=-22.5, power_w=5e-3), "iip3_dbm, power_w: .* leave nothing"),
        (Figures(gain_db=17.0, nf_db=2.0, iip3_dbm=-10.0, power_w=35e-3), "iip3_dbm, power_w: .* leave nothing"),
    ],
)
def test_designed_blocks_that_leave_nothing_are_named(lna: Figures, reason: str) -> None:
    total = Figures(gain_db=15.0, nf_db=6.0, iip3_dbm=-20.0, power_w=30e-3)
    with pytest.raises(InvalidInputError, match=reason):
        allocate(total, [LNA, MIXER], designed=[lna])


def test_a_block_with_a_larger_share_may_be_noisier_and_draw_more() -> None:
    total = Figures(gain_db=15.0, nf_db=6.0, iip3_dbm=-20.0, power_w=30e-3)
    even, _ = allocate(total, [LNA, MIXER])
    more, _ = allocate(total, [Demand(passive=False, gain_db=None, share=3.0), MIXER])
    assert more.nf_db is not None
    assert even.nf_db is not None
    assert more.nf_db > even.nf_db
    assert (even.power_w, more.power_w) == (pytest.approx(15e-3), pytest.approx(22.5e-3))


@pytest.mark.parametrize(
    ("total", "blocks", "reason"),
    [
        (Figures(gain_db=15.0, nf_db=2.0, iip3_dbm=-20.0), [FILTER, LNA], "nf_db: 2 dB is no more than"),
        (
            Figures(gain_db=15.0, nf_db=5.0, iip3_dbm=-20.0),
            [FILTER, MIXER],
            "gain_db: the blocks' gains add up to -2 dB",
        ),
    ],
)
def test_a_total_that_no_blocks_can_reach_is_refused(total: Figures, blocks: list[Demand], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        allocate(total, blocks)
