"""Gaussian processes over simulated circuits, and what to simulate next by them: the only module of genrf that needs BoTorch.

Every metric has one Gaussian process a topology, independent of each other but for a small common part, over normalised device
values. The surrogate's prediction m(x) is its prior mean and the surrogate's own deviation d(x) scales its covariance, as in
`genrf.generation.posterior`, here with length and size at the maximum of their posterior density instead of chosen from a few
and integrated out (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.7):

    k(x, x') = a d(x) d(x') (c + (1 - c) [same topology] (1 + r) exp(-r)),  r = sqrt(3) |x - x'| / l

Which circuits are worth their SPICE calls is said by the logarithm of the noisy expected improvement, of the hypervolume (Daulton
et al. 2021) or of a single figure, in the numerically sound form of Ament et al. (2023), under the specification's constraints.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gpytorch
import numpy as np
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import WeightedMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.optimize import optimize_acqf_discrete
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.settings import validate_input_scaling
from botorch.utils.sampling import manual_seed
from gpytorch.constraints import GreaterThan
from gpytorch.priors import LogNormalPrior
from gpytorch.utils.warnings import NumericalWarning
from numpy.typing import NDArray
from torch import Tensor

from genrf.tables import ArrayTable

COMMON = 0.2
"""Correlation of errors between circuits of different topologies."""
NOISE = 1e-3
"""Share of an error's variance that nearness does not explain; SPICE itself has no noise."""
LEAST_DEVIATION = 0.05
"""Deviations of the surrogate are taken to be no smaller, in standard deviations of the training data."""
LEAST_SIZE = 1e-4
"""Smallest length and scale of a process: one that underflows to 0 as the optimizer steps far has no density under its prior."""
FAILURE_DEVIATION = 0.5
SUCCESS = 0.5
"""A circuit is expected to simulate if the process over successes (1) and failures (0) is above this."""

Slack = tuple[int, float, float]
"""An output, and slope and offset of the relative slack of a constraint on it."""


@dataclass(frozen=True, kw_only=True)
class Points(ArrayTable):
    """Circuits as the processes see them; P circuits, M device slots, n outputs."""

    topology: NDArray[np.int64]
    """Number of each one's topology, (P,)."""
    values: NDArray[np.floating]
    """Normalised, (P, M)."""
    mean: NDArray[np.floating]
    """Predicted outputs, (P, n)."""
    deviation: NDArray[np.floating]
    """Their predicted standard deviations, (P, n)."""


class Acquisition:
    """How much each circuit is worth simulating."""

    def __init__(self, function: AcquisitionFunction) -> None:
        self._function = function

    def values(self, points: Points) -> NDArray[np.float64]:
        """Logarithm of the expected improvement by each circuit alone, (P,)."""
        with _quiet(), torch.no_grad():
            rows = _tensor(points)[:, None]  # (P, 1, columns)
            parts = [self._function(rows[start : start + _BLOCK]) for start in range(0, len(points), _BLOCK)]
        return torch.cat(parts).numpy()

    def choose(self, points: Points, count: int) -> list[int]:
        """The circuits that together promise most, picked one after the other."""
        with _quiet():
            chosen, _ = optimize_acqf_discrete(
                self._function, min(count, len(points)), _tensor(points), max_batch_size=_BLOCK, return_acq_values=False
            )
        return [int(number) for number in chosen[:, -1]]


class Processes:
    """Gaussian processes of all outputs, conditioned on what was simulated; deterministic for a seed.

    Args:
        known: the simulated circuits.
        measured: standardised outputs, (P, n); a row of NaN is a circuit that failed, which says nothing about metrics. Where
            some failed, one more process learns from that which circuits simulate.
        seed: of the integration by quasi Monte Carlo.
        samples: of that integration; each costs a decomposition of the dominated space into boxes for every circuit chosen.
    """

    def __init__(self, known: Points, measured: NDArray[np.floating], *, seed: int, samples: int = 16) -> None:
        self._known = known
        self._seed = seed
        self._samples = samples
        simulated = np.isfinite(measured).all(axis=1)
        self._numbers = np.flatnonzero(simulated)
        outputs = measured.shape[1]
        inputs = _tensor(known)
        with _quiet(), manual_seed(seed):
            models = [
                _fitted(inputs[simulated], torch.tensor(measured[simulated, j].astype(float)), _Columns.of(known, j))
                for j in range(outputs)
            ]
            self._success = None if simulated.all() else outputs
            if self._success is not None:
                # Predicted to work, with a deviation that one failure nearby overcomes.
                columns = _Columns.of(known, outputs)
                models.append(_fitted(inputs, torch.tensor(simulated.astype(float)), columns))
        self._model = ModelListGP(*models)

    def predict(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of every output, (P, n) each."""
        with _quiet(), torch.no_grad():
            posterior = self._model.posterior(_tensor(points))
        outputs = points.mean.shape[1]
        return posterior.mean[:, :outputs].numpy(), posterior.variance[:, :outputs].clamp_min(0.0).sqrt().numpy()

    def trade_off(
        self,
        objectives: Sequence[int],
        signs: Sequence[float],
        reference: NDArray[np.float64],
        slacks: Sequence[Slack],
        baseline: Sequence[int],
    ) -> Acquisition:
        """Noisy expected improvement of the hypervolume that circuits meeting all constraints dominate.

        Args:
            objectives: outputs to trade for each other.
            signs: 1 for each that should be high, -1 for each that should be low.
            reference: point that the volume is counted from, signed, (k,).
            slacks: the constraints.
            baseline: which of the known circuits make up the front so far.
        """
        with _quiet(), manual_seed(self._seed):
            return Acquisition(
                qLogNoisyExpectedHypervolumeImprovement(
                    self._model,
                    torch.tensor(reference),
                    _tensor(self._known.take(list(baseline))),
                    sampler=self._sampler(),
                    objective=WeightedMCMultiOutputObjective(
                        torch.tensor(list(signs), dtype=torch.double), outcomes=list(objectives)
                    ),
                    constraints=[*map(_violation, slacks), *self._simulates()] or None,
                    prune_baseline=True,
                )
            )

    def margin(self, slacks: Sequence[Slack], baseline: Sequence[int]) -> Acquisition:
        """Noisy expected improvement of the worst relative slack, for a specification that no circuit meets yet."""
        violations = [_violation(slack) for slack in slacks]

        def worst(outputs: Tensor, X: Tensor | None = None) -> Tensor:
            return torch.stack([-violation(outputs) for violation in violations], dim=-1).amin(dim=-1)

        with _quiet(), manual_seed(self._seed):
            return Acquisition(
                qLogNoisyExpectedImprovement(
                    self._model,
                    _tensor(self._known.take(list(baseline))),
                    sampler=self._sampler(),
                    objective=GenericMCObjective(worst),
                    constraints=self._simulates() or None,
                )
            )

    def _sampler(self) -> SobolQMCNormalSampler:
        return SobolQMCNormalSampler(torch.Size([self._samples]), seed=self._seed)

    def _simulates(self) -> list[Callable[[Tensor], Tensor]]:
        """Negative where a circuit is expected to simulate."""
        place = self._success
        return [] if place is None else [lambda outputs: SUCCESS - outputs[..., place]]


_BLOCK = 256
"""Circuits rated at once."""


@dataclass(frozen=True)
class _Columns:
    """Where an output's prior stands in the rows that `_tensor` makes."""

    values: range
    mean: int
    deviation: int

    @classmethod
    def of(cls, points: Points, output: int) -> _Columns:
        slots, outputs = points.values.shape[1], points.mean.shape[1]
        start = 1 + slots
        return cls(range(1, start), start + output, start + outputs + 1 + output)


def _tensor(points: Points) -> Tensor:
    """A row a circuit: topology, values (M), prior means (n), that of success, deviations (n), that of success, number."""
    ones = np.ones((len(points), 1))
    columns = [
        points.topology[:, None],
        points.values,
        points.mean,
        ones,
        np.maximum(points.deviation, LEAST_DEVIATION),
        FAILURE_DEVIATION * ones,
        np.arange(len(points))[:, None],
    ]
    # Copied, as everything here is: in numpy's less aligned memory the last digit of a product may differ between two runs.
    return torch.tensor(np.concatenate(columns, axis=1).astype(np.float64))


class _PriorMean(gpytorch.means.Mean):
    """What the surrogate predicts, which stands in a column."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self._column = column

    def forward(self, x: Tensor) -> Tensor:
        return x[..., self._column]


class _ErrorKernel(gpytorch.kernels.Kernel):
    """Covariance of the surrogate's errors: see the module's formula, with a = 1."""

    has_lengthscale = True

    def __init__(self, columns: _Columns) -> None:
        super().__init__(
            active_dims=(0, *columns.values, columns.deviation),
            # Half of all lengths within a factor of 2 of where it starts.
            lengthscale_prior=LogNormalPrior(math.log(2.0), 1.0),
            lengthscale_constraint=GreaterThan(LEAST_SIZE),
        )
        self.lengthscale = 2.0

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        topology1, topology2, deviation1, deviation2 = x1[..., 0], x2[..., 0], x1[..., -1], x2[..., -1]
        values1, values2 = x1[..., 1:-1] / self.lengthscale, x2[..., 1:-1] / self.lengthscale
        if not diag:
            topology1, deviation1 = topology1[..., :, None], deviation1[..., :, None]
            topology2, deviation2 = topology2[..., None, :], deviation2[..., None, :]
        r = math.sqrt(3.0) * self.covar_dist(values1, values2, diag=diag)
        near = (1.0 + r) * torch.exp(-r)
        same = (topology1 == topology2).to(near)
        return deviation1 * deviation2 * (COMMON + (1.0 - COMMON) * same * near)


def _fitted(inputs: Tensor, outputs: Tensor, columns: _Columns) -> SingleTaskGP:
    """The process of one output, length and size at the maximum of its posterior density."""
    covariance = gpytorch.kernels.ScaleKernel(
        _ErrorKernel(columns),
        outputscale_prior=LogNormalPrior(0.0, 1.0),
        outputscale_constraint=GreaterThan(LEAST_SIZE),
    )
    covariance.outputscale = 1.0
    model = SingleTaskGP(
        inputs,
        outputs[:, None],
        (NOISE * inputs[:, columns.deviation] ** 2)[:, None],
        covar_module=covariance,
        mean_module=_PriorMean(columns.mean),
        outcome_transform=None,
    )
    # Where the fit fails, the sizes that it starts from are the surrogate's own.
    start = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        fit_gpytorch_mll(
            gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": 50}},
        )
    except ModelFittingError:
        model.load_state_dict(start)
    return model.eval()


def _violation(slack: Slack) -> Callable[[Tensor], Tensor]:
    """Negative where a constraint is met."""
    index, slope, offset = slack
    return lambda outputs: -(slope * outputs[..., index] + offset)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings that concern inputs outside a unit cube and jitter on matrices, which are meant here."""
    with warnings.catch_warnings(), validate_input_scaling(False):
        warnings.simplefilter("ignore", BotorchWarning)
        warnings.simplefilter("ignore", NumericalWarning)
        yield
