"""The beginning of a night: the log, the champion, and what is said where one of them is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from genrf.errors import InvalidInputError
from genrf.feedback.log import VARIABLE, open_log
from genrf.generation.released import released_identity
from tests.nights.test_night import asked
from training.config.loading import load_config
from training.nights.assess import assess_need
from training.nights.need import is_target
from training.nights.records import CHAMPION_FOLDER, Need
from training.release.registry import CHAMPION
from training.running import pipeline_run, store
from training.running.store import open_store
from training.running.tracking import step_run

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def assess(
    tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Need]:
    """Begins a night of a registered model of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.TRACKING_URI, mlflow_store)
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, request.node.name)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "feedback"))
    config = load_config(PARAMS, overrides={"tracking.registered_model": request.node.name, "classes": ["lna"]})

    def begin() -> Need:
        with step_run(config, "assess_need"):
            assess_need(config, tmp_path / "need")
        return Need.read(tmp_path / "need")

    return begin


def test_a_night_without_requests_has_nothing_to_do(assess: Callable[[], Need], tmp_path: Path) -> None:
    open_log(str(tmp_path / "feedback")).check()
    need = assess()
    assert (need.action, need.champion["identity"]) == ("nothing", released_identity())
    assert (tmp_path / "need" / CHAMPION_FOLDER / "manifest.json").is_file()


def test_missed_requests_are_work_and_their_ids_are_kept(assess: Callable[[], Need], tmp_path: Path) -> None:
    records = [asked(number, number % 3 == 0, released_identity()) for number in range(30)]
    open_log(str(tmp_path / "feedback")).append(records)
    need = assess()
    assert need.action == "retrain"
    assert need.targets["lna"]
    assert set(need.requests) <= {record.id for record in records if not record.met}
    assert len(need.requests) == len(need.targets["lna"])
    assert not {spec.name for spec in need.targets["lna"]} & {spec.name for spec in need.judges["lna"]}


def test_requests_that_another_model_served_say_nothing_of_the_champion(
    assess: Callable[[], Need], tmp_path: Path
) -> None:
    open_log(str(tmp_path / "feedback")).append([asked(number, False, "f" * 64) for number in range(30)])
    assert assess().action == "nothing"


def test_missed_requests_that_all_judge_are_no_work(assess: Callable[[], Need], tmp_path: Path) -> None:
    judge = next(r for r in (asked(n, False, released_identity()) for n in range(50)) if not is_target(r.specification))
    same = [replace(judge, id=f"{number:032x}") for number in range(40)]
    open_log(str(tmp_path / "feedback")).append(same)
    need = assess()
    assert need.action == "nothing"
    assert "1 requests" in need.reason


def test_a_poisoned_record_costs_itself_and_is_named(assess: Callable[[], Need], tmp_path: Path) -> None:
    log = open_log(str(tmp_path / "feedback"))
    log.append([asked(number, False, released_identity()) for number in range(30)])
    (path,) = (tmp_path / "feedback").glob("*.jsonl")
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([first.replace('"calls":64', '"calls":-1'), *others]) + "\n")
    need = assess()
    assert need.action == "retrain"
    assert 0 < len(need.requests) < 29
    assert any("calls" in line and path.name in line for line in need.poisoned)


def test_a_clock_that_was_set_back_loses_no_request(assess: Callable[[], Need], tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    records = [replace(asked(number, False, released_identity()), time=later) for number in range(30)]
    open_log(str(tmp_path / "feedback")).append(records)
    assert assess().action == "retrain"


def test_a_champion_that_somebody_took_away_is_not_replaced_by_the_released_weights(
    assess: Callable[[], Need], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    open_log(str(tmp_path / "feedback")).check()
    assess()
    client, _ = open_store(load_config(PARAMS))
    client.delete_registered_model_alias(request.node.name, CHAMPION)
    with pytest.raises(InvalidInputError, match="has versions and no champion: give one of them the alias champion"):
        assess()
