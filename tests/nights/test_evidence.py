"""The sequential test: a closed form, its promise, and what nights do with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from genrf.feedback.evidence import Evidence, Tally, level_of, log_wealth

COUNTS = st.integers(0, 60)


@pytest.mark.parametrize(
    ("wins", "losses", "wealth"),
    [
        (0, 0, 1.0),
        # E = int_(1/2)^1 2 (2 t)^w (2 - 2 t)^l dt in closed form.
        (1, 0, 1.5),
        (0, 1, 0.5),
        (2, 0, 7.0 / 3.0),
        (1, 1, 2.0 / 3.0),
    ],
)
def test_wealth_of_few_specifications(wins: int, losses: int, wealth: float) -> None:
    assert math.exp(log_wealth(wins, losses)) == pytest.approx(wealth, rel=1e-12)


@given(COUNTS, COUNTS)
def test_wealth_is_the_mixture_of_bets(wins: int, losses: int) -> None:
    mixture, _ = quad(lambda t: 2.0 * (2.0 * t) ** wins * (2.0 - 2.0 * t) ** losses, 0.5, 1.0, epsabs=0.0, epsrel=1e-9)
    assert log_wealth(wins, losses) == pytest.approx(math.log(mixture), abs=1e-6)


@given(COUNTS, COUNTS)
def test_a_fair_coin_makes_nobody_richer(wins: int, losses: int) -> None:
    """The mean over the next toss is what there was, or less: a supermartingale."""
    after = 0.5 * (math.exp(log_wealth(wins + 1, losses)) + math.exp(log_wealth(wins, losses + 1)))
    assert after <= math.exp(log_wealth(wins, losses)) * (1.0 + 1e-9)


def test_many_losses_are_no_error() -> None:
    assert log_wealth(0, 5000) == -math.inf
    assert log_wealth(5000, 0) > 1000.0


def test_an_equal_challenger_is_hardly_ever_promoted_however_often_one_looks() -> None:
    """Ville's inequality, by 2,000 sequences that are looked at after every specification."""
    rng = np.random.default_rng(5)
    level, reached = 0.05, 0
    for _ in range(2000):
        wins = np.cumsum(rng.random(150) < 0.5)
        numbers = np.arange(1, 151)
        reached += any(log_wealth(int(w), int(n - w)) >= -math.log(level) for w, n in zip(wins, numbers, strict=True))
    assert reached / 2000 <= level


def test_the_levels_of_a_month_sum_to_that_of_the_month() -> None:
    levels = [level_of(0.05, number) for number in range(1, 31)]
    assert levels == sorted(levels, reverse=True)
    assert 0.9 * 0.05 < sum(levels) < 0.05


def judged(**tallies: tuple[int, int, int, int]) -> Evidence:
    return Evidence({name: Tally(*counts) for name, counts in tallies.items()}, nights=1)


def test_a_clearly_better_challenger_is_promoted_and_the_reason_has_the_counts() -> None:
    verdict = judged(lna=(80, 15, 1, 4)).verdict(0.03, 0.05, 7)
    assert verdict.action == "promote"
    assert "of 100 specifications 15 met by it alone and 1 by the champion alone" in verdict.reason


def test_little_evidence_is_held_and_rejected_when_patience_is_over() -> None:
    evidence = judged(lna=(80, 6, 4, 10))
    assert evidence.verdict(0.03, 0.05, 7).action == "hold"
    patient = Evidence(evidence.tallies, nights=7)
    assert patient.verdict(0.03, 0.05, 7).action == "reject"
    assert "not shown to be better in 7 nights" in patient.verdict(0.03, 0.05, 7).reason


def test_a_clearly_worse_challenger_is_rejected_at_once() -> None:
    verdict = judged(lna=(80, 1, 15, 4)).verdict(0.03, 0.05, 7)
    assert verdict.action == "reject"
    assert verdict.reason.startswith("worse")


def test_no_class_may_pay_for_another() -> None:
    evidence = judged(lna=(60, 30, 0, 10), filter=(80, 0, 8, 12))
    verdict = evidence.verdict(0.03, 0.05, 7)
    assert verdict.action == "hold"
    assert "class filter falls by 8 points, more than 5" in verdict.reason
    assert evidence.verdict(0.03, 0.10, 7).action == "promote"


def test_tallies_count_outcomes_and_add() -> None:
    tally = Tally.of([(True, True), (True, False), (False, True), (False, True), (False, False)])
    assert tally == Tally(both=1, wins=2, losses=1, neither=1)
    assert tally + tally == Tally(2, 4, 2, 2)
    assert (tally.champion, tally.challenger) == (0.4, 0.6)
    assert math.isnan(Tally().champion)
