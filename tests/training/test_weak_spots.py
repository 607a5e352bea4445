"""Rows from the generator's own search: aimed beyond the training front, recorded like every other row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from genrf import classes
from genrf.circuit.tokens import Tokens, decode
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning
from genrf.spec import DesignSpec
from tests.scripted_designer import ScriptedDesigner
from training.config.schema import Config
from training.data.chunks import useful_individuals
from training.data.prepare import prepare_data
from training.data.rows import Rows
from training.data.weak_spots import HARDEST, TARGETS_PER_FILE, simulate_weak_spots

SHARD = 7
TARGETS = TARGETS_PER_FILE + 1


class Recorder(ScriptedDesigner):
    """Remembers what it was asked for."""

    def __init__(self, circuits: list[Circuit], asked: list[DesignSpec]) -> None:
        super().__init__(circuits)
        self._asked = asked

    def design(self, spec: DesignSpec, **options):
        self._asked.append(spec)
        return super().design(spec, **options)


@pytest.fixture(scope="module")
def train(prepared: Path) -> Rows:
    return Rows.load(prepared / "train.npz")


@pytest.fixture(scope="module")
def opened(train: Rows) -> Callable[[list[DesignSpec]], Recorder]:
    circuits = []
    for index in np.flatnonzero(train.useful)[:3]:
        topology = decode(Tokens(train.kinds[index], train.nets[index]), "lna")
        circuits.append(Circuit(topology, tuple(train.values_si[index, : len(topology.devices)].tolist())))
    return lambda asked: Recorder(circuits, asked)


@pytest.fixture(scope="module")
def grown(config: Config, prepared: Path, opened, tmp_path_factory) -> tuple[Path, dict, list[DesignSpec]]:
    output, asked = tmp_path_factory.mktemp("grown"), []
    return output, simulate_weak_spots(config, lambda: opened(asked), prepared, SHARD, TARGETS, output), asked


def test_targets_are_at_or_beyond_what_training_circuits_do(grown, train: Rows, prepared: Path) -> None:
    _, _, asked = grown
    conditioning = Conditioning.load(prepared)
    assert len(asked) == TARGETS
    for spec in asked:
        own = np.flatnonzero(train.frequency_hz == spec.conditions.frequency_hz)
        hardness = []
        for constraint in spec.constraints:
            if constraint.metric not in classes.get("lna").specification_metrics:
                continue
            value = train.measured[own[0], conditioning.metrics.index(constraint.metric)]
            sign = 1.0 if constraint.sense == ">=" else -1.0
            hardness.append(sign * (constraint.bound - value) / abs(value))
        assert -0.02 <= min(hardness) <= max(hardness) <= HARDEST
        # One share for all of a target's bounds.
        assert max(hardness) - min(hardness) < 1e-9


def test_every_call_is_a_row(grown) -> None:
    output, report, _ = grown
    tables = [pq.read_table(path) for path in sorted(output.glob("lna/*.parquet"))]
    failed = Counter(cause for table in tables for cause in table["failure"].drop_null().to_pylist())
    rows = [row for table in tables for row in table["row"].to_pylist()]
    assert len(tables) == 2
    assert len(set(rows)) == len(rows)
    assert len(rows) == report["simulated"]
    assert failed == {key.removeprefix("failed_"): value for key, value in report.items() if key.startswith("failed_")}


def test_files_that_are_there_are_kept(config: Config, prepared: Path, opened, grown) -> None:
    output, _, _ = grown
    before = {path: path.read_bytes() for path in output.glob("lna/*.parquet")}
    asked: list[DesignSpec] = []
    simulate_weak_spots(config, lambda: opened(asked), prepared, SHARD, TARGETS, output)
    assert asked == []
    assert {path: path.read_bytes() for path in output.glob("lna/*.parquet")} == before


def test_the_dataset_grows_by_them(config: Config, shards: list[Path], grown, tmp_path: Path) -> None:
    output, _, _ = grown
    before = prepare_data(config, shards, tmp_path / "before")
    after = prepare_data(config, [*shards, output], tmp_path / "after")
    useful = len(useful_individuals(output, "lna"))
    assert after["simulated"] == before["simulated"] + grown[1]["simulated"]
    assert useful > 0
