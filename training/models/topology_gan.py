"""The topology model: a Cycle-GAN between specifications and topologies.

Domain X holds pairs of a specification vector and a latent, domain Y holds topologies as one-hot device slots. ``Generator``
maps X to Y, ``Encoder`` maps Y to X. One specification has many topologies, so the cycle carries the latent as well
(Augmented CycleGAN, Almahairi et al., "Augmented CycleGAN: Learning Many-to-Many Mappings from Unpaired Data", 2018).

M device slots, K kinds including the empty one, N net categories, D specification features, Z latent features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrf.circuit.devices import KINDS, MAX_TERMINALS
from genrf.circuit.tokens import MAX_DEVICES, MAX_NETS
from training.models.base import BaseCircuitModel

N_KINDS = len(KINDS) + 1
SLOT_FEATURES = N_KINDS + MAX_TERMINALS * MAX_NETS
TOPOLOGY_FEATURES = MAX_DEVICES * SLOT_FEATURES
FIRST_INTERNAL_NET = 7


@dataclass(frozen=True, kw_only=True)
class TopologyGANConfig:
    """Sizes of the four networks."""

    specification_size: int = 1
    """D, from the dataset."""
    latent_size: int = 32
    """Z."""
    width: int = 512
    """Hidden width of generator and encoder."""
    layers: int = 3
    """Residual blocks of generator and encoder."""
    critic_width: int = 256
    """Hidden width of both critics."""


class _Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(F.gelu(self.inner(self.norm(x))))


def _trunk(size: int, width: int, layers: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, width), *(_Block(width) for _ in range(layers)), nn.LayerNorm(width))


class Generator(nn.Module):
    """(specification (B, D), latent (B, Z)) -> kind logits (B, M, K) and net logits (B, M, 3, N)."""

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__()
        self.trunk = _trunk(config.specification_size + config.latent_size, config.width, config.layers)
        self.head = nn.Linear(config.width, TOPOLOGY_FEATURES)

    def forward(self, specification: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        slots = self.head(self.trunk(torch.cat([specification, latent], dim=1)))
        slots = slots.view(-1, MAX_DEVICES, SLOT_FEATURES)  # (B, M, K + 3 N)
        kinds, nets = slots.split([N_KINDS, MAX_TERMINALS * MAX_NETS], dim=2)
        return kinds, nets.unflatten(2, (MAX_TERMINALS, MAX_NETS))


class Encoder(nn.Module):
    """Topology (B, M, K + 3 N) -> specification (B, D) and latent (B, Z)."""

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__()
        self.trunk = _trunk(TOPOLOGY_FEATURES, config.width, config.layers)
        self.specification = nn.Linear(config.width, config.specification_size)
        self.latent = nn.Linear(config.width, config.latent_size)

    def forward(self, topology: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(topology.flatten(1))
        return self.specification(hidden), self.latent(hidden)


class Critic(nn.Module):
    """Features (B, size) -> realness (B,)."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(size, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(1)).squeeze(1)


class TopologyGAN(BaseCircuitModel):
    """Generator, encoder and the two critics."""

    version: ClassVar[int] = 1
    config_class: ClassVar[type] = TopologyGANConfig
    config: TopologyGANConfig

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config)
        self.encoder = Encoder(config)
        self.topology_critic = Critic(TOPOLOGY_FEATURES, config.critic_width)
        self.specification_critic = Critic(config.specification_size + config.latent_size, config.critic_width)

    def forward(self, specification: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Kind logits (B, M, K) and net logits (B, M, 3, N)."""
        return self.generator(specification, latent)

    @torch.no_grad()
    def generate(self, specification: Tensor, **inputs: Any) -> tuple[Tensor, Tensor]:
        """Kinds (B, M) and nets (B, M, 3) drawn for specifications (B, D); ``generator`` seeds the latent."""
        latent = torch.randn(
            len(specification), self.config.latent_size, generator=inputs.get("generator"), device=specification.device
        )
        kinds, nets = self.generator(specification, latent)
        return kinds.argmax(-1), nets.argmax(-1)


def one_hot(kinds: Tensor, nets: Tensor) -> Tensor:
    """Token indices (B, M) and (B, M, 3) as one-hot slots (B, M, K + 3 N)."""
    return torch.cat(
        [F.one_hot(kinds.long(), N_KINDS), F.one_hot(nets.long(), MAX_NETS).flatten(2)], dim=2
    ).float()


def gumbel_topology(kinds: Tensor, nets: Tensor, temperature: float) -> Tensor:
    """Straight-through Gumbel-softmax sample of logits as one-hot slots (B, M, K + 3 N), differentiable."""
    hard_kinds = F.gumbel_softmax(kinds, tau=temperature, hard=True)
    hard_nets = F.gumbel_softmax(nets, tau=temperature, hard=True)
    return torch.cat([hard_kinds, hard_nets.flatten(2)], dim=2)


def reconstruction_loss(logits: tuple[Tensor, Tensor], kinds: Tensor, nets: Tensor) -> Tensor:
    """Cross-entropy of every slot's kind and nets, summed over slots, mean over the batch: -log p(topology)."""
    kind_logits, net_logits = logits
    kind_loss = F.cross_entropy(kind_logits.flatten(0, 1), kinds.long().flatten(), reduction="sum")
    net_loss = F.cross_entropy(net_logits.flatten(0, 2), nets.long().flatten(), reduction="sum")
    return (kind_loss + net_loss) / len(kinds)


def validity_loss(kinds: Tensor, nets: Tensor) -> Tensor:
    """How far soft topologies are from the electrical rules that are differentiable; 0 for a legal one.

    Args:
        kinds: probabilities (B, M, K).
        nets: probabilities (B, M, 3, N).

    Counts internal nets with a single terminal and devices with two terminals on one net.
    """
    present = 1.0 - kinds[..., :1]  # (B, M, 1)
    degree = (nets.sum(dim=2) * present).sum(dim=1)[:, FIRST_INTERNAL_NET:]  # (B, internal nets)
    # 1 at a degree of one, 0 at degrees of zero and of two or more.
    dangling = (1.0 - (degree - 1.0).abs()).clamp_min(0.0).sum(dim=1)
    first, second, third = nets[..., 1:].unbind(dim=2)  # net 0 means "no terminal"
    shorted = (first * second).sum(-1) + (second * third).sum(-1) * 0.5 + (first * third).sum(-1) * 0.5
    return (dangling + (shorted * present[..., 0]).sum(dim=1)).mean()
