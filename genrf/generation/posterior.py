"""The surrogate's predictions, corrected by what was simulated since.

Student's t process whose prior mean is the surrogate (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
section 2.7; Shah et al., "Student-t Processes as Alternatives to Gaussian Processes", 2014): the surrogate's error, in its own
predicted deviations, is taken to be alike for circuits of one topology with near values (Matern, 5/2), and a little alike for
all circuits of one search. How fast that fades and how large the errors are is learnt for each metric from the circuits at hand:
a reflection turns within a few percent of a component's value, a supply current within tens of percent, and on classes with few
training circuits the surrogate is surer than it should be.
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
    _feasible: list[bool] = field(default_factory=list)

    def observe(self, topology: str, values: Array, feasible: bool) -> None:
        """Add a simulated circuit by its topology's fingerprint and its normalised values (M,)."""
        self._topologies.append(topology)
        self._values.append(values)
        self._feasible.append(feasible)

    def log_probability(self, topologies: list[str], values: Array, logit: Array) -> Array:
        """Logarithm of the chance that candidates work, (P,), with values (P, M) and the surrogate's logit (P,)."""
        chance = 1.0 / (1.0 + np.exp(-logit.astype(np.float64)))
        if self._feasible:
            near = np.exp(-distances(values, np.stack(self._values)) / self.length)
            near *= alike(topologies, self._topologies)
            chance = (self.prior * chance + near @ np.array(self._feasible, dtype=float)) / (
                self.prior + near.sum(axis=1)
            )
        return np.log(np.maximum(chance, LEAST_CHANCE)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """How alike the errors of two circuits are."""

    length: float
    """Length scale within a topology, in normalised values."""
    common: float
    """Correlation of errors between circuits of different topologies."""

    def correlation(self, distance: NDArray[np.float64], same: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Correlation of circuits at a distance that are of the same topology or not."""
        reduced = np.sqrt(5.0) * distance / self.length
        near = (1.0 + reduced + reduced**2 / 3.0) * np.exp(-reduced)
        return self.common + (1.0 - self.common) * np.where(same, near, 0.0)


KERNELS = tuple(
    Kernel(length=length, common=common) for length in (0.15, 0.22, 0.32, 0.45, 0.65, 0.95) for common in (0.05, 0.2)
)
"""Those that are tried on each metric. Fitted to candidates of 144 searches, lengths lay between 0.16 and 0.92."""


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """What the errors of some metrics say, when one kernel explains them best; S simulated circuits."""

    kernel: Kernel
    metrics: NDArray[np.intp]
    """Which metrics, (k,)."""
    precision: NDArray[np.float64]
    """Inverse of the correlation of the simulated circuits' errors, (S, S)."""
    errors: NDArray[np.float64]
    """The same times these errors, (S, k)."""
    scale: NDArray[np.float64]
    """Expected size of the errors in predicted deviations, (k,)."""


@dataclass
class Posterior:
    """What is known of one specification's circuits; M device slots, n metrics."""

    kernels: tuple[Kernel, ...] = KERNELS
    """Kernels of which each metric takes the likeliest."""
    noise: float = 0.001
    """Share of an error's variance that nearness does not explain."""
    trust: float = 8.0
    """Simulated circuits that the surrogate's own opinion of its deviations is worth."""
    _topologies: list[str] = field(default_factory=list)
    _values: list[Array] = field(default_factory=list)
    _errors: list[Array] = field(default_factory=list)
    _fitted: list[_Fitted] = field(default_factory=list)

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
        self._fitted = []

    def correct(self, topologies: list[str], values: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
        """Corrected mean and deviation, (P, n) each, of candidates with values (P, M) and the surrogate's prediction (P, n)."""
        if not self._errors:
            return mean, deviation
        self._fitted = self._fitted or self._fit()
        distance, same = distances(values, np.stack(self._values)), alike(topologies, self._topologies)
        error, share = np.empty(mean.shape), np.empty(mean.shape)  # both in the surrogate's deviations
        for fitted in self._fitted:
            cross = fitted.kernel.correlation(distance, same)  # (P, S)
            explained = ((cross @ fitted.precision) * cross).sum(axis=1, keepdims=True)
            error[:, fitted.metrics] = cross @ fitted.errors
            share[:, fitted.metrics] = fitted.scale * np.sqrt(np.maximum(1.0 - explained, self.noise))
        return (mean + deviation * error).astype(np.float32), (deviation * share).astype(np.float32)

    def _fit(self) -> list[_Fitted]:
        """The likeliest kernel of each metric, with the errors' size integrated out."""
        values, errors = np.stack(self._values), np.stack(self._errors).astype(np.float64)
        distance, same = distances(values, values), alike(self._topologies, self._topologies)
        precisions, solved, squares, likelihoods = [], [], [], []
        for kernel in self.kernels:
            known = kernel.correlation(distance, same)
            known[np.diag_indices_from(known)] += self.noise
            precision = np.linalg.inv(known)
            weights = precision @ errors  # (S, n)
            square = (errors * weights).sum(axis=0)  # (n,)
            precisions.append(precision)
            solved.append(weights)
            squares.append(square)
            spread = np.linalg.slogdet(known).logabsdet
            likelihoods.append(-0.5 * ((self.trust + len(errors)) * np.log(self.trust + square) + spread))
        best = np.argmax(likelihoods, axis=0)  # (n,)
        fitted = []
        for place in np.unique(best):
            metrics = np.flatnonzero(best == place)
            scale = np.sqrt((self.trust + squares[place][metrics]) / (self.trust + len(errors)))
            fitted.append(
                _Fitted(
                    kernel=self.kernels[place],
                    metrics=metrics,
                    precision=precisions[place],
                    errors=solved[place][:, metrics],
                    scale=scale,
                )
            )
        return fitted


def alike(topologies: list[str], others: list[str]) -> NDArray[np.bool_]:
    """Which of P topologies are which of S, (P, S)."""
    equal: NDArray[np.bool_] = np.array(topologies)[:, None] == np.array(others)[None]
    return equal


def distances(values: Array, others: Array) -> NDArray[np.float64]:
    """Distance between each of (P, M) and each of (S, M), (P, S)."""
    # In double precision: of values close together little is left of the squares.
    values, others = values.astype(np.float64), others.astype(np.float64)
    squares = (values**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2.0 * values @ others.T
    return np.sqrt(np.maximum(squares, 0.0))
