"""Champion and challenger side by side: who gets which, and how often an equal challenger is said to be better."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("grpc_interceptor")
pytest.importorskip("prometheus_client")

from hypothesis import given
from hypothesis import strategies as st

from genrf.errors import InvalidInputError
from serving.variants import CHALLENGER, CHAMPION, FALSE_PROMOTIONS, Comparison, Variants, place_of


def variants(share: float = 0.0) -> Variants:
    found = Variants()
    for name, bundle in ((CHAMPION, "a"), (CHALLENGER, "b")):
        workers: Any = SimpleNamespace(identity={"bundle": bundle}, count=1, alive=1)
        found.put(name, workers)
    found.set_share(share)
    return found


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_takes_callers_from_the_champion_only(caller: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert not (variants(low).of(caller) == CHALLENGER and variants(high).of(caller) == CHAMPION)
    assert variants(low).of(caller) == variants(low).of(caller)


def test_callers_are_spread_evenly() -> None:
    places = [place_of(f"caller {number}") for number in range(4000)]
    assert np.histogram(places, bins=4, range=(0, 1))[0] == pytest.approx([1000] * 4, abs=120)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "0.5", None])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    with pytest.raises(InvalidInputError, match="share: expected a number from 0 to 1"):
        variants().set_share(share)


def test_without_a_challenger_there_is_nothing_to_share() -> None:
    found = variants(0.5)
    found.put(CHALLENGER, None)
    assert found.share == 0.0
    with pytest.raises(InvalidInputError, match="there is no challenger"):
        found.set_share(0.1)


def test_models_that_change_begin_a_new_comparison() -> None:
    found = variants()
    assert found.comparison is not None
    found.comparison.add("request", "lna", True, True)
    found.put(CHALLENGER, SimpleNamespace(identity={"bundle": "c"}, count=1, alive=1))  # type: ignore[arg-type]
    assert found.comparison.total.specifications == 0
    assert found.comparison.challenger == "c"


def decided(champion: float, challenger: float, rng: np.random.Generator, pairs: int = 1000) -> str:
    """What a stream of requests comes to, of which each variant meets a share, independently of the other."""
    comparison = Comparison("a", "b")
    outcomes = np.column_stack([rng.random(pairs) < champion, rng.random(pairs) < challenger])
    for number, (ours, theirs) in enumerate(outcomes):
        comparison.add(str(number), "lna", bool(ours), bool(theirs))
        if number % 10 == 9 and (action := comparison.verdict().action) != "hold":
            return action
    return "hold"


def test_an_equal_challenger_is_promoted_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(5)
    promoted = sum(decided(0.8, 0.8, rng) == "promote" for _ in range(100))
    # Of 100 streams with the stated rate, 12 or more would be seen once in 200 times.
    assert promoted <= 11
    assert FALSE_PROMOTIONS == 0.05


def test_a_better_challenger_is_promoted_and_a_worse_one_rolled_back() -> None:
    rng = np.random.default_rng(6)
    assert [decided(0.7, 0.85, rng) for _ in range(10)].count("promote") >= 9
    assert [decided(0.85, 0.7, rng) for _ in range(10)].count("reject") >= 9
