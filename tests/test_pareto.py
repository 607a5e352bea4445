"""Which points nothing dominates, and the volume that points dominate together."""

from __future__ import annotations

import numpy as np
import pytest

from genrf import pareto

ORIGIN = np.zeros(2)


def test_volume_of_two_boxes() -> None:
    front = np.array([[2.0, 1.0], [1.0, 3.0], [-1.0, 9.0]])
    assert pareto.volume(front, ORIGIN) == pytest.approx(4.0)
    assert pareto.volume(front, np.array([5.0, 5.0])) == 0.0
    assert pareto.volume(front[:0], ORIGIN) == 0.0


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_volume_is_the_share_of_random_points_that_are_dominated(objectives: int) -> None:
    rng = np.random.default_rng(0)
    front, drawn = rng.random((12, objectives)), rng.random((20000, objectives))
    dominated = (front[:, None] >= drawn).all(axis=-1).any(axis=0)
    assert pareto.volume(front, np.zeros(objectives)) == pytest.approx(dominated.mean(), abs=0.015)


def test_the_point_that_adds_most_comes_first_and_one_that_adds_nothing_never() -> None:
    known = np.array([[2.0, 2.0]])
    points = np.array([[3.0, 1.0], [1.0, 1.0], [2.5, 2.5], [1.0, 5.0], [9.0, -1.0]])
    assert pareto.largest_addition(points, known, ORIGIN, 5) == [3, 2, 0]
    assert pareto.largest_addition(points, known, ORIGIN, 1) == [3]
    assert pareto.largest_addition(points[:0], known, ORIGIN, 5) == []


def test_each_choice_is_the_best_of_all_that_are_left() -> None:
    rng = np.random.default_rng(1)
    points, reference = rng.random((30, 3)), np.full(3, 0.1)
    known = np.zeros((0, 3))
    for place in pareto.largest_addition(points, known, reference, 10):
        best = max(pareto.volume(np.vstack([known, point]), reference) for point in points)
        known = np.vstack([known, points[place]])
        assert pareto.volume(known, reference) == pytest.approx(best)
