"""One way to train every model: seeded, validated and checkpointed at intervals, resumable, stopped early, averaged.

A run that was killed and is started again with the same output folder ends in the same weights as one that was not: an
epoch is ``validate_every`` steps, a checkpoint is written at its end, and all draws depend on the seed and the step
alone.

Files in the output folder: ``model.pt`` (the best averaged weights), ``losses.csv``, and while training runs
``checkpoints/``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.callbacks.weight_averaging import WeightAveraging
from rich.progress import Progress, TaskID
from torch import Tensor

from genrf.errors import CheckpointError
from training.config import TrainingConfig
from training.dataset import TrainingBatches, ValidationBatches
from training.lightning_modules import CircuitTraining
from training.models.base import MODEL
from training.progress import progress_bar
from training.tracking import log_metrics

LOSSES = "losses.csv"
REPORT = "report.json"
_CHECKPOINTS = "checkpoints"
_MONITOR = "validation_loss"


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
        ``steps``, ``best_validation_loss`` and ``parameters``.

    Raises:
        CheckpointError: if what was left by an interrupted training is damaged.
    """
    if len(train) != settings.validate_every:
        raise ValueError(f"{len(train)} batches an epoch, but validate_every is {settings.validate_every}")
    output.mkdir(parents=True, exist_ok=True)
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
        with _quiet():
            trainer = _trainer(module, settings, checkpoints, history, KeepRowsOnDevice(train, validation), description)
            try:
                trainer.fit(module, train, validation, ckpt_path=last if last.exists() else None, weights_only=True)
            except SystemExit as error:
                # Lightning turns an interrupt into an exit; whoever called must see the interrupt.
                raise KeyboardInterrupt from error

    best = _read_checkpoint(checkpoints / "best.ckpt")
    prefix = "model."
    module.model.load_state_dict(
        {name.removeprefix(prefix): tensor for name, tensor in best["state_dict"].items() if name.startswith(prefix)}
    )
    module.model.cpu().eval()
    if not _is_main_process():
        return {}
    module.model.save_checkpoint(output / MODEL)
    state = _read_checkpoint(last)
    losses = LossHistory.rows_of(state)
    report = {
        "steps": len(losses) * settings.validate_every,
        "best_validation_loss": min(row[2] for row in losses),
        "parameters": sum(parameter.numel() for parameter in module.model.parameters()),
    }
    _write_json(report_path, report)
    shutil.rmtree(checkpoints)
    return report


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights, which is validated and kept. Young averages forget faster."""

    def __init__(self, decay: float) -> None:
        # Lightning's own average is a local function, which cannot travel to the processes of DDP.
        super().__init__(use_buffers=False, multi_avg_fn=partial(_move_average, decay))


def _move_average(decay: float, averages: list[Tensor], weights: list[Tensor], count: Tensor | int) -> None:
    young = (1.0 + float(count)) / (10.0 + float(count))
    torch._foreach_lerp_(averages, weights, 1.0 - min(decay, young))


class LossHistory(Callback):
    """Losses at each validation: in the checkpoint, in a file as ``step,train_loss,validation_loss``, and with the
    step's run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[list[float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation has run by now; the checkpoint is written afterwards."""
        losses = trainer.callback_metrics
        step = (trainer.current_epoch + 1) * trainer.num_training_batches
        self._rows.append([step, float(losses["train_loss"]), float(losses[_MONITOR])])
        if trainer.is_global_zero:
            log_metrics({"train_loss": self._rows[-1][1], _MONITOR: self._rows[-1][2]}, step)
            lines = ["step,train_loss,validation_loss", *(f"{int(s)},{t:.6g},{v:.6g}" for s, t, v in self._rows)]
            temporary = self._path.with_name(f".{self._path.name}.tmp")
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
            os.replace(temporary, self._path)

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": [list(row) for row in self._rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the rows of a checkpoint."""
        self._rows = [list(row) for row in state_dict["rows"]]

    @classmethod
    def rows_of(cls, checkpoint: dict[str, Any]) -> list[list[float]]:
        """Rows in a checkpoint of Lightning's."""
        rows: list[list[float]] = checkpoint["callbacks"][cls.__qualname__]["rows"]
        return rows


class KeepRowsOnDevice(Callback):
    """The dataset moves to the training device once, not batch by batch."""

    def __init__(self, train: TrainingBatches, validation: ValidationBatches) -> None:
        self._train, self._validation = train, validation

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The device is known now."""
        self._train.to(pl_module.device)
        self._validation.to(pl_module.device)


class StepProgress(Callback):
    """The project's progress bar over all the steps of a training."""

    def __init__(self, description: str, steps: int) -> None:
        self._description, self._steps = description, steps
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar, in one process."""
        if trainer.is_global_zero:
            self._progress = progress_bar()
            self._progress.start()
            done = trainer.current_epoch * trainer.num_training_batches
            self._task = self._progress.add_task(self._description, total=self._steps, completed=done)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Go on, a hundredth of the way at a time."""
        done = trainer.current_epoch * trainer.num_training_batches + batch_idx + 1
        if self._progress is not None and self._task is not None and done % max(1, self._steps // 100) == 0:
            self._progress.update(self._task, completed=done)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training ended."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Training failed; leave the terminal as it was."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _trainer(
    module: CircuitTraining,
    settings: TrainingConfig,
    checkpoints: Path,
    history: LossHistory,
    rows: KeepRowsOnDevice,
    description: str,
) -> Trainer:
    epochs = math.ceil(settings.max_steps / settings.validate_every)
    callbacks: list[Callback] = [
        MovingAverage(settings.ema_decay),
        EarlyStopping(monitor=_MONITOR, patience=settings.early_stopping_patience, check_on_train_epoch_end=False),
        history,
        rows,
        StepProgress(description, epochs * settings.validate_every),
        # At the end, so that a checkpoint holds what the others learnt from the same validation. One is the best so
        # far; the other, from which an interrupted training goes on, is written at every validation.
        ModelCheckpoint(
            dirpath=checkpoints,
            filename="best",
            monitor=_MONITOR,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        ModelCheckpoint(
            dirpath=checkpoints, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        ),
    ]
    return Trainer(
        accelerator="auto" if torch.cuda.is_available() else "cpu",
        devices=settings.devices,
        strategy=_strategy(settings.devices),
        precision=_precision(settings.precision),
        max_epochs=epochs,
        gradient_clip_val=(settings.gradient_clip or None) if module.automatic_optimization else None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _strategy(devices: int) -> str:
    if devices == 1:
        return "auto"
    # Under torchrun or a TrainJob the processes exist already; otherwise this one starts them.
    return "ddp" if "WORLD_SIZE" in os.environ else "ddp_spawn"


def _precision(name: str) -> Any:
    if name == "auto":
        return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"
    return {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[name]


def _discard_other_runs(output: Path, identity: str) -> None:
    """Remove what another configuration or other data left in the folder."""
    path = output / "run.json"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    if known != digest:
        for name in (REPORT, MODEL, LOSSES):
            (output / name).unlink(missing_ok=True)
        shutil.rmtree(output / _CHECKPOINTS, ignore_errors=True)
        _write_json(path, {"identity": digest})


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
    """Whether training had ended when the checkpoint was written, by its steps or by early stopping."""
    stopping = next(state for name, state in checkpoint["callbacks"].items() if name.startswith("EarlyStopping"))
    stopped = stopping["wait_count"] >= settings.early_stopping_patience
    return bool(stopped or (checkpoint["epoch"] + 1) * settings.validate_every >= settings.max_steps)


def _is_main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _write_json(path: Path, content: Any) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice about loaders and hardware is of no use here: there are no loaders."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(pytorch_)?lightning.*")
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
