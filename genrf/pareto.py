"""Pareto dominance, larger being better in every column; N points in k objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def reach(points: Points, target: Points) -> Mask:
    """Which of the points (N, k) are at least as good as the target (k,) in every objective, (N,)."""
    return np.all(points >= target, axis=1)


def dominate(points: Points, target: Points) -> Mask:
    """Which of the points (N, k) are at least as good as the target (k,) in every objective and better in one, (N,)."""
    return reach(points, target) & np.any(points > target, axis=1)


def dominated_by(points: Points, judge: Points) -> Mask:
    """Which of the points (N, k) one judge (k,) dominates, (N,)."""
    return dominate(-points, -judge)


def front(points: Points) -> Mask:
    """Which of the points (N, k) no other dominates, (N,)."""
    return domination_counts(points) == 0


def domination_counts(points: Points) -> NDArray[np.int64]:
    """Counts how many of the others dominate each point (N, k), (N,)."""
    return np.array([dominate(points, point).sum() for point in points], dtype=np.int64)
