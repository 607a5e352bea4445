"""How fast a training went and how well it used its GPU."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

SECONDS_BETWEEN_SAMPLES = 1.0


class Throughput(Callback):
    """Counts rows and seconds, and asks the GPU once a second how busy it is.

    What it found travels in the checkpoints, so that a training in several processes or attempts can be summed up.

    Args:
        batch_size: rows a step, over all processes.
        created: `time.monotonic` when the work began.
    """

    def __init__(self, batch_size: int, created: float) -> None:
        self._batch_size, self._created = batch_size, created
        self._setup_seconds = 0.0
        self._steps, self._seconds_before, self._started = 0, 0.0, 0.0
        self._before: list[float] = []
        self._sampler: GpuUtilisation | None = None
        self._peak_bytes = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Preparation is over; what it took of the memory counts."""
        self._started = time.monotonic()
        self._setup_seconds += self._started - self._created
        if pl_module.device.type == "cuda":
            self._sampler = GpuUtilisation(pl_module.device)
            self._sampler.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step more."""
        self._steps += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop asking."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop asking."""
        self._stop()

    def state_dict(self) -> dict[str, Any]:
        """What has been counted so far."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            self._peak_bytes = max(self._peak_bytes, torch.cuda.max_memory_reserved())
        samples = [*self._before, *(self._sampler.samples if self._sampler else ())]
        return {
            "steps": self._steps,
            "seconds": self._seconds_before + (time.monotonic() - self._started if self._started else 0.0),
            "setup_seconds": self._setup_seconds,
            "rows": self._steps * self._batch_size,
            "gpu_peak_bytes": self._peak_bytes,
            "gpu_samples": samples,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._steps, self._seconds_before = state_dict["steps"], state_dict["seconds"]
        self._setup_seconds = state_dict["setup_seconds"]
        self._before, self._peak_bytes = list(state_dict["gpu_samples"]), state_dict["gpu_peak_bytes"]

    @classmethod
    def report_of(cls, checkpoint: dict[str, Any]) -> dict[str, float]:
        """Figures from a checkpoint of Lightning's.

        Returns:
            ``setup_seconds`` before the first step, compiling included; ``train_seconds`` with validations;
            ``rows_per_second``; on a GPU ``gpu_peak_gigabytes``, what the process held of its memory, and
            ``gpu_utilisation_percent``, the mean.
        """
        counted = checkpoint["callbacks"][cls.__qualname__]
        report = {
            "setup_seconds": round(counted["setup_seconds"], 3),
            "train_seconds": round(counted["seconds"], 3),
            "rows_per_second": round(counted["rows"] / max(counted["seconds"], 1e-9), 1),
        }
        if counted["gpu_peak_bytes"]:
            report["gpu_peak_gigabytes"] = round(counted["gpu_peak_bytes"] / 1e9, 3)
        if counted["gpu_samples"]:
            report["gpu_utilisation_percent"] = round(sum(counted["gpu_samples"]) / len(counted["gpu_samples"]), 1)
        return report

    def _stop(self) -> None:
        if self._sampler is not None:
            self._sampler.stop()


class GpuUtilisation(threading.Thread):
    """Share of the time, in percent, in which some kernel ran on a GPU, once a second; nothing where NVML is missing."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(daemon=True)
        self.samples: list[float] = []
        self._device = device
        self._done = threading.Event()

    def run(self) -> None:
        """Ask until stopped."""
        # NVML may be missing or refuse: training does not depend on it.
        with contextlib.suppress(Exception):
            while not self._done.wait(SECONDS_BETWEEN_SAMPLES):
                self.samples.append(float(torch.cuda.utilization(self._device)))

    def stop(self) -> None:
        """Ask no more."""
        self._done.set()
