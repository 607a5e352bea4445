"""A dataset from the precedents of a bundle: who has only released weights can breed and train on from what they were trained on.

Precedents are the useful training circuits of a dataset. Their values and metrics are stored in half precision: values are
snapped to the process's grid again, and a metric is within a thousandth of a standard deviation of what was simulated. An
oscillator is taken to have been asked for the frequency that it has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genrf import classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.conditioning import Conditioning
from genrf.errors import InvalidInputError
from genrf.generation.precedents import Precedents, precedents_in
from genrf.progress import progress_bar
from genrf.technology.base import Technology
from training.config.schema import Config
from training.data.breeding import Individual
from training.data.chunks import ROWS_PER_SHARD, chunk_file, stamp, write_chunk


def recall(config: Config, folder: Path, shard: int, output: Path) -> dict[str, Any]:
    """Write precedents as the rows of a shard; chunks already there are kept.

    Args:
        config: says which classes, which process and how many rows a file.
        folder: of a bundle, with its precedents and their normalisation.
        shard: number of the rows' shard, unused in the dataset so far.
        output: dataset folder to write into.

    Returns:
        How many rows each class has.

    Raises:
        InvalidInputError: if there are no precedents of a class.
        CheckpointError: if a file is damaged or there is no normalisation.
    """
    process = technology.get(config.technology)
    made_with = stamp(process, (config.seed, shard))
    conditioning, source = Conditioning.load(folder), precedents_in(folder)
    report: dict[str, Any] = {}
    with progress_bar() as progress:
        for name in config.classes:
            known = source(name)
            if known is None or len(known) == 0:
                raise InvalidInputError(f"{folder}: no precedents of class {name}; choose another bundle")
            report[name] = len(known)
            (output / name).mkdir(parents=True, exist_ok=True)
            task = progress.add_task(f"{name} precedents", total=len(known))
            for chunk, start in enumerate(range(0, len(known), config.data.chunk)):
                path = output / name / chunk_file(shard, 0, chunk)
                own = np.arange(start, min(start + config.data.chunk, len(known)))
                if not path.exists():
                    first_row = shard * ROWS_PER_SHARD + start
                    rows = simulated_before(known.take(own), name, conditioning, process, first_row)
                    write_chunk(path, rows, name, 0, shard, made_with)
                progress.advance(task, len(own))
    return report


def simulated_before(
    known: Precedents, circuit_class: str, conditioning: Conditioning, process: Technology, first_row: int
) -> list[Individual]:
    """Precedents as simulated circuits without parents, numbered from ``first_row``."""
    definition = classes.get(circuit_class)
    measured = {
        name: conditioning.in_own_units(circuit_class, name, known.metrics[:, conditioning.metrics.index(name)])
        for name in definition.label_metrics
    }
    rows = []
    for index, (circuit, conditions) in enumerate(known.circuits(circuit_class, conditioning, process)):
        metrics = {name: float(column[index]) for name, column in measured.items()}
        if definition.own_frequency is not None:
            metrics[definition.own_frequency.metric] = conditions.frequency_hz
            metrics[definition.own_frequency.error_percent] = 0.0
        rows.append(
            Individual(
                row=first_row + index,
                parents=(-1, -1),
                circuit=circuit,
                fingerprint=fingerprint(circuit.topology),
                conditions=conditions,
                metrics=metrics,
            )
        )
    return rows
