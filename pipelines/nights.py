"""Play nights on this machine: ``python -m pipelines.nights --nights 3``, or ``make nights N=3``.

A stream of requests moves to a band that the first generator was never trained on. Each night the champion serves the stream,
which fills the feedback log, and then the real nightly pipeline runs on that log. Three generators live through the same nights:

``retrained``  retrains where requests are missed, and promotes on evidence
``always``     retrains every night, also on what was met, and promotes whatever comes out
``fixed``      never retrains

Everything is below ``runs/nights/``: ``summary.json``, ``success.svg``, a folder for each of the three, and an MLflow store and
a DVC remote for all. What is done already is kept: a play that was stopped goes on.

With ``--still`` the stream stays in the first band, at what circuits there are known to do: there is nothing to do then, and the
summary says what it cost to find out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from genrf import classes
from genrf.conditions import Constraint
from genrf.errors import GenRFError
from genrf.feedback.log import VARIABLE, open_log
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.files import write_json
from genrf.generation.bundle import Bundle
from genrf.spec import DesignSpec
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.data.chunks import useful_individuals
from training.data.dvc_repository import RECORD, REMOTE
from training.data.simulate import simulate_shard
from training.data.versions import CONFIG_KEY, record, simulation_digest
from training.evaluation.trials import bundle_designer
from training.nights.need import Share
from training.release.registry import CHALLENGER, CHAMPION, DATA_TAG, bundle_of, champion_of, make_model
from training.running.processes import Processes
from training.running.store import TRACKING_URI, open_store

FOLDER = Path("runs") / "nights"
RECIPE = "nights"
FIRST = "first"
POLICIES = (RETRAINED, ALWAYS, FIXED) = ("retrained", "always", "fixed")
CLASS = "lna"
NEW_BAND_HZ = (40e9, 50e9)
NEW_SUPPLIES_V = (1.2, 1.5)
REQUESTS = 40
"""Requests of a night."""
CALLS = 64
_STREAM_SEED = 77
_LOW_POWER = 0.5
"""Share of the useful circuits, those of least power, that the moved stream asks for."""
_HARDER = 0.2
COLOURS = {RETRAINED: "#c0392b", ALWAYS: "#7a7a7a", FIXED: "#1f5fa8"}
LABELS = {RETRAINED: "promotes on evidence", ALWAYS: "promotes whatever was trained", FIXED: "never retrains"}


def play(nights: int, still: bool, folder: Path) -> dict[str, Any]:
    """Play; returns the summary, which is also in ``summary.json``."""
    start = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with _environment(folder):
        config = load_config(DEFAULT_PATH, RECIPE)
        _first_champion(folder, config)
        stream = _stream(config, folder, nights, still)
        policies = (RETRAINED,) if still else POLICIES
        lives = {policy: _live(policy, stream, folder, config) for policy in policies}
    summary = {
        "nights": nights,
        "stream": "still" if still else "moved",
        "requests_a_night": REQUESTS,
        **{policy: [night["success"] for night in life] for policy, life in lives.items()},
        "lives": lives,
        "seconds": time.monotonic() - start,
    }
    write_json(folder / "summary.json", summary)
    _draw(summary, folder / "success.svg")
    return summary


def _live(
    policy: str, stream: Sequence[Sequence[Mapping[str, Any]]], folder: Path, config: Config
) -> list[dict[str, Any]]:
    """One generator through all nights: served before each night, and once after the last."""
    home = folder / policy
    home.mkdir(exist_ok=True)
    shutil.copyfile(DEFAULT_PATH, home / DEFAULT_PATH)
    life: list[dict[str, Any]] = []
    for number, requests in enumerate(stream):
        done = home / f"night-{number}.json"
        if not done.is_file():
            served = _serve(policy, number, requests, folder, config)
            last = number == len(stream) - 1
            night = {} if policy == FIXED or last else _night(policy, home, config)
            write_json(done, {"night": number, **served, **night})
        life.append(json.loads(done.read_text(encoding="utf-8")))
        success, outcome = life[-1]["success"], life[-1].get("outcome", "")
        typer.echo(
            f"{policy}, night {number}: {success['met']} of {success['of']} met{f', {outcome}' if outcome else ''}"
        )
    return life


def _serve(
    policy: str, number: int, requests: Sequence[Mapping[str, Any]], folder: Path, config: Config
) -> dict[str, Any]:
    """The champion answers a night's requests, and its log grows."""
    home = folder / policy
    client, _ = open_store(config)
    champion = champion_of(client, f"nights-{policy}")
    assert champion is not None
    bundle = Bundle.load(bundle_of(champion, home / "serving"))
    model = ModelVersion(bundle=bundle.identity, name=champion.name, version=str(champion.version))
    specs = [DesignSpec.from_dict(content) for content in requests]
    # What the same models were asked by another generator's callers has the same answers.
    answered = folder / "answers" / f"{bundle.identity[:12]}-{number}.json"
    if not answered.is_file():
        server = partial(_server, config, bundle.folder, model, bundle.precision)
        with Processes(min(2, len(specs)), server) as processes:
            answers = list(processes.map(specs))
        answered.parent.mkdir(exist_ok=True)
        write_json(answered, answers)
    answers = json.loads(answered.read_text(encoding="utf-8"))
    records = [dataclasses.replace(SearchRecord.parse(content), model=model) for content in answers]
    open_log(str(home / "feedback")).append(records)
    met = Share(sum(record.met for record in records), len(records))
    return {
        "champion": int(champion.version),
        "success": {"met": met.met, "of": met.of, "share": met.share, "interval": list(met.interval)},
        "spice_calls": sum(record.simulated for record in records),
    }


@contextmanager
def _server(config: Config, folder: Path, model: ModelVersion, variant: str) -> Iterator[Any]:
    with bundle_designer(config, Bundle.load(folder)) as designer:

        def answer(spec: DesignSpec) -> dict[str, Any]:
            result = designer.design(spec, calls=CALLS, stop_when_met=True)
            return SearchRecord.of_result(result, source="server", model=model, variant=variant, calls=CALLS).content()

        yield answer


def _data_versions(config: Config, policy: str) -> dict[str, str | None]:
    """DVC's hash of the data of the champion, and of the challenger if there is one."""
    client, _ = open_store(config)
    versions = {alias: champion_of(client, f"nights-{policy}", alias) for alias in (CHAMPION, CHALLENGER)}
    return {alias: None if version is None else version.tags.get(DATA_TAG) for alias, version in versions.items()}


def _night(policy: str, home: Path, config: Config) -> dict[str, Any]:
    """The real pipeline, on this generator's log and registered model."""
    start = time.monotonic()
    overrides: dict[str, Any] = {"tracking.registered_model": f"nights-{policy}"}
    if policy == ALWAYS:
        # What it promotes anyway need not be judged on much.
        overrides |= {"nights.policy": "always", "nights.judged": 1, "preparation.specifications_per_level": 1}
    command = [sys.executable, "-m", "pipelines", "night", "--recipe", RECIPE]
    for key, value in overrides.items():
        command += ["--set", f"{key}={value}"]
    environment = {**os.environ, VARIABLE: str((home / "feedback").resolve())}
    done = subprocess.run(command, cwd=home, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise GenRFError(f"{policy}: the night failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    night = json.loads((home / "runs" / "night" / "night.json").read_text(encoding="utf-8"))
    return {
        "outcome": night["outcome"],
        "reason": night["reason"],
        "night_seconds": time.monotonic() - start,
        "night_spice_calls": sum(night["simulated"].values()),
        "data_versions": _data_versions(config, policy),
    }


def _first_champion(folder: Path, config: Config) -> None:
    """The training pipeline makes the first champion, which all three generators begin with.

    What it trained is a challenger of the released weights there, which know all bands: here it is the champion from the start.
    """
    client, _ = open_store(config)
    name = config.tracking.registered_model
    if champion_of(client, name, CHALLENGER) is None:
        home = folder / FIRST
        home.mkdir(exist_ok=True)
        shutil.copyfile(DEFAULT_PATH, home / DEFAULT_PATH)
        typer.echo("training the first champion")
        _first_dataset(home, config)
        command = [sys.executable, "-m", "pipelines", "run", "--recipe", RECIPE]
        done = subprocess.run(command, cwd=home, check=False, capture_output=True, text=True)
        if done.returncode:
            raise GenRFError(f"the first champion: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    first = champion_of(client, name, CHALLENGER)
    assert first is not None
    for policy in POLICIES:
        own = f"nights-{policy}"
        make_model(client, own)
        if champion_of(client, own) is None:
            version = client.create_model_version(own, str(first.source), first.run_id, tags=dict(first.tags))
            client.set_registered_model_alias(own, CHAMPION, version.version)


def _first_dataset(home: Path, config: Config) -> None:
    """Simulate the first dataset and record it as the version that the training pipeline pulls."""
    rows = home / "rows"
    simulate_shard(config, 0, rows)
    meta = {"recipe": RECIPE, CONFIG_KEY: simulation_digest(config)}
    record_of = {
        "outs": [{"md5": record(rows, home), "hash": "md5", "path": RECORD.removesuffix(".dvc")}],
        "meta": meta,
    }
    (home / RECORD).write_text(yaml.safe_dump(record_of), encoding="utf-8")


def _stream(config: Config, folder: Path, nights: int, still: bool) -> list[list[dict[str, Any]]]:
    """Requests of every night, and of the day after: what circuits achieve that no generator has seen."""
    path = folder / "stream.json"
    if path.is_file():
        known: list[list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
        if len(known) > nights:
            return known[: nights + 1]
    data = dataclasses.replace(config.data, shards=1, rounds=4)
    if not still:
        low, high = NEW_BAND_HZ
        data = dataclasses.replace(
            data, frequency_min_hz=low, frequency_max_hz=high, frequency_bands=2, supplies_v=NEW_SUPPLIES_V
        )
    source = dataclasses.replace(config, classes=(CLASS,), seed=_STREAM_SEED, data=data)
    simulate_shard(source, 0, folder / "stream")
    useful = useful_individuals(folder / "stream", CLASS)
    definition = classes.get(CLASS)
    if not still:
        useful.sort(key=lambda individual: individual.metrics["power_w"])
        useful = useful[: int(_LOW_POWER * len(useful))]
    rng = np.random.default_rng(_STREAM_SEED)
    wanted = [definition.metrics[name] for name in definition.specification_metrics]
    requests = []
    for index in rng.permutation(len(useful))[: (nights + 1) * REQUESTS]:
        individual = useful[index]
        bounds = [
            Constraint(
                metric.name,
                metric.sense,
                individual.metrics[metric.name] + (0.0 if still else _harder(individual.metrics[metric.name], metric)),
            )
            for metric in wanted
        ]
        spec = DesignSpec(
            circuit_class=CLASS,
            conditions=individual.conditions,
            constraints=(*bounds, *definition.requirements),
        )
        requests.append(spec.to_dict())
    stream = [requests[start : start + REQUESTS] for start in range(0, len(requests), REQUESTS)]
    write_json(path, stream)
    return stream


def _harder(value: float, metric: Any) -> float:
    return _HARDER * abs(value) * metric.sign


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    before = dict(os.environ)
    os.environ[TRACKING_URI] = f"sqlite:///{(folder / 'mlflow.db').resolve()}"
    os.environ[REMOTE] = str((folder / "dvc").resolve())
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _draw(summary: Mapping[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for policy, colour in COLOURS.items():
        if policy not in summary:
            continue
        success = summary[policy]
        numbers = range(len(success))
        low, high = np.array([item["interval"] for item in success]).T
        shares = np.array([item["share"] for item in success])
        axes.errorbar(
            numbers,
            100 * shares,
            yerr=100 * np.maximum(0.0, [shares - low, high - shares]),
            color=colour,
            marker="o",
            capsize=3,
            label=LABELS[policy],
        )
    axes.set(xlabel="after night", ylabel=f"requests met within {CALLS} SPICE calls (%)", ylim=(0, 103))
    axes.set_xticks(range(summary["nights"] + 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main(
    nights: Annotated[int, typer.Option(min=1, help="Nights to play.")] = 3,
    still: Annotated[
        bool, typer.Option("--still", help="Requests stay where the first generator was trained.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Where everything goes.", show_default="runs/nights")] = None,
) -> None:
    """Play nights with a stream of requests, and compare generators that live through them."""
    try:
        summary = play(nights, still, folder or (FOLDER.with_name("nights-still") if still else FOLDER))
    except GenRFError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    typer.echo(json.dumps({key: value for key, value in summary.items() if key != "lives"}))


if __name__ == "__main__":
    typer.run(main)
