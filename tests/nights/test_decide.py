"""Aliases move only on evidence, all of it counts once, and nights at once take turns."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from genrf.errors import CheckpointError
from genrf.feedback.evidence import Tally
from genrf.files import write_json
from genrf.generation.bundle import MANIFEST
from training.config.loading import load_config
from training.config.schema import Config
from training.nights.decide import (
    AGAINST,
    BEGAN,
    REASON,
    STATE,
    decide_held,
    decide_promotion,
    evidence,
    held_challenger,
    judged,
    number_in_month,
)
from training.nights.records import Compared, Need, write_comparison
from training.release.registry import CHALLENGER, CHAMPION, PROMISE, champion_of
from training.running import pipeline_run, store
from training.running.store import open_store
from training.running.tracking import step_run

PARAMS = Path(__file__).parents[2] / "params.yaml"
FIRST_NIGHT = datetime(2026, 3, 1, 2, tzinfo=UTC)
CLEARLY_BETTER = {"both": 60, "wins": 15, "losses": 1, "neither": 4}
OVERWHELMING = {"both": 60, "wins": 40, "losses": 0, "neither": 4}
UNDECIDED = {"both": 60, "wins": 4, "losses": 3, "neither": 13}
WORSE = {"both": 60, "wins": 1, "losses": 15, "neither": 4}


class World:
    """A registry with a champion, and nights that bring challengers to it."""

    def __init__(self, config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config, self.folder, self.monkeypatch = config, folder, monkeypatch
        self.client, _ = open_store(config)
        self.name = config.tracking.registered_model
        self.client.create_registered_model(self.name)
        self.champion = self.client.create_model_version(self.name, str(folder), None)
        self.client.set_registered_model_alias(self.name, CHAMPION, self.champion.version)
        self.nights = 0

    def need(self, night: datetime, champion: str, challenger: str | None = None) -> Path:
        folder = self.folder / f"need-{self.nights}"
        folder.mkdir(parents=True, exist_ok=True)
        Need(
            action="retrain" if challenger is None else "judge",
            reason="",
            night=night.isoformat(),
            champion={"version": int(champion), "identity": "", "data_version": ""},
            challenger=None if challenger is None else {"version": int(challenger), "judged": []},
            classes=(),
            targets={},
            judges={},
            requests=("a", "b"),
            poisoned=(),
        ).write(folder)
        return folder

    def comparison(self, counts: dict[str, int], circuit_class: str = "lna") -> Path:
        folder = self.folder / f"comparison-{self.nights}"
        folder.mkdir(parents=True, exist_ok=True)
        met = {"both": (1, 1), "wins": (None, 2), "losses": (3, None), "neither": (None, None)}
        compared = [
            Compared(
                id=f"{self.nights}-{kind}-{number}",
                circuit_class=circuit_class,
                origin="held out" if number % 2 else "requested",
                champion=met[kind][0],
                challenger=met[kind][1],
            )
            for kind, count in counts.items()
            for number in range(count)
        ]
        write_comparison(folder, compared, {})
        return folder

    def train(
        self, counts: dict[str, int], night: datetime | None = None, champion: str | None = None
    ) -> dict[str, Any]:
        """A night that trains a challenger, which does so well."""
        self.nights += 1
        number = self.nights
        self.monkeypatch.setenv(pipeline_run.PIPELINE_RUN, f"{self.name}-{number}")
        for name in ("grown", "bundle", "quantized"):
            (self.folder / f"{name}-{number}").mkdir()
            (self.folder / f"{name}-{number}" / MANIFEST).write_text(f"{name} {number}")
        write_json(
            self.folder / f"grown-{number}" / "step.json", {"result": {"data_hash": f"{number}.dir", "parent": "0.dir"}}
        )
        need = self.need(night or FIRST_NIGHT + timedelta(days=number), champion or self.champion.version)
        with step_run(self.config, "decide_promotion"):
            return decide_promotion(
                self.config,
                need,
                *(self.folder / f"{name}-{number}" for name in ("grown", "bundle", "quantized")),
                self.comparison(counts),
                self.folder / f"out-{number}",
            )

    def judge(self, counts: dict[str, int], challenger: int, night: datetime) -> dict[str, Any]:
        """A night that judges a challenger that is held."""
        self.nights += 1
        self.monkeypatch.setenv(pipeline_run.PIPELINE_RUN, f"{self.name}-{self.nights}")
        need = self.need(night, self.champion.version, str(challenger))
        with step_run(self.config, "decide_held"):
            return decide_held(self.config, need, self.comparison(counts), self.folder / f"out-{self.nights}")

    def version(self, number: int) -> Any:
        return self.client.get_model_version(self.name, str(number))

    @property
    def champion_now(self) -> int | None:
        found = champion_of(self.client, self.name)
        return None if found is None else int(found.version)


@pytest.fixture
def world(tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.TRACKING_URI, mlflow_store)
    monkeypatch.setenv(pipeline_run.PIPELINE_RUN, request.node.name)
    config = load_config(
        PARAMS, overrides={"tracking.registered_model": request.node.name.replace("[", "-").strip("]")}
    )
    return World(config, tmp_path, monkeypatch)


def test_a_clearly_better_challenger_becomes_the_champion_and_keeps_where_it_comes_from(world: World) -> None:
    result = world.train(CLEARLY_BETTER)
    assert result["action"] == "promote"
    assert world.champion_now == result["version"]
    tags = world.version(result["version"]).tags
    assert (tags["data_version"], tags["data_parent"]) == ("1.dir", "0.dir")
    assert json.loads(tags["requests"]) == ["a", "b"]
    assert tags[AGAINST] == str(world.champion.version)
    assert json.loads(tags[PROMISE])["lna"][1] == sum(count // 2 for count in CLEARLY_BETTER.values())


def test_what_is_not_decided_is_held_and_the_next_night_adds_to_it(world: World) -> None:
    first = world.train(UNDECIDED)
    assert first["action"] == "hold"
    assert world.champion_now == int(world.champion.version)
    held = held_challenger(world.client, world.name, world.champion)
    assert held is not None
    assert int(held.version) == first["version"]
    second = world.judge(CLEARLY_BETTER, first["version"], FIRST_NIGHT + timedelta(days=5))
    assert (second["action"], second["wins"], second["losses"], second["nights"]) == ("promote", 19, 4, 2)
    assert world.champion_now == first["version"]


def test_a_night_that_is_repeated_counts_once(world: World) -> None:
    first = world.train(UNDECIDED)
    night = FIRST_NIGHT + timedelta(days=9)
    counts = [world.judge(UNDECIDED, first["version"], night)["wins"] for _ in range(3)]
    assert counts == [8, 8, 8]
    assert len(judged(world.version(first["version"]))) == 2 * sum(UNDECIDED.values())


def test_what_was_found_of_a_specification_counts_once_whichever_night_finds_it_again(world: World) -> None:
    """A night that trains the same bundle on the same data again finds the same again, which proves nothing more."""
    first = world.train(UNDECIDED)
    world.monkeypatch.setattr(World, "comparison", lambda self, counts: self.folder / "comparison-1")
    results = [world.judge(UNDECIDED, first["version"], FIRST_NIGHT + timedelta(days=day)) for day in range(2, 6)]
    assert [result["wins"] for result in results] == [UNDECIDED["wins"]] * 4


def test_a_bundle_that_was_rejected_stays_rejected(world: World) -> None:
    rejected = world.train(WORSE)
    again = world.judge(CLEARLY_BETTER, rejected["version"], FIRST_NIGHT + timedelta(days=5))
    assert again["action"] == "reject"
    assert "the same bundle was rejected before" in again["reason"]


def test_a_night_that_compared_nothing_uses_up_no_patience(world: World) -> None:
    first = world.train(UNDECIDED)
    none = dict.fromkeys(UNDECIDED, 0)
    for day in range(10):
        result = world.judge(none, first["version"], FIRST_NIGHT + timedelta(days=2 + day))
    assert (result["action"], result["nights"]) == ("hold", 1)


def test_a_worse_challenger_is_rejected_and_is_no_longer_held(world: World) -> None:
    result = world.train(WORSE)
    assert result["action"] == "reject"
    assert held_challenger(world.client, world.name, world.champion) is None
    assert world.champion_now == int(world.champion.version)


def test_a_champion_that_changed_in_the_meantime_is_not_replaced(world: World) -> None:
    better = world.train(CLEARLY_BETTER)
    late = world.train(CLEARLY_BETTER, champion=world.champion.version)
    assert late["action"] == "reject"
    assert f"the champion is {better['version']} now" in late["reason"]
    assert world.champion_now == better["version"]


def test_two_nights_at_once_promote_one(world: World) -> None:
    """Both have all the evidence that they need; the lock lets one of them see what the other did."""
    held = [world.train(UNDECIDED)["version"] for _ in range(2)]
    nights = [FIRST_NIGHT + timedelta(days=20 + number) for number in range(2)]
    needs = [
        world.need(night, world.champion.version, str(version)) for night, version in zip(nights, held, strict=True)
    ]
    folders = []
    for number in range(2):
        folder = world.folder / f"at-once-{number}"
        folder.mkdir()
        for path in needs[0].iterdir():
            (folder / path.name).write_text(path.read_text())
        content = json.loads((folder / "need.json").read_text())
        content |= {"night": nights[number].isoformat(), "challenger": {"version": held[number], "judged": []}}
        write_json(folder / "need.json", content)
        folders.append(folder)
    world.nights += 1
    comparison = world.comparison(OVERWHELMING)
    with step_run(world.config, "decide_held"), ThreadPoolExecutor(2) as threads:
        decided = [
            threads.submit(decide_held, world.config, folder, comparison, world.folder / f"out-at-once-{number}")
            for number, folder in enumerate(folders)
        ]
        actions = sorted(each.result()["action"] for each in decided)
    assert actions == ["promote", "reject"]
    assert world.champion_now in held


def test_a_deleted_champion_is_said_and_nothing_is_promoted(world: World) -> None:
    world.client.delete_registered_model_alias(world.name, CHAMPION)
    result = world.train(CLEARLY_BETTER)
    assert result["action"] == "hold"
    assert result["reason"].startswith("the champion was deleted during the night")
    assert world.champion_now is None


def test_a_kill_before_the_alias_moves_leaves_the_champion_and_is_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = MlflowClient.set_registered_model_alias

    def killed(self: MlflowClient, name: str, alias: str, version: str) -> None:
        if alias == CHAMPION:
            raise KeyboardInterrupt
        moved(self, name, alias, version)

    first = world.train(UNDECIDED)
    night = FIRST_NIGHT + timedelta(days=5)
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", killed)
    with pytest.raises(KeyboardInterrupt):
        world.judge(CLEARLY_BETTER, first["version"], night)
    assert world.champion_now == int(world.champion.version)
    assert world.version(first["version"]).tags[STATE] == "promote"
    monkeypatch.undo()
    world.monkeypatch.chdir(world.folder)
    world.monkeypatch.setenv(store.TRACKING_URI, str(world.client.tracking_uri))
    again = world.judge(CLEARLY_BETTER, first["version"], night)
    assert (again["action"], again["nights"]) == ("promote", 2)


def test_later_challengers_of_a_month_need_more_and_a_clock_that_was_set_back_helps_nobody(world: World) -> None:
    days = (0, 1, 2, -400, 40)
    versions = [world.train(WORSE, night=FIRST_NIGHT + timedelta(days=day))["version"] for day in days]
    numbers = [number_in_month(world.client, world.config, world.version(version)) for version in versions]
    assert numbers == [1, 2, 3, 4, 1]
    assert world.version(versions[0]).tags[BEGAN] == FIRST_NIGHT.isoformat()


def test_the_evidence_is_what_the_nights_found(world: World) -> None:
    first = world.train(UNDECIDED)
    world.judge(UNDECIDED, first["version"], FIRST_NIGHT + timedelta(days=5))
    found = evidence(world.version(first["version"]).tags, str(world.champion.version))
    assert found.nights == 2
    assert found.tallies["lna"] == Tally(**UNDECIDED) + Tally(**UNDECIDED)
    assert world.version(first["version"]).tags[REASON].startswith("not decided")
    alias = champion_of(world.client, world.name, CHALLENGER)
    assert alias is not None
    assert int(alias.version) == first["version"]


def test_a_comparison_that_is_damaged_is_said_and_changes_nothing(world: World) -> None:
    world.monkeypatch.setattr(World, "comparison", lambda self, counts: self.folder)
    (world.folder / "comparison.json").write_text('{"outcomes": [{"id": 1}]}')
    with pytest.raises(CheckpointError, match=r"comparison\.json: not a comparison"):
        world.train(CLEARLY_BETTER)
    assert world.champion_now == int(world.champion.version)
