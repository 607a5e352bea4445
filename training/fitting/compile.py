"""A network compiled for training on a GPU, for a few numbers of device slots."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from training.data.tensors import Batch, TrainingBatches
from training.fitting.modules import CircuitTraining

log = logging.getLogger(__name__)

WIDTHS = (11, 15, 19, 28)
"""Numbers of slots for which the network is compiled; with the global token the first are multiples of four. The same for
every dataset, so that what was compiled once is found again."""
LOSS_TOLERANCE = 0.02
"""Largest relative difference between the compiled network's loss and the plain one's; bf16 alone makes 0.005."""
GRADIENT_TOLERANCE = 0.2
"""The same for all gradients together, as a relative L2 norm."""


class CompileNetwork(Callback):
    """Compiles the network for the training steps, and proves on a batch of each width that it does the same.

    The compiled methods stand before the model's own as long as training steps run, and are taken away for validation
    and at the end: weights, checkpoints, averages and export know nothing of them. Where compiling fails or gives
    something else, training goes on without.

    Args:
        mode: ``auto`` compiles the model's regions, each layer of a kind once; ``graphs`` compiles it whole and records
            CUDA graphs; ``off`` never compiles.
        backend: of ``torch.compile``.
        devices: types of device on which anything is compiled.
    """

    def __init__(
        self, mode: str, train: TrainingBatches, *, backend: str = "inductor", devices: tuple[str, ...] = ("cuda",)
    ) -> None:
        self._mode, self._train, self._backend, self._devices = mode, train, backend, devices
        self._compiled: list[tuple[nn.Module, str, Any]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Weights and rows are on the device."""
        assert isinstance(pl_module, CircuitTraining)
        model = pl_module.model
        regions = model.regions()
        if self._mode == "off" or pl_module.device.type not in self._devices or not regions:
            return
        started = time.monotonic()
        # DDP reduces all gradients at once here: they are few, and splitting the graph for it would cost more.
        torch._dynamo.config.optimize_ddp = False
        options: dict[str, Any] = {}
        if self._mode == "graphs":
            regions, options = [(model, "forward")], {"mode": "reduce-overhead"}
        self._compiled = [
            (owner, name, torch.compile(getattr(owner, name), backend=self._backend, dynamic=False, **options))
            for owner, name in regions
        ]
        widths = self._train.fix_widths(WIDTHS)
        try:
            for width, batch in widths.items():
                with trainer.precision_plugin.train_step_context(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the compiler's own, of which nothing can be made
                    self._check_same(pl_module, batch, f"{width} slots")
        except Exception as error:  # of many types, from deep inside the compiler
            self._train.free_widths()
            self._compiled = []
            log.warning("%s; training goes on without compiling", " ".join(str(error).split("\n")[:2]).strip())
            return
        self._install()
        log.info("compiled for %s slots in %.0f s", list(widths), time.monotonic() - started)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation has batches of other shapes, and few of them."""
        self._remove()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training goes on."""
        self._install()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """What comes after training runs the model as it is."""
        self._remove()
        self._compiled = []

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same when training fails."""
        self._remove()

    def _install(self) -> None:
        for owner, name, function in self._compiled:
            owner.__dict__[name] = function

    def _remove(self) -> None:
        for owner, name, _ in self._compiled:
            owner.__dict__.pop(name, None)

    def _check_same(self, module: CircuitTraining, batch: Batch, what: str) -> None:
        """Compare loss and gradients of a batch with those of the plain network.

        Raises:
            RuntimeError: if they differ by more than rounding.
        """
        parameters = [parameter for parameter in module.model.parameters() if parameter.requires_grad]
        # A head that starts at zero would hide what lies behind it.
        hidden = [parameter for parameter in parameters if not parameter.any()]
        try:
            with torch.no_grad():
                for parameter in hidden:
                    parameter.fill_(0.05)
            loss, gradients = _loss_and_gradients(module, batch, parameters)
            self._install()
            # CUDA graphs are recorded at the second run and replayed from the third on.
            for _ in range(3):
                found, theirs = _loss_and_gradients(module, batch, parameters)
        finally:
            self._remove()
            with torch.no_grad():
                for parameter in hidden:
                    parameter.zero_()
        loss_error = float(abs(found - loss) / abs(loss).clamp(min=1e-6))
        distance = sum((ours - other).square().sum() for ours, other in zip(gradients, theirs, strict=True))
        norm = sum(gradient.square().sum() for gradient in gradients)
        gradient_error = float((distance / (norm + 1e-20)) ** 0.5)
        if not (loss_error <= LOSS_TOLERANCE and gradient_error <= GRADIENT_TOLERANCE):
            raise RuntimeError(
                f"the compiled network differs from the plain one at {what}: loss by {loss_error:.2g}, "
                f"gradients by {gradient_error:.2g}"
            )


def _loss_and_gradients(
    module: CircuitTraining, batch: Batch, parameters: list[nn.Parameter]
) -> tuple[Tensor, list[Tensor]]:
    draws = torch.Generator(device=batch.values.device).manual_seed(0)
    loss = module.objective(batch, draws)
    # Not backward(), which would fill the parameters' gradients and wake DDP.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    # Copies: the next run of a CUDA graph writes over its outputs.
    return loss.detach().clone(), [gradient.float().clone() for gradient in gradients]
