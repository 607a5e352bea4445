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
from genrf.circuit.tokens import FIRST_INTERNAL_TOKEN, MAX_DEVICES, MAX_NETS, TERMINAL_COUNTS
from training.models.base import BaseCircuitModel

N_KINDS = len(KINDS) + 1
SLOT_FEATURES = N_KINDS + MAX_TERMINALS * MAX_NETS
TOPOLOGY_FEATURES = MAX_DEVICES * SLOT_FEATURES
FORBIDDEN = -1e4
"""Logit of what canonical tokens never hold."""

Carry = tuple[Tensor, Tensor, Tensor]
"""What the generator knows after a slot: recurrent state (B, W), the slot (B, K + 3 N), terminals on each net (B, N)."""


@dataclass(frozen=True, kw_only=True)
class TopologyGANConfig:
    """Sizes of the four networks."""

    specification_size: int = 1
    """D, from the dataset."""
    latent_size: int = 32
    """Z."""
    width: int = 256
    """Hidden width of the generator's recurrent cell and of the encoder."""
    embedding: int = 96
    """Width of a slot's embedding and of the heads that read a slot's nets."""
    critic_width: int = 256
    """Hidden width of both critics."""


class Generator(nn.Module):
    """(specification (B, D), latent (B, Z)) -> kind logits (B, M, K) and net logits (B, M, 3, N).

    Slots are written one after another, as canonical tokens list a circuit along its signal path: a recurrent cell reads the
    slot just written and how many terminals each net has so far; then the slot's kind and its nets follow, each seeing what was
    chosen before. A choice is a straight-through one-hot, so that gradients reach through the whole circuit.
    """

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__()
        width, embedding = config.width, config.embedding
        self.context = nn.Sequential(
            nn.Linear(config.specification_size + config.latent_size, width),
            nn.GELU(),
            nn.Linear(width, width),
        )
        self.start = nn.Linear(width, width)
        self.slot = nn.Linear(SLOT_FEATURES, embedding, bias=False)
        self.degree = nn.Linear(2 * MAX_NETS, embedding)
        self.cell = nn.GRU(2 * embedding + width, width, batch_first=True)
        self.kind_head = nn.Linear(width, N_KINDS)
        self.kind_embedding = nn.Linear(N_KINDS, embedding, bias=False)
        self.hidden_head = nn.Linear(width, embedding)
        self.net_embeddings = nn.ModuleList(nn.Linear(MAX_NETS, embedding, bias=False) for _ in range(MAX_TERMINALS - 1))
        self.net_mixers = nn.ModuleList(nn.Linear(embedding, embedding) for _ in range(MAX_TERMINALS))
        self.net_heads = nn.ModuleList(nn.Linear(embedding, MAX_NETS) for _ in range(MAX_TERMINALS))
        self.register_buffer("unused", _unused_terminals(), persistent=False)

    def forward(self, specification: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the topology that is written by always taking the likeliest choice."""
        if torch.compiler.is_exporting():
            return self._write_as_loop(specification, latent)
        kinds, nets, _ = self.write(specification, latent)
        return kinds, nets

    def _write_as_loop(self, specification: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The same as one loop of the exported graph: unrolled, it takes minutes to export."""
        from torch._higher_order_ops.scan import scan

        context = self.context(torch.cat([specification, latent], dim=1))

        def body(carry: list[Tensor], _: Tensor) -> tuple[list[Tensor], list[Tensor]]:
            after, logits = self._write_slot(context, (carry[0], carry[1], carry[2]), temperature=0.0)
            # An output must not be a view of another.
            return [tensor.clone() for tensor in after], [tensor.clone() for tensor in logits]

        first = [tensor.clone() for tensor in self._before_first_slot(context)]
        _, (kinds, nets) = scan(body, first, [context.new_zeros(MAX_DEVICES, 1)], dim=0)
        return kinds.transpose(0, 1), nets.transpose(0, 1)

    def write(self, specification: Tensor, latent: Tensor, temperature: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Write slot after slot.

        Args:
            temperature: of the Gumbel-softmax that makes each choice; 0 takes the likeliest, without noise.

        Returns:
            Kind logits (B, M, K), net logits (B, M, 3, N) and the straight-through choices (B, M, K + 3 N).
        """
        context = self.context(torch.cat([specification, latent], dim=1))  # (B, W)
        carry = self._before_first_slot(context)
        written, kind_logits, net_logits = [], [], []
        for _ in range(MAX_DEVICES):
            carry, (kinds, nets) = self._write_slot(context, carry, temperature)
            written.append(carry[1])
            kind_logits.append(kinds)
            net_logits.append(nets)
        return torch.stack(kind_logits, dim=1), torch.stack(net_logits, dim=1), torch.stack(written, dim=1)

    def _before_first_slot(self, context: Tensor) -> Carry:
        empty = torch.zeros_like(context[:, :1])
        return self.start(context), empty.expand(-1, SLOT_FEATURES), empty.expand(-1, MAX_NETS)

    def _write_slot(self, context: Tensor, carry: Carry, temperature: float) -> tuple[Carry, tuple[Tensor, Tensor]]:
        """One slot: what is carried to the next, and the logits of its kind (B, K) and nets (B, 3, N)."""
        state, slot, degree = carry
        features = self._features(slot, degree, context)  # (B, F)
        cell = self.cell  # one step of it, with the same weights
        output = torch.gru_cell(
            features, state, cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0
        )  # (B, W)
        kind_logits = self.kind_head(output)
        kind = _choose(kind_logits, temperature)
        chosen = [kind]
        hidden = self.hidden_head(output) + self.kind_embedding(kind)
        net_logits = []
        for terminal in range(MAX_TERMINALS):
            logits = self._net_logits(hidden, kind, terminal)
            net = _choose(logits, temperature)
            net_logits.append(logits)
            chosen.append(net)
            if terminal < MAX_TERMINALS - 1:
                hidden = hidden + self.net_embeddings[terminal](net)
        carry = (output, torch.cat(chosen, dim=1), degree + sum(chosen[1:]))
        return carry, (kind_logits, torch.stack(net_logits, dim=1))

    def follow(self, specification: Tensor, latent: Tensor, topology: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each slot given the slots before it in a known topology (B, M, K + 3 N), all slots at once."""
        context = self.context(torch.cat([specification, latent], dim=1))
        before = F.pad(topology[:, :-1], (0, 0, 1, 0))  # the slot just written, (B, M, K + 3 N)
        kind, *nets = topology.split([N_KINDS, *[MAX_NETS] * MAX_TERMINALS], dim=2)
        degree = F.pad(sum(nets)[:, :-1], (0, 0, 1, 0)).cumsum(dim=1)  # (B, M, N)
        features = self._features(before, degree, context.unsqueeze(1).expand(-1, MAX_DEVICES, -1))
        output, _ = self.cell(features, self.start(context).unsqueeze(0))  # (B, M, W)
        hidden = self.hidden_head(output) + self.kind_embedding(kind)
        logits = []
        for terminal in range(MAX_TERMINALS):
            logits.append(self._net_logits(hidden, kind, terminal))
            if terminal < MAX_TERMINALS - 1:
                hidden = hidden + self.net_embeddings[terminal](nets[terminal])
        return self.kind_head(output), torch.stack(logits, dim=2)

    def _features(self, slot: Tensor, degree: Tensor, context: Tensor) -> Tensor:
        # Which nets still want a second terminal, and which exist at all, decide most of what may follow.
        open_ends = torch.cat([degree.clamp(max=1.0), (degree - 1.0).clamp(0.0, 1.0)], dim=-1)
        return torch.cat([self.slot(slot), self.degree(open_ends), context], dim=-1)

    def _net_logits(self, hidden: Tensor, kind: Tensor, terminal: int) -> Tensor:
        logits = self.net_heads[terminal](F.gelu(self.net_mixers[terminal](hidden)))
        # A kind with fewer terminals has net 0 there, a kind that has the terminal never does.
        unused = kind.detach() @ self.unused[:, terminal : terminal + 1]  # (..., 1)
        mask = torch.cat([(1.0 - unused) * FORBIDDEN, (unused * FORBIDDEN).expand(*unused.shape[:-1], MAX_NETS - 1)], dim=-1)
        return logits + mask


class Encoder(nn.Module):
    """Topology (B, M, K + 3 N) -> specification (B, D) and latent (B, Z)."""

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(TOPOLOGY_FEATURES, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.width),
            nn.GELU(),
        )
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
        return self.layers(x).squeeze(1)


class TopologyGAN(BaseCircuitModel):
    """Generator, encoder and the two critics."""

    version: ClassVar[int] = 1
    config_class: ClassVar[type] = TopologyGANConfig
    config: TopologyGANConfig

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config)
        self.encoder = Encoder(config)
        self.topology_critic = Critic(TOPOLOGY_FEATURES + config.specification_size, config.critic_width)
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
    slots = torch.zeros(*kinds.shape, SLOT_FEATURES, device=kinds.device)
    slots.scatter_(2, kinds.long().unsqueeze(2), 1.0)
    offsets = N_KINDS + MAX_NETS * torch.arange(MAX_TERMINALS, device=kinds.device)
    return slots.scatter_(2, nets.long() + offsets, 1.0)


def reconstruction_loss(logits: tuple[Tensor, Tensor], kinds: Tensor, nets: Tensor) -> Tensor:
    """Cross-entropy of every slot's kind and nets, summed over slots, mean over the batch: -log p(topology)."""
    kind_logits, net_logits = logits
    kind_loss = F.cross_entropy(kind_logits.flatten(0, 1), kinds.long().flatten(), reduction="sum")
    net_loss = F.cross_entropy(net_logits.flatten(0, 2), nets.long().flatten(), reduction="sum")
    return (kind_loss + net_loss) / len(kinds)


def validity_loss(topology: Tensor) -> Tensor:
    """How far written topologies (B, M, K + 3 N) are from two of the electrical rules; 0 for a legal one.

    Counts internal nets with a single terminal, and devices with two terminals on one net.
    """
    _, *nets = topology.split([N_KINDS, *[MAX_NETS] * MAX_TERMINALS], dim=2)
    degree = sum(nets).sum(dim=1)[:, FIRST_INTERNAL_TOKEN:]  # (B, internal nets)
    # 1 at a degree of one, 0 at degrees of zero and of two or more.
    dangling = (1.0 - (degree - 1.0).abs()).clamp_min(0.0).sum(dim=1)
    first, second, third = (net[..., 1:] for net in nets)  # net 0 means "no terminal"
    shorted = (first * second + second * third + first * third).sum(-1)  # (B, M)
    return (dangling + shorted.sum(dim=1)).mean()


def _choose(logits: Tensor, temperature: float) -> Tensor:
    """Straight-through one-hot of logits (B, n): Gumbel-softmax at a temperature, or the likeliest at temperature 0."""
    if temperature == 0.0:
        return F.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits.dtype)
    return F.gumbel_softmax(logits, tau=temperature, hard=True)


def _unused_terminals() -> Tensor:
    """1 where a kind (K) has no such terminal (3)."""
    return torch.tensor([[float(terminal >= count) for terminal in range(MAX_TERMINALS)] for count in TERMINAL_COUNTS])
