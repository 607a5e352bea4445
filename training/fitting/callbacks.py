"""What training does besides minimising: averages weights, keeps the losses, shows progress, keeps rows on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from rich.progress import Progress, TaskID
from torch import Tensor

from genrf.files import written_whole
from genrf.progress import progress_bar
from training.data.tensors import TrainingBatches, ValidationBatches
from training.running.tracking import log_metrics

MONITOR = "validation_loss"
"""The loss that decides which weights are best."""


class MovingAverage(Callback):
    """Exponential moving average of the weights, which is validated and kept. Young averages forget faster.

    Checkpoints hold the averages as ``state_dict`` and the weights as ``current_model_state``, as those of Lightning's
    own callback do. That one keeps its count on the device and waits for it at every step.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._averages: list[Tensor] = []
        self._count = 0
        self._resumed: dict[str, Tensor] | None = None

    @torch.no_grad()
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The weights are on the device, read from a checkpoint if there was one: then they are the averages."""
        self._averages = [parameter.detach().clone() for parameter in pl_module.parameters()]
        if self._resumed is not None:
            pl_module.load_state_dict(self._resumed)
            self._resumed = None

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the averages; the first are the weights themselves."""
        young = (1.0 + self._count) / (10.0 + self._count)
        weights = [parameter.detach() for parameter in pl_module.parameters()]
        if self._count == 0:
            torch._foreach_copy_(self._averages, weights)
        else:
            torch._foreach_lerp_(self._averages, weights, 1.0 - min(self._decay, young))
        self._count += 1

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the averages."""
        self._swap(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train the weights."""
        self._swap(pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the averages in the weights' place."""
        names = [name for name, _ in pl_module.named_parameters()]
        checkpoint["current_model_state"] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **dict(zip(names, self._averages, strict=True))}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the weights until the averages, which are in their place, have been read."""
        self._resumed = checkpoint["current_model_state"]

    def state_dict(self) -> dict[str, Any]:
        """Steps averaged so far."""
        return {"count": self._count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._count = state_dict["count"]

    @torch.no_grad()
    def _swap(self, pl_module: LightningModule) -> None:
        weights = [parameter.detach() for parameter in pl_module.parameters()]
        kept = [average.clone() for average in self._averages]
        torch._foreach_copy_(self._averages, weights)
        torch._foreach_copy_(weights, kept)


class LossHistory(Callback):
    """Losses at each validation: in the checkpoint, in a file as ``step,train_loss,validation_loss``, and with the
    step's run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._steps = 0
        self._rows: list[list[float]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step more."""
        self._steps += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation has run by now; the checkpoint is written afterwards."""
        losses = trainer.callback_metrics
        step = self._steps
        self._rows.append([step, float(losses["train_loss"]), float(losses[MONITOR])])
        if trainer.is_global_zero:
            log_metrics({"train_loss": self._rows[-1][1], MONITOR: self._rows[-1][2]}, step)
            lines = ["step,train_loss,validation_loss", *(f"{int(s)},{t:.6g},{v:.6g}" for s, t, v in self._rows)]
            with written_whole(self.path) as temporary:
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": [list(row) for row in self._rows], "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the rows of a checkpoint."""
        self._rows, self._steps = [list(row) for row in state_dict["rows"]], state_dict["steps"]

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
            done = int(trainer.current_epoch * trainer.num_training_batches)
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
