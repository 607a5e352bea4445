"""Simulate where the generator is weak: its own proposals for specifications that it is likely to miss.

A target is a training circuit of the Pareto front near its frequency, with every bound made harder by a random share. The
generator searches for it and stops when it is met, so that most calls go to what it misses. Everything that it simulates becomes
rows: the surrogate learns where it misled the search, the sizing model what the search found.

Files are named as those of `training.data.simulate`, with the number of its next round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto, technology
from genrf.circuit.canonical import fingerprint
from genrf.conditioning import Conditioning
from genrf.generation.designer import Designer
from genrf.progress import progress_bar
from genrf.spec import DesignSpec
from training.config.schema import Config
from training.data.breeding import Individual
from training.data.chunks import ROWS_PER_SHARD, chunk_file, stamp, write_chunk
from training.data.rows import Rows
from training.data.specifications import near_in_frequency, specification_of
from training.data.split import Topologies, split_of

HARDEST = 0.15
"""Largest share of its size by which a bound is made harder."""
CALLS = 32
"""SPICE calls for a target."""
TARGETS_PER_FILE = 8
RIVALS = 2000
"""Training circuits that a target's place on the front is judged by."""


def simulate_weak_spots(
    config: Config,
    open_designer: Callable[[], Designer],
    prepared: Path,
    shard: int,
    targets: int,
    output: Path,
    circuit_classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Let the generator search for hard specifications and keep all that it simulates.

    Args:
        open_designer: the generator, with one simulator a process or more.
        prepared: folder written by `training.data.prepare.prepare_data`; targets come from its training rows.
        shard: number of the new rows' shard, unused so far.
        targets: how many specifications of each class to search for.
        output: dataset folder to write into; files already there are kept.
        circuit_classes: by default all of the configuration.

    Returns:
        Circuits simulated, failures by cause, and the share of the targets that was met, over all classes.
    """
    train = Rows.load(prepared / "train.npz")
    conditioning = Conditioning.load(prepared)
    totals: Counter[str] = Counter()
    with open_designer() as designer, progress_bar() as progress:
        for name in circuit_classes or config.classes:
            rng = np.random.default_rng((config.seed, classes.names().index(name), shard, config.data.rounds))
            specs = _targets(name, train, conditioning, targets, rng)
            task = progress.add_task(f"{name} targets", total=targets)
            totals += search_targets(
                config, designer, specs, shard, output, calls=CALLS, done=partial(progress.advance, task)
            )
    return {**totals, "met": totals["met"] / max(1, totals["targets"])}


def search_targets(
    config: Config,
    designer: Designer,
    specs: Sequence[DesignSpec],
    shard: int,
    output: Path,
    *,
    calls: int,
    topologies: Topologies = "all",
    done: Callable[[], object] = lambda: None,
) -> Counter[str]:
    """Let a designer search for specifications of one class and keep all that it simulates as rows.

    Args:
        shard: number of the new rows' shard; a file of it that is there already is kept, and its targets are not searched.
        output: dataset folder to write into.
        calls: SPICE calls for a target at most; a search ends once it has met its target.
        topologies: ``training`` leaves out rows of topologies that are held out.
        done: called after each target.

    Returns:
        Targets, how many were met, circuits simulated, failures by cause.
    """
    process = technology.get(config.technology)
    totals: Counter[str] = Counter()
    name = specs[0].circuit_class if specs else ""
    seed = (config.seed, classes.names().index(name), shard) if specs else ()
    for chunk, first in enumerate(range(0, len(specs), TARGETS_PER_FILE)):
        path = output / name / chunk_file(shard, config.data.rounds, chunk)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        first_row = shard * ROWS_PER_SHARD + first * calls
        born: list[Individual] = []
        for number, spec in enumerate(specs[first : first + TARGETS_PER_FILE], start=first):
            result = designer.design(spec, calls=calls, seed=number, stop_when_met=True)
            totals.update({f"failed_{cause}": count for cause, count in result.failed.items()})
            totals["met"] += result.first_met is not None
            totals["targets"] += 1
            totals["simulated"] += result.simulated
            designs = sorted(result.designs, key=lambda design: int(design.provenance["order"]))
            simulated = [(design.circuit, dict(design.metrics), None) for design in designs]
            for circuit, metrics, failure in [*simulated, *((c, {}, cause) for c, cause in result.failed_circuits)]:
                own = fingerprint(circuit.topology)
                if topologies == "training" and split_of(own, config) == "test":
                    continue
                born.append(
                    Individual(
                        row=first_row + len(born),
                        parents=(-1, -1),
                        circuit=circuit,
                        fingerprint=own,
                        conditions=spec.conditions,
                        metrics=metrics,
                        failure=failure,
                    )
                )
            done()
        write_chunk(path, born, name, config.data.rounds, shard, stamp(process, seed))
    return totals


def _targets(
    circuit_class: str, train: Rows, conditioning: Conditioning, count: int, rng: np.random.Generator
) -> list[DesignSpec]:
    """Specifications at and beyond the front of the useful training circuits."""
    own = np.flatnonzero((train.circuit_class == circuit_class) & train.useful)
    gains = train.take(own).maximized(circuit_class, conditioning.metrics)  # (N, n)
    specs: list[DesignSpec] = []
    while len(specs) < count:
        pick = int(rng.integers(len(own)))
        if _dominated(pick, gains, train.frequency_hz[own], rng):
            continue
        specs.append(
            specification_of(
                train,
                int(own[pick]),
                conditioning.metrics,
                harder=rng.uniform(-0.02, HARDEST),
                name=f"{circuit_class}-target-{len(specs)}",
            )
        )
    return specs


def _dominated(
    pick: int, gains: NDArray[np.float64], frequency_hz: NDArray[np.float64], rng: np.random.Generator
) -> bool:
    """Whether one of some training circuits at about the same frequency is at least as good in every metric."""
    near = np.flatnonzero(near_in_frequency(frequency_hz, float(frequency_hz[pick])))
    rivals = rng.choice(near, size=min(RIVALS, len(near)), replace=False)
    rivals = rivals[rivals != pick]
    return bool(pareto.reach(gains[rivals], gains[pick]).any())
