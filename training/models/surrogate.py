"""Predicted performance of a sized circuit, with an uncertainty, and whether it works at all.

It ranks candidates; it never replaces simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from training.models.backbone import BackboneConfig, CircuitTransformer
from training.models.base import BaseCircuitModel


@dataclass(frozen=True, kw_only=True)
class SurrogateConfig:
    """Network of the surrogate."""

    conditions_size: int
    """C, the length of a conditions vector."""
    metrics: tuple[str, ...]
    """Names of the predicted metrics, in order."""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)


class Surrogate(BaseCircuitModel):
    """Mean and log-variance of each standardised metric of a circuit that works, and whether it works."""

    version = 2
    config_class = SurrogateConfig
    config: SurrogateConfig

    def __init__(self, config: SurrogateConfig) -> None:
        super().__init__(config)
        width = config.backbone.width
        self.backbone = CircuitTransformer(config.backbone, config.conditions_size)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 2 * len(config.metrics) + 1))

    def forward(self, values: Tensor, kinds: Tensor, nets: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict metrics.

        Args:
            values: (B, M) normalised.
            kinds: (B, M) int64, 0 for an empty slot.
            nets: (B, M, 3) int64.
            conditions: (B, C).

        Returns:
            Mean and log-variance, (B, n_metrics) each, in standardised units; logit of the chance that the circuit can be
            simulated within its devices' limits, (B,).
        """
        whole, devices = self.backbone(values, kinds, nets, conditions)
        present = (kinds > 0).to(values.dtype).unsqueeze(-1)  # (B, M, 1)
        pooled = (devices * present).sum(dim=1) / present.sum(dim=1).clamp(min=1.0)
        count = len(self.config.metrics)
        mean, log_variance, feasible = self.head(torch.cat([whole, pooled], dim=-1)).split([count, count, 1], dim=-1)
        # Between a thousandth of and about seven standard deviations.
        return mean, log_variance.clamp(-14.0, 4.0), feasible.squeeze(-1)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices of the transformer's layers."""
        return [parameter for parameter in self.backbone.encoder.parameters() if parameter.ndim == 2]

    def regions(self) -> list[tuple[nn.Module, str]]:
        """The tokens' embedding, and the transformer's layers."""
        return [(self.backbone, "embed"), *((layer, "forward") for layer in self.backbone.encoder.layer)]

    @torch.no_grad()
    def generate(
        self,
        specification: Tensor,
        *,
        values: Tensor,
        kinds: Tensor,
        nets: Tensor,
        generator: torch.Generator | None = None,
        **_: Any,
    ) -> Tensor:
        """Draw standardised metrics (B, n_metrics) from the predicted distribution.

        Takes conditions (B, C) first.
        """
        mean, log_variance, _ = self(values, kinds, nets, specification)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + noise * torch.exp(0.5 * log_variance)
