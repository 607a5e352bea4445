"""Specifications and conditions as the vectors that the models are conditioned on.

Layout of a conditions vector (C,): one-hot circuit class, log10(f0 / 10 GHz), supply / 1 V - 2, ln(source / 50 Ohm),
ln(load / 50 Ohm). A specification vector (D,) is a conditions vector followed by four numbers a metric: the standardised
lower bound and whether there is one, the standardised upper bound and whether there is one. Metrics of the same name
share their place; each class standardises them by its own circuits, because a good gain of a mixer is a poor one of an
amplifier. Sign-off metrics have no place: no training circuit has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrf import classes
from genrf.conditions import Conditions, Constraint
from genrf.errors import CheckpointError, InvalidInputError
from genrf.files import write_json
from genrf.metrics import current_label
from genrf.spec import DesignSpec

FILE = "normalisation.json"
FORMAT = 2
CLIP = 5.0
"""Standardised metrics are held within this many standard deviations, so that one odd row cannot dominate a loss."""
LEAST_DEVIATION = 0.002
"""Predictions are taken to be no surer than this, in standard deviations of the training data."""
REFERENCE_SUPPLY_V = 2.0
"""A conditions vector holds the supply less this."""
BOUND_FEATURES = 4
"""Numbers that describe one metric's bounds in a specification vector."""


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """How metrics are standardised and specifications encoded; fitted to a dataset and stored beside the models."""

    classes: tuple[str, ...]
    """Circuit classes, in the order of the one-hot code."""
    metrics: tuple[str, ...]
    """Label metrics of all the classes, in the order of the models' outputs."""
    mean: tuple[tuple[float, ...], ...]
    """Mean of each metric for each class over its training rows, on its own scale (decades for a ``log`` metric);
    0 for a metric that the class does not have."""
    deviation: tuple[tuple[float, ...], ...]
    """Standard deviation of each metric for each class; 1 for a metric that the class does not have."""

    @property
    def conditions_size(self) -> int:
        """C, the length of a conditions vector."""
        return len(self.classes) + 4

    @property
    def frequency_column(self) -> int:
        """Where the frequency's logarithm stands in a conditions vector."""
        return len(self.classes)

    @property
    def specification_size(self) -> int:
        """D, the length of a specification vector."""
        return self.conditions_size + BOUND_FEATURES * len(self.metrics)

    def encode_conditions(self, circuit_class: str, conditions: Conditions) -> NDArray[np.float32]:
        """Conditions vector, (C,).

        Raises:
            InvalidInputError: if the models were not trained on this class.
        """
        if circuit_class not in self.classes:
            raise InvalidInputError(
                f"class: these models were trained on {', '.join(self.classes)}, not on {circuit_class}; "
                "train or choose another bundle"
            )
        return self.encode_condition_rows(
            circuit_class, conditions.frequency_hz, conditions.supply_v, conditions.source_ohm, conditions.load_ohm
        )

    def encode_condition_rows(
        self,
        circuit_class: str,
        frequency_hz: ArrayLike,
        supply_v: ArrayLike,
        source_ohm: ArrayLike,
        load_ohm: ArrayLike,
    ) -> NDArray[np.float32]:
        """Conditions vectors (..., C) of a class that the models know, from arrays (...) of the same shape."""
        own = [
            np.log10(np.asarray(frequency_hz) / 10e9),
            np.asarray(supply_v) - REFERENCE_SUPPLY_V,
            np.log(np.asarray(source_ohm) / 50.0),
            np.log(np.asarray(load_ohm) / 50.0),
        ]
        one_hot = [np.full(own[0].shape, float(circuit_class == name)) for name in self.classes]
        return np.stack([*one_hot, *own], axis=-1).astype(np.float32)

    def decode_condition_rows(self, conditions: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
        """Frequency, supply, source and load (...) in their own units, of conditions vectors (..., C)."""
        frequency, supply, source, load = np.moveaxis(
            conditions[..., self.frequency_column :].astype(np.float64), -1, 0
        )
        return 10e9 * 10.0**frequency, supply + REFERENCE_SUPPLY_V, 50.0 * np.exp(source), 50.0 * np.exp(load)

    def encode_specification(self, spec: DesignSpec) -> NDArray[np.float32]:
        """Specification vector, (D,)."""
        bounds = np.zeros((len(self.metrics), BOUND_FEATURES), dtype=np.float32)
        for constraint in self._known(spec.screen.constraints):
            index = self.metrics.index(constraint.metric)
            column = 0 if constraint.sense == ">=" else 2
            bounds[index, column] = self.standardise(spec.circuit_class, constraint.metric, constraint.bound)
            bounds[index, column + 1] = 1.0
        return np.concatenate([self.encode_conditions(spec.circuit_class, spec.conditions), bounds.ravel()])

    def standardise(self, circuit_class: str, metric: str, value: float) -> float:
        """A metric's value in standard deviations from its class's training mean, clipped to ``CLIP``."""
        position, index = self.classes.index(circuit_class), self.metrics.index(metric)
        scaled = classes.get(circuit_class).metrics[metric].normalise(value)
        return float(np.clip((scaled - self.mean[position][index]) / self.deviation[position][index], -CLIP, CLIP))

    def in_own_units(self, circuit_class: str, metric: str, standardised: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values of a metric from standardised ones: the inverse of `standardise`, but for what that clipped."""
        position, index = self.classes.index(circuit_class), self.metrics.index(metric)
        scaled = standardised.astype(np.float64) * self.deviation[position][index] + self.mean[position][index]
        values: NDArray[np.float64] = (
            10.0**scaled if classes.get(circuit_class).metrics[metric].scale == "log" else scaled
        )
        return values

    def encode_metrics(self, circuit_class: str, metrics: Mapping[str, float]) -> NDArray[np.float32]:
        """Standardised metrics, (n_metrics,); NaN for metrics that the class does not have."""
        return np.array(
            [
                self.standardise(circuit_class, name, metrics[name]) if name in metrics else np.nan
                for name in self.metrics
            ],
            dtype=np.float32,
        )

    def predicted_margin(self, spec: DesignSpec, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """Worst slack over the constraints, in standard deviations of the training data.

        Args:
            mean: standardised metrics, predicted or measured, (N, n_metrics).

        Returns:
            (N,) margins; at least 0 where every constraint is met.
        """
        return self._slacks(spec.circuit_class, self._known(spec.screen.constraints), mean).min(axis=1, initial=CLIP)

    def log_probability_met(
        self, spec: DesignSpec, mean: NDArray[np.float32], deviation: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Logarithm of the predicted chance that every constraint is met, with errors independent of each other.

        A bound on how far a circuit's own frequency is from the one asked for counts as two on that frequency: the distance has
        a corner where it is best, which no prediction of its mean shows.

        The normal distribution function is taken as a logistic one of slope 1.702, which is within 0.01 of it (Camilli 1994)
        and whose logarithm still tells candidates apart far from the bounds.

        Args:
            mean: predicted standardised metrics, (N, n_metrics).
            deviation: their predicted standard deviations, (N, n_metrics).

        Returns:
            (N,) logarithms, at most 0.
        """
        constraints = self._known(_on_own_frequency(spec.screen))
        index = [self.metrics.index(constraint.metric) for constraint in constraints]
        score = self._slacks(spec.circuit_class, constraints, mean) / np.maximum(deviation[:, index], LEAST_DEVIATION)
        return -np.logaddexp(0.0, -1.702 * score).sum(axis=1)

    def _slacks(
        self, circuit_class: str, constraints: Sequence[Constraint], mean: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Slack of each constraint, (N, constraints), in standard deviations of the training data."""
        slacks = np.empty((len(mean), len(constraints)), dtype=np.float32)
        for column, constraint in enumerate(constraints):
            index = self.metrics.index(constraint.metric)
            bound = self.standardise(circuit_class, constraint.metric, constraint.bound)
            slacks[:, column] = mean[:, index] - bound if constraint.sense == ">=" else bound - mean[:, index]
        return slacks

    def _known(self, constraints: Iterable[Constraint]) -> list[Constraint]:
        """The constraints on metrics that the models know."""
        return [constraint for constraint in constraints if constraint.metric in self.metrics]

    def save(self, folder: Path) -> None:
        """Write ``normalisation.json`` into a folder, whole or not at all."""
        content = {
            "format": FORMAT,
            "classes": self.classes,
            "metrics": self.metrics,
            "mean": self.mean,
            "deviation": self.deviation,
        }
        write_json(folder / FILE, content)

    @classmethod
    def load(cls, folder: Path) -> Conditioning:
        """Read ``normalisation.json`` from a folder.

        Raises:
            CheckpointError: if it is missing, malformed or of another format.
        """
        path = folder / FILE
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise CheckpointError(
                    f"{path}: format {content['format']}, this version reads {FORMAT}; run the pipeline again"
                )
            return cls(
                classes=tuple(content["classes"]),
                metrics=tuple(map(current_label, content["metrics"])),
                **{key: tuple(map(tuple, content[key])) for key in ("mean", "deviation")},
            )
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror}); run the pipeline again") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: not a normalisation file; run the pipeline again") from error


def _on_own_frequency(spec: DesignSpec) -> Iterator[Constraint]:
    """The constraints, with those on the distance of a circuit's own frequency as bounds on that frequency."""
    own = classes.get(spec.circuit_class).own_frequency
    for constraint in spec.constraints:
        if own is not None and constraint.metric == own.error_percent and constraint.sense == "<=":
            wanted, share = spec.conditions.frequency_hz, constraint.bound / 100.0
            yield Constraint(own.metric, ">=", wanted * (1.0 - share))
            yield Constraint(own.metric, "<=", wanted * (1.0 + share))
        else:
            yield constraint


def fit(class_names: Sequence[str], rows: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Conditioning:
    """Fit means and deviations to the training rows.

    Args:
        class_names: the circuit classes in the dataset.
        rows: class name -> metric name -> values of that metric over the class's training rows, (N,).
    """
    metric_names = tuple(
        dict.fromkeys(name for circuit_class in class_names for name in classes.get(circuit_class).label_metrics)
    )
    mean, deviation = [], []
    for circuit_class in class_names:
        means, deviations = [0.0] * len(metric_names), [1.0] * len(metric_names)
        for name in classes.get(circuit_class).label_metrics:
            column = classes.get(circuit_class).metrics[name].normalise_all(rows[circuit_class][name])
            # Quartiles, because failed designs leave long tails (a gain of -80 dB) that say nothing about useful
            # circuits.
            low, middle, high = np.percentile(column, [25, 50, 75])
            index = metric_names.index(name)
            means[index] = float(middle)
            deviations[index] = float(max((high - low) / 1.349, 1e-3))
        mean.append(tuple(means))
        deviation.append(tuple(deviations))
    return Conditioning(classes=tuple(class_names), metrics=metric_names, mean=tuple(mean), deviation=tuple(deviation))
