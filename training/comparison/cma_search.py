"""CMA-ES as an optimizer of one topology's values (Hansen, "The CMA Evolution Strategy: A Tutorial", 2016)."""

from __future__ import annotations

import numpy as np

from training.comparison.searches import Array, Start, shortfall

METHOD = "cma-es"
SIGMA = 0.1
"""First step, in normalised values: a factor of about 1.1 in an inductance."""
PATIENCE = 8
"""Generations without progress after which a topology is given up."""
PROGRESS = 1e-3
"""Fall of the total shortfall that counts as progress: 0.01 dB."""
FAILED = 1e9
"""Loss of a circuit that failed; only its rank, the last, has an effect."""


class CmaSearch:
    """CMA-ES on the total shortfall, started from the best circuit known of a topology.

    Args:
        start: what is known of the topology.
        calls: not used; the population follows from the number of devices.
        rng: source of all randomness.
    """

    def __init__(self, start: Start, calls: int, rng: np.random.Generator) -> None:
        from cmaes import CMA

        losses = shortfall(start.slacks)
        best = int(np.argmin(losses))
        # The grid and range were kept in SI units; rounding must not put the start outside.
        mean = np.clip(start.points[best], start.low, start.high)
        self._cma = CMA(
            mean=mean,
            sigma=SIGMA,
            bounds=np.stack([start.low, start.high], axis=1),
        )
        self._rng = rng
        self._best = float(losses[best])
        self._idle = 0
        self._generation: list[tuple[Array, float]] = []

    @property
    def stalled(self) -> bool:
        """Whether the search has converged, or several generations brought nothing."""
        return self._idle >= PATIENCE or (not self._generation and self._cma.should_stop())

    def ask(self, most: int) -> Array:
        """What is left of the generation, (n, d), at most ``most``."""
        # Each time, since a pickled CMA forgets where its randomness was.
        self._cma.reseed_rng(int(self._rng.integers(2**31)))
        count = min(most, self._cma.population_size - len(self._generation))
        return np.stack([self._cma.ask() for _ in range(count)])

    def tell(self, points: Array, slacks: Array) -> None:
        """Learn slacks, (n, c); a full generation moves the distribution."""
        for point, loss in zip(points, shortfall(slacks), strict=True):
            self._generation.append((point, float(loss) if np.isfinite(loss) else FAILED))
        if len(self._generation) < self._cma.population_size:
            return
        self._cma.tell(self._generation)
        best = min(loss for _, loss in self._generation)
        self._idle = 0 if best < self._best - PROGRESS else self._idle + 1
        self._best = min(self._best, best)
        self._generation = []
