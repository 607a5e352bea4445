"""Training of the three models from the prepared dataset; each function is one step of the pipeline."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch

from genrf.conditioning import FILE as NORMALISATION
from genrf.conditioning import Conditioning
from genrf.errors import CheckpointError
from genrf.files import write_json
from genrf.generation.bundle import MANIFEST, sha256
from genrf.generation.sampler import SamplerSettings
from training.config import Config, TrainingConfig, TransformerConfig, per_class
from training.dataset import PreparedData, TrainingBatches, ValidationBatches
from training.prepare import failed_file

if TYPE_CHECKING:
    from training.lightning_modules import CircuitTraining
    from training.models.backbone import BackboneConfig
    from training.models.base import BaseCircuitModel

SAMPLER = "sampler.json"
GAN_VALIDATION_ROWS = 500
"""Topologies written at a validation of the GAN."""
SURROGATE_LEAST_WEIGHT = 0.3
"""Rows far from useful count at least so much for the surrogate, and those that failed just so much: it must know a bad circuit
when it sees one."""
VALIDATION_ROWS = 2048
"""Rows on which a validation is done; more would cost training time and change nothing."""


class Training(NamedTuple):
    """What `training.fit.fit` is given: a model with what is minimised, and the rows for it."""

    module: CircuitTraining
    train: TrainingBatches
    validation: ValidationBatches
    conditioning: Conditioning


def train_topology_gan(
    config: Config, prepared: Path, output: Path, initialise_from: Path | None = None
) -> dict[str, Any]:
    """Train the topology Cycle-GAN; writes ``model.pt``, ``losses.csv`` and ``report.json``.

    Args:
        prepared: folder written by `training.prepare.prepare_data`.
        output: folder to write; a killed training goes on there.
        initialise_from: checkpoint of a model of the same configuration, or the folder of one or of a bundle, whose weights
            training starts from, such as the champion's; none for random weights.
    """
    training = topology_gan_training(config, prepared)
    return _fit(training, config, "topology_gan", prepared, output, initialise_from, "training the topology GAN")


def train_sizing_diffusion(
    config: Config, prepared: Path, output: Path, initialise_from: Path | None = None
) -> dict[str, Any]:
    """Train the sizing model; writes ``model.pt``, ``sampler.json``, ``losses.csv`` and ``report.json``.

    Args: see `train_topology_gan`.
    """
    from training.fit import is_main_process

    section = config.sizing_diffusion
    training = sizing_diffusion_training(config, prepared)
    description = "training the sizing diffusion"
    report = _fit(training, config, "sizing_diffusion", prepared, output, initialise_from, description)
    if is_main_process():
        conditions = training.conditioning.conditions_size
        sampler = SamplerSettings(steps=section.sampling_steps, guidance=section.guidance, conditions_size=conditions)
        write_json(output / SAMPLER, asdict(sampler))
    return report


def train_surrogate(
    config: Config, prepared: Path, output: Path, initialise_from: Path | None = None
) -> dict[str, Any]:
    """Train the surrogate; writes ``model.pt``, ``losses.csv``, ``report.json`` and ``accuracy.json``.

    Args: see `train_topology_gan`.

    Returns:
        The training's report and, for each metric, mean absolute error and calibration on unseen topologies.
    """
    from training.fit import is_main_process
    from training.models.surrogate import Surrogate
    from training.surrogate_accuracy import accuracy

    training = surrogate_training(config, prepared)
    report = _fit(training, config, "surrogate", prepared, output, initialise_from, "training the surrogate")
    if is_main_process():
        model = cast(Surrogate, training.module.model)
        test = PreparedData.load(prepared / "test.npz").with_failed(prepared / failed_file("test"), weight=1.0)
        report |= accuracy(model, test, training.conditioning)
        write_json(output / "accuracy.json", report)
    return report


def topology_gan_training(config: Config, prepared: Path) -> Training:
    """The topology GAN with its rows, before the first step."""
    from training.conditioning import RowConditions
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
            temperatures=tuple(per_class(section.temperature, name) for name in conditioning.classes),
            circuit_classes=conditioning.classes,
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
    return Training(module, train, validation, conditioning)


def sizing_diffusion_training(config: Config, prepared: Path) -> Training:
    """The sizing model with its rows, before the first step."""
    from training.conditioning import RowConditions
    from training.lightning_modules import SizingDiffusionTraining
    from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig

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
    return Training(module, *_batches(section, train, validation, config.seed), conditioning)


def surrogate_training(config: Config, prepared: Path) -> Training:
    """The surrogate with its rows, before the first step."""
    from training.lightning_modules import SurrogateTraining
    from training.models.surrogate import Surrogate, SurrogateConfig

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
    return Training(module, *_batches(section, train, validation, seed), conditioning)


def backbone_config(section: TransformerConfig) -> BackboneConfig:
    """The set transformer of a configuration."""
    from training.models.backbone import BackboneConfig

    return BackboneConfig(width=section.width, layers=section.layers, heads=section.heads, dropout=section.dropout)


def _fit(
    training: Training,
    config: Config,
    section: str,
    prepared: Path,
    output: Path,
    initialise_from: Path | None,
    description: str,
) -> dict[str, Any]:
    from training.fit import fit

    module = training.module
    identity = config.digest(section) + dataset_identity(prepared) + _initialise(module.model, initialise_from, output)
    return fit(
        module,
        training.train,
        training.validation,
        module.settings,
        output,
        identity=identity,
        description=description,
    )


def dataset_identity(prepared: Path) -> str:
    """Digest of what the models train on."""
    splits = ("train", "validation")
    names = [*(f"{split}.npz" for split in splits), *(failed_file(split) for split in splits), NORMALISATION]
    return "".join(sha256(prepared / name) for name in names)


def _initialise(model: BaseCircuitModel, source: Path | None, output: Path) -> str:
    """Start from the weights of a checkpoint or of a bundle; returns what identifies them.

    Raises:
        CheckpointError: if it is missing, damaged or of another class, version or configuration.
    """
    from training.models.base import MODEL

    if source is None:
        return ""
    if (source / MANIFEST).is_file():
        from training.restore import restore

        return restore(model, source)
    path = source / MODEL if source.is_dir() else source
    if path.resolve().parent == output.resolve():
        raise CheckpointError(f"{path}: in the folder that is written; copy it elsewhere to start from it")
    model.load_state_dict(type(model).load_checkpoint(path, model.config).state_dict())
    return sha256(path)


def _batches(
    section: TrainingConfig, train: PreparedData, validation: PreparedData, seed: int
) -> tuple[TrainingBatches, ValidationBatches]:
    return (
        TrainingBatches(
            train.balanced(), batch_size=section.batch_size, batches=section.validate_every, seed=seed, weighted=True
        ),
        ValidationBatches(validation.balanced().sample(VALIDATION_ROWS, seed, weighted=True), batch_size=512),
    )
