"""The surrogate's predictions, corrected by what was simulated since.

Gaussian process regression whose prior mean is the surrogate (Rasmussen and Williams, "Gaussian Processes for Machine
Learning", 2006, section 2.7): the surrogate's error, in its own predicted deviations, is taken to be alike for circuits of one
topology with near values, and a little alike for all circuits of one search. Within a topology the error has a rough part that
fades slowly and a smooth one (Matern, 5/2) that fades fast. How fast, the smooth part's share, and how far the surrogate's
deviations are to be trusted in each metric are what makes the errors of this search so far the likeliest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
FAR = 1e6
"""Distance of circuits of different topologies."""
FEWEST_FITTED = 8
"""Errors before which the kernel is left as it is."""
PRIOR_ERRORS = 5.0
SMOOTH_LENGTHS = (0.25, 0.5, 1.0, 2.0)
SMOOTH_SHARES = (0.2, 0.5, 0.8)
"""What is tried for the smooth part of the kernel."""


class _Simulated:
    """Where the circuits lie that were simulated so far; S circuits, M coordinates."""

    def __init__(self) -> None:
        self._topologies: list[str] = []
        self._values: list[Array] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, topology: str, values: Array) -> None:
        self._topologies.append(topology)
        self._values.append(values)

    def weights(
        self,
        topologies: list[str],
        values: Array,
        correlation: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        noise: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each of them counts for candidates with values (P, M), (P, S), and the share of variance explained, (P, 1)."""
        known = correlation(self.between())
        known[np.diag_indices_from(known)] += noise
        cross = correlation(self._distances(topologies, values))
        weights = np.linalg.solve(known, cross.T).T.astype(np.float64)
        return weights, np.clip((weights * cross).sum(axis=1, keepdims=True), 0.0, 1.0)

    def between(self) -> NDArray[np.float64]:
        """Distances between all of them, (S, S)."""
        return self._distances(self._topologies, np.stack(self._values))

    def _distances(self, topologies: list[str], values: Array) -> NDArray[np.float64]:
        """Of circuits (P) from the simulated ones, (P, S)."""
        # In double precision: of values close together little is left of the squares.
        values, others = values.astype(np.float64), np.stack(self._values).astype(np.float64)
        squares = (values**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2.0 * values @ others.T
        same = np.array(topologies)[:, None] == np.array(self._topologies)[None]
        return np.where(same, np.sqrt(np.maximum(squares, 0.0)), FAR)


@dataclass
class Posterior:
    """What is known of one specification's circuits; M coordinates of a circuit, n metrics."""

    length: float = 4.0
    """Distance in normalised values at which the rough part of errors within a topology is correlated by 1/e."""
    smooth_length: float = 0.5
    """Length scale of the smooth part, until it is fitted."""
    smooth: float = 0.5
    """Share of the smooth part, until it is fitted."""
    common: float = 0.2
    """Correlation of errors between circuits of different topologies."""
    noise: float = 0.0005
    """Share of an error's variance that nearness does not explain."""
    _simulated: _Simulated = field(default_factory=_Simulated)
    _errors: list[Array] = field(default_factory=list)
    _scale: NDArray[np.float64] | float = 1.0
    """Deviation of errors, in the surrogate's own, of each metric (n,)."""
    _fitted_to: int = 0
    """Errors that the kernel was fitted to."""

    def observe(self, topology: str, values: Array, mean: Array, deviation: Array, measured: Array) -> None:
        """Add a simulated circuit.

        Args:
            topology: its fingerprint.
            values: normalised, (M,).
            mean: what the surrogate predicted, standardised, (n,).
            deviation: with what standard deviation, (n,).
            measured: what SPICE gave, (n,); NaN for a metric that the class does not have.
        """
        self._simulated.add(topology, values)
        self._errors.append(np.nan_to_num((measured - mean) / deviation))

    def correct(self, topologies: list[str], values: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
        """Corrected mean and deviation, (P, n) each, of candidates with values (P, M) and the surrogate's prediction (P, n)."""
        if not self._errors:
            return mean, deviation
        if len(self._errors) >= FEWEST_FITTED and len(self._errors) > self._fitted_to:
            self._fit()
        weights, explained = self._simulated.weights(topologies, values, self._correlation, self.noise)
        error = weights @ np.stack(self._errors)  # (P, n), in deviations
        shrunk = self._scale * deviation * np.sqrt(np.maximum(1.0 - explained, self.noise))
        return (mean + deviation * error).astype(np.float32), shrunk.astype(np.float32)

    def _fit(self) -> None:
        """Take the smooth part and the scales that make the errors so far likeliest, all metrics sharing one kernel."""
        self._fitted_to = len(self._errors)
        errors = np.stack(self._errors).astype(np.float64)
        measured = errors.any(axis=0)
        count = len(errors)
        distance = self._simulated.between()
        likeliest = -np.inf
        for length, share in product(SMOOTH_LENGTHS, SMOOTH_SHARES):
            self.smooth_length, self.smooth = length, share
            factor = np.linalg.cholesky(self._correlation(distance) + self.noise * np.eye(count))
            white = np.linalg.solve(factor, errors)
            # Of each metric; as if a few errors of the surrogate's own deviation had been seen before.
            variance = ((white**2).sum(axis=0) + PRIOR_ERRORS) / (count + PRIOR_ERRORS)
            likelihood = -0.5 * count * np.log(variance[measured]).sum()
            likelihood -= measured.sum() * np.log(np.diag(factor)).sum()
            if likelihood > likeliest:
                likeliest, best = likelihood, (length, share, np.sqrt(variance))
        self.smooth_length, self.smooth, self._scale = best

    def _correlation(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the errors of circuits so far apart."""
        reduced = np.sqrt(5.0) * distance / self.smooth_length
        rough = np.exp(-distance / self.length)
        smooth = (1.0 + reduced + reduced**2 / 3.0) * np.exp(-reduced)
        return self.common + (1.0 - self.common) * ((1.0 - self.smooth) * rough + self.smooth * smooth)
