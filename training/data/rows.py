"""Simulated circuits as arrays: what the models train on, what retrieval looks up, and what precedents are chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.normalise import normalise
from genrf.conditioning import Conditioning
from genrf.tables import ArrayTable

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class CircuitRows(ArrayTable):
    """Circuits as arrays, whether they worked or not; N rows, M device slots."""

    kinds: NDArray[np.int8]
    """(N, M) device kinds."""
    nets: NDArray[np.int8]
    """(N, M, 3) nets at the terminals."""
    values: NDArray[np.float32]
    """(N, M) normalised values, see `genrf.circuit.normalise`."""
    conditions: NDArray[np.float32]
    """(N, C) conditions vectors."""
    balance: NDArray[np.float32]
    """(N,) factor on how often a row is drawn that brings classes with few circuits nearer to those with many."""


@dataclass(frozen=True, kw_only=True)
class Rows(CircuitRows):
    """Circuits that were simulated, with what was measured; n metrics."""

    metrics: NDArray[np.float32]
    """(N, n) standardised metrics; NaN where the row's class has no such metric."""
    weight: NDArray[np.float32]
    """(N,) how often a row is drawn when the sizing model trains."""
    values_si: NDArray[np.float64]
    """(N, M) values in SI units."""
    measured: NDArray[np.float64]
    """(N, n) metrics in their own units."""
    frequency_hz: NDArray[np.float64]
    supply_v: NDArray[np.float64]
    useful: NDArray[np.bool_]
    circuit_class: NDArray[np.str_]
    fingerprint: NDArray[np.str_]
    row: NDArray[np.int64]

    def maximized(self, circuit_class: str, metric_names: Sequence[str]) -> NDArray[np.float64]:
        """Specification metrics of the class in their own units, signed so that larger is better, (N, k).

        Args:
            circuit_class: of all the rows.
            metric_names: columns of `measured`.
        """
        definition = classes.get(circuit_class)
        names = definition.specification_metrics
        signs = np.array([definition.metrics[name].sign for name in names])
        return signs * self.measured[:, [metric_names.index(name) for name in names]]


def failed_file(split: str) -> str:
    """The file of a split's failed circuits."""
    return f"{split}-failed.npz"


def at_own_frequency(rows: Rows, conditioning: Conditioning, circuit_class: str) -> Rows:
    """Rows of one class as what they would be had they been asked for the frequency that they have.

    Rescaled to another frequency they then keep to that, so precedents and retrieval take them so.
    """
    own = classes.get(circuit_class).own_frequency
    if own is None:
        return rows
    frequency = rows.measured[:, conditioning.metrics.index(own.metric)]
    column = conditioning.metrics.index(own.error_percent)
    metrics, measured, conditions = rows.metrics.copy(), rows.measured.copy(), rows.conditions.copy()
    metrics[:, column], measured[:, column] = conditioning.standardise(circuit_class, own.error_percent, 0.0), 0.0
    conditions[:, conditioning.frequency_column] = np.log10(frequency / 10e9)
    values = normalise(rows.kinds, rows.values_si, frequency).astype(np.float32)
    return replace(
        rows, values=values, metrics=metrics, measured=measured, conditions=conditions, frequency_hz=frequency
    )
