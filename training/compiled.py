"""The network of a training compiled for the GPU, for a few fixed numbers of device slots."""

from __future__ import annotations

import logging
import time
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from training.dataset import Batch, TrainingBatches
from training.lightning_modules import CircuitTraining, Network

log = logging.getLogger(__name__)

WIDTHS = 4
"""Numbers of slots for which the network is compiled. More pad less and take longer to compile."""
LOSS_TOLERANCE = 0.02
"""Largest relative difference between the compiled network's loss and the plain one's; bf16 alone makes 0.005."""
GRADIENT_TOLERANCE = 0.2
"""The same for all gradients together, as a relative L2 norm."""


class CompileNetwork(Callback):
    """Compiles ``module.model`` before the first step, and proves on a batch of each width that it does the same.

    The model itself stays as it is: checkpoints, averaging, validation and export know nothing of it. Where compiling
    fails or gives something else, training goes on without.

    Args:
        mode: ``auto`` compiles on a GPU only, ``graphs`` records CUDA graphs too, ``off`` never compiles.
        backend: of ``torch.compile``.
        devices: types of device on which ``auto`` and ``graphs`` compile.
    """

    def __init__(
        self, mode: str, train: TrainingBatches, *, backend: str = "inductor", devices: tuple[str, ...] = ("cuda",)
    ) -> None:
        self._mode, self._train, self._backend, self._devices = mode, train, backend, devices

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Weights and rows are on the device."""
        assert isinstance(pl_module, CircuitTraining)
        if self._mode == "off" or pl_module.device.type not in self._devices or not pl_module.compilable:
            return
        started = time.monotonic()
        # DDP reduces all gradients at once here: they are few, and splitting the graph for it would cost more.
        torch._dynamo.config.optimize_ddp = False
        options: dict[str, Any] = {"mode": "reduce-overhead"} if self._mode == "graphs" else {}
        network = torch.compile(pl_module.model.forward, backend=self._backend, dynamic=False, **options)
        widths = self._train.fix_widths(WIDTHS)
        try:
            for width, batch in widths.items():
                with trainer.precision_plugin.train_step_context():
                    check_same(pl_module, network, batch, f"{width} slots")
        except Exception as error:  # of many types, from deep inside the compiler
            self._train.free_widths()
            log.warning("%s; training goes on without compiling", " ".join(str(error).split("\n")[:2]).strip())
            return
        pl_module.compiled = network
        log.info("compiled for %s slots in %.1f s", list(widths), time.monotonic() - started)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """What comes after training runs the model as it is."""
        if isinstance(pl_module, CircuitTraining):
            pl_module.compiled = None


def check_same(module: CircuitTraining, network: Network, batch: Batch, what: str) -> None:
    """Compare loss and gradients of a batch with those of the plain network.

    Raises:
        RuntimeError: if they differ by more than rounding.
    """
    parameters = [parameter for parameter in module.model.parameters() if parameter.requires_grad]

    def run(compiled: Network | None) -> tuple[Tensor, list[Tensor]]:
        module.compiled = compiled
        draws = torch.Generator(device=batch.values.device).manual_seed(0)
        loss = module.objective(batch, draws)
        # Not backward(), which would fill the parameters' gradients and wake DDP.
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        # Copies: the next run of a CUDA graph writes over its outputs.
        return loss.detach().clone(), [gradient.clone() for gradient in gradients]

    # A head that starts at zero would hide what lies behind it.
    hidden = [parameter for parameter in parameters if not parameter.any()]
    try:
        with torch.no_grad():
            for parameter in hidden:
                parameter.fill_(0.05)
        loss, gradients = run(None)
        # CUDA graphs are recorded at the second run and replayed from the third on.
        for _ in range(3):
            found, theirs = run(network)
        error = float(abs(found - loss) / abs(loss).clamp(min=1e-6))
        distance = torch.stack([(a.float() - b.float()).square().sum() for a, b in zip(gradients, theirs, strict=True)])
        norm = torch.stack([gradient.float().square().sum() for gradient in gradients])
        gradient_error = float((distance.sum() / norm.sum().clamp(min=1e-20)).sqrt())
    finally:
        module.compiled = None
        with torch.no_grad():
            for parameter in hidden:
                parameter.zero_()
    if not (error <= LOSS_TOLERANCE and gradient_error <= GRADIENT_TOLERANCE):
        raise RuntimeError(
            f"the compiled network differs from the plain one at {what}: loss by {error:.2g}, "
            f"gradients by {gradient_error:.2g}"
        )
