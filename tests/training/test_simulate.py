"""The dataset: simulated in rounds, deterministic, resumed after a kill, honest about what failed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from genrf import classes, technology
from genrf.circuit.canonical import canonical_circuit, fingerprint
from genrf.circuit.tokens import Tokens, decode
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from training.config.schema import Config
from training.data.breeding import Breeder, Individual, SearchSpace, random_candidate, retune
from training.data.chunks import individuals, useful_individuals, write_chunk
from training.data.simulate import simulate_shard
from training.data.split import Topologies, split_of


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("lna/*"))}


def test_a_killed_island_continues_and_ends_in_the_same_bytes(
    config: Config, shards: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(shards[0], tmp_path / "again")
    chunks = sorted((tmp_path / "again" / "lna").glob("*.parquet"))
    for chunk in chunks[len(chunks) // 2 :]:
        chunk.unlink()
    (tmp_path / "again" / "lna" / "shard-000.json").unlink()
    simulate_shard(config, 0, tmp_path / "again")
    assert files(tmp_path / "again") == files(shards[0])


def test_every_circuit_is_a_row_with_metrics_or_the_cause_of_its_failure(config: Config, shards: list[Path]) -> None:
    for number, folder in enumerate(shards):
        report = json.loads((folder / "lna" / f"shard-{number:03d}.json").read_text())
        causes: Counter[str] = Counter()
        rows = [row for path in folder.glob("lna/*.parquet") for row in pq.read_table(path).to_pylist()]
        for row in rows:
            assert (row["failure"] is None) == (row["gain_db"] is not None)
            causes.update([row["failure"]] if row["failure"] else [])
        assert len(rows) == report["simulated"] == config.data.rounds * config.data.circuits_per_round
        assert report["failed"] == dict(causes) != {}


def test_a_row_simulated_again_has_the_metrics_that_were_recorded(shards: list[Path]) -> None:
    every = pq.read_table(sorted(shards[1].glob("lna/*.parquet"))[-1]).to_pylist()
    rows = [row for row in every if not row["failure"]][:10]
    jobs = []
    for row in rows:
        tokens = Tokens(np.array(row["kinds"], np.int8), np.array(row["nets"], np.int8).reshape(-1, 3))
        circuit = Circuit(decode(tokens, "lna"), tuple(row["values"]))
        conditions = Conditions(frequency_hz=row["condition_frequency_hz"], supply_v=row["condition_supply_v"])
        jobs.append(Simulation(circuit, conditions))
    with Judge(workers=1) as pool:
        outcomes = pool.run(jobs)
    for row, outcome in zip(rows, outcomes, strict=True):
        assert outcome.metrics is not None
        assert {name: row[name] for name in outcome.metrics} == dict(outcome.metrics)


def test_later_rounds_descend_from_earlier_ones(shards: list[Path]) -> None:
    for folder in shards:
        born: dict[int, int] = {}
        for path in sorted(folder.glob("lna/*.parquet")):
            for row in pq.read_table(path, columns=["row", "round", "parents"]).to_pylist():
                born[row["row"]] = row["round"]
                assert all(born[parent] < row["round"] for parent in row["parents"])
        assert max(born.values()) == 2


def test_islands_share_no_rows_and_differ(shards: list[Path]) -> None:
    first, second = (pq.read_table(sorted(f.glob("lna/*.parquet"))[0]).to_pylist() for f in shards)
    assert not {row["row"] for row in first} & {row["row"] for row in second}
    assert first[0]["values"] != second[0]["values"]


def test_retuning_keeps_every_reactance() -> None:
    rng = np.random.default_rng(3)
    definition = classes.get("lna")
    topology = definition.sample_topology(rng)
    values = definition.first_order_values(topology, Conditions(frequency_hz=10e9, supply_v=1.5), rng)
    before = Circuit(topology, tuple(values))
    after = retune(before, 10e9, 30e9)
    for device, old, new in zip(topology.devices, before.values, after.values, strict=True):
        assert np.isclose(new, old / 3 if device.kind in ("inductor", "capacitor") else old)


def random_population(count: int, useful: int, rng: np.random.Generator) -> list[Individual]:
    """Circuits of different topologies, of which the first few are said to be useful."""
    definition = classes.get("lna")
    conditions = Conditions(frequency_hz=10e9, supply_v=1.5)
    good = {"gain_db": 15, "nf_db": 2, "s11_db": -15, "s22_db": -12, "s12_db": -30, "bandwidth_hz": 1e9, "mu_min": 1.1}
    population = []
    for row in range(count):
        topology = definition.sample_topology(rng)
        metrics = {**good, "power_w": 0.01} if row < useful else {**good, "gain_db": -20.0, "power_w": 0.01}
        population.append(
            Individual(
                row=row,
                parents=(-1, -1),
                circuit=Circuit(topology, tuple(definition.first_order_values(topology, conditions, rng))),
                fingerprint=fingerprint(topology),
                conditions=conditions,
                metrics=metrics,
            )
        )
    return population


SPACE = SearchSpace(frequency_min_hz=2e9, frequency_max_hz=60e9, supplies_v=(1.5,), bands=1)


def test_breeding_prefers_what_is_useful() -> None:
    rng = np.random.default_rng(5)
    breeder = Breeder("lna", random_population(40, 4, rng), 4, SPACE, technology.get("sg13g2"), rng)
    assert {breeder.offspring(rng).parents[0] for _ in range(50)} <= {0, 1, 2, 3}


def test_no_topology_takes_over() -> None:
    """Hundreds of the best circuits share one topology; the others breed all the same."""
    rng = np.random.default_rng(6)
    population = random_population(20, 20, rng)
    best = {**population[0].metrics, "gain_db": 25.0}
    crowd = [replace(population[0], row=100 + index, metrics=best) for index in range(200)]
    breeder = Breeder("lna", [*population, *crowd], 40, SPACE, technology.get("sg13g2"), rng)
    parents = [breeder.offspring(rng).parents[0] for _ in range(400)]
    from_crowd = sum(parent == 0 or parent >= 100 for parent in parents) / len(parents)
    # A trade-off picks five: two of the crowd, and three others.
    assert 0.3 < from_crowd < 0.5
    assert len({parent for parent in parents if 0 < parent < 100}) >= 3


def test_candidates_are_in_canonical_form() -> None:
    rng = np.random.default_rng(7)
    process = technology.get("sg13g2")
    candidates = [random_candidate("lna", SPACE, process, rng) for _ in range(40)]
    breeder = Breeder("lna", random_population(20, 10, rng), 8, SPACE, process, rng)
    candidates += [breeder.offspring(rng) for _ in range(80)]
    for candidate in candidates:
        assert canonical_circuit(candidate.circuit) == candidate.circuit


def test_an_island_that_starts_from_a_dataset_breeds_from_its_useful_rows(
    config: Config, shards: list[Path], tmp_path: Path
) -> None:
    data = replace(config.data, rounds=1, circuits_per_round=60, random_share=0.0)
    simulate_shard(replace(config, data=data), 5, tmp_path, earlier=shards[0])
    known = {individual.row for individual in useful_individuals(shards[0], "lna")}
    rows = [row for path in tmp_path.glob("lna/*.parquet") for row in pq.read_table(path).to_pylist()]
    assert rows
    for row in rows:
        assert row["parents"]
        assert known.issuperset(row["parents"])
        assert row["row"] not in known


def test_an_island_can_keep_to_the_topologies_to_train_on_or_to_those_held_out(config: Config, tmp_path: Path) -> None:
    data = replace(config.data, rounds=2, circuits_per_round=40)
    wanted: tuple[Topologies, ...] = ("all", "training", "held-out")
    splits: dict[str, set[str]] = {}
    for topologies in wanted:
        simulate_shard(replace(config, data=data), 5, tmp_path / topologies, topologies=topologies)
        splits[topologies] = {
            split_of(fingerprint, config)
            for path in tmp_path.glob(f"{topologies}/lna/*.parquet")
            for fingerprint in pq.read_table(path)["fingerprint"].to_pylist()
        }
    assert splits == {
        "all": {"train", "validation", "test"},
        "training": {"train", "validation"},
        "held-out": {"test"},
    }
    nothing_held_out = replace(config, preparation=replace(config.preparation, test_share=0.0))
    with pytest.raises(InvalidInputError, match="test_share: is 0"):
        simulate_shard(nothing_held_out, 5, tmp_path / "none", topologies="held-out")


def test_the_frequency_that_an_oscillator_is_asked_for_and_the_one_it_has_are_both_kept(tmp_path: Path) -> None:
    definition, conditions = classes.get("vco"), Conditions(frequency_hz=10e9, supply_v=1.5)
    topology = definition.sample_topology(np.random.default_rng(1))
    circuit = Circuit(topology, tuple(definition.first_order_values(topology, conditions, np.random.default_rng(1))))
    metrics = {**dict.fromkeys(definition.label_metrics, 1.0), "frequency_hz": 11e9, "frequency_error_percent": 10.0}
    written = Individual(
        row=1,
        parents=(-1, -1),
        circuit=circuit,
        fingerprint=fingerprint(topology),
        conditions=conditions,
        metrics=metrics,
    )
    path = tmp_path / "chunk.parquet"
    write_chunk(path, [written], "vco", 0, 0, {})
    assert individuals(pq.read_table(path), "vco") == [written]


def test_a_chunk_of_which_every_circuit_failed_reads_like_the_others(shards: list[Path], tmp_path: Path) -> None:
    full = pq.read_table(sorted(shards[0].glob("lna/*.parquet"))[0])
    path = tmp_path / "shard-000-round-00-chunk-000.parquet"
    (one, *_) = individuals(full, "lna")
    write_chunk(path, [replace(one, metrics={}, failure="oscillation")], "lna", 0, 0, {})
    lost = pq.read_table(path)
    assert [(i.failure, i.metrics) for i in individuals(lost, "lna")] == [("oscillation", {})]
    assert lost.schema.remove_metadata() == full.schema.remove_metadata()
