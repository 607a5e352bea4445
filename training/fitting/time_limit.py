"""A training that ends after so many minutes, and whose learning rate has fallen to zero by then."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

EXCHANGE_EVERY = 50
"""Steps between two at which several processes agree on the time: they must have the same learning rate."""


class TimeLimit(Callback):
    """Sets ``time_share`` of the module, the share of the minutes that are used up, and stops at 1.

    The minutes are wall time since `started`, preparation such as compiling included; the share counts from the first
    step, so that the learning rate's warm-up is not skipped. A training that goes on after a kill goes on with the share
    that its checkpoint holds. Without a limit nothing happens, and training does not depend on the clock.

    Args:
        minutes: limit, in minutes, or None.
        started: `time.monotonic` when the work began.
    """

    def __init__(self, minutes: float | None, started: float) -> None:
        self._minutes, self._started = minutes, started
        self._share, self._share_before = 0.0, 0.0
        self._first_step = started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Preparation is over."""
        self._first_step = time.monotonic()
        self._share_before = self._share
        pl_module.time_share = self._share  # type: ignore[assignment]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock; the main process's counts."""
        if self._minutes is None or (trainer.world_size > 1 and batch_idx % EXCHANGE_EVERY):
            return
        now = time.monotonic()
        allowance = max(1e-6, 60.0 * self._minutes - (self._first_step - self._started))
        share = min(1.0, self._share_before + (now - self._first_step) / allowance)
        if trainer.world_size > 1:
            share = trainer.strategy.broadcast(share)
        self._share = share
        pl_module.time_share = share  # type: ignore[assignment]
        if share >= 1.0:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Share used up so far."""
        return {"share": self._share}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._share = state_dict["share"]

    @classmethod
    def share_of(cls, checkpoint: dict[str, Any]) -> float:
        """Share that a checkpoint of Lightning's holds."""
        share: float = checkpoint["callbacks"][cls.__qualname__]["share"]
        return share
