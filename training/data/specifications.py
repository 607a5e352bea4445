"""Held-out specifications: what the generator is judged on and never sees.

They come from useful circuits of the test split, each bounding all of its class's specification metrics, in four levels:

- ``relaxed``: the circuit's own values, each bound easier by a tenth of its size,
- ``exact``: the circuit's own values,
- ``tightened``: each bound harder by a tenth of its size,
- ``frontier``: the own values of circuits that no training circuit at about their frequency can match.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto
from genrf.conditions import Conditions, Constraint
from genrf.errors import CheckpointError
from genrf.files import write_json
from genrf.spec import DesignSpec
from training.config.schema import Config, per_class
from training.data.rows import Rows

SPECIFICATIONS_FILE = "specifications.json"
LEVELS = ("relaxed", "exact", "tightened", "frontier")
EASE = {"relaxed": -0.1, "exact": 0.0, "tightened": 0.1, "frontier": 0.0}
"""Share of its size that a bound is made harder by."""
FRONTIER_WINDOW = 1.25
"""Training circuits within this frequency ratio could be retuned to a specification's frequency."""


Gains = NDArray[np.float64]
"""Specification metrics, signed so that larger is better, (N, k)."""


@dataclass(frozen=True, kw_only=True)
class HeldOutSpecification:
    """A specification, how hard it is, and the test row it came from."""

    level: str
    row: int
    spec: DesignSpec


def held_out_specifications(
    config: Config, train: Rows, test: Rows, metric_names: Sequence[str]
) -> list[HeldOutSpecification]:
    """Choose specifications for every class and level.

    The first three levels share their circuits. Each topology is used once before any is used again.
    """
    chosen = []
    for name in config.classes:
        # A stream for each class: its specifications do not depend on which others there are.
        rng = np.random.default_rng((config.seed, 7, classes.names().index(name)))
        own = np.flatnonzero((test.circuit_class == name) & test.useful)
        order = _spread_over_topologies(test.fingerprint[own], rng)
        own = own[order]
        count = per_class(config.preparation.specifications_per_level, name)
        rivals = train.take((train.circuit_class == name) & train.useful)
        rival_gains, gains = (rows.maximized(name, metric_names) for rows in (rivals, test))

        def matched(index: int, rivals: Rows = rivals, rival_gains: Gains = rival_gains, gains: Gains = gains) -> bool:
            """Whether a training circuit at about its frequency is at least as good in every specification metric."""
            near = near_in_frequency(rivals.frequency_hz, float(test.frequency_hz[index]))
            return bool(pareto.reach(rival_gains[near], gains[index]).any())

        # Lazily, since every test row would have to be held against every training row.
        frontier = islice((index for index in own if not matched(int(index))), count)
        for level in config.preparation.levels:
            for index in frontier if level == "frontier" else own[:count]:
                row = int(test.row[index])
                spec = specification_of(
                    test, int(index), metric_names, harder=EASE[level], name=f"{name}-{level}-{row}"
                )
                chosen.append(HeldOutSpecification(level=level, row=row, spec=spec))
    return chosen


def write_specifications(specifications: Sequence[HeldOutSpecification], path: Path) -> None:
    """Write the set, whole or not at all."""
    content = [{"level": item.level, "row": item.row, "specification": item.spec.to_dict()} for item in specifications]
    write_json(path, content)


def read_specifications(path: Path) -> list[HeldOutSpecification]:
    """Read what `write_specifications` wrote.

    Raises:
        CheckpointError: if the file is missing or malformed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            HeldOutSpecification(level=item["level"], row=item["row"], spec=DesignSpec.from_dict(item["specification"]))
            for item in content
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not a set of held-out specifications; prepare the data again") from error


def specifications_hash(path: Path) -> str:
    """Identity of the set: two evaluations compare only if these are equal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def specification_of(
    rows: Rows, index: int, metric_names: Sequence[str], *, harder: float = 0.0, name: str = "design"
) -> DesignSpec:
    """The specification that asks for a row's own values in every specification metric of its class.

    Args:
        metric_names: columns of the rows' metrics.
        harder: share of its size by which each bound is made harder, as far as the metric is measured; negative makes it easier.
    """
    circuit_class = str(rows.circuit_class[index])
    definition = classes.get(circuit_class)
    constraints = []
    for metric in (definition.metrics[wanted] for wanted in definition.specification_metrics):
        value = float(rows.measured[index, metric_names.index(metric.name)])
        bound = value + harder * abs(value) * metric.sign
        if metric.limit is not None:
            bound = metric.sign * min(metric.sign * bound, metric.sign * metric.limit)
        constraints.append(Constraint(metric.name, metric.sense, bound))
    return DesignSpec(
        circuit_class=circuit_class,
        conditions=Conditions(frequency_hz=float(rows.frequency_hz[index]), supply_v=float(rows.supply_v[index])),
        constraints=(*constraints, *definition.requirements),
        name=name,
    )


def _spread_over_topologies(fingerprints: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order in which the n-th use of any topology comes after the (n-1)-th use of every topology."""
    order = rng.permutation(len(fingerprints))
    uses: dict[str, int] = {}
    turn = np.empty(len(order), dtype=np.int64)
    for position, index in enumerate(order):
        fingerprint = str(fingerprints[index])
        turn[position] = uses.get(fingerprint, 0)
        uses[fingerprint] = int(turn[position]) + 1
    return order[np.argsort(turn, kind="stable")]


def near_in_frequency(frequency_hz: NDArray[np.float64], centre_hz: float) -> NDArray[np.bool_]:
    """Which of the circuits could be retuned to a frequency, (N,)."""
    ratio = frequency_hz / centre_hz
    near: NDArray[np.bool_] = (ratio < FRONTIER_WINDOW) & (ratio > 1.0 / FRONTIER_WINDOW)
    return near
