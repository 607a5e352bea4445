"""The files of a dataset: simulated circuits of one class and round as Parquet, written whole and read back.

Folder layout: ``<output>/<class>/shard-000-round-00-chunk-000.parquet``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genrf import __version__, classes
from genrf.circuit.devices import MAX_TERMINALS
from genrf.circuit.tokens import Tokens, decode, encode
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.files import written_whole
from genrf.metrics import current_label
from genrf.simulation.library import simulator_version
from genrf.simulation.testbench import MEASUREMENTS_VERSION
from genrf.technology.base import Technology
from training.data.breeding import Individual

CONDITION_PREFIX = "condition_"
"""Prefix of the columns that say what a row was simulated under: an oscillator is asked for one ``frequency_hz`` and has
another."""


ROWS_PER_SHARD = 1_000_000_000
"""Row numbers of shard s start at s times this."""


def read_rows(folder: Path, circuit_class: str) -> list[pa.Table]:
    """All tables of a class below a dataset folder, in order of file name."""
    return [read_table(path) for path in sorted((folder / circuit_class).glob("*.parquet"))]


def read_table(path: Path) -> pa.Table:
    """One file of simulated circuits, its metrics by the names that they have today."""
    table = pq.read_table(path)
    return table.rename_columns([current_label(name) for name in table.column_names])


def useful_individuals(folder: Path, circuit_class: str) -> list[Individual]:
    """The useful circuits of a class in a dataset, in order of file name."""
    definition = classes.get(circuit_class)
    return [
        individual
        for table in read_rows(folder, circuit_class)
        for individual in individuals(table, circuit_class)
        if individual.failure is None and definition.is_useful(individual.metrics)
    ]


def chunk_file(shard: int, number: int, chunk: int) -> str:
    """The file of a chunk of a round."""
    return f"shard-{shard:03d}-round-{number:02d}-chunk-{chunk:03d}.parquet"


FILE_NAME = re.compile(r"shard-(\d+)-round-\d+-chunk-\d+\.parquet")
"""Names of the files of simulated rows."""


def shard_of(path: Path) -> int:
    """The number of the shard that a file of rows belongs to."""
    match = FILE_NAME.fullmatch(path.name)
    assert match is not None, path
    return int(match[1])


def stamp(process: Technology, seed: Sequence[int]) -> dict[str, str]:
    """What rows were made with, as recorded in every file."""
    return {
        "technology": f"{process.name} {process.version}",
        "simulator": simulator_version(),
        "measurements": str(MEASUREMENTS_VERSION),
        "genrf": __version__,
        "seed": ",".join(map(str, seed)),
    }


def write_chunk(
    path: Path,
    born: Sequence[Individual],
    circuit_class: str,
    number: int,
    shard: int,
    made_with: Mapping[str, str],
) -> None:
    """Write simulated circuits of one round as Parquet, whole or not at all.

    Args:
        number: of the round.
        made_with: see `stamp`; kept in the file's metadata.
    """
    table = _table(born, circuit_class, number, shard)
    table = table.replace_schema_metadata(dict(made_with))
    with written_whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _table(born: Sequence[Individual], circuit_class: str, number: int, shard: int) -> pa.Table:
    tokens = [encode(individual.circuit.topology) for individual in born]
    sizes = [len(individual.circuit.topology.devices) for individual in born]
    columns: dict[str, pa.Array] = {
        "row": pa.array([i.row for i in born], pa.int64()),
        "parents": pa.array([[p for p in i.parents if p >= 0] for i in born], pa.list_(pa.int64())),
        "shard": pa.array([shard] * len(born), pa.int16()),
        "round": pa.array([number] * len(born), pa.int16()),
        "fingerprint": pa.array([i.fingerprint for i in born], pa.string()),
        "kinds": pa.array([t.kinds[:n].tolist() for t, n in zip(tokens, sizes, strict=True)], pa.list_(pa.int8())),
        "nets": pa.array(
            [t.nets[:n].ravel().tolist() for t, n in zip(tokens, sizes, strict=True)], pa.list_(pa.int8())
        ),
        "values": pa.array([list(i.circuit.values) for i in born], pa.list_(pa.float64())),
    }
    for name in _CONDITIONS:
        # Said, not inferred: a chunk in which everything failed has the same columns as the others.
        kind = pa.string() if name == "corner" else pa.float64()
        columns[CONDITION_PREFIX + name] = pa.array([getattr(i.conditions, name) for i in born], kind)
    for name in classes.get(circuit_class).label_metrics:
        columns[name] = pa.array([i.metrics.get(name) for i in born], pa.float64())
    columns["failure"] = pa.array([i.failure for i in born], pa.string())
    return pa.table(columns)


def individuals(table: pa.Table, circuit_class: str) -> list[Individual]:
    """The rows of a table as circuits."""
    metric_names = classes.get(circuit_class).label_metrics
    read = []
    for row in table.to_pylist():
        tokens = Tokens(
            np.array(row["kinds"], dtype=np.int8), np.array(row["nets"], dtype=np.int8).reshape(-1, MAX_TERMINALS)
        )
        parents = (*row["parents"], -1, -1)[:2]
        read.append(
            Individual(
                row=row["row"],
                parents=(parents[0], parents[1]),
                circuit=Circuit(decode(tokens, circuit_class), tuple(row["values"])),
                fingerprint=row["fingerprint"],
                conditions=Conditions(**{name: row[CONDITION_PREFIX + name] for name in _CONDITIONS}),
                metrics={name: row[name] for name in metric_names} if row["failure"] is None else {},
                failure=row["failure"],
            )
        )
    return read


_CONDITIONS = ("frequency_hz", "supply_v", "source_ohm", "load_ohm", "temperature_c", "corner")
