"""From simulated rows to what the models train on: splits, normalisation, arrays and held-out specifications.

Splits are by topology: every row of a test fingerprint is test. A row that descends from a test row but has another topology
is set aside, so that nothing derived from a held-out circuit is trained on.

Folder layout: ``train.npz``, ``validation.npz``, ``test.npz`` (arrays of `Rows`), for each of them ``<split>-failed.npz`` (arrays
of `CircuitRows`), ``normalisation.json`` and ``specifications.json``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.normalise import normalise
from genrf.circuit.tokens import MAX_DEVICES
from genrf.conditioning import CLIP, Conditioning, fit
from genrf.errors import InvalidInputError
from genrf.files import write_json
from genrf.generation.precedents import Precedents, file_name
from genrf.spec import RELATIVE_TO
from training.config.schema import Config, per_class
from training.data.chunks import CONDITION_PREFIX, FILE_NAME, read_table
from training.data.dominance import domination_counts
from training.data.rows import SPLITS, CircuitRows, Rows, at_own_frequency, failed_file
from training.data.specifications import SPECIFICATIONS_FILE, held_out_specifications, write_specifications
from training.data.split import split_of

WEIGHT_DECAY_PER_SHORTFALL = 5.0
"""Rows that miss usefulness by 2 dB are drawn 1/e as often as useful ones when the sizing model trains."""
WEIGHT_FLOOR = 0.02


def prepare_data(
    config: Config, shards: Sequence[Path], output: Path, normalisation: Path | None = None
) -> dict[str, Any]:
    """Split the rows of all shards, fit the normalisation, and choose the held-out specifications.

    Args:
        shards: folders written by `training.data.simulate.simulate_shard`.
        output: folder to write.
        normalisation: folder of a bundle or of prepared data whose normalisation is kept, as it must be for training that goes
            on from weights; by default it is fitted to the training rows.

    Raises:
        InvalidInputError: if there are no rows of a class, or if the normalisation lacks one of the classes.
        CheckpointError: if the normalisation cannot be read.
    """
    kept = _kept_normalisation(config, normalisation) if normalisation is not None else None
    output.mkdir(parents=True, exist_ok=True)
    tables, failed, split, failed_split = {}, {}, {}, {}
    for name in config.classes:
        table = _read(shards, name)
        simulated, own = table["failure"].is_null().to_numpy(), _split(table, config)
        tables[name], split[name] = table.filter(pa.array(simulated)), own[simulated]
        failed[name], failed_split[name] = table.filter(pa.array(~simulated)), own[~simulated]
        if not simulated.any():
            raise InvalidInputError(f"class {name}: none of {len(table)} circuits worked; simulate more")
    conditioning = kept or fit(
        config.classes,
        {
            name: {
                metric: table[metric].to_numpy()[(split[name] == "train") & _useful(table, name)]
                for metric in classes.get(name).label_metrics
            }
            for name, table in tables.items()
        },
    )
    most = max(len(table) for table in tables.values())
    # Drawn as often as the square root of how many there are: neither by numbers alone, nor each class alike.
    balance = {name: (most / len(table)) ** 0.5 for name, table in tables.items()}
    rows = Rows.joined([_rows(table, name, conditioning, balance[name]) for name, table in tables.items()])
    assignment = np.concatenate([split[name] for name in config.classes])
    parts = {name: rows.take(assignment == name) for name in SPLITS}
    for name, part in parts.items():
        part.save(output / f"{name}.npz")
        lost = [
            _failed_rows(table.filter(pa.array(failed_split[c] == name)), c, conditioning, balance[c])
            for c, table in failed.items()
        ]
        CircuitRows.joined(lost).save(output / failed_file(name))
    conditioning.save(output)
    _save_precedents(config, parts["train"], conditioning, output)
    specifications = held_out_specifications(config, parts["train"], parts["test"], conditioning.metrics)
    write_specifications(specifications, output / SPECIFICATIONS_FILE)
    report: dict[str, Any] = {f"rows_{name}": len(part) for name, part in parts.items()}
    report["rows_set_aside"] = int((assignment == "aside").sum())
    report["topologies"] = len(np.unique(rows.fingerprint))
    report["useful_share"] = float(rows.useful.mean())
    for level in config.preparation.levels:
        report[f"specifications_{level}"] = sum(item.level == level for item in specifications)
    report["dataset_sha256"] = _digest(shards, config.classes)
    report.update(_simulation_counts(tables, failed))
    # A topology's place is drawn from the seed and the topology alone, so it is the same in every dataset of that seed.
    report["split"] = {"seed": config.seed, "test_share": config.preparation.test_share}
    report["classes"] = {name: _class_report(rows, assignment, name) for name in config.classes}
    write_json(output / "report.json", report)
    return report


def _kept_normalisation(config: Config, folder: Path) -> Conditioning:
    kept = Conditioning.load(folder)
    for name in config.classes:
        if name not in kept.classes:
            raise InvalidInputError(
                f"{folder}: no normalisation for class {name}, only for {', '.join(kept.classes)}; prepare without it and "
                "train from the start"
            )
    return kept


def _save_precedents(config: Config, train: Rows, conditioning: Conditioning, output: Path) -> None:
    """Useful training circuits of each class, at most as many as configured: those that fewest others surpass, which are the
    likeliest to meet a specification, and of equal ones those drawn at random."""
    rng = np.random.default_rng((config.seed, 29))
    for name in config.classes:
        own = rng.permutation(np.flatnonzero(train.useful & (train.circuit_class == name)))
        rows = at_own_frequency(train.take(own), conditioning, name)
        chosen, most = np.arange(len(own)), per_class(config.preparation.precedents, name)
        if len(own) > most:
            chosen = np.argsort(domination_counts(rows, conditioning, name), kind="stable")[:most]
        rows = rows.take(chosen[np.argsort(own[chosen])])
        precedents = Precedents(
            kinds=rows.kinds,
            nets=rows.nets,
            values=rows.values.astype(np.float16),
            metrics=rows.metrics.astype(np.float16),
            conditions=rows.conditions,
        )
        precedents.save(output / file_name(name), compressed=True)


def _class_report(rows: Rows, assignment: NDArray[np.str_], circuit_class: str) -> dict[str, Any]:
    """Of one class: circuits that simulated, by split, and what conditions they cover."""
    own = rows.circuit_class == circuit_class
    return {
        "rows": int(own.sum()),
        **{f"rows_{name}": int((own & (assignment == name)).sum()) for name in SPLITS},
        "useful": int(rows.useful[own].sum()),
        "topologies": len(np.unique(rows.fingerprint[own])),
        "frequency_hz": [float(rows.frequency_hz[own].min()), float(rows.frequency_hz[own].max())],
        "supply_v": [float(rows.supply_v[own].min()), float(rows.supply_v[own].max())],
    }


def _read(shards: Sequence[Path], circuit_class: str) -> pa.Table:
    """All rows of a class in order of birth."""
    paths = sorted(
        (path for shard in shards for path in (Path(shard) / circuit_class).glob("*.parquet")), key=lambda p: p.name
    )
    if not paths:
        raise InvalidInputError(
            f"no simulated rows of class {circuit_class} below {', '.join(map(str, shards)) or 'nothing'}"
        )
    tables: list[pa.Table] = []
    for path in paths:
        if not FILE_NAME.fullmatch(path.name):
            raise InvalidInputError(
                f"{path}: not a file of simulated rows, whose names are shard-S-round-R-chunk-C.parquet"
            )
        table = read_table(path)
        if "failure" not in table.column_names:
            raise InvalidInputError(f"{path}: no column failure, so of an earlier version; simulate the dataset again")
        tables.append(table.replace_schema_metadata(None))
    return pa.concat_tables(tables).sort_by("row")


def _split(table: pa.Table, config: Config) -> NDArray[np.str_]:
    """Split of each row: train, validation, test, or aside for what descends from a test row."""
    splits = {fingerprint: split_of(fingerprint, config) for fingerprint in table["fingerprint"].unique().to_pylist()}
    split = np.array([splits[fingerprint] for fingerprint in table["fingerprint"].to_pylist()], dtype="<U10")
    test = split == "test"
    position = {row: index for index, row in enumerate(table["row"].to_pylist())}
    tainted = test.copy()
    for index, parents in enumerate(table["parents"].to_pylist()):
        # Rows are in order of birth, so a parent's state is known before its children's.
        if not tainted[index] and any(tainted[position[parent]] for parent in parents):
            tainted[index] = True
    split[tainted & ~test] = "aside"
    return split


def _rows(table: pa.Table, circuit_class: str, conditioning: Conditioning, balance: float) -> Rows:
    count = len(table)
    kinds, nets, values = _slots(table)
    frequency = _condition(table, "frequency_hz")
    definition = classes.get(circuit_class)
    position = conditioning.classes.index(circuit_class)
    measured = np.full((count, len(conditioning.metrics)), np.nan)
    standardised = np.full_like(measured, np.nan)
    for index, name in enumerate(conditioning.metrics):
        if name in definition.label_metrics:
            measured[:, index] = table[name].to_numpy()
            scaled = definition.metrics[name].normalise_all(measured[:, index])
            mean, deviation = conditioning.mean[position][index], conditioning.deviation[position][index]
            standardised[:, index] = np.clip((scaled - mean) / deviation, -CLIP, CLIP)
    shortfall = _shortfall(table, circuit_class)
    return Rows(
        kinds=kinds,
        nets=nets,
        values=normalise(kinds, values, frequency).astype(np.float32),
        metrics=standardised.astype(np.float32),
        conditions=_conditions(table, circuit_class, conditioning),
        weight=np.maximum(np.exp(-WEIGHT_DECAY_PER_SHORTFALL * shortfall), WEIGHT_FLOOR).astype(np.float32),
        balance=np.full(count, balance, dtype=np.float32),
        values_si=values,
        measured=measured,
        frequency_hz=frequency,
        supply_v=_condition(table, "supply_v"),
        useful=shortfall == 0.0,
        circuit_class=np.full(count, circuit_class),
        fingerprint=np.array(table["fingerprint"].to_pylist(), dtype="<U16"),
        row=table["row"].to_numpy(),
    )


def _failed_rows(table: pa.Table, circuit_class: str, conditioning: Conditioning, balance: float) -> CircuitRows:
    kinds, nets, values = _slots(table)
    return CircuitRows(
        kinds=kinds,
        nets=nets,
        values=normalise(kinds, values, _condition(table, "frequency_hz")).astype(np.float32),
        conditions=_conditions(table, circuit_class, conditioning),
        balance=np.full(len(table), balance, dtype=np.float32),
    )


def _conditions(table: pa.Table, circuit_class: str, conditioning: Conditioning) -> NDArray[np.float32]:
    names = ("frequency_hz", "supply_v", "source_ohm", "load_ohm")
    return conditioning.encode_condition_rows(circuit_class, *(_condition(table, name) for name in names))


def _condition(table: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table[CONDITION_PREFIX + name].to_numpy()
    return values


def _slots(table: pa.Table) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.float64]]:
    """Ragged lists of devices as padded arrays: kinds (N, M), nets (N, M, 3), values (N, M)."""
    count = len(table)
    lists = {name: table[name].combine_chunks() for name in ("kinds", "nets", "values")}
    sizes = np.diff(lists["kinds"].offsets.to_numpy())
    filled = np.arange(MAX_DEVICES) < sizes[:, None]  # (N, M)
    kinds = np.zeros((count, MAX_DEVICES), dtype=np.int8)
    nets = np.zeros((count, MAX_DEVICES, 3), dtype=np.int8)
    values = np.zeros((count, MAX_DEVICES))
    kinds[filled] = lists["kinds"].flatten().to_numpy()
    nets[filled] = lists["nets"].flatten().to_numpy().reshape(-1, 3)
    values[filled] = lists["values"].flatten().to_numpy()
    return kinds, nets, values


def _useful(table: pa.Table, circuit_class: str) -> NDArray[np.bool_]:
    return _shortfall(table, circuit_class) == 0.0


def _shortfall(table: pa.Table, circuit_class: str) -> NDArray[np.float64]:
    """Total relative shortfall from usefulness, (N,)."""
    definition = classes.get(circuit_class)
    total = np.zeros(len(table))
    for constraint in definition.useful:
        metric = definition.metrics[constraint.metric]
        sign = 1.0 if constraint.sense == ">=" else -1.0
        short = sign * (metric.normalise(constraint.bound) - metric.normalise_all(table[constraint.metric].to_numpy()))
        total += np.maximum(0.0, short / RELATIVE_TO[metric.scale])
    return total


def _digest(shards: Sequence[Path], class_names: Sequence[str]) -> str:
    """One hash over all Parquet files, independent of where the shards lie."""
    digest = hashlib.sha256()
    for name in class_names:
        paths = sorted(
            (path for shard in shards for path in (Path(shard) / name).glob("*.parquet")), key=lambda p: p.name
        )
        for path in paths:
            digest.update(path.name.encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _simulation_counts(tables: Mapping[str, pa.Table], failed: Mapping[str, pa.Table]) -> dict[str, Any]:
    """How many circuits were simulated, how many failed of which cause, and how many of the last round were useful."""
    causes: Counter[str] = Counter()
    simulated: Counter[int] = Counter()
    useful: Counter[int] = Counter()
    for name, table in tables.items():
        causes.update(failed[name]["failure"].to_pylist())
        simulated.update(failed[name]["round"].to_pylist())
        for counter, chosen in ((simulated, slice(None)), (useful, _useful(table, name))):
            numbers, counts = np.unique(table["round"].to_numpy()[chosen], return_counts=True)
            counter.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
    last = max(simulated)
    return {
        "simulated": simulated.total(),
        **{f"failed_{cause}": count for cause, count in sorted(causes.items())},
        "useful_share_last_round": useful[last] / max(1, simulated[last]),
    }
