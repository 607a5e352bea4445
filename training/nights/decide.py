"""Promote, hold or reject: the registry's aliases move only on evidence, and on all of it.

A challenger is a version of the registered model under the alias ``challenger``. What each night found is a tag of that version,
named after the night, so that a night that is repeated counts once; the verdict is on all of them together. Two nights at once
take turns by a lock, and a champion that changed since the night began is not replaced.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.feedback.evidence import Evidence, Tally, Verdict, level_of, tallied
from genrf.files import write_json
from training.config.schema import Config
from training.nights.judge import HELD_OUT, tallies
from training.nights.records import DECISION, Compared, Need, read_comparison
from training.release.first_champion import SPLIT_TAG
from training.release.registry import (
    CHALLENGER,
    CHAMPION,
    DATA_TAG,
    PROMISE,
    active_run,
    champion_of,
    make_model,
    register,
)
from training.running.store import locked, open_store, store_uri
from training.running.tracking import StepRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

BEGAN = "night.began"
"""Tag of a version that a night trained: when."""
AGAINST = "night.champion"
"""Tag: version of the champion that it is compared with."""
STATE = "night.state"
"""Tag: ``hold``, ``promote`` or ``reject``."""
REASON = "night.reason"
FOUND = "night.found."
"""Beginning of the tags with what each night found, as JSON."""
PARENT_DATA_TAG, REQUESTS_TAG = "data_parent", "requests"


def decide_promotion(
    config: Config,
    need: Path,
    grown: Path,
    bundle: Path,
    quantized: Path,
    comparison: Path,
    output: Path,
) -> dict[str, Any]:
    """Register the night's challenger and decide about it; writes ``decision.json``.

    Args:
        need: folder of the night's decision to train.
        grown: folder of the dataset that it was trained on.
        bundle, quantized: what is registered.
        comparison: folder of how it did beside the champion.

    Returns:
        The verdict with its reason, the versions and the counts.
    """
    decided = Need.read(need)
    client, _ = open_store(config)
    run, name = active_run(), config.tracking.registered_model
    compared, _ = read_comparison(comparison)
    data = json.loads((grown / "step.json").read_text(encoding="utf-8"))["result"]
    make_model(client, name)
    tags = {
        DATA_TAG: data["data_hash"],
        PARENT_DATA_TAG: data["parent"],
        REQUESTS_TAG: json.dumps(list(decided.requests)[:200]),
        AGAINST: str(decided.champion["version"]),
        PROMISE: json.dumps(_promise(compared)),
        SPLIT_TAG: json.dumps(split_beside(config, decided)),
    }
    version, is_new = register(client, run, config, name, bundle, quantized, more=tags)
    if BEGAN not in version.tags:
        client.set_model_version_tag(name, version.version, BEGAN, decided.night)
    client.set_registered_model_alias(name, CHALLENGER, version.version)
    result = _decide(client, config, run, decided, str(version.version), compared, output)
    return {**result, "registered": is_new, "data_hash": data["data_hash"]}


def decide_held(config: Config, need: Path, comparison: Path, output: Path) -> dict[str, Any]:
    """Decide about the challenger that is held, with what this night found as well; else as `decide_promotion`."""
    decided = Need.read(need)
    client, _ = open_store(config)
    compared, _ = read_comparison(comparison)
    assert decided.challenger is not None
    return _decide(client, config, active_run(), decided, str(decided.challenger["version"]), compared, output)


def held_challenger(client: MlflowClient, name: str, champion: ModelVersion) -> ModelVersion | None:
    """The challenger that is held against this champion, if there is one."""
    version = champion_of(client, name, CHALLENGER)
    if version is None or version.tags.get(STATE) != "hold" or version.tags.get(AGAINST) != str(champion.version):
        return None
    return version


def judged(version: ModelVersion) -> list[str]:
    """Specifications that a challenger has been judged on."""
    return list(_outcomes(version.tags, version.tags.get(AGAINST, "")))


def evidence(tags: Mapping[str, str], champion: str) -> Evidence:
    """All that the nights found of a version beside one champion; a specification counts once, as it was found first."""
    outcomes = _outcomes(tags, champion).values()
    by_class = tallied((str(name), (bool(ours), bool(theirs))) for name, ours, theirs in outcomes)
    return Evidence(by_class, len(_found(tags, champion)))


def _found(tags: Mapping[str, str], champion: str) -> list[dict[str, Any]]:
    """What each night found beside a champion, in the order of the nights."""
    found = [json.loads(text) for key, text in sorted(tags.items()) if key.startswith(FOUND)]
    return [night for night in found if night["champion"] == champion]


def _outcomes(tags: Mapping[str, str], champion: str) -> dict[str, list[Any]]:
    """Class, and whether the champion and the challenger met it, by specification."""
    outcomes: dict[str, list[Any]] = {}
    for night in _found(tags, champion):
        for name, outcome in night["outcomes"].items():
            outcomes.setdefault(name, outcome)
    return outcomes


def number_in_month(client: MlflowClient, config: Config, version: ModelVersion) -> int:
    """Which challenger of the month before it a version is, from 1."""
    own = datetime.fromisoformat(version.tags[BEGAN])
    since = own - timedelta(days=config.nights.month_nights)
    began = [
        datetime.fromisoformat(other.tags[BEGAN])
        for other in client.search_model_versions(f"name = '{version.name}'")
        if BEGAN in other.tags and int(other.version) < int(version.version)
    ]
    # A clock that was set back makes others seem to come later: they count too.
    return 1 + sum(time > since for time in began)


def _decide(
    client: MlflowClient,
    config: Config,
    run: StepRun,
    decided: Need,
    challenger: str,
    compared: list[Compared],
    output: Path,
) -> dict[str, Any]:
    name, settings = config.tracking.registered_model, config.nights
    output.mkdir(parents=True, exist_ok=True)
    against = str(decided.champion["version"])
    found = {"champion": against, "outcomes": {c.id: [c.circuit_class, *map(int, c.outcome)] for c in compared}}
    with promotion_lock(config):
        earlier = client.get_model_version(name, challenger).tags
        if compared:
            client.set_model_version_tag(name, challenger, f"{FOUND}{_key(decided.night)}", json.dumps(found))
        version = client.get_model_version(name, challenger)
        champion = champion_of(client, name)
        known = evidence(version.tags, against)
        level = level_of(settings.false_promotions, number_in_month(client, config, version))
        if champion is None:
            verdict = Verdict("hold", "the champion was deleted during the night; give some version the alias champion")
        elif int(champion.version) == int(challenger):
            verdict = Verdict("promote", "is the champion already")
        elif str(champion.version) != against:
            verdict = Verdict("reject", f"compared with version {against}, but the champion is {champion.version} now")
        elif settings.policy == "always":
            verdict = Verdict("promote", "the policy promotes every challenger")
        elif earlier.get(STATE) == "reject":
            verdict = Verdict("reject", f"the same bundle was rejected before: {earlier.get(REASON, '')}")
        else:
            verdict = known.verdict(level, settings.class_fall, settings.patience_nights)
        client.set_model_version_tag(name, challenger, REASON, verdict.reason[:4000])
        client.set_model_version_tag(name, challenger, STATE, verdict.action)
        if verdict.action == "promote":
            # The last change: what comes before it can be repeated.
            client.set_registered_model_alias(name, CHAMPION, challenger)
    total = sum(known.tallies.values(), Tally())
    result: dict[str, Any] = {
        "action": verdict.action,
        "reason": verdict.reason,
        "model": name,
        "version": int(challenger),
        "champion_version": int(decided.champion["version"]),
        "nights": known.nights,
        "level": level,
        **total.content(),
        "challenger_share": total.challenger if total.specifications else 0.0,
        "champion_share": total.champion if total.specifications else 0.0,
    }
    content = {**result, "classes": {key: tally.content() for key, tally in known.tallies.items()}}
    write_json(output / DECISION, content)
    run.log_artifact(output / DECISION)
    run.set_tags({"night": verdict.action, "night.reason": verdict.reason[:4000]}, parent=True)
    return result


@contextmanager
def promotion_lock(config: Config) -> Iterator[None]:
    """Nights of one machine take turns to decide about one registered model."""
    with locked(f"promotion-{store_uri(config)}-{config.tracking.registered_model}", everywhere=True):
        yield


def split_beside(config: Config, decided: Need) -> dict[str, Any]:
    """How topologies are held out: as configured, but none that the champion was trained on."""
    theirs = decided.champion.get("split") or {}
    share = config.preparation.test_share
    return {"seed": config.seed, "test_share": min(share, float(theirs.get("test_share", share)))}


def held_out_beside(config: Config, decided: Need) -> Config:
    """The configuration with that split."""
    share = float(split_beside(config, decided)["test_share"])
    return dataclasses.replace(config, preparation=dataclasses.replace(config.preparation, test_share=share))


def _promise(compared: list[Compared]) -> dict[str, list[int]]:
    """What a challenger met of the specifications held out, by class."""
    found = tallies(item for item in compared if item.origin == HELD_OUT)
    return {name: [tally.both + tally.wins, tally.specifications] for name, tally in found.items()}


def _key(night: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in night)
