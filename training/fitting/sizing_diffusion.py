"""What the sizing diffusion minimises, and its training from the prepared data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genrf.conditioning import Conditioning
from genrf.files import write_json
from genrf.generation.sampler import SamplerSettings
from training.config.schema import Config, TrainingConfig
from training.data.row_conditions import RowConditions
from training.data.tensors import Batch, PreparedData
from training.fitting.fit import is_main_process
from training.fitting.modules import CircuitTraining, Condition
from training.fitting.training import Training, backbone_config, batches, run_training
from training.models.sampling import SAMPLER
from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig


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


def train_sizing_diffusion(
    config: Config, prepared: Path, output: Path, initialize_from: Path | None = None
) -> dict[str, Any]:
    """Train the sizing model; writes ``model.pt``, ``sampler.json``, ``losses.csv`` and ``report.json``.

    Args: see `train_topology_gan`.
    """
    section = config.sizing_diffusion
    training = sizing_diffusion_training(config, prepared)
    description = "training the sizing diffusion"
    report = run_training(training, config, "sizing_diffusion", prepared, output, initialize_from, description)
    if is_main_process():
        conditions = training.conditioning.conditions_size
        sampler = SamplerSettings(steps=section.sampling_steps, guidance=section.guidance, conditions_size=conditions)
        write_json(output / SAMPLER, asdict(sampler))
    return report


def sizing_diffusion_training(config: Config, prepared: Path) -> Training:
    """The sizing model with its rows, before the first step."""
    section = config.sizing_diffusion
    conditioning = Conditioning.load(prepared)
    torch.manual_seed(config.seed)
    model = SizingDiffusion(
        SizingDiffusionConfig(
            specification_size=conditioning.specification_size,
            backbone=backbone_config(section),
        )
    )
    module = SizingDiffusionTraining(
        model,
        section,
        config.seed,
        condition=RowConditions(conditioning),
        conditions_size=conditioning.conditions_size,
    )
    train, validation = (PreparedData.load(prepared / f"{split}.npz") for split in ("train", "validation"))
    return Training(module, *batches(section, train, validation, config.seed), conditioning)
