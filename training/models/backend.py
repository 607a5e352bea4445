"""The trained PyTorch models behind the interface of `genrf.generation.backend.Backend`.

Used in evaluation, and to prove that the exported models do the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrf.errors import CheckpointError
from genrf.generation.sampler import SamplerSettings
from training.models.base import MODEL
from training.models.sampling import SAMPLER
from training.models.sizing_diffusion import SizingDiffusion
from training.models.surrogate import Surrogate
from training.models.topology_gan import TopologyGAN

Array = NDArray[np.float32]


class TorchBackend:
    """Numpy arrays in and out of PyTorch models, on one device."""

    def __init__(
        self,
        topology_gan: TopologyGAN,
        sizing_diffusion: SizingDiffusion,
        surrogate: Surrogate,
        sampler: SamplerSettings,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self.topology_gan = topology_gan.to(self._device).eval()
        self.sizing_diffusion = sizing_diffusion.to(self._device).eval()
        self.surrogate = surrogate.to(self._device).eval()
        self.sampler = sampler
        """How values are drawn."""

    @classmethod
    def load(cls, topology_gan: Path, sizing_diffusion: Path, surrogate: Path, device: str = "cpu") -> Self:
        """The models in the folders that training wrote.

        Raises:
            CheckpointError: if a file is missing, damaged or of another version.
        """
        return cls(
            TopologyGAN.load_checkpoint(topology_gan / MODEL),
            SizingDiffusion.load_checkpoint(sizing_diffusion / MODEL),
            Surrogate.load_checkpoint(surrogate / MODEL),
            _read_sampler(sizing_diffusion / SAMPLER),
            device,
        )

    @property
    def latent_size(self) -> int:
        """Z, the length of the topology generator's latent vector."""
        return int(self.topology_gan.config.latent_size)

    def propose(self, specification: Array, latent: Array) -> tuple[Array, Array]:
        """Logits of kinds (B, M, kinds) and nets (B, M, 3, nets)."""
        with torch.inference_mode():
            kind_logits, net_logits = self.topology_gan(self._tensor(specification), self._tensor(latent))
        return kind_logits.float().cpu().numpy(), net_logits.float().cpu().numpy()

    def denoise(
        self, noisy_values: Array, sigma: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], specification: Array
    ) -> Array:
        """Denoised values (B, M)."""
        with torch.inference_mode():
            denoised = self.sizing_diffusion(
                *(self._tensor(each) for each in (noisy_values, sigma, kinds, nets, specification))
            )
        return denoised.float().cpu().numpy()

    def predict(
        self, values: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], conditions: Array
    ) -> tuple[Array, Array, Array]:
        """Mean and log-variance of the standardised metrics, (B, n_metrics) each, and logit that the circuit works, (B,)."""
        with torch.inference_mode():
            mean, log_variance, works = self.surrogate(
                *(self._tensor(each) for each in (values, kinds, nets, conditions))
            )
        return mean.float().cpu().numpy(), log_variance.float().cpu().numpy(), works.float().cpu().numpy()

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _read_sampler(path: Path) -> SamplerSettings:
    try:
        return SamplerSettings(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); train the sizing diffusion again") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not the sampler's settings; train the sizing diffusion again") from error
