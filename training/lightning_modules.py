"""What is minimised: one Lightning module a model.

All randomness of a step comes from a generator seeded by (run's seed, step, process), so that a run that was killed and
resumed makes the same draws as one that was not.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import functional

from training.config import TrainingConfig
from training.dataset import Batch, step_seed
from training.models.base import BaseCircuitModel
from training.models.sizing_diffusion import SizingDiffusion
from training.models.surrogate import Surrogate
from training.muon import Muon

Condition = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Metrics (B, n_metrics), conditions (B, C) and a generator -> specification vectors (B, D) that the rows meet."""

HIDDEN_RATE = 4.0
"""Learning rate of the hidden matrices, in multiples of the others'."""
FREEDOM = 4.0
"""Degrees of freedom of the distribution of the surrogate's errors."""
WARMUP_SHARE = 0.05
"""Share of the steps over which the learning rate rises."""


class CircuitTraining(LightningModule):
    """Base of the training modules: optimiser, schedule and reproducible draws. ``self.model`` is what is trained."""

    model: BaseCircuitModel
    bf16_is_enough: ClassVar[bool] = False
    """Whether matrix products and activations of 8 bits' precision cost no quality."""

    def __init__(self, model: BaseCircuitModel, settings: TrainingConfig, seed: int) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.seed = seed
        self.time_share = 0.0
        """Share of the allowed time that is used up; `training.time_limit` sets it."""

    @abstractmethod
    def objective(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What a training step minimises."""

    def schedule(self, step: int, least: float = 0.0) -> float:
        """Learning rate in multiples of its peak: linear warm-up, then half a cosine.

        It is at `least` when the steps or the minutes are used up, whichever comes first.
        """
        settings = self.settings
        rising = max((step + 1) / max(1.0, WARMUP_SHARE * settings.max_steps), self.time_share / WARMUP_SHARE)
        share = max(step / settings.max_steps, self.time_share)
        return min(1.0, rising) * max(0.5 * (1.0 + math.cos(math.pi * min(1.0, share))), least)

    def step_generator(self) -> torch.Generator:
        """Random numbers of this training step and process."""
        return self._generator(0, self.global_step, self.global_rank)

    def validation_generator(self, batch_index: int) -> torch.Generator:
        """Random numbers of a validation batch, the same at every validation."""
        return self._generator(1, batch_index, self.global_rank)

    def configure_optimizers(self) -> Any:
        """Muon and AdamW; only matrices are decayed."""
        settings = self.settings
        hidden = self.model.hidden_matrices()
        known = {id(parameter) for parameter in hidden}
        optimiser = Muon(
            hidden,
            (parameter for parameter in self.model.parameters() if id(parameter) not in known),
            hidden_learning_rate=HIDDEN_RATE * settings.learning_rate,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self.schedule)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _generator(self, *parts: int) -> torch.Generator:
        return torch.Generator(device=self.device).manual_seed(step_seed(self.seed, *parts))


class SizingDiffusionTraining(CircuitTraining):
    """Denoising loss of Karras et al. (2022), eq. 8, with the specification dropped now and then for guidance."""

    model: SizingDiffusion
    # What is learnt is to take noise away; rounding of the activations is far below it.
    bf16_is_enough = True

    def __init__(
        self,
        model: SizingDiffusion,
        settings: TrainingConfig,
        seed: int,
        *,
        condition: Condition,
        conditions_size: int,
        drop: float = 0.1,
    ) -> None:
        super().__init__(model, settings, seed)
        self._condition, self._conditions_size, self._drop = condition, conditions_size, drop

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Mean weighted squared error over the devices of the batch."""
        loss = self.objective(batch, self.step_generator())
        self.log("train_loss", loss, batch_size=len(batch.kinds))
        return loss

    def objective(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See `CircuitTraining.objective`."""
        return self._loss(batch, generator, self._drop)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """The same with the same draws at every validation, never dropping the specification."""
        loss = self._loss(batch, self.validation_generator(batch_index), 0.0)
        self.log("validation_loss", loss, on_epoch=True, sync_dist=True, batch_size=len(batch.kinds))

    def _loss(self, batch: Batch, generator: torch.Generator, drop: float) -> Tensor:
        count, device = len(batch.kinds), batch.values.device
        specification = self._condition(batch.metrics, batch.conditions, generator)
        kept = torch.rand(count, 1, generator=generator, device=device) >= drop
        bounds = specification[:, self._conditions_size :] * kept
        specification = torch.cat([specification[:, : self._conditions_size], bounds], dim=1)
        # One draw from each of B equal slices of the noise levels' distribution lowers the variance of the loss.
        slices = torch.randperm(count, generator=generator, device=device)
        uniform = (slices + torch.rand(count, generator=generator, device=device)) / count
        sigma = self.model.sample_sigma(uniform)
        noise = torch.randn(batch.values.shape, generator=generator, device=device)
        present = (batch.kinds > 0).float()
        noisy = (batch.values + sigma[:, None] * noise) * present
        denoised = self.model(noisy, sigma, batch.kinds, batch.nets, specification).float()
        weighted = self.model.loss_weight(sigma)[:, None] * (denoised - batch.values) ** 2 * present
        return weighted.sum() / present.sum()


class SurrogateTraining(CircuitTraining):
    """Likelihood of whether a circuit works and, if so, of its metrics under Student's t distribution, the latter weighted by a
    power of the predicted variance.

    A normal distribution's likelihood of the few circuits that the model is wrong and sure about outweighs that of all
    the others: on topologies that it has not seen it grew without bound while the errors still fell.
    """

    model: Surrogate
    # Its errors are to be a hundredth of a metric's spread, where bf16 rounds to a two-hundredth: activations stay in 32
    # bits.

    def __init__(self, model: Surrogate, settings: TrainingConfig, seed: int, *, beta: float = 0.5) -> None:
        super().__init__(model, settings, seed)
        self._beta = beta

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """beta-NLL, Seitzer et al. (2022), eq. 5: points with a large predicted variance keep their say about the
        mean."""
        loss = self.objective(batch, self.step_generator())
        self.log("train_loss", loss, batch_size=len(batch.kinds))
        return loss

    def objective(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See `CircuitTraining.objective`; draws nothing."""
        return self._losses(batch)[0]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Plain negative log-likelihood."""
        _, likelihood = self._losses(batch)
        self.log("validation_loss", likelihood, on_epoch=True, sync_dist=True, batch_size=len(batch.kinds))

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        prediction = self.model(batch.values, batch.kinds, batch.nets, batch.conditions)
        mean, log_variance, works = (tensor.float() for tensor in prediction)
        measured = ~batch.metrics.isnan()
        error = torch.where(measured, batch.metrics.nan_to_num() - mean, 0.0)
        square = error**2 * torch.exp(-log_variance) / FREEDOM
        likelihood = 0.5 * (log_variance + (FREEDOM + 1.0) * torch.log1p(square)) * measured
        weight = torch.exp(self._beta * log_variance.detach())
        total = measured.sum().clamp(min=1)
        failure = functional.binary_cross_entropy_with_logits(works, measured.any(dim=1).float())
        return (weight * likelihood).sum() / total + failure, likelihood.sum() / total + failure
