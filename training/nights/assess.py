"""The beginning of a night: the log is read, the champion fetched, and it is decided whether there is anything to do."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.errors import CheckpointError, InvalidInputError
from genrf.feedback.log import VARIABLE, open_log
from genrf.feedback.record import SearchRecord
from genrf.generation.bundle import Bundle
from genrf.generation.precedents import precedents_in
from training.config.schema import Config, per_class
from training.nights.decide import held_challenger, judged
from training.nights.need import (
    ClassNeed,
    Share,
    asked_once,
    assess_class,
    comparable,
    judges,
    specification_id,
    targets,
)
from training.nights.records import CHALLENGER_FOLDER, CHAMPION_FOLDER, NEED, Action, Need
from training.release import first_champion
from training.release.first_champion import SPLIT_TAG
from training.release.registry import (
    CHAMPION,
    DATA_TAG,
    IDENTITIES,
    PROMISE,
    active_run,
    bundle_of,
    champion_of,
    make_model,
)
from training.running.store import open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LOG = "feedback"
"""Log that is read where the environment names none."""


def assess_need(config: Config, output: Path) -> dict[str, Any]:
    """Decide what the night does; writes ``need.json`` and the bundles of the champion and of a challenger that is held.

    Where there is no champion yet, the weights that come with the package become the first.

    Returns:
        ``action``, ``reason``, and counts of requests.

    Raises:
        InvalidInputError: if there is no champion and the package has no weights, or the log cannot be read.
    """
    output.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    place = os.environ.get(VARIABLE) or LOG
    reading = open_log(place).read(since=now - timedelta(days=config.nights.window_days))
    client, _ = open_store(config)
    name = config.tracking.registered_model
    make_model(client, name)
    champion = champion_of(client, name)
    if champion is None:
        champion = _first_champion(client, name)
    identities = _fetch(champion, output, CHAMPION_FOLDER)
    held = held_challenger(client, name, champion)
    if held is not None:
        _fetch(held, output, CHALLENGER_FOLDER)
    conditioning = Bundle.load(output / CHAMPION_FOLDER).conditioning
    if unknown := set(config.classes) - set(conditioning.classes):
        raise InvalidInputError(
            f"classes: the champion was not trained on {', '.join(sorted(unknown))}; leave them out, or train on all once"
        )
    served = [record for record in reading.records if record.model.bundle in identities]
    by_class = {each: _comparable(config, each, served) for each in config.classes}
    needs = _needs(config, champion, output / CHAMPION_FOLDER, by_class)
    always = config.nights.policy == "always"
    wanted = {
        need.circuit_class: _targets(config, by_class[need.circuit_class], always)
        for need in needs
        if need.work or always
    }
    wanted = {each: specs for each, specs in wanted.items() if specs}
    action, reason = _action(needs, list(wanted), held)
    asked = {each: [record for record in reading.records if record.circuit_class == each] for each in config.classes}
    names = {spec.name for specs in wanted.values() for spec in specs}
    Need(
        action=action,
        reason=reason,
        night=now.isoformat(timespec="seconds"),
        champion={
            "version": int(champion.version),
            "identity": Bundle.load(output / CHAMPION_FOLDER).identity,
            "data_version": champion.tags.get(DATA_TAG, ""),
            "split": json.loads(champion.tags.get(SPLIT_TAG, "{}")),
        },
        challenger=None if held is None else {"version": int(held.version), "judged": judged(held)},
        classes=tuple(_content(need) for need in needs),
        targets=wanted if action == "retrain" else {},
        judges={each: judges(asked[each], config.nights.judged) for each in config.classes},
        requests=tuple(r.id for own in by_class.values() for r in own if specification_id(r.specification) in names),
        poisoned=tuple(str(item) for item in reading.poisoned),
    ).write(output)
    active_run().log_artifact(output / NEED)
    return {
        "action": action,
        "reason": reason,
        "champion_version": int(champion.version),
        "requests": len(reading.records),
        "requests_served": len(served),
        "requests_missed": sum(not record.met for record in served),
        "poisoned": len(reading.poisoned),
        "targets": len(names) if action == "retrain" else 0,
    }


def _first_champion(client: MlflowClient, name: str) -> ModelVersion:
    """The weights that come with the package, of a model that has no version yet.

    Raises:
        InvalidInputError: if there are none, or if the model has versions: somebody took the alias away.
    """
    if client.search_model_versions(f"name = '{name}'", max_results=1):
        raise InvalidInputError(
            f"model {name} has versions and no champion: give one of them the alias {CHAMPION}, then run the night again"
        )
    champion = first_champion.register(client, active_run(), name)
    if champion is None:
        raise InvalidInputError(
            f"model {name} has no champion, and this package has no released weights; run genrf pipeline run once"
        )
    client.set_registered_model_alias(name, CHAMPION, champion.version)
    return champion


def _fetch(version: ModelVersion, output: Path, name: str) -> set[str]:
    """Bring a version's bundle into a folder of the step; returns the identities under which it may have been served."""
    arriving = output / f".{name}"
    folder = bundle_of(version, arriving)
    try:
        bundle = Bundle.load(folder)
    except CheckpointError as error:
        raise CheckpointError(
            f"model {version.name}: version {version.version} is damaged, {str(error).removeprefix(f'{folder}/')}; or give its "
            "alias to another version"
        ) from error
    shutil.rmtree(output / name, ignore_errors=True)
    shutil.copytree(folder, output / name)
    shutil.rmtree(arriving, ignore_errors=True)
    return {*json.loads(version.tags.get(IDENTITIES, "[]")), bundle.identity}


def _comparable(config: Config, circuit_class: str, records: Sequence[SearchRecord]) -> list[SearchRecord]:
    """Requests of a class, each once, as if they had all had the calls with which the champion was judged."""
    own = [record for record in records if record.circuit_class == circuit_class]
    return asked_once(comparable(own, per_class(config.evaluation.calls, circuit_class)))


def _needs(
    config: Config, champion: ModelVersion, folder: Path, by_class: Mapping[str, Sequence[SearchRecord]]
) -> list[ClassNeed]:
    promised = {key: Share(*counts) for key, counts in json.loads(champion.tags.get(PROMISE, "{}")).items()}
    conditioning, precedents = Bundle.load(folder).conditioning, precedents_in(folder)
    return [
        assess_class(config, each, own, promised.get(each, Share(0, 0)), conditioning, precedents)
        for each, own in by_class.items()
    ]


def _action(needs: Sequence[ClassNeed], worked: Sequence[str], held: ModelVersion | None) -> tuple[Action, str]:
    if held is not None:
        return "judge", f"version {held.version} is held and judged on"
    if worked:
        return "retrain", "; ".join(
            f"{need.circuit_class}: {need.reason}" for need in needs if need.circuit_class in worked
        )
    left = ", but all that was missed judges"
    return "nothing", "; ".join(f"{need.circuit_class}: {need.reason}{left if need.work else ''}" for need in needs)


def _targets(config: Config, records: Sequence[SearchRecord], every: bool) -> list[Any]:
    if every:
        records = [dataclasses.replace(record, met=False) for record in records]
    return targets(records, config.nights.targets)


def _content(need: ClassNeed) -> dict[str, Any]:
    """Plain data for ``need.json`` and its page."""
    return {
        "class": need.circuit_class,
        "work": need.work,
        "reason": need.reason,
        "requests": need.requests.of,
        "met": need.requests.met,
        "interval": list(need.requests.interval),
        "expected": need.promised,
        "quantities": {name: dataclasses.asdict(moved) for name, moved in need.quantities.items()},
        "bands": {name: [share.met, share.of] for name, share in need.bands.items()},
        "bounds": dict(need.bounds),
    }
