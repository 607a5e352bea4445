"""The surrogate's predictions, corrected by what was simulated since.

Gaussian process regression whose prior mean is the surrogate (Rasmussen and Williams, "Gaussian Processes for Machine
Learning", 2006, section 2.7): the surrogate's error, in its own predicted deviations, is taken to be alike for circuits of one
topology with near values, and a little alike for all circuits of one search. Within a topology the error has a rough part that
fades slowly and a smooth one (Matern, 5/2) that fades fast; their shares and lengths are the likeliest for the errors that a
surrogate of the recipe ``full`` makes on amplifiers of topologies that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
LEAST_CHANCE = 1e-6
"""That a circuit works; smaller ones are not told apart."""


@dataclass
class Feasibility:
    """Which of one specification's circuits work: what the surrogate expects, and what those nearby did.

    A kernel estimate of a share (Rasmussen and Williams, section 2.6) with the surrogate's chance as so much prior evidence:
    the surrogate takes all circuits of an unseen topology for as sound as each other.
    """

    length: float = 1.0
    """Distance in normalised values at which a circuit of the same topology counts 1/e."""
    prior: float = 1.0
    """Circuits at the same place that the surrogate's opinion is worth."""
    _topologies: list[str] = field(default_factory=list)
    _values: list[Array] = field(default_factory=list)
    _worked: list[bool] = field(default_factory=list)

    def observe(self, topology: str, values: Array, worked: bool) -> None:
        """Add a simulated circuit by its topology's fingerprint and its normalised values (M,)."""
        self._topologies.append(topology)
        self._values.append(values)
        self._worked.append(worked)

    def log_probability(self, topologies: list[str], values: Array, logit: Array) -> Array:
        """Logarithm of the chance that candidates work, (P,), with values (P, M) and the surrogate's logit (P,)."""
        chance = 1.0 / (1.0 + np.exp(-logit.astype(np.float64)))
        if self._worked:
            near = np.exp(-distances(values, np.stack(self._values)) / self.length)
            near *= alike(topologies, self._topologies)
            chance = (self.prior * chance + near @ np.array(self._worked, dtype=float)) / (
                self.prior + near.sum(axis=1)
            )
        return np.log(np.maximum(chance, LEAST_CHANCE)).astype(np.float32)


@dataclass
class Posterior:
    """What is known of one specification's circuits; M device slots, n metrics."""

    length: float = 4.0
    """Distance in normalised values at which the rough part of errors within a topology is correlated by 1/e."""
    smooth_length: float = 0.45
    """Length scale of the smooth part."""
    smooth: float = 0.5
    """Share of the smooth part."""
    common: float = 0.2
    """Correlation of errors between circuits of different topologies."""
    noise: float = 0.001
    """Share of an error's variance that nearness does not explain."""
    _topologies: list[str] = field(default_factory=list)
    _values: list[Array] = field(default_factory=list)
    _errors: list[Array] = field(default_factory=list)

    def observe(self, topology: str, values: Array, mean: Array, deviation: Array, measured: Array) -> None:
        """Add a simulated circuit.

        Args:
            topology: its fingerprint.
            values: normalised, (M,).
            mean: what the surrogate predicted, standardised, (n,).
            deviation: with what standard deviation, (n,).
            measured: what SPICE gave, (n,); NaN for a metric that the class does not have.
        """
        self._topologies.append(topology)
        self._values.append(values)
        self._errors.append(np.nan_to_num((measured - mean) / deviation))

    def correct(self, topologies: list[str], values: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
        """Corrected mean and deviation, (P, n) each, of candidates with values (P, M) and the surrogate's prediction (P, n)."""
        if not self._errors:
            return mean, deviation
        known = self._correlation(self._topologies, np.stack(self._values))
        known[np.diag_indices_from(known)] += self.noise
        cross = self._correlation(topologies, values)  # (P, S)
        weights = np.linalg.solve(known, cross.T).T
        error = weights @ np.stack(self._errors)  # (P, n), in deviations
        explained = np.clip((weights * cross).sum(axis=1, keepdims=True), 0.0, 1.0)
        shrunk = deviation * np.sqrt(np.maximum(1.0 - explained, self.noise))
        return (mean + deviation * error).astype(np.float32), shrunk.astype(np.float32)

    def _correlation(self, topologies: list[str], values: Array) -> NDArray[np.float64]:
        """Of the errors of circuits (P) with those of the simulated ones (S), (P, S)."""
        distance = distances(values, np.stack(self._values))
        reduced = np.sqrt(5.0) * distance / self.smooth_length
        rough = np.exp(-distance / self.length)
        smooth = (1.0 + reduced + reduced**2 / 3.0) * np.exp(-reduced)
        near = (1.0 - self.smooth) * rough + self.smooth * smooth
        return self.common + (1.0 - self.common) * np.where(alike(topologies, self._topologies), near, 0.0)


def alike(topologies: list[str], others: list[str]) -> NDArray[np.bool_]:
    """Which of P topologies are which of S, (P, S)."""
    equal: NDArray[np.bool_] = np.array(topologies)[:, None] == np.array(others)[None]
    return equal


def distances(values: Array, others: Array) -> NDArray[np.float64]:
    """Between each of (P, M) and each of (S, M), (P, S)."""
    # In double precision: of values close together little is left of the squares.
    values, others = values.astype(np.float64), others.astype(np.float64)
    squares = (values**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2.0 * values @ others.T
    return np.sqrt(np.maximum(squares, 0.0))
