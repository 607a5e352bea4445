"""Training of the three models from the prepared dataset; each function is one step of the pipeline."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from genrf.conditioning import FILE as NORMALISATION
from genrf.conditioning import Conditioning
from genrf.errors import CheckpointError
from genrf.files import write_json
from genrf.generation.bundle import sha256
from genrf.generation.sampler import SamplerSettings
from training.config import Config, TrainingConfig
from training.dataset import PreparedData, TrainingBatches, ValidationBatches

if TYPE_CHECKING:
    from training.models.base import BaseCircuitModel

SAMPLER = "sampler.json"
GAN_VALIDATION_ROWS = 500
"""Topologies written at a validation of the GAN."""
SURROGATE_LEAST_WEIGHT = 0.3
"""Rows far from useful count at least so much for the surrogate: it must know a bad circuit when it sees one."""
VALIDATION_ROWS = 2048
"""Rows on which a validation is done; more would cost training time and change nothing."""


def train_topology_gan(
    config: Config, prepared: Path, output: Path, initialise_from: Path | None = None
) -> dict[str, Any]:
    """Train the topology Cycle-GAN; writes ``model.pt``, ``losses.csv`` and ``report.json``.

    Args:
        prepared: folder written by `training.prepare.prepare_data`.
        output: folder to write; a killed training goes on there.
        initialise_from: checkpoint of a model of the same configuration, or the folder of one, whose weights training
            starts from, such as the champion's; none for random weights.
    """
    from training.conditioning import RowConditions
    from training.fit import fit
    from training.models.topology_gan import TopologyGAN, TopologyGANConfig
    from training.topology_gan_training import TopologyGANTraining, topology_rows

    section = config.topology_gan
    conditioning = Conditioning.load(prepared)
    seed = config.seed + 2
    torch.manual_seed(seed)
    model = TopologyGAN(
        TopologyGANConfig(
            specification_size=conditioning.specification_size,
            style_size=section.style_size,
            temperature=section.temperature,
            width=section.width,
            critic_width=section.critic_width,
        )
    )
    rows = topology_rows(prepared)
    module = TopologyGANTraining(
        model, section, seed, condition=RowConditions(conditioning), pool=rows, class_names=conditioning.classes
    )
    train = TrainingBatches(
        rows, batch_size=section.batch_size, batches=section.validate_every, seed=seed, weighted=True
    )
    validation = ValidationBatches(
        rows.sample(GAN_VALIDATION_ROWS, seed, weighted=True), batch_size=GAN_VALIDATION_ROWS
    )
    identity = config.digest("topology_gan") + dataset_identity(prepared) + _initialise(model, initialise_from, output)
    return fit(module, train, validation, section, output, identity=identity, description="training the topology GAN")


def train_sizing_diffusion(
    config: Config, prepared: Path, output: Path, initialise_from: Path | None = None
) -> dict[str, Any]:
    """Train the sizing model; writes ``model.pt``, ``sampler.json``, ``losses.csv`` and ``report.json``.

    Args:
        prepared: folder written by `training.prepare.prepare_data`.
        output: folder to write; a killed training goes on there.
        initialise_from: checkpoint of a model of the same configuration, or the folder of one, whose weights training
            starts from, such as the champion's; none for random weights.
    """
    from training.conditioning import RowConditions
    from training.fit import fit, is_main_process
    from training.lightning_modules import SizingDiffusionTraining
    from training.models.backbone import BackboneConfig
    from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig

    section = config.sizing_diffusion
    conditioning = Conditioning.load(prepared)
    torch.manual_seed(config.seed)
    model = SizingDiffusion(
        SizingDiffusionConfig(
            specification_size=conditioning.specification_size,
            backbone=BackboneConfig(width=section.width, layers=section.layers, heads=section.heads),
        )
    )
    module = SizingDiffusionTraining(
        model,
        section,
        config.seed,
        condition=RowConditions(conditioning),
        conditions_size=conditioning.conditions_size,
    )
    train, validation = _batches(section, prepared, config.seed)
    identity = config.digest("sizing_diffusion") + dataset_identity(prepared)
    identity += _initialise(model, initialise_from, output)
    report = fit(
        module, train, validation, section, output, identity=identity, description="training the sizing diffusion"
    )
    if not is_main_process():
        return report
    sampler = SamplerSettings(
        steps=section.sampling_steps, guidance=section.guidance, conditions_size=conditioning.conditions_size
    )
    write_json(output / SAMPLER, asdict(sampler))
    return report


def train_surrogate(
    config: Config, prepared: Path, output: Path, initialise_from: Path | None = None
) -> dict[str, Any]:
    """Train the surrogate; writes ``model.pt``, ``losses.csv``, ``report.json`` and ``accuracy.json``.

    Args:
        prepared: folder written by `training.prepare.prepare_data`.
        output: folder to write; a killed training goes on there.
        initialise_from: checkpoint of a model of the same configuration, or the folder of one, whose weights training
            starts from, such as the champion's; none for random weights.

    Returns:
        The training's report and, for each metric, mean absolute error and calibration on unseen topologies.
    """
    from training.fit import fit, is_main_process
    from training.lightning_modules import SurrogateTraining
    from training.models.backbone import BackboneConfig
    from training.models.surrogate import Surrogate, SurrogateConfig
    from training.surrogate_accuracy import accuracy

    section = config.surrogate
    conditioning = Conditioning.load(prepared)
    torch.manual_seed(config.seed + 1)
    model = Surrogate(
        SurrogateConfig(
            conditions_size=conditioning.conditions_size,
            metrics=conditioning.metrics,
            backbone=BackboneConfig(width=section.width, layers=section.layers, heads=section.heads),
        )
    )
    module = SurrogateTraining(model, section, config.seed + 1)
    train, validation = _batches(section, prepared, config.seed + 1, least_weight=SURROGATE_LEAST_WEIGHT)
    identity = config.digest("surrogate") + dataset_identity(prepared) + _initialise(model, initialise_from, output)
    report = fit(module, train, validation, section, output, identity=identity, description="training the surrogate")
    if not is_main_process():
        return report
    report |= accuracy(model, PreparedData.load(prepared / "test.npz"), conditioning)
    write_json(output / "accuracy.json", report)
    return report


def dataset_identity(prepared: Path) -> str:
    """Digest of what the models train on."""
    return "".join(sha256(prepared / name) for name in ("train.npz", "validation.npz", NORMALISATION))


def _initialise(model: BaseCircuitModel, source: Path | None, output: Path) -> str:
    """Start from the weights of a checkpoint; returns what identifies them.

    Raises:
        CheckpointError: if it is missing, damaged or of another class, version or configuration.
    """
    from training.models.base import MODEL

    if source is None:
        return ""
    path = source / MODEL if source.is_dir() else source
    if path.resolve().parent == output.resolve():
        raise CheckpointError(f"{path}: in the folder that is written; copy it elsewhere to start from it")
    model.load_state_dict(type(model).load_checkpoint(path, model.config).state_dict())
    return sha256(path)


def _batches(
    section: TrainingConfig, prepared: Path, seed: int, *, least_weight: float = 0.0
) -> tuple[TrainingBatches, ValidationBatches]:
    train, validation = (
        PreparedData.load(prepared / f"{split}.npz").with_least_weight(least_weight).balanced()
        for split in ("train", "validation")
    )
    return (
        TrainingBatches(train, batch_size=section.batch_size, batches=section.validate_every, seed=seed, weighted=True),
        ValidationBatches(validation.sample(VALIDATION_ROWS, seed, weighted=True), batch_size=512),
    )
