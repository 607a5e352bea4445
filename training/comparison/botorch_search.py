"""Bayesian optimization of one topology's values with BoTorch: scalable constrained Bayesian optimization.

A Gaussian process models the slack of every constraint; batches are Thompson samples within a trust region around the best
circuit so far that grows on progress and shrinks without (Eriksson and Poloczek, "Scalable Constrained Bayesian
Optimization", 2021; bilogarithmic slacks as there). There is no objective besides the constraints, so a sample's value is
its total shortfall.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from training.comparison.searches import Array, Start, shortfall

if TYPE_CHECKING:
    from botorch.models import SingleTaskGP
    from torch import Tensor

METHOD = "botorch"
FIRST_DRAWS = 4
"""First-order draws of the topology that the model starts from, besides what was simulated of it."""
LENGTH = 0.5
"""First half-width of the trust region, in normalised values."""
LONGEST, SHORTEST = 1.5, 0.02
PROGRESS = 1e-3
"""Fall of the total shortfall that counts as progress."""
SUCCESSES = 2
"""Batches with progress in a row after which the trust region grows."""
CANDIDATES = 512
"""Points that a Thompson sample chooses from."""
MOVED = 20
"""Devices that a candidate differs in from the best circuit, on average, where it has more."""
MOST_POINTS = 150
"""Circuits that the model is fitted to, the best and the latest, so that a long search stays fast."""
FIRST_STEPS, STEPS = 20, 5
"""Iterations of L-BFGS that fit the first model of a topology, and each later one, which starts from the one before."""
LENGTH_UNIT = 3.0
"""Normalised values that the model takes for one, about the widest trust region, as BoTorch's priors are for unit cubes."""
REFIT = 1.2
"""Growth of the data after which the model is fitted again."""
DECIBEL = 10.0
"""Relative slacks are in tens of decibels."""


class BotorchSearch:
    """Scalable constrained Bayesian optimization of one topology.

    Args:
        start: what is known of the topology.
        calls: that the whole search may spend; longer searches take larger batches.
        rng: source of all randomness.
    """

    def __init__(self, start: Start, calls: int, rng: np.random.Generator) -> None:
        self._start = start
        self._rng = rng
        self._batch = int(np.clip(calls // 40, 6, 32))
        self._x, self._y = start.points, start.slacks
        self._length = LENGTH
        self._successes = self._failures = 0
        self._drawn = 0
        self._fitted: dict[str, Any] | None = None
        """Hyperparameters of the last model that was fitted, and the circuits that it was fitted to."""
        self._fitted_to = 0

    @property
    def stalled(self) -> bool:
        """Whether the trust region has shrunk to nothing."""
        return self._length < SHORTEST

    def ask(self, most: int) -> Array:
        """The next batch, (n, d)."""
        if self._drawn < FIRST_DRAWS:
            count = min(most, FIRST_DRAWS - self._drawn)
            self._drawn += count
            return np.stack([self._start.draw() for _ in range(count)])
        return self._thompson(min(most, self._batch))

    def tell(self, points: Array, slacks: Array) -> None:
        """Learn slacks, (n, c), NaN where a circuit failed; resizes the trust region."""
        before = shortfall(self._y).min()
        self._x, self._y = np.concatenate([self._x, points]), np.concatenate([self._y, slacks])
        if len(self._x) <= FIRST_DRAWS + len(self._start.points):
            return
        if shortfall(slacks).min() < before - PROGRESS:
            self._successes, self._failures = self._successes + 1, 0
        else:
            self._successes, self._failures = 0, self._failures + len(points)
        if self._successes == SUCCESSES:
            self._length, self._successes = min(2.0 * self._length, LONGEST), 0
        # As many circuits without progress as there are devices, at least one batch.
        elif self._failures >= max(self._x.shape[1], 4):
            self._length, self._failures = 0.5 * self._length, 0

    def _thompson(self, count: int) -> Array:
        import torch
        from botorch.acquisition.objective import GenericMCObjective
        from botorch.exceptions.errors import ModelFittingError
        from botorch.generation.sampling import MaxPosteriorSampling
        from gpytorch.utils.errors import NanError, NotPSDError

        best = self._x[int(np.argmin(shortfall(self._y)))]
        with torch.random.fork_rng(), warnings.catch_warnings():
            # Points outside the unit cube, L-BFGS out of iterations, and jitter on nearly singular matrices, are meant.
            warnings.simplefilter("ignore")
            torch.manual_seed(int(self._rng.integers(2**31)))
            try:
                model = self._model()
                candidates = torch.tensor(self._candidates(best, _relative_lengths(model)) / LENGTH_UNIT)
                sampling = MaxPosteriorSampling(model, objective=GenericMCObjective(_value), replacement=False)
                with torch.no_grad():
                    chosen: Array = sampling(candidates, num_samples=count).numpy()
            except (ModelFittingError, NanError, NotPSDError):
                # Without a model the trust region is sampled evenly until more is known.
                self._fitted, self._fitted_to = None, 0
                chosen = self._candidates(best, np.ones(len(best)))[:count] / LENGTH_UNIT
        return np.clip(chosen * LENGTH_UNIT, self._start.low, self._start.high)

    def _candidates(self, best: Array, lengths: Array) -> Array:
        """Points around the best, (CANDIDATES, d), from a scrambled Sobol sequence in the trust region."""
        from torch.quasirandom import SobolEngine

        devices = len(best)
        low = np.maximum(best - self._length * lengths, self._start.low)
        high = np.minimum(best + self._length * lengths, self._start.high)
        sobol = SobolEngine(devices, scramble=True, seed=int(self._rng.integers(2**31)))
        points = low + (high - low) * sobol.draw(CANDIDATES).double().numpy()
        moved = self._rng.random((CANDIDATES, devices)) < min(1.0, MOVED / devices)
        still = ~moved.any(axis=1)
        moved[still, self._rng.integers(devices, size=int(still.sum()))] = True
        return np.where(moved, points, best)

    def _model(self) -> SingleTaskGP:
        """Independent Gaussian processes of the bilogarithmic slacks, fitted by maximum a posteriori."""
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        x, y = self._kept()
        model = SingleTaskGP(torch.tensor(x / LENGTH_UNIT), torch.tensor(y))
        if self._fitted is not None:
            model.load_state_dict(self._fitted, strict=False)
        if len(self._x) < REFIT * self._fitted_to:
            return model.eval()
        steps = FIRST_STEPS if self._fitted is None else STEPS
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": steps}}
        )
        self._fitted_to = len(self._x)
        # The standardisation of the outcomes belongs to the data, the rest is where the next fit starts.
        self._fitted = {name: value for name, value in model.state_dict().items() if "outcome_transform" not in name}
        return model

    def _kept(self) -> tuple[Array, Array]:
        """Points, (n, d), and bilogarithmic slacks, (n, c), that the model is fitted to."""
        keep = np.arange(len(self._x))
        if len(keep) > MOST_POINTS:
            best = np.argsort(shortfall(self._y), kind="stable")[: MOST_POINTS // 2]
            keep = np.union1d(best, keep[-MOST_POINTS // 2 :])
        y = self._y[keep]
        # A circuit that failed ranks last in everything, so that the model learns to keep away.
        y = np.where(np.isnan(y), np.nanmin(self._y, axis=0), y)
        return self._x[keep], np.sign(y) * np.log1p(DECIBEL * np.abs(y))


def _value(samples: Tensor, X: Tensor | None = None) -> Tensor:
    """Value of sampled bilogarithmic slacks, (..., c): minus the total shortfall, or else the worst slack."""
    slacks = samples.sign() * samples.abs().expm1() / DECIBEL
    return slacks.clamp(max=0.0).sum(-1) + slacks.amin(-1).clamp(min=0.0)


def _relative_lengths(model: SingleTaskGP) -> Array:
    """Lengthscales, (d,), as a geometric mean over constraints, relative to their geometric mean over devices."""
    kernel: Any = model.covar_module
    logs = kernel.lengthscale.detach().log().reshape(-1, kernel.lengthscale.shape[-1]).mean(dim=0)
    return np.asarray((logs - logs.mean()).exp().clamp(0.3, 3.0))
