"""What the training modules of all models share: optimizer, schedule, and draws that do not depend on what ran before.

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

from training.config.schema import TrainingConfig
from training.data.tensors import Batch, step_seed
from training.fitting.muon import Muon
from training.models.base import BaseCircuitModel

Condition = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Metrics (B, n_metrics), conditions (B, C) and a generator -> specification vectors (B, D) that the rows meet."""

HIDDEN_RATE = 4.0
"""Learning rate of the hidden matrices, in multiples of the others'."""
WARMUP_SHARE = 0.05
"""Share of the steps over which the learning rate rises."""


class CircuitTraining(LightningModule):
    """Base of the training modules: optimizer, schedule and reproducible draws. ``self.model`` is what is trained."""

    model: BaseCircuitModel
    bf16_is_enough: ClassVar[bool] = False
    """Whether matrix products and activations of 8 bits' precision cost no quality."""

    def __init__(self, model: BaseCircuitModel, settings: TrainingConfig, seed: int) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.seed = seed
        self.time_share = 0.0
        """Share of the allowed time that is used up; `training.fitting.time_limit` sets it."""

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
        optimizer = Muon(
            hidden,
            (parameter for parameter in self.model.parameters() if id(parameter) not in known),
            hidden_learning_rate=HIDDEN_RATE * settings.learning_rate,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _generator(self, *parts: int) -> torch.Generator:
        return torch.Generator(device=self.device).manual_seed(step_seed(self.seed, *parts))
