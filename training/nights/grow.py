"""The dataset grows where requests were missed: what searches for them simulate, and islands bred around them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from genrf import technology
from genrf.files import write_json
from genrf.generation.bundle import Bundle
from genrf.progress import progress_bar
from genrf.spec import DesignSpec
from training.config.schema import Config, per_class
from training.data.chunks import FILE_NAME, shard_of, stamp, useful_individuals
from training.data.dvc_repository import REMOTE
from training.data.recall import recall
from training.data.simulate import simulate_shard
from training.data.split import split_of
from training.data.versions import VERSION, pull, reachable, record
from training.data.weak_spots import search_targets
from training.evaluation.trials import bundle_designer
from training.nights.decide import held_out_beside
from training.nights.need import growth
from training.nights.records import CHAMPION_FOLDER, ROWS_FOLDER, Need
from training.nights.validation import BadDataError, validate

_FIRST = "first-shard.json"


def grow_data(config: Config, need: Path, output: Path, root: Path = Path()) -> dict[str, Any]:
    """Make a new version of the champion's dataset; the old one stays as it is.

    The champion's rows are pulled by their hash. Of a champion that has no version, such as the released weights, the precedents
    take their place.

    Args:
        need: folder of the night's decision, with the champion's bundle.
        output: folder to write; ``rows`` in it is the dataset.
        root: folder of the repository, whose DVC remote takes the new version.

    Returns:
        ``data_hash`` and ``parent`` of the version, and what was simulated.

    Raises:
        BadDataError: if the new rows are not fit to train on; no version is made then.
    """
    decided = Need.read(need)
    config = held_out_beside(config, decided)
    worked = [name for name, specs in decided.targets.items() if specs]
    if not worked:
        raise BadDataError("no requests to make data for; the night should have ended before")
    champion, rows = need / CHAMPION_FOLDER, output / ROWS_FOLDER
    parent = str(decided.champion.get("data_version") or "")
    if not rows.is_dir() or not (output / _FIRST).is_file():
        _bring(config, parent, champion, rows, root)
        write_json(output / _FIRST, _next_shard(rows))
    shard = int(json.loads((output / _FIRST).read_text(encoding="utf-8")))
    totals: Counter[str] = Counter()
    with bundle_designer(config, Bundle.load(champion)) as designer, progress_bar() as progress:
        for name in worked:
            specs = decided.targets[name]
            task = progress.add_task(f"{name} missed requests", total=len(specs))
            totals += search_targets(
                config,
                designer,
                specs,
                shard,
                rows,
                calls=per_class(config.nights.target_calls, name),
                topologies="training",
                done=partial(progress.advance, task),
            )
    for name in worked:
        narrowed = _narrowed(config, name, decided.targets[name])
        for island in range(config.nights.islands):
            report = simulate_shard(narrowed, shard + 1 + island, rows, earlier=rows, topologies="training")
            totals.update({key: count for key, count in report.items() if isinstance(count, int)})
    checked = {name: _validate(config, name, rows, shard) for name in worked}
    made_with = stamp(technology.get(config.technology), (config.seed, shard))
    told = {"parent": parent or None, "night": decided.night, "requests": list(decided.requests), **made_with}
    write_json(rows / VERSION, told)
    return {
        "data_hash": record(rows, root),
        "parent": parent,
        "pulled": True,
        "first_shard": shard,
        **{f"{key}/{name}": count for name, counts in checked.items() for key, count in counts.items()},
        **totals,
    }


def _bring(config: Config, parent: str, champion: Path, rows: Path, root: Path) -> None:
    """The rows that the champion was trained on; of one without a version its precedents, with an island to test on where they
    have none.

    Raises:
        BadDataError: if the champion's version cannot be reached: its rows are not to be lost.
    """
    shutil.rmtree(rows, ignore_errors=True)
    if parent:
        if not reachable(parent, root):
            raise BadDataError(
                f"dataset {parent}, which the champion was trained on, cannot be reached; restore the remote ({REMOTE}), then "
                "run the night again"
            )
        pull(parent, rows, root)
        return
    for name in config.classes:
        own = dataclasses.replace(config, classes=(name,))
        recall(own, champion, 0, rows)
        if not any(split_of(known.fingerprint, config) == "test" for known in useful_individuals(rows, name)):
            simulate_shard(own, 1, rows, topologies="held-out")


def _next_shard(rows: Path) -> int:
    return 1 + max((shard_of(path) for path in rows.glob("*/*.parquet") if FILE_NAME.fullmatch(path.name)), default=-1)


def _narrowed(config: Config, circuit_class: str, missed: Sequence[DesignSpec]) -> Config:
    data = dataclasses.replace(config.data, **growth(config, circuit_class, missed))
    return dataclasses.replace(config, classes=(circuit_class,), data=data)


def _validate(config: Config, circuit_class: str, rows: Path, first_shard: int) -> dict[str, Any]:
    files = sorted((rows / circuit_class).glob("*.parquet"))
    new = [path for path in files if shard_of(path) >= first_shard]
    return validate(config, circuit_class, new, [path for path in files if path not in new])
