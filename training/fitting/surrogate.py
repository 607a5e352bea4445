"""What the surrogate minimises, and its training from the prepared data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from genrf.conditioning import Conditioning
from genrf.files import write_json
from training.config.schema import Config, TrainingConfig
from training.data.rows import failed_file
from training.data.tensors import Batch, PreparedData
from training.fitting.fit import is_main_process
from training.fitting.modules import CircuitTraining
from training.fitting.surrogate_accuracy import accuracy
from training.fitting.training import Training, backbone_config, batches, run_training
from training.models.surrogate import Surrogate, SurrogateConfig

FREEDOM = 4.0
"""Degrees of freedom of the distribution of the surrogate's errors."""


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


SURROGATE_LEAST_WEIGHT = 0.3
"""Rows far from useful count at least so much for the surrogate, and those that failed just so much: it must know a bad circuit
when it sees one."""


def train_surrogate(
    config: Config, prepared: Path, output: Path, initialize_from: Path | None = None
) -> dict[str, Any]:
    """Train the surrogate; writes ``model.pt``, ``losses.csv``, ``report.json`` and ``accuracy.json``.

    Args: see `train_topology_gan`.

    Returns:
        The training's report and, for each metric, mean absolute error and calibration on unseen topologies.
    """
    training = surrogate_training(config, prepared)
    report = run_training(training, config, "surrogate", prepared, output, initialize_from, "training the surrogate")
    if is_main_process():
        model = cast(Surrogate, training.module.model)
        test = PreparedData.load(prepared / "test.npz").with_failed(prepared / failed_file("test"), weight=1.0)
        report |= accuracy(model, test, training.conditioning)
        write_json(output / "accuracy.json", report)
    return report


def surrogate_training(config: Config, prepared: Path) -> Training:
    """The surrogate with its rows, before the first step."""
    section = config.surrogate
    seed = config.seed + 1
    conditioning = Conditioning.load(prepared)
    torch.manual_seed(seed)
    model = Surrogate(
        SurrogateConfig(
            conditions_size=conditioning.conditions_size,
            metrics=conditioning.metrics,
            backbone=backbone_config(section),
        )
    )
    module = SurrogateTraining(model, section, seed)
    train, validation = (
        PreparedData.load(prepared / f"{split}.npz")
        .with_least_weight(SURROGATE_LEAST_WEIGHT)
        .with_failed(prepared / failed_file(split), SURROGATE_LEAST_WEIGHT)
        for split in ("train", "validation")
    )
    return Training(module, *batches(section, train, validation, seed), conditioning)
