"""Which circuits others surpass: what a choice among many of them should leave out first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto
from genrf.conditioning import Conditioning
from training.data.rows import Rows

DOMINANCE_BAND_DECADES = 1.0 / 30.0
"""Circuits within 8 % in frequency are held against each other: further off, the lower one is better for its frequency alone."""


def domination_counts(rows: Rows, conditioning: Conditioning, circuit_class: str) -> NDArray[np.int64]:
    """How many of the others, under about the same conditions, are as good as each circuit in every specification metric and
    better in one, (N,)."""
    metrics = classes.get(circuit_class).metrics
    names = classes.get(circuit_class).specification_metrics
    signs = np.array([metrics[name].sign for name in names], dtype=np.float32)
    gains = rows.metrics[:, [conditioning.metrics.index(name) for name in names]] * signs  # (N, k)
    column = conditioning.frequency_column
    band = np.floor(rows.conditions[:, column] / DOMINANCE_BAND_DECADES)
    _, group = np.unique(np.column_stack([band, rows.conditions[:, column + 1 :]]), axis=0, return_inverse=True)
    counts = np.zeros(len(rows), dtype=np.int64)
    for members in np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1]):
        counts[members] = pareto.domination_counts(gains[members])
    return counts
