"""New rows are looked at before anything is trained on them: one bad night must not spoil the dataset of all nights to come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genrf import classes, technology
from genrf.circuit.devices import KINDS
from genrf.circuit.tokens import KIND_TOKENS
from genrf.errors import GenRFError
from training.config.schema import Config
from training.data.chunks import read_table
from training.data.split import split_of


class BadDataError(GenRFError):
    """New rows are not fit to train on."""


def validate(config: Config, circuit_class: str, new: Sequence[Path], known: Sequence[Path]) -> dict[str, Any]:
    """Look at the new files of one class.

    Args:
        new: files of rows.
        known: files that the dataset had before.

    Returns:
        How many rows are new, how many of them failed and how many the dataset had already.

    Raises:
        BadDataError: naming file or class, what is wrong, and what is allowed.
    """
    tables = [(path, read_table(path)) for path in new]
    for path, table in tables:
        _check_schema(path, table, circuit_class)
        _check_values(path, table, circuit_class, config.technology)
        _check_split(path, table, config)
    rows = [key for _, table in tables for key in _keys(table)]
    if not rows:
        raise BadDataError(f"class {circuit_class}: the night simulated nothing; look at its targets and islands")
    failed = sum(table["failure"].null_count for _, table in tables)
    failed = len(rows) - failed
    before = {key for path in known for key in _keys(read_table(path))}
    repeated = sum(key in before for key in rows) + len(rows) - len(set(rows))
    settings = config.nights
    for what, count, largest, name in (
        ("failed to simulate", failed, settings.largest_failed_share, "largest_failed_share"),
        ("are there already", repeated, settings.largest_repeated_share, "largest_repeated_share"),
    ):
        if count > largest * len(rows):
            raise BadDataError(
                f"class {circuit_class}: {count} of {len(rows)} new circuits {what}, more than nights.{name} allows "
                f"({100 * largest:.0f} %); nothing is trained on them"
            )
    return {"rows": len(rows), "failed": failed, "repeated": repeated}


def _check_schema(path: Path, table: pa.Table, circuit_class: str) -> None:
    wanted = {
        "row",
        "parents",
        "fingerprint",
        "kinds",
        "nets",
        "values",
        "failure",
        *classes.get(circuit_class).label_metrics,
    }
    lacking = wanted - set(table.column_names)
    if lacking:
        raise BadDataError(f"{path}: lacks the columns {', '.join(sorted(lacking))}; simulate it again")


def _check_values(path: Path, table: pa.Table, circuit_class: str, process: str) -> None:
    simulated = table.filter(pa.compute.is_null(table["failure"]))
    for name in classes.get(circuit_class).label_metrics:
        if not np.isfinite(simulated[name].to_numpy()).all():
            raise BadDataError(f"{path}: {name}: a circuit that simulated has no finite value; simulate it again")
    kinds = np.concatenate([np.asarray(row, np.int64) for row in table["kinds"].to_pylist()] or [np.zeros(0, np.int64)])
    values = np.concatenate([np.asarray(row, float) for row in table["values"].to_pylist()] or [np.zeros(0)])
    for kind in KINDS:
        low, high = technology.get(process).value_range(kind)
        own = values[kinds == KIND_TOKENS[kind]]
        # Range ends are floating-point numbers too.
        # "not" so that what is no number fails too.
        if own.size and not (own.min() >= low * (1 - 1e-9) and own.max() <= high * (1 + 1e-9)):
            raise BadDataError(
                f"{path}: {kind}: values from {own.min():.4g} to {own.max():.4g}, the process has {low:.4g} to {high:.4g}"
            )


def _check_split(path: Path, table: pa.Table, config: Config) -> None:
    held_out = [name for name in table["fingerprint"].unique().to_pylist() if split_of(name, config) == "test"]
    if held_out:
        raise BadDataError(f"{path}: topology {held_out[0]} is held out for the test; no night may simulate it")


def _keys(table: pa.Table) -> list[tuple[Any, ...]]:
    """What makes a row another than the others: topology, values, conditions."""
    columns = [table[name].to_pylist() for name in ("fingerprint", "values", *_conditions(table))]
    return [(name, tuple(values), *conditions) for name, values, *conditions in zip(*columns, strict=True)]


def _conditions(table: pa.Table) -> list[str]:
    from training.data.chunks import CONDITION_PREFIX

    return [name for name in table.column_names if name.startswith(CONDITION_PREFIX)]
