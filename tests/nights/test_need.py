"""Whether a night has work: requests against what was trained on, and success against what was promised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from genrf.conditioning import Conditioning
from genrf.feedback.record import ModelVersion, RememberedDesign, SearchRecord
from genrf.generation.precedents import Precedents, PrecedentSource, precedents_in
from genrf.generation.released import released_folder
from genrf.spec import DesignSpec
from training.config.loading import load_config
from training.config.schema import Config
from training.nights.need import (
    ClassNeed,
    Share,
    asked_once,
    assess_class,
    comparable,
    growth,
    is_target,
    judges,
    specification_id,
    targets,
)

PARAMS = Path(__file__).parents[2] / "params.yaml"
PROMISED = Share(95, 100)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(PARAMS)


@pytest.fixture(scope="module")
def conditioning() -> Conditioning:
    return Conditioning.load(released_folder())


@pytest.fixture(scope="module")
def precedents() -> PrecedentSource:
    return precedents_in(released_folder())


def record(
    number: int, met: bool, frequency_hz: float, *, power_w: float = 0.01, reached_w: float = 0.02
) -> SearchRecord:
    spec = DesignSpec.from_dict(
        {
            "class": "lna",
            "frequency": frequency_hz,
            "supply": 1.5,
            "constraints": {"gain_db": {"min": 10.0 + 0.01 * number}, "power_w": {"max": power_w}},
        }
    )
    design = RememberedDesign(
        metrics={"gain_db": 20.0, "power_w": 0.5 * power_w if met else reached_w, "mu_min": 1.1},
        met=met,
        margin=0.1 if met else -0.1,
        fingerprint="0123456789abcdef",
        source="generator",
    )
    return SearchRecord(
        id=f"{number:032x}",
        time=START + timedelta(minutes=number),
        source="server",
        specification={key: value for key, value in spec.to_dict().items() if key != "name"},
        circuit_class="lna",
        model=ModelVersion(bundle="0" * 64),
        variant="fp32",
        calls=64,
        simulated=64,
        first_met=3 if met else None,
        met=met,
        designs=(design,),
        failed={},
        seconds=1.0,
    )


def as_trained(precedents: PrecedentSource, conditioning: Conditioning, count: int) -> list[float]:
    known = precedents("lna")
    assert isinstance(known, Precedents)
    frequency, *_ = conditioning.decode_condition_rows(known.conditions)
    return frequency[:: max(1, len(frequency) // count)][:count].tolist()


def need(config: Config, records: list[SearchRecord], promised: Share, conditioning, precedents) -> ClassNeed:
    return assess_class(config, "lna", records, promised, conditioning, precedents)


def test_requests_that_are_met_as_promised_need_nothing(config: Config, conditioning, precedents) -> None:
    frequencies = as_trained(precedents, conditioning, 40)
    found = need(config, [record(n, n != 3, f) for n, f in enumerate(frequencies)], PROMISED, conditioning, precedents)
    assert not found.work
    assert "frequency" not in found.moved
    assert "as expected" in found.reason


def test_requests_that_moved_and_are_met_all_the_same_need_nothing(config: Config, conditioning, precedents) -> None:
    found = need(config, [record(n, True, 45e9 + n * 1e7) for n in range(40)], PROMISED, conditioning, precedents)
    assert "frequency" in found.moved
    assert not found.work
    assert found.reason.startswith("moved (frequency")


def test_missed_requests_of_a_new_band_are_work_and_the_reason_has_the_numbers(
    config: Config, conditioning, precedents
) -> None:
    records = [record(n, n % 2 == 0, 45e9 + n * 1e7) for n in range(40)]
    found = need(config, records, PROMISED, conditioning, precedents)
    assert found.work
    assert found.reason.startswith("met 20 of 40 (35 to 65 %), expected 95 %; moved: frequency")
    assert found.bounds == {"power_w <=": 20}
    assert sum(share.of for share in found.bands.values()) == 40


def test_few_requests_say_nothing(config: Config, conditioning, precedents) -> None:
    found = need(config, [record(n, False, 45e9) for n in range(5)], PROMISED, conditioning, precedents)
    assert not found.work
    assert found.reason == f"5 requests, {config.nights.least_requests} are wanted for a conclusion"


def test_without_a_promise_the_configuration_says_what_is_expected(config: Config, conditioning, precedents) -> None:
    missed = [record(n, n % 2 == 0, 10e9) for n in range(40)]
    found = need(config, missed, Share(0, 0), conditioning, precedents)
    assert found.promised == config.nights.expected_success
    assert found.work


def test_a_class_that_nobody_asks_for_is_left_alone(config: Config, conditioning, precedents) -> None:
    found = assess_class(config, "mixer", [], PROMISED, conditioning, lambda _: None)
    assert (found.work, found.reason) == (False, "not asked for")


def test_chance_alone_hardly_ever_makes_work(config: Config, conditioning, precedents) -> None:
    """Requests that are met exactly as often as was promised, missed once too often, are no work."""
    records = [record(n, n > 2, 10e9) for n in range(40)]
    assert not need(config, records, Share(95, 100), conditioning, precedents).work


def test_what_is_searched_for_never_judges() -> None:
    records = [record(n, False, 40e9 + n * 1e8) for n in range(60)]
    searched = {spec.name for spec in targets(records, 100)}
    judging = {spec.name for spec in judges(records, 100)}
    assert searched
    assert judging
    assert not searched & judging
    assert searched | judging == {specification_id(r.specification) for r in records}


def test_the_newest_come_first_and_each_once() -> None:
    records = [record(n % 30, False, 40e9 + (n % 30) * 1e8) for n in range(60)]
    wanted = [r for r in reversed(records[:30]) if is_target(r.specification)]
    found = targets(records, 3)
    assert [spec.name for spec in found] == [specification_id(r.specification) for r in wanted[:3]]


def test_met_requests_are_no_targets() -> None:
    assert targets([record(n, True, 40e9 + n * 1e8) for n in range(60)], 100) == []


def test_new_data_are_made_around_what_was_missed(config: Config) -> None:
    missed = [DesignSpec.from_dict(record(n, False, f).specification) for n, f in enumerate((40e9, 44e9, 50e9))]
    data = growth(config, "lna", missed)
    assert data["frequency_min_hz"] == pytest.approx(40e9 / 1.1)
    assert data["frequency_max_hz"] == pytest.approx(50e9 * 1.1)
    assert data["supplies_v"] == (1.5,)
    assert data["frequency_bands"] == 2


def test_who_asks_the_same_again_says_nothing_new() -> None:
    again = [
        replace(record(1, False, 40e9), id=f"{number:032x}", time=START + timedelta(days=number))
        for number in range(20)
    ]
    assert [item.id for item in asked_once(again)] == [f"{19:032x}"]


def test_requests_count_with_the_calls_that_the_champion_was_judged_with() -> None:
    late = replace(record(1, True, 40e9), first_met=30)
    few = replace(record(2, False, 40e9), calls=8, simulated=8)
    assert [item.met for item in comparable([late, few], 16)] == [False]
    assert [item.met for item in comparable([late, few], 64)] == [True]


def test_requests_that_differ_in_a_third_digit_are_on_one_side() -> None:
    nearly = [
        {"class": "lna", "frequency": 40e9, "constraints": {"gain_db": {"min": 16.0 + 0.001 * n}}} for n in range(20)
    ]
    assert len({is_target(content) for content in nearly}) == 1
