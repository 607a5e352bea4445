"""One way to train every model: seeded, validated and checkpointed at intervals, resumable, stopped early, averaged.

A run that was killed and is started again with the same output folder ends in the same weights as one that was not: an
epoch is ``validate_every`` steps, a checkpoint is written at its end, and all draws depend on the seed and the step
alone. Only a training with a limit in minutes depends on the clock.

Files in the output folder: ``model.pt`` (the best averaged weights), ``losses.csv``, and while training runs
``checkpoints/``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from genrf.errors import CheckpointError, GenRFError
from genrf.files import write_json
from training.config.schema import TrainingConfig
from training.data.tensors import TrainingBatches, ValidationBatches
from training.fitting.callbacks import MONITOR, KeepRowsOnDevice, LossHistory, MovingAverage, StepProgress
from training.fitting.compile import CompileNetwork
from training.fitting.hardware import MatrixProducts, accelerator, arithmetic, lightning_precision, processes, strategy
from training.fitting.modules import CircuitTraining
from training.fitting.throughput import Throughput
from training.fitting.time_limit import TimeLimit
from training.models.base import MODEL
from training.running.quiet import quiet

LOSSES = "losses.csv"
REPORT = "report.json"
LIGHTNING = ("pytorch_lightning", "lightning", "lightning.pytorch")
"""Names of its loggers."""
_CHECKPOINTS = "checkpoints"
_CLAIM = "run.json"


def fit(
    module: CircuitTraining,
    train: TrainingBatches,
    validation: ValidationBatches,
    settings: TrainingConfig,
    output: Path,
    *,
    identity: str,
    description: str = "training",
) -> dict[str, Any]:
    """Train ``module.model`` and leave it in evaluation mode with the best averaged weights, which are also in
    ``model.pt``.

    Args:
        module: logs ``train_loss`` and ``validation_loss``, of which the latter decides what is best.
        train: must have ``settings.validate_every`` batches an epoch.
        output: folder to write; an interrupted training found there goes on, a finished one is read back.
        identity: digest of configuration and data. What is found under another identity is discarded.

    Returns:
        ``steps``, ``best_validation_loss``, ``parameters``, ``checkpoint_megabytes`` and what `Throughput.report_of`
        says; nothing in all but the main process of several.

    Raises:
        CheckpointError: if what was left by an interrupted training is damaged.
    """
    if len(train) != settings.validate_every:
        raise ValueError(f"{len(train)} batches an epoch, but validate_every is {settings.validate_every}")
    started = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    identity = hashlib.sha256(identity.encode()).hexdigest()
    if not is_main_process():
        _wait_for_claim(output, identity)
    else:
        _discard_other_runs(output, identity)
    report_path = output / REPORT
    if report_path.exists():
        module.model.load_state_dict(
            type(module.model).load_checkpoint(output / MODEL, module.model.config).state_dict()
        )
        module.model.eval()
        report: dict[str, Any] = json.loads(report_path.read_text(encoding="utf-8"))
        return report

    checkpoints = output / _CHECKPOINTS
    last = checkpoints / "last.ckpt"
    history = LossHistory(output / LOSSES)
    if not (last.exists() and _is_finished(_read_checkpoint(last), settings)):
        # Lightning's advice about loaders and hardware is of no use here: there are no loaders.
        with quiet(*LIGHTNING, ignored=({"module": r"(pytorch_)?lightning.*"}, {"category": FutureWarning})):
            trainer = _trainer(
                module,
                settings,
                [
                    # In this order: rows are on the device when the network is compiled for their lengths.
                    KeepRowsOnDevice(train, validation),
                    CompileNetwork(settings.compile, train),
                    MovingAverage(settings.ema_decay),
                    TimeLimit(settings.max_minutes, started),
                    Throughput(settings.batch_size, started),
                    history,
                ],
                checkpoints,
                description,
            )
            try:
                trainer.fit(module, train, validation, ckpt_path=last if last.exists() else None, weights_only=True)
            except SystemExit as error:
                # Lightning turns an interrupt into an exit; whoever called must see the interrupt.
                raise KeyboardInterrupt from error

    if not is_main_process():
        return {}
    state = _read_checkpoint(last)
    losses = LossHistory.rows_of(state)
    if not all(math.isfinite(loss) for _, _, loss in losses):
        raise GenRFError(f"{history.path}: {description} diverged; lower its learning_rate in params.yaml")
    best = _read_checkpoint(checkpoints / "best.ckpt")
    prefix = "model."
    module.model.load_state_dict(
        {name.removeprefix(prefix): tensor for name, tensor in best["state_dict"].items() if name.startswith(prefix)}
    )
    module.model.cpu().eval()
    module.model.save_checkpoint(output / MODEL)
    report = {
        "steps": int(losses[-1][0]),
        "best_validation_loss": min(row[2] for row in losses),
        "parameters": sum(parameter.numel() for parameter in module.model.parameters()),
        "checkpoint_megabytes": round((output / MODEL).stat().st_size / 1e6, 3),
        **Throughput.report_of(state),
    }
    write_json(report_path, report)
    shutil.rmtree(checkpoints)
    return report


def _trainer(
    module: CircuitTraining,
    settings: TrainingConfig,
    own: list[Callback],
    checkpoints: Path,
    description: str,
) -> Trainer:
    epochs = math.ceil(settings.max_steps / settings.validate_every)
    numbers = arithmetic(settings.precision, module)
    callbacks: list[Callback] = [
        MatrixProducts(numbers),
        *own,
        EarlyStopping(monitor=MONITOR, patience=settings.early_stopping_patience, check_on_train_epoch_end=False),
        StepProgress(description, epochs * settings.validate_every),
        # At the end, so that a checkpoint holds what the others learnt from the same validation. One is the best so
        # far; the other, from which an interrupted training goes on, is written at every validation.
        ModelCheckpoint(
            dirpath=checkpoints,
            filename="best",
            monitor=MONITOR,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        ModelCheckpoint(
            dirpath=checkpoints, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        ),
    ]
    on_each, nodes = processes(settings.devices)
    trainer = Trainer(
        accelerator=accelerator(),
        devices=on_each,
        num_nodes=nodes,
        strategy=strategy(on_each * nodes, module),
        precision=lightning_precision(numbers),
        max_epochs=epochs,
        gradient_clip_val=(settings.gradient_clip or None) if module.automatic_optimization else None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    # Several processes would ask each other at every step whether one was told to stop, and wait for the GPU to answer.
    # Whoever stops one stops all of them.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
    return trainer


def _nothing() -> None:
    """In place of what is not wanted."""


def is_main_process() -> bool:
    """Whether this process writes files: the only one, or the first of those that torchrun or a TrainJob started."""
    return int(os.environ.get("RANK", "0")) == 0


def _discard_other_runs(output: Path, identity: str) -> None:
    """Remove what another configuration or other data left in the folder."""
    if _claimed_by(output) != identity:
        for name in (REPORT, MODEL, LOSSES):
            (output / name).unlink(missing_ok=True)
        shutil.rmtree(output / _CHECKPOINTS, ignore_errors=True)
        write_json(output / _CLAIM, {"identity": identity})


def _wait_for_claim(output: Path, identity: str, seconds: float = 120.0) -> None:
    """Wait until the main process has prepared the folder."""
    deadline = time.monotonic() + seconds
    while _claimed_by(output) != identity:
        if time.monotonic() > deadline:
            raise CheckpointError(f"{output}: not prepared by the main process; is the folder shared by all nodes?")
        time.sleep(0.1)


def _claimed_by(output: Path) -> str | None:
    try:
        claim: str = json.loads((output / _CLAIM).read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return claim


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not {"state_dict", "callbacks", "epoch"} <= content.keys():
            raise ValueError("not a training checkpoint")
    except Exception as error:  # torch raises many types for a damaged file
        raise CheckpointError(
            f"{path}: an interrupted training's checkpoint is damaged; delete {path.parent} to start over"
        ) from error
    return content


def _is_finished(checkpoint: dict[str, Any], settings: TrainingConfig) -> bool:
    """Whether training had ended when the checkpoint was written: by its steps, its minutes or early stopping."""
    stopping = next(state for name, state in checkpoint["callbacks"].items() if name.startswith("EarlyStopping"))
    stopped = stopping["wait_count"] >= settings.early_stopping_patience
    if settings.max_minutes is not None and TimeLimit.share_of(checkpoint) >= 1.0:
        return True
    return bool(stopped or (checkpoint["epoch"] + 1) * settings.validate_every >= settings.max_steps)
