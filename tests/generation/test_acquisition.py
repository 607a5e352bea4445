"""The Gaussian processes: the surrogate where nothing is known, SPICE where something is, and what they make of it."""

from __future__ import annotations

import numpy as np
import pytest

from genrf.generation.acquisition import Points, Processes

SLOTS = 4


def points(values: np.ndarray, mean: np.ndarray, topology: int = 0, deviation: float = 1.0) -> Points:
    return Points(
        topology=np.full(len(values), topology), values=values, mean=mean, deviation=np.full_like(mean, deviation)
    )


def measured(values: np.ndarray) -> np.ndarray:
    """Two outputs that want opposite ends of the first value, and a third that must not be too high."""
    return np.stack([values[:, 0], -values[:, 0], values[:, 1]], axis=1)


@pytest.fixture(scope="module")
def known() -> Points:
    values = np.random.default_rng(0).normal(size=(14, SLOTS))
    return points(values, 0.3 * measured(values))


@pytest.fixture(scope="module")
def processes(known: Points) -> Processes:
    return Processes(known, measured(known.values), seed=1)


def test_what_was_simulated_is_known(known: Points, processes: Processes) -> None:
    mean, deviation = processes.predict(known)
    np.testing.assert_allclose(mean, measured(known.values), atol=0.1)
    assert (deviation < 0.2).all()


def test_far_away_it_is_the_surrogate(processes: Processes) -> None:
    values = np.full((1, SLOTS), 300.0)
    mean, deviation = processes.predict(points(values, np.array([[5.0, -2.0, 0.5]]), topology=0))
    np.testing.assert_allclose(mean, [[5.0, -2.0, 0.5]], atol=0.8)
    assert (deviation > 0.1).all()


def test_another_topology_learns_little(known: Points, processes: Processes) -> None:
    _, same = processes.predict(known)
    _, other = processes.predict(points(known.values, known.mean, topology=1))
    assert (other > same).all()


def test_it_chooses_what_enlarges_the_front(known: Points, processes: Processes) -> None:
    candidates = np.zeros((3, SLOTS))
    candidates[:, 0] = (0.0, 2.5, 0.1)
    found = points(candidates, 0.3 * measured(candidates))
    reference = np.array([-1.0, -1.0])
    acquisition = processes.trade_off([0, 2], [1.0, -1.0], reference, [], list(range(len(known))))
    values = acquisition.values(found)
    assert values.shape == (3,)
    assert int(values.argmax()) == 1
    chosen = acquisition.choose(found, 2)
    assert chosen[0] == 1
    assert len(set(chosen)) == 2


def test_constraints_outweigh_promise(known: Points, processes: Processes) -> None:
    candidates = np.zeros((2, SLOTS))
    candidates[:, 0] = (2.5, 1.5)
    found = points(candidates, 0.3 * measured(candidates))
    reference, everything = np.array([-1.0, -1.0]), list(range(len(known)))
    below_two = (0, -1.0, 2.0)
    free = processes.trade_off([0, 2], [1.0, -1.0], reference, [], everything).values(found)
    bounded = processes.trade_off([0, 2], [1.0, -1.0], reference, [below_two], everything).values(found)
    assert free[0] > free[1]
    assert bounded[0] < bounded[1]


def test_the_worst_slack_decides_where_nothing_meets(known: Points, processes: Processes) -> None:
    candidates = np.zeros((3, SLOTS))
    candidates[:, 0] = (2.5, 0.0, -2.5)
    found = points(candidates, measured(candidates))
    # Both outputs above 0.5, which are each other's negative: best is the middle.
    acquisition = processes.margin([(0, 1.0, -0.5), (1, 1.0, -0.5)], list(range(len(known))))
    assert int(acquisition.values(found).argmax()) == 1


def test_failures_teach_where_not_to_go(known: Points) -> None:
    everything = measured(known.values)
    fails = known.values[:, 0] > 0.3
    assert 2 <= fails.sum() <= 10
    everything[fails] = np.nan
    candidates = np.repeat(known.values[np.flatnonzero(fails)[:1]], 2, axis=0)
    candidates[1, 0] = -0.5
    found = points(candidates, np.array([[3.0, 0.0, 0.0]] * 2))
    working = np.flatnonzero(~fails).tolist()
    learnt = Processes(known, everything, seed=1).trade_off([0, 2], [1.0, -1.0], np.array([-4.0, -4.0]), [], working)
    values = learnt.values(found)
    assert values[0] < values[1]


@pytest.mark.parametrize("size", [1e-12, 1e6, 1e9])
def test_errors_that_no_length_or_scale_explains_do_not_end_the_refinement(size: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        values = np.repeat(rng.normal(size=(7, SLOTS)), 2, axis=0)
        values[1::2] += 1e-9 * rng.normal(size=(7, SLOTS))
        pairs = points(values, rng.normal(size=(14, 3)), deviation=0.05)
        mean, deviation = Processes(pairs, pairs.mean + size * rng.normal(size=(14, 3)), seed=1).predict(pairs)
        assert np.isfinite(mean).all()
        assert (deviation >= 0).all()
