"""Precedents: circuits that were simulated before, which a search starts from besides what the generator proposes.

A folder has one file a class, ``precedents-<class>.npz``. Values and metrics are normalised as the models see them, so a
precedent is rescaled to another frequency by being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import fits_supply
from genrf.circuit.normalise import denormalise
from genrf.circuit.tokens import Tokens, decode
from genrf.circuit.topology import Circuit, Topology
from genrf.conditioning import Conditioning
from genrf.conditions import Conditions
from genrf.errors import CheckpointError
from genrf.spec import DesignSpec
from genrf.tables import ArrayTable
from genrf.technology.base import Technology

CONDITION_SCALE = np.array([2.0 * np.log(10.0), 1.0, 1.0, 1.0])
"""How far apart a decade of frequency, a volt of supply and a factor of e in source and load put two circuits, in the units of
their normalised values and, what retrieval gives up rather than bridge them, in deviations of their metrics."""


@dataclass(frozen=True, kw_only=True)
class Precedents(ArrayTable):
    """Simulated circuits of one class; N circuits, M slots, n metrics."""

    kinds: NDArray[np.int8]
    """(N, M)."""
    nets: NDArray[np.int8]
    """(N, M, 3)."""
    values: NDArray[np.float16]
    """Normalised, (N, M)."""
    metrics: NDArray[np.float16]
    """Standardised, (N, n); NaN where the class has no such metric."""
    conditions: NDArray[np.float32]
    """What they were simulated under, (N, C)."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file of a class.

        Raises:
            CheckpointError: if the file is damaged.
        """
        try:
            return super().load(path)
        except Exception as error:  # zipfile and numpy raise several types for a damaged archive
            raise CheckpointError(f"{path}: not a file of precedents ({error}); export the models again") from error

    def nearest(self, conditioning: Conditioning, spec: DesignSpec, count: int) -> Precedents:
        """The circuits that most nearly meet a specification, nearest first, of topologies that fit its supply.

        Nearness is the worst slack of a circuit's own metrics, in standard deviations, less how far its conditions are
        from the specification's.
        """
        wanted = conditioning.encode_conditions(spec.circuit_class, spec.conditions)
        distance = np.abs(condition_coordinates(self.conditions) - condition_coordinates(wanted)).sum(axis=1)
        nearness = conditioning.predicted_margin(spec, self.metrics.astype(np.float32)) - distance
        fitting: dict[bytes, bool] = {}
        chosen: list[int] = []
        for index in np.argsort(-nearness, kind="stable").tolist():
            if len(chosen) == count:
                break
            tokens = Tokens(self.kinds[index], self.nets[index])
            key = tokens.kinds.tobytes() + tokens.nets.tobytes()
            if key not in fitting:
                fitting[key] = fits_supply(decode(tokens, spec.circuit_class), spec.conditions.supply_v)
            if fitting[key]:
                chosen.append(index)
        return self.take(np.array(chosen, dtype=np.intp))

    def topologies(self, circuit_class: str) -> list[Topology]:
        """Topology of each circuit, in order."""
        return [decode(Tokens(kinds, nets), circuit_class) for kinds, nets in zip(self.kinds, self.nets, strict=True)]

    def circuits(
        self, circuit_class: str, conditioning: Conditioning, technology: Technology
    ) -> Iterator[tuple[Circuit, Conditions]]:
        """Each circuit on the process's grid, and what it was simulated under, in order."""
        frequency, supply, source, load = conditioning.decode_condition_rows(self.conditions)
        values = denormalise(self.kinds, self.values, frequency, technology)
        for index, topology in enumerate(self.topologies(circuit_class)):
            conditions = Conditions(
                frequency_hz=float(frequency[index]),
                supply_v=round(float(supply[index]), 6),
                source_ohm=round(float(source[index]), 4),
                load_ohm=round(float(load[index]), 4),
            )
            yield Circuit(topology, tuple(values[index, : len(topology.devices)].tolist())), conditions


PrecedentSource = Callable[[str], Precedents | None]
"""Gives the precedents of a class, or none if there are none."""


def file_name(circuit_class: str) -> str:
    """The file of a class."""
    return f"precedents-{circuit_class}.npz"


def precedents_in(folder: Path) -> PrecedentSource:
    """The precedents in a folder, each class read when it is first asked for."""

    @cache
    def read(circuit_class: str) -> Precedents | None:
        path = folder / file_name(circuit_class)
        return Precedents.load(path) if path.is_file() else None

    return read


def condition_coordinates(conditions: NDArray[np.float32]) -> NDArray[np.float64]:
    """Conditions vectors (..., C) as coordinates (..., 4), in the units of normalised values."""
    own: NDArray[np.float64] = conditions[..., -len(CONDITION_SCALE) :] * CONDITION_SCALE
    return own
