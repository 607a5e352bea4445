"""Pareto dominance and the volume that points dominate, larger being better in every column; N points in k objectives."""

from __future__ import annotations

import heapq
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


def volume(points: Points, reference: Points) -> float:
    """Hypervolume of points (N, k) above a reference (k,), exact."""
    import moocore

    better = points[(points > reference).all(axis=1)]
    return float(moocore.hypervolume(better, ref=reference, maximise=True)) if len(better) else 0.0


def largest_addition(points: Points, known: Points, reference: Points, count: int) -> list[int]:
    """Chooses points (N, k), each the one that adds most to the volume of the known (F, k) and those chosen before it.

    Returns:
        Places of at most ``count``; fewer where no other point adds anything.
    """
    chosen: list[int] = []
    dominating = known
    whole = volume(known, reference)
    added = [volume(np.vstack([known, point]), reference) - whole for point in points]
    # The more is chosen, the less each of the others adds: what it added before is an upper bound.
    waiting = [(-gain, place) for place, gain in enumerate(added) if gain > 0.0]
    heapq.heapify(waiting)
    while waiting and len(chosen) < count:
        _, place = heapq.heappop(waiting)
        gain = volume(np.vstack([dominating, points[place]]), reference) - whole
        if gain <= 0.0:
            continue
        if waiting and gain < -waiting[0][0]:
            heapq.heappush(waiting, (-gain, place))
            continue
        chosen.append(place)
        dominating = np.vstack([dominating, points[place]])
        whole += gain
    return chosen
