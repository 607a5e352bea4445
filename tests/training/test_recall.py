"""Precedents read back as rows: the circuits they were made of, as simulated, ready to be bred from and trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrf import classes, technology
from genrf.conditioning import Conditioning
from genrf.errors import InvalidInputError
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from training.config.schema import Config
from training.data.breeding import Individual
from training.data.chunks import individuals, read_rows, useful_individuals
from training.data.prepare import prepare_data
from training.data.recall import recall
from training.data.simulate import simulate_shard

SHARD = 900


@pytest.fixture(scope="module")
def recalled(config: Config, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recalled")
    assert recall(config, prepared, SHARD, folder)["lna"] == len(rows_in(folder)) > 10
    return folder


def rows_in(folder: Path) -> list[Individual]:
    return [row for table in read_rows(folder, "lna") for row in individuals(table, "lna")]


def test_every_precedent_is_a_useful_circuit_of_the_dataset(recalled: Path, shards: list[Path]) -> None:
    known: dict[str, list[Individual]] = {}
    for original in (row for folder in shards for row in useful_individuals(folder, "lna")):
        known.setdefault(original.fingerprint, []).append(original)
    for row in rows_in(recalled):
        # The nearest in value of that topology; a step of the grid may be lost with half precision.
        distance = min(
            float(np.abs(np.log(np.array(row.circuit.values) / np.array(original.circuit.values))).max())
            for original in known[row.fingerprint]
            if original.conditions.supply_v == row.conditions.supply_v
        )
        assert distance < 0.01


def test_a_recalled_circuit_simulated_again_has_about_the_metrics_that_it_came_with(
    prepared: Path, recalled: Path
) -> None:
    rows = rows_in(recalled)[:10]
    process, conditioning = technology.get("sg13g2"), Conditioning.load(prepared)
    with Judge(workers=1, technology=process.name) as pool:
        outcomes = pool.run([Simulation(row.circuit, row.conditions) for row in rows])
    for row, outcome in zip(rows, outcomes, strict=True):
        assert outcome.metrics is not None
        for name in classes.get("lna").label_metrics:
            # What is far beyond what the data hold is kept at the end of the models' scale.
            scaled = conditioning.encode_metrics("lna", outcome.metrics)[[conditioning.metrics.index(name)]]
            (simulated,) = conditioning.in_own_units("lna", name, scaled)
            # Within 2 %, or 0.1 dB where a metric is a level.
            assert row.metrics[name] == pytest.approx(simulated, rel=0.02, abs=0.1 if "_db" in name else 0.0)


def test_recalled_circuits_can_be_bred_from_and_prepared_with_what_is_born(
    config: Config, recalled: Path, tmp_path: Path
) -> None:
    simulate_shard(config, 1, tmp_path, earlier=recalled)
    ancestors, born = {row.row for row in rows_in(recalled)}, rows_in(tmp_path)
    assert ancestors & {parent for row in born for parent in row.parents}
    report = prepare_data(config, [recalled, tmp_path], tmp_path / "prepared")
    assert report["simulated"] == len(ancestors) + len(born)


def test_a_second_run_writes_nothing_again(config: Config, prepared: Path, recalled: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in recalled.rglob("*.parquet")}
    recall(config, prepared, SHARD, recalled)
    assert {path: path.stat().st_mtime_ns for path in recalled.rglob("*.parquet")} == before


def test_a_folder_without_precedents_is_refused(config: Config, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "normalisation.json").write_bytes((prepared / "normalisation.json").read_bytes())
    with pytest.raises(InvalidInputError, match="no precedents of class lna"):
        recall(config, tmp_path, SHARD, tmp_path / "out")
    assert not (tmp_path / "out").exists()
