"""What a night simulated is looked at before anything is trained on it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from training.config.loading import load_config
from training.config.schema import Config
from training.data.simulate import simulate_shard
from training.nights.validation import BadDataError, validate

PARAMS = Path(__file__).parents[2] / "params.yaml"
MANY_FAILURES = 1.0


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(
        PARAMS,
        overrides={
            "classes": ["lna"],
            "data": {"rounds": 1, "circuits_per_round": 60, "chunk": 30, "frequency_bands": 2},
            "nights.largest_failed_share": MANY_FAILURES,
        },
    )


@pytest.fixture(scope="module")
def rows(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    simulate_shard(config, 0, folder, topologies="training")
    return folder


Alter = Callable[[pa.Table], pa.Table]


def with_settings(config: Config, **settings: float) -> Config:
    return dataclasses.replace(config, nights=dataclasses.replace(config.nights, **settings))


def files(folder: Path) -> list[Path]:
    return sorted((folder / "lna").glob("*.parquet"))


def altered(rows: Path, folder: Path, alter: Alter) -> list[Path]:
    """A copy of the rows with the first file changed."""
    shutil.copytree(rows / "lna", folder / "lna")
    path = files(folder)[0]
    pq.write_table(alter(pq.read_table(path)), path)
    return files(folder)


def with_column(name: str, change: Callable[[list[object]], list[object]]) -> Alter:
    def alter(table: pa.Table) -> pa.Table:
        column = table[name]
        values = pa.array(change(column.to_pylist()), column.type)
        return table.set_column(table.column_names.index(name), name, values)

    return alter


def test_good_rows_are_counted(config: Config, rows: Path) -> None:
    found = validate(config, "lna", files(rows), [])
    failed = sum(len(t) - t["failure"].null_count for t in map(pq.read_table, files(rows)))
    assert found == {"rows": 60, "failed": failed, "repeated": 0}


def test_a_file_without_a_metric_is_refused(config: Config, rows: Path, tmp_path: Path) -> None:
    new = altered(rows, tmp_path, lambda table: table.drop_columns(["nf_db"]))
    with pytest.raises(BadDataError, match=r"chunk-000\.parquet: lacks the columns nf_db"):
        validate(config, "lna", new, [])


def test_a_metric_that_is_not_a_number_is_refused(config: Config, rows: Path, tmp_path: Path) -> None:
    def spoil(values: list[object]) -> list[object]:
        first = next(index for index, value in enumerate(values) if value is not None)
        return [*values[:first], float("nan"), *values[first + 1 :]]

    new = altered(rows, tmp_path, with_column("gain_db", spoil))
    with pytest.raises(BadDataError, match="gain_db: a circuit that simulated has no finite value"):
        validate(config, "lna", new, [])


def test_a_value_outside_the_process_is_refused(config: Config, rows: Path, tmp_path: Path) -> None:
    new = altered(rows, tmp_path, with_column("values", lambda lists: [[1e12 for _ in own] for own in lists]))
    with pytest.raises(BadDataError, match=r"values from .* to 1e\+12, the process has"):
        validate(config, "lna", new, [])


def test_a_topology_that_is_held_out_is_refused(config: Config, rows: Path) -> None:
    preparation = dataclasses.replace(config.preparation, test_share=0.95, validation_share=0.01)
    with pytest.raises(BadDataError, match="is held out for the test; no night may simulate it"):
        validate(dataclasses.replace(config, preparation=preparation), "lna", files(rows), [])


def test_too_many_failures_stop_the_night_and_the_line_says_what_is_allowed(config: Config, rows: Path) -> None:
    assert any(pc.any(pc.is_valid(pq.read_table(path)["failure"])).as_py() for path in files(rows))
    with pytest.raises(
        BadDataError, match=r"of 60 new circuits failed to simulate, more than nights\.largest_failed_share"
    ):
        validate(with_settings(config, largest_failed_share=0.0), "lna", files(rows), [])


def test_rows_that_are_there_already_stop_the_night(config: Config, rows: Path) -> None:
    with pytest.raises(BadDataError, match="60 of 60 new circuits are there already"):
        validate(config, "lna", files(rows), files(rows))
    assert (
        validate(with_settings(config, largest_repeated_share=1.0), "lna", files(rows), files(rows))["repeated"] == 60
    )


def test_a_night_that_simulated_nothing_is_said(config: Config) -> None:
    with pytest.raises(BadDataError, match="class lna: the night simulated nothing"):
        validate(config, "lna", [], [])
