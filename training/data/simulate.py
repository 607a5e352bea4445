"""Simulate the dataset: islands of circuits, each evolved over rounds and written as Parquet.

An island (shard) depends on nothing but the configuration, its number and the versions, so islands run anywhere and in any
order. Within an island a round breeds from the rounds before it. A chunk of a round is the unit of work: it is written whole
or not at all, and a killed run continues with the first chunk that is missing.

A dataset grows by further islands that start from what was simulated before instead of from nothing. Circuits that failed are
rows too, with the cause and without metrics: the surrogate learns from them which circuits work.

Folder layout: ``<output>/<class>/shard-000-round-00-chunk-000.parquet`` and ``<output>/<class>/shard-000.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress, TaskID

from genrf import classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.cores import cores, granted
from genrf.errors import InvalidInputError
from genrf.files import write_json
from genrf.progress import progress_bar
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from genrf.technology.base import Technology
from training.config.schema import Config, per_class
from training.data.breeding import Breeder, Candidate, Individual, SearchSpace, random_candidate
from training.data.chunks import (
    ROWS_PER_SHARD,
    chunk_file,
    individuals,
    read_table,
    stamp,
    useful_individuals,
    write_chunk,
)
from training.data.split import Topologies, split_of


def simulate_shard(
    config: Config, shard: int, output: Path, earlier: Path | None = None, *, topologies: Topologies = "all"
) -> dict[str, Any]:
    """Simulate one island of every circuit class of the configuration.

    Args:
        shard: number of the island, from 0; not one of the earlier dataset's.
        output: folder to write into; chunks already there are kept.
        earlier: dataset whose useful circuits the first round breeds from; its rows must stay part of the dataset, since
            rows of this island descend from them.
        topologies: which to simulate: all; those of ``training`` alone, so that a dataset grows and what is tested on stays;
            or ``held-out`` ones alone, where that takes more circuits than the few that an island comes by.

    Returns:
        Counts over all classes: circuits simulated, failures by cause, and useful circuits by round.

    Raises:
        InvalidInputError: if no topology is held out and such were asked for.
    """
    if topologies == "held-out" and config.preparation.test_share == 0.0:
        raise InvalidInputError("preparation.test_share: is 0, so that no topology is held out; set a share above 0")
    process = technology.get(config.technology)
    totals: Counter[str] = Counter()
    useful: list[dict[str, int]] = []
    # A pod uses what it asked its node for, so that it asks for what it uses.
    workers = granted() or config.data.workers or cores()
    with Judge(workers=workers, technology=config.technology) as pool, progress_bar() as progress:
        for circuit_class in config.classes:
            island = _Island(config, circuit_class, shard, output, process, pool, topologies)
            report = island.run(progress, useful_individuals(earlier, circuit_class) if earlier else [])
            totals["simulated"] += report["simulated"]
            totals.update({f"failed_{cause}": count for cause, count in report["failed"].items()})
            useful.extend(report["rounds"])
    last = [entry for entry in useful if entry["round"] == config.data.rounds - 1]
    return {
        **totals,
        "useful_share_last_round": sum(e["useful"] for e in last) / max(1, sum(e["simulated"] for e in last)),
    }


class _Island:
    """One class on one shard."""

    def __init__(
        self,
        config: Config,
        circuit_class: str,
        shard: int,
        output: Path,
        process: Technology,
        pool: Judge,
        topologies: Topologies,
    ) -> None:
        self._config = config
        self._data = config.data
        self._topologies = topologies
        self._circuits = per_class(config.data.circuits_per_round, circuit_class)
        self._seed = (config.seed, classes.names().index(circuit_class), shard)
        self._class = circuit_class
        self._shard = shard
        self._folder = output / circuit_class
        self._technology = process
        self._pool = pool
        self._space = SearchSpace(
            frequency_min_hz=self._data.frequency_min_hz,
            frequency_max_hz=self._data.frequency_max_hz,
            supplies_v=tuple(self._data.supplies_v),
            bands=self._data.frequency_bands,
        )
        self._stamp = stamp(process, self._seed)

    def run(self, progress: Progress, ancestors: Sequence[Individual]) -> dict[str, Any]:
        """Simulate what is missing; returns the island's report, which is also written beside the chunks."""
        self._folder.mkdir(parents=True, exist_ok=True)
        population = list(ancestors)
        failed: Counter[str] = Counter()
        rounds = []
        total = self._data.rounds * self._circuits
        task = progress.add_task(f"{self._class} shard {self._shard}", total=total)
        for number in range(self._data.rounds):
            breeder = Breeder(
                self._class, population, self._data.elite_per_band, self._space, self._technology, self._rng(number, -1)
            )
            born: list[Individual] = []
            for chunk, start in enumerate(range(0, self._circuits, self._data.chunk)):
                count = min(self._data.chunk, self._circuits - start)
                path = self._folder / chunk_file(self._shard, number, chunk)
                if not path.exists():
                    self._simulate_chunk(path, number, chunk, start, count, breeder, progress, task)
                table = read_table(path)
                for individual in individuals(table, self._class):
                    if individual.failure is None:
                        born.append(individual)
                    else:
                        failed[individual.failure] += 1
                progress.update(task, completed=number * self._circuits + start + count)
            definition = classes.get(self._class)
            rounds.append(
                {
                    "round": number,
                    "simulated": self._circuits,
                    "succeeded": len(born),
                    "useful": sum(definition.is_useful(individual.metrics) for individual in born),
                }
            )
            population.extend(born)
        report = {"simulated": total, "failed": dict(sorted(failed.items())), "rounds": rounds, **self._stamp}
        write_json(self._folder / f"shard-{self._shard:03d}.json", report)
        return report

    def _simulate_chunk(
        self,
        path: Path,
        number: int,
        chunk: int,
        start: int,
        count: int,
        breeder: Breeder,
        progress: Progress,
        task: TaskID,
    ) -> None:
        rng = self._rng(number, chunk)
        first_row = self._shard * ROWS_PER_SHARD + number * self._circuits + start
        candidates: list[Candidate] = []

        def simulations() -> Iterator[Simulation]:
            for _ in range(count):
                candidate = self._draw(breeder, rng)
                candidates.append(candidate)
                yield Simulation(candidate.circuit, candidate.conditions)

        born: list[Individual] = []
        for index, outcome in enumerate(self._pool.run_iter(simulations())):
            candidate = candidates[index]
            born.append(
                Individual(
                    row=first_row + index,
                    parents=candidate.parents,
                    circuit=candidate.circuit,
                    fingerprint=fingerprint(candidate.circuit.topology),
                    conditions=candidate.conditions,
                    metrics=dict(outcome.metrics or {}),
                    failure=outcome.failure.cause if outcome.failure is not None else None,
                )
            )
            if index % 200 == 0:
                progress.update(task, completed=number * self._circuits + start + index)
        write_chunk(path, born, self._class, number, self._shard, self._stamp)

    def _draw(self, breeder: Breeder, rng: np.random.Generator) -> Candidate:
        while True:
            candidate = (
                random_candidate(self._class, self._space, self._technology, rng)
                if breeder.empty or rng.random() < self._data.random_share
                else breeder.offspring(rng)
            )
            if self._topologies == "all":
                return candidate
            held_out = split_of(fingerprint(candidate.circuit.topology), self._config) == "test"
            if held_out == (self._topologies == "held-out"):
                return candidate

    def _rng(self, number: int, chunk: int) -> np.random.Generator:
        # A chunk of -1 is the round's own stream, from which parents are picked.
        return np.random.default_rng((*self._seed, number, chunk + 1))
