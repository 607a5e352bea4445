"""How much of the space of trade-offs circuits cover, against all training circuits of their class together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto
from genrf.conditioning import Conditioning
from genrf.generation.design import maximized
from genrf.metrics import Metrics
from training.data.rows import Rows
from training.evaluation.trials import Trial

POINTS = 20_000
"""Points of the box at which the dominated share is estimated."""
Array = NDArray[np.float64]


class TrainingFront:
    """The useful training circuits of one class, as the measure of a hypervolume.

    Specification metrics are scaled so that the training data's 1st and 99th percentile are 0 and 1 and the reference point
    is 0; the volume is Monte Carlo's share of the box [0, 1.25] that is dominated, so that thousands of points in many
    metrics stay cheap.

    Args:
        gains: specification metrics of the training circuits, signed so that larger is better, (N, n), N at least 1.
    """

    def __init__(self, gains: Array) -> None:
        self._low, self._high = np.percentile(gains, [1, 99], axis=0)
        self._points = np.random.default_rng(0).uniform(0.0, 1.25, size=(POINTS, gains.shape[1]))
        self.share_of_box = self._share(gains)
        """Share of the box that the training circuits dominate."""

    @classmethod
    def of(cls, circuit_class: str, train: Rows, conditioning: Conditioning) -> TrainingFront | None:
        """The front of a class, or none if no training circuit of it is useful."""
        useful = (train.circuit_class == circuit_class) & train.useful
        definition = classes.get(circuit_class)
        columns = []
        for name in definition.specification_metrics:
            metric, values = definition.metrics[name], train.measured[useful, conditioning.metrics.index(name)]
            columns.append(metric.sign * metric.normalise_all(values))
        gains = np.stack(columns, axis=1)
        return cls(gains) if len(gains) else None

    def relative(self, gains: Array) -> float:
        """Hypervolume of circuits, (N, n); 1.0 means as much as all training circuits together."""
        return self._share(gains) / max(self.share_of_box, 1e-12) if len(gains) else 0.0

    def _share(self, gains: Array) -> float:
        scaled = (gains - self._low) / np.maximum(self._high - self._low, 1e-12)
        scaled = _less_dominated(scaled[(scaled > 0).all(axis=1)])
        return float(_dominated(self._points, scaled).mean())


def useful_gains(circuit_class: str, metrics: Sequence[Metrics]) -> Array:
    """Specification metrics of the useful ones among circuits, signed so that larger is better, (N, n)."""
    definition = classes.get(circuit_class)
    return maximized(circuit_class, [m for m in metrics if definition.is_useful(m)])


def hypervolumes(
    trials: Sequence[Trial], train: Rows, conditioning: Conditioning, class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Hypervolume of what each method simulated against that of the training data, a class."""
    volumes: dict[str, dict[str, Any]] = {}
    for name in class_names:
        front = TrainingFront.of(name, train, conditioning)
        if front is None:
            continue
        volumes[name] = {"training_share_of_box": front.share_of_box}
        for method in dict.fromkeys(t.method for t in trials):
            metrics = [m for t in trials if t.method == method and t.circuit_class == name for m in t.metrics]
            volumes[name][method] = front.relative(useful_gains(name, metrics))
    return volumes


def _dominated(points: Array, gains: Array) -> NDArray[np.bool_]:
    """Which points, (P, n), some circuit of (N, n) is at least as good as in every metric, (P,).

    A point is compared only with the circuits that reach it in the metric in which fewest do.
    """
    dominated = np.zeros(len(points), dtype=bool)
    order = np.argsort(-gains, axis=0, kind="stable")  # (N, n)
    reach = np.stack(
        [np.searchsorted(-gains[order[:, k], k], -points[:, k], side="right") for k in range(points.shape[1])], axis=1
    )  # (P, n)
    metric = reach.argmin(axis=1)
    for k in range(points.shape[1]):
        columns = np.ascontiguousarray(gains[order[:, k]].T)  # (n, N), best in this metric first
        for index in np.flatnonzero(metric == k):
            reached = np.ones(reach[index, k], dtype=bool)
            for column, value in zip(columns, points[index], strict=True):
                reached &= column[: len(reached)] >= value
            dominated[index] = reached.any()
    return dominated


def _less_dominated(gains: Array, rounds: int = 6, judges: int = 16) -> Array:
    """The circuits, (N, n) above 0, without most of those that another dominates: of a million few are worth a closer look."""
    rng = np.random.default_rng(1)
    for _ in range(rounds):
        weights = rng.dirichlet(np.ones(gains.shape[1]))
        best = gains[np.argsort(-(np.log(gains) @ weights), kind="stable")[:judges]]
        dominated = np.zeros(len(gains), dtype=bool)
        for judge in best:
            dominated |= pareto.dominated_by(gains, judge)
        gains = gains[~dominated]
    return gains
