"""Component values of a given topology by conditional diffusion.

Notation of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022):

=============  =====================================================================
x              normalised values, (B, M), see `genrf.circuit.normalise`
sigma          noise level, (B,)
D(x; sigma)    the denoiser, an estimate of the clean values
F              the raw network inside D
c_skip ...     preconditioning, Table 1, column "Ours (EDM)"
=============  =====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from genrf.generation.sampler import SamplerSettings
from training.models.backbone import N_KINDS, BackboneConfig, CircuitTransformer
from training.models.base import BaseCircuitModel
from training.models.sampling import sample


@dataclass(frozen=True, kw_only=True)
class SizingDiffusionConfig:
    """Network and training noise levels of the sizing model."""

    specification_size: int
    """D, the length of a specification vector."""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    sigma_data: float = 1.0
    """Standard deviation of the normalised values."""
    sigma_median: float = 0.4
    """Median of the log-normal distribution of training noise levels, exp(P_mean)."""
    sigma_spread: float = 1.3
    """Standard deviation of the natural logarithm of training noise levels, P_std."""


class SizingDiffusion(BaseCircuitModel):
    """EDM-preconditioned denoiser of normalised device values, conditioned on topology and specification."""

    version = 1
    config_class = SizingDiffusionConfig
    config: SizingDiffusionConfig

    def __init__(self, config: SizingDiffusionConfig) -> None:
        super().__init__(config)
        self.backbone = CircuitTransformer(config.backbone, config.specification_size + 1)
        self.head = nn.Linear(config.backbone.width, N_KINDS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, noisy_values: Tensor, sigma: Tensor, kinds: Tensor, nets: Tensor, specification: Tensor
    ) -> Tensor:
        """The denoiser D(x; sigma), eq. 7.

        Args:
            noisy_values: (B, M).
            sigma: (B,).
            kinds: (B, M) int64, 0 for an empty slot.
            nets: (B, M, 3) int64.
            specification: (B, D); all zeros means "any circuit".

        Returns:
            Denoised values (B, M), 0 in empty slots.
        """
        sigma_data = self.config.sigma_data
        sigma = sigma.unsqueeze(1)  # (B, 1)
        variance = sigma**2 + sigma_data**2
        c_skip = sigma_data**2 / variance
        c_out = sigma * sigma_data / variance.sqrt()
        c_in = 1.0 / variance.sqrt()
        c_noise = sigma.log() / 4.0
        condition = torch.cat([specification, c_noise], dim=1)
        _, devices = self.backbone(c_in * noisy_values, kinds, nets, condition)
        # One output a kind, of which the device's own counts.
        kind_code = nn.functional.one_hot(kinds, N_KINDS).to(noisy_values.dtype)
        raw = (self.head(devices) * kind_code).sum(dim=-1)  # F, (B, M)
        return (c_skip * noisy_values + c_out * raw) * (kinds > 0)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices of the transformer's layers."""
        return [parameter for parameter in self.backbone.encoder.parameters() if parameter.ndim == 2]

    def regions(self) -> list[tuple[nn.Module, str]]:
        """The tokens' embedding, and the transformer's layers."""
        return [(self.backbone, "embed"), *((layer, "forward") for layer in self.backbone.encoder.layer)]

    def loss_weight(self, sigma: Tensor) -> Tensor:
        """lambda(sigma), which makes the loss about 1 at every noise level at the start of training."""
        return (sigma**2 + self.config.sigma_data**2) / (sigma * self.config.sigma_data) ** 2

    def sample_sigma(self, uniform: Tensor) -> Tensor:
        """Training noise levels at the given quantiles (B,) of their log-normal distribution."""
        normal = torch.special.ndtri(uniform.clamp(1e-4, 1.0 - 1e-4))
        return self.config.sigma_median * torch.exp(self.config.sigma_spread * normal)

    @torch.no_grad()
    def generate(
        self,
        specification: Tensor,
        *,
        kinds: Tensor,
        nets: Tensor,
        sampler: SamplerSettings,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        **_: Any,
    ) -> Tensor:
        """Draw normalised values (B, M) for topologies with the scheduler of ``diffusers``.

        Args:
            specification: (B, D).
            kinds: (B, M) int64.
            nets: (B, M, 3) int64.
            sampler: steps, schedule and guidance.
            noise: (B, M) unit normal; drawn from the generator if missing.
            generator: source of the noise.
        """
        if noise is None:
            noise = torch.randn(kinds.shape, generator=generator, device=kinds.device)
        return sample(
            self, noise * sampler.sigma_max, kinds, nets, specification, sampler, sigma_data=self.config.sigma_data
        )
