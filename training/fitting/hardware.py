"""Which device, processes and arithmetic a training runs on."""

from __future__ import annotations

import os
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy

from training.fitting.modules import CircuitTraining


def accelerator() -> str:
    """Lightning's name of the device."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def processes(devices: int) -> tuple[int, int]:
    """Processes on a node, and nodes: those that torchrun or a TrainJob started, otherwise `devices` on this one."""
    if not _started_by_torchrun():
        return devices, 1
    on_each = int(os.environ["LOCAL_WORLD_SIZE"])
    return on_each, int(os.environ["WORLD_SIZE"]) // on_each


def strategy(processes: int, module: CircuitTraining) -> Any:
    """Lightning's strategy: DDP over several processes.

    Every step uses every parameter, except where a module optimizes by hand and trains parts of its model in turn.
    """
    if processes == 1:
        return "auto"
    return DDPStrategy(
        # Under torchrun or a TrainJob the processes exist already; otherwise this one starts them.
        start_method="popen" if _started_by_torchrun() else "spawn",
        find_unused_parameters=not module.automatic_optimization,
        gradient_as_bucket_view=True,
    )


def _started_by_torchrun() -> bool:
    return "LOCAL_WORLD_SIZE" in os.environ


def arithmetic(name: str, module: CircuitTraining | type[CircuitTraining]) -> str:
    """What ``precision`` in the configuration stands for on this machine: fp32, tf32, bf16 or fp16."""
    if name != "auto":
        return name
    if not torch.cuda.is_available():
        return "fp32"
    return "bf16" if module.bf16_is_enough and torch.cuda.is_bf16_supported() else "tf32"


def lightning_precision(name: str) -> Any:
    """Lightning's name of an arithmetic."""
    return {"fp32": "32-true", "tf32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[name]


class MatrixProducts(Callback):
    """Lets matrix products on a GPU use its matrix units: TF32 for those that are left in 32 bits, but in fp32.

    A callback, as the setting is the process's, and DDP starts processes.
    """

    def __init__(self, name: str) -> None:
        self._name, self._before = name, "highest"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Applies the settings before anything is computed."""
        self._before = torch.get_float32_matmul_precision()
        if torch.cuda.is_available():
            torch.set_float32_matmul_precision("highest" if self._name == "fp32" else "high")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restores the settings as they were."""
        torch.set_float32_matmul_precision(self._before)
