"""What a training starts from: the model with its objective, the rows for it, and the weights that it goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from genrf.conditioning import FILE as NORMALISATION
from genrf.conditioning import Conditioning
from genrf.errors import CheckpointError
from genrf.files import sha256
from genrf.generation.bundle import MANIFEST
from training.config.schema import Config, TrainingConfig, TransformerConfig
from training.data.rows import failed_file
from training.data.tensors import PreparedData, TrainingBatches, ValidationBatches
from training.fitting.fit import fit
from training.fitting.modules import CircuitTraining
from training.models.backbone import BackboneConfig
from training.models.base import MODEL, BaseCircuitModel
from training.models.restore import restore
from training.running.machine import code_identity

VALIDATION_ROWS = 2048
"""Rows on which a validation is done; more would cost training time and change nothing."""


class Training(NamedTuple):
    """What `training.fitting.fit.fit` is given: a model with what is minimised, and the rows for it."""

    module: CircuitTraining
    train: TrainingBatches
    validation: ValidationBatches
    conditioning: Conditioning


def backbone_config(section: TransformerConfig) -> BackboneConfig:
    """The set transformer of a configuration."""
    return BackboneConfig(width=section.width, layers=section.layers, heads=section.heads, dropout=section.dropout)


def run_training(
    training: Training,
    config: Config,
    section: str,
    prepared: Path,
    output: Path,
    initialize_from: Path | None,
    description: str,
) -> dict[str, Any]:
    """Fit a model from random weights or from those of a checkpoint or bundle; what `fit` reports.

    Args:
        section: of the configuration, on which the training depends.
        prepared: folder that the rows came from.
        output: folder to write; a killed training goes on there.
        initialize_from: see `_initialize`.
        description: for the progress bar.
    """
    module = training.module
    origin = _initialize(module.model, initialize_from, output)
    identity = config.digest(section) + dataset_identity(prepared) + origin + code_identity()
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


def _initialize(model: BaseCircuitModel, source: Path | None, output: Path) -> str:
    """Start from the weights of a checkpoint or of a bundle; returns what identifies them.

    Raises:
        CheckpointError: if it is missing, damaged or of another class, version or configuration.
    """
    if source is None:
        return ""
    if (source / MANIFEST).is_file():
        return restore(model, source)
    path = source / MODEL if source.is_dir() else source
    if path.resolve().parent == output.resolve():
        raise CheckpointError(f"{path}: in the folder that is written; copy it elsewhere to start from it")
    model.load_state_dict(type(model).load_checkpoint(path, model.config).state_dict())
    return sha256(path)


def batches(
    section: TrainingConfig, train: PreparedData, validation: PreparedData, seed: int
) -> tuple[TrainingBatches, ValidationBatches]:
    """Batches for training and for validation, both drawn by weight with classes and topologies balanced."""
    return (
        TrainingBatches(
            train.balanced(), batch_size=section.batch_size, batches=section.validate_every, seed=seed, weighted=True
        ),
        ValidationBatches(validation.balanced().sample(VALIDATION_ROWS, seed, weighted=True), batch_size=512),
    )
