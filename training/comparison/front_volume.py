"""How much of the trade-off a set of circuits covers: hypervolume against simulations, and that of the training data.

Objectives are in standard deviations of the class's training data, on the metric's own scale (decades for a ``log`` metric),
larger being better. Volume is exact and counted from one reference point a specification, for every method the same: the
specification's bound where it bounds the objective, since whatever is worse cannot be used, and else the worst value among
all circuits that are compared and meet the specification.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.conditioning import Conditioning
from genrf.generation.design import maximized, pareto_front
from genrf.metrics import Metrics
from genrf.spec import DesignSpec
from training.data.rows import Rows
from training.data.specifications import near_in_frequency

Array = NDArray[np.float64]


def scaled(
    spec: DesignSpec, objectives: Sequence[str], conditioning: Conditioning, metrics: Sequence[Metrics]
) -> Array:
    """Objectives of circuits, (N, k)."""
    position = conditioning.classes.index(spec.circuit_class)
    deviation = [conditioning.deviation[position][conditioning.metrics.index(name)] for name in objectives]
    return maximized(spec.circuit_class, metrics, objectives) / np.array(deviation)


def reference_point(spec: DesignSpec, objectives: Sequence[str], conditioning: Conditioning, compared: Array) -> Array:
    """The point that volume is counted from, (k,).

    Args:
        compared: scaled objectives of all circuits that meet the specification, (N, k).
    """
    reference = compared.min(axis=0)
    definition = classes.get(spec.circuit_class)
    for column, name in enumerate(objectives):
        wanted = definition.metrics[name].sense
        for constraint in spec.constraints:
            if constraint.metric == name and constraint.sense == wanted:
                bound = Metrics({name: constraint.bound})
                reference[column] = scaled(spec, (name,), conditioning, [bound])[0, 0]
    return reference


def training_rows(
    spec: DesignSpec, objectives: Sequence[str], train: Rows, conditioning: Conditioning
) -> NDArray[np.int64]:
    """The training data's front for a specification, as indices of rows.

    Rows count that were simulated at the specification's supply, within `FRONTIER_WINDOW` of its frequency, and whose own metrics
    meet it. As the row was measured at its own frequency this favours the training data: retuned to the specification's
    frequency (`training.evaluation.baselines.retuned_circuits`) and simulated, many of them no longer meet it.
    """
    own = (train.circuit_class == spec.circuit_class) & (np.abs(train.supply_v - spec.conditions.supply_v) < 1e-6)
    own &= near_in_frequency(train.frequency_hz, spec.conditions.frequency_hz)
    for constraint in spec.constraints:
        values = train.measured[:, conditioning.metrics.index(constraint.metric)]
        own &= values >= constraint.bound if constraint.sense == ">=" else values <= constraint.bound
    index = np.flatnonzero(own)
    return index[
        pareto_front(spec.circuit_class, row_metrics(spec, objectives, train, conditioning, index), objectives)
    ]


def row_metrics(
    spec: DesignSpec, objectives: Sequence[str], train: Rows, conditioning: Conditioning, index: NDArray[np.int64]
) -> list[Metrics]:
    """The objectives of training rows, as they were measured."""
    columns = [conditioning.metrics.index(name) for name in objectives]
    return [Metrics(dict(zip(objectives, row, strict=True))) for row in train.measured[index][:, columns]]
