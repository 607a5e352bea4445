"""Runs are counted and judged as a statistician would."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genrf.conditions import Constraint
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome
from genrf.yield_analysis.result import YieldResult, wilson_interval
from genrf.yield_analysis.study import YieldStudy


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_textbooks(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_is_symmetric_and_closed_at_the_ends() -> None:
    low, high = wilson_interval(3, 40, 0.95)
    assert wilson_interval(37, 40, 0.95) == pytest.approx((1.0 - high, 1.0 - low))
    assert wilson_interval(40, 40, 0.95)[1] == 1.0
    assert wilson_interval(0, 40, 0.95)[0] == 0.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (5, 4), (-1, 4)])
def test_wilson_interval_of_nonsense_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        wilson_interval(successes, trials, 0.95)


def result(study: YieldStudy, *gains: float | None) -> YieldResult:
    """Runs with these gains, None for one that fails, against a gain of 10 to 20 dB."""
    bounds = (Constraint("gain_db", ">=", 10.0), Constraint("gain_db", "<=", 20.0))
    failed = Outcome(None, Failure("device_limit", "too much"))
    outcomes = [failed if gain is None else Outcome(Metrics({"gain_db": gain, "nf_db": 0.1 * gain})) for gain in gains]
    return YieldResult(
        study=replace(study, spec=replace(study.spec, constraints=bounds)), outcomes=outcomes, corners={}
    )


def test_a_run_that_fails_to_simulate_counts_against_the_yield(study: YieldStudy) -> None:
    judged = result(study, 15.0, None, 9.0, 12.0)
    assert (judged.passed, judged.share) == (2, 0.5)
    assert judged.failed == {"device_limit": 1}
    assert [judged.misses(constraint) for constraint in judged.spec.constraints] == [1, 0]


def test_the_worst_case_is_farthest_over_its_bound(study: YieldStudy) -> None:
    spread = result(study, 15.0, None, 9.0, 23.0).spread("gain_db")
    assert spread is not None
    assert (spread.worst, spread.worst_run) == (23.0, 3)
    assert (spread.lowest, spread.highest) == (9.0, 23.0)
    assert spread.mean == pytest.approx(47.0 / 3.0)


def test_the_worst_case_without_a_bound_is_what_a_designer_likes_least(study: YieldStudy) -> None:
    spread = result(study, 15.0, 9.0, 23.0).spread("nf_db")
    assert spread is not None
    assert (spread.worst, spread.worst_run) == (pytest.approx(2.3), 2)


def test_all_runs_may_fail(study: YieldStudy) -> None:
    judged = result(study, None, None)
    assert judged.share == 0.0
    assert judged.spread("gain_db") is None
    assert judged.content()["metrics"] == {}
