"""The topology model: a Cycle-GAN between specifications and topologies.

Domain X holds pairs of a specification vector and a latent, domain Y holds topologies as one-hot device slots. ``Generator``
maps X to Y, ``Encoder`` maps Y to X. One specification has many topologies, so the cycle carries the latent as well
(Augmented CycleGAN, Almahairi et al., "Augmented CycleGAN: Learning Many-to-Many Mappings from Unpaired Data", 2018).

M device slots, K kinds including the empty one, N net categories, D specification features, Z latent features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrf.circuit.devices import KINDS, MAX_TERMINALS
from genrf.circuit.tokens import FIRST_INTERNAL_TOKEN, MAX_DEVICES, MAX_NETS
from training.models.base import BaseCircuitModel
from training.models.legal_moves import LegalMoves, Surroundings, Wiring

N_KINDS = len(KINDS) + 1
SLOT_FEATURES = N_KINDS + MAX_TERMINALS * MAX_NETS
N_ROLES = sum(1 if kind.interchangeable else len(kind.terminals) for kind in KINDS.values())
"""Ways to be connected to a net: a passive's terminal, or a transistor's collector, base or emitter."""
TOPOLOGY_FEATURES = MAX_DEVICES * SLOT_FEATURES
FORBIDDEN = -1e4
"""Logit of what canonical tokens never hold."""
WRONG = 0.5 * FORBIDDEN
"""Logit of what breaks an electrical rule: less, because tokens must be readable above all."""

Carry = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""What the generator knows after a slot: memory (B, W), the slot (B, K + 3 N), connections to each net (B, N, roles), and
its `Wiring`."""


class Given(NamedTuple):
    """What all slots of a circuit share."""

    context: Tensor
    """Of specification and style, (B, W)."""
    around: Surroundings
    temperature: Tensor
    """Of the circuit's class, (B, 1)."""


@dataclass(frozen=True, kw_only=True)
class TopologyGANConfig:
    """Sizes of the four networks."""

    specification_size: int = 1
    """D, from the dataset."""
    style_size: int = 32
    """Z, the part of the latent that the cycle carries."""
    width: int = 128
    """Hidden width of the generator's recurrent cell and of the encoder."""
    embedding: int = 48
    """Width of a slot's embedding and of the heads that choose its nets."""
    net_embedding: int = 16
    """Width of what a net looks like to those heads; there are B M N of them."""
    critic_width: int = 128
    """Hidden width of encoder and critics."""
    circuit_classes: tuple[str, ...] = ("lna",)
    """In the order of their one-hot, with which a specification starts."""
    temperatures: tuple[float, ...] = (0.5,)
    """For each class, of the distribution that choices are drawn from; lower is likelier and less varied."""

    @property
    def latent_size(self) -> int:
        """L, the style and the noise of every choice."""
        return self.style_size + MAX_DEVICES * (1 + MAX_TERMINALS)


class Generator(nn.Module):
    """(specification (B, D), latent (B, L)) -> kind logits (B, M, K) and net logits (B, M, 3, N).

    Slots are written one after another, as canonical tokens list a circuit along its signal path: a recurrent cell reads the
    slot just written and what is connected to each net so far; then the slot's kind and its nets follow, each seeing what was
    chosen before, and each net is scored by what is connected to it. A choice is a one-hot drawn from the logits with noise that
    is part of the latent, and passes gradients straight through (as the hard Gumbel-softmax does), so that the generator is one
    deterministic, differentiable function of its inputs.
    """

    temperatures: Tensor
    roles: Tensor
    end: Tensor
    always: Tensor

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__()
        width, embedding = config.width, config.embedding
        self.style_size = config.style_size
        self.context = nn.Sequential(
            nn.Linear(config.specification_size + config.style_size, width),
            nn.GELU(),
            nn.Linear(width, width),
        )
        self.start = nn.Linear(width, width)
        self.slot = nn.Linear(SLOT_FEATURES, embedding, bias=False)
        self.state = nn.Linear(MAX_NETS * N_ROLES, embedding)
        self.cell = nn.GRU(2 * embedding + width, width, batch_first=True)
        self.kind_head = nn.Linear(width, N_KINDS)
        self.hidden = nn.Linear(width, embedding)
        self.kind_embedding = nn.Linear(N_KINDS, embedding, bias=False)
        self.net_state = nn.Linear(N_ROLES, config.net_embedding, bias=False)
        self.net_embedding = nn.Parameter(0.3 * torch.randn(MAX_NETS, config.net_embedding))
        self.queries = nn.ModuleList(nn.Linear(embedding, config.net_embedding) for _ in range(MAX_TERMINALS))
        self.net_bias = nn.ModuleList(nn.Linear(embedding, MAX_NETS) for _ in range(MAX_TERMINALS))
        self.chosen = nn.ModuleList(
            nn.Linear(config.net_embedding, embedding, bias=False) for _ in range(MAX_TERMINALS - 1)
        )
        self.moves = LegalMoves(config.circuit_classes)
        self.register_buffer("temperatures", torch.tensor(config.temperatures), persistent=False)
        self.register_buffer("roles", _roles(), persistent=False)
        self.register_buffer("end", F.one_hot(torch.tensor(0), N_KINDS).float(), persistent=False)
        self.register_buffer("always", (torch.arange(MAX_NETS) <= FIRST_INTERNAL_TOKEN).float(), persistent=False)

    def forward(self, specification: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Logits in which what was chosen is the largest, so that ``argmax`` reads the topology."""
        slots = self.write(specification, latent)
        kinds, nets = slots.split([N_KINDS, MAX_TERMINALS * MAX_NETS], dim=2)
        return kinds, nets.unflatten(2, (MAX_TERMINALS, MAX_NETS))

    def write(self, specification: Tensor, latent: Tensor) -> Tensor:
        """Straight-through one-hot slots, (B, M, K + 3 N).

        Args:
            latent: style (Z) and the noise of the 4 M choices, all unit normal, (B, Z + 4 M).
        """
        style, noise = latent.split([self.style_size, latent.shape[1] - self.style_size], dim=1)
        # Quantiles of the choices, slot by slot, (M, B, 4).
        uniform = 0.5 * (1.0 + torch.erf(noise / 2**0.5)).unflatten(1, (MAX_DEVICES, 1 + MAX_TERMINALS)).transpose(0, 1)
        context = self.context(torch.cat([specification, style], dim=1))  # (B, W)
        empty = torch.zeros_like(context[:, :1])
        carry = (
            self.start(context),
            empty.expand(-1, SLOT_FEATURES),
            empty.unsqueeze(2).expand(-1, MAX_NETS, N_ROLES),
            *self.moves.start(specification),
        )
        own_class = specification.detach()[:, : len(self.temperatures)]
        given = Given(context, self.moves.surroundings(specification), (own_class @ self.temperatures).unsqueeze(1))
        if torch.compiler.is_exporting():
            with torch.no_grad():
                return self._write_as_loop(given, carry, uniform)
        written = []
        for quantiles in uniform.unbind():
            carry = self._write_slot(given, carry, quantiles)
            written.append(carry[1])
        return torch.stack(written, dim=1)

    def _write_as_loop(self, given: Given, carry: Carry, uniform: Tensor) -> Tensor:
        """The same as one loop of the exported graph: unrolled, it takes minutes to export."""
        from torch._higher_order_ops.scan import scan

        def body(before: list[Tensor], turn: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            # What a loop runs over must not have the batch's size, so the quantiles are picked by a one-hot (M,).
            quantiles = (uniform * turn[0].view(MAX_DEVICES, 1, 1)).sum(dim=0)
            memory, slot, state, groups, downward, neighbours, transistors = before
            carry = (memory, slot, state, groups, downward, neighbours, transistors)
            after = self._write_slot(given, carry, quantiles)
            # An output must not be a view of another.
            return [tensor.clone() for tensor in after], [after[1].clone()]

        turns = torch.eye(MAX_DEVICES, device=uniform.device)
        _, (written,) = scan(body, [tensor.clone() for tensor in carry], [turns], dim=0)
        return written.transpose(0, 1)

    def _write_slot(self, given: Given, carry: Carry, quantiles: Tensor) -> Carry:
        """What is carried to the next slot, given the quantiles (B, 4) of this one's choices."""
        memory, slot, state = carry[:3]
        wiring: Wiring = carry[3:]
        context, around, temperature = given
        cell: Any = self.cell  # one step of it, with the same weights
        memory = torch.gru_cell(
            self._features(slot, state, context),
            memory,
            cell.weight_ih_l0,
            cell.weight_hh_l0,
            cell.bias_ih_l0,
            cell.bias_hh_l0,
        )  # (B, W)
        degree = state.sum(dim=-1)
        kind_logits = self._kind_logits(memory, slot, degree)
        kind = self._choose(kind_logits, quantiles[:, 0], temperature)
        outlook = self.moves.outlook(wiring, state, around)
        ending = torch.maximum(kind.detach()[:, :1] * outlook.incomplete(), outlook.urgent())
        mending = ending * (1.0 - slot.detach()[:, :1])
        mender = self._choose(kind_logits + (1.0 - outlook.menders) * WRONG, quantiles[:, 0], temperature)
        kind = kind + mending * (mender - kind)
        hidden = self.hidden(memory) + self.kind_embedding(kind)
        candidates = self._candidates(state)
        nets: list[Tensor] = []
        for terminal in range(MAX_TERMINALS):
            if nets:
                hidden = hidden + self._chosen(nets[-1], candidates, terminal - 1)
            wrong = outlook.wrong(kind, nets) + mending * outlook.useless(nets)
            logits = self._net_logits(hidden, candidates, kind, degree, nets)
            logits = logits + wrong.clamp(max=1.0) * WRONG + around.absent * FORBIDDEN
            net = self._choose(logits, quantiles[:, 1 + terminal], temperature)
            degree = degree + net
            nets.append(net)
        after = self.moves.after(wiring, kind, nets)
        return memory, torch.cat([kind, *nets], dim=1), state + self._connections(kind, nets), *after

    def follow(self, specification: Tensor, style: Tensor, topology: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each slot given the slots before it in a known topology (B, M, K + 3 N), all slots at once."""
        slots = topology.shape[1]
        context = self.context(torch.cat([specification, style], dim=1))
        kind, *nets = topology.split([N_KINDS, *[MAX_NETS] * MAX_TERMINALS], dim=2)
        before = F.pad(topology[:, :-1], (0, 0, 1, 0))  # the slot just written, (B, M, K + 3 N)
        state = F.pad(self._connections(kind, nets)[:, :-1], (0, 0, 0, 0, 1, 0)).cumsum(dim=1)  # (B, M, N, roles)
        features = self._features(before, state, context.unsqueeze(1).expand(-1, slots, -1))
        output, _ = self.cell(features, self.start(context).unsqueeze(0))  # (B, M, W)
        hidden = self.hidden(output) + self.kind_embedding(kind)
        candidates = self._candidates(state)
        degree = state.sum(dim=-1)
        logits = []
        for terminal, net in enumerate(nets):
            if terminal:
                hidden = hidden + self._chosen(nets[terminal - 1], candidates, terminal - 1)
            logits.append(self._net_logits(hidden, candidates, kind, degree, nets[:terminal]))
            degree = degree + net
        return self._kind_logits(output, before, state.sum(dim=-1)), torch.stack(logits, dim=2)

    def _kind_logits(self, output: Tensor, before: Tensor, degree: Tensor) -> Tensor:
        """Scores of the kinds, (..., K): no end while an internal net hangs on one terminal, and nothing after the end."""
        hanging = (
            (1.0 - (degree.detach()[..., FIRST_INTERNAL_TOKEN:] - 1.0).abs()).clamp_min(0.0).amax(dim=-1, keepdim=True)
        )
        started = before.detach()[..., :N_KINDS].sum(dim=-1, keepdim=True)
        ended = before.detach()[..., :1]
        empty = torch.maximum(hanging * (1.0 - ended), 1.0 - started)
        forbidden = empty * self.end + ended * (1.0 - self.end)
        return self.kind_head(output) + forbidden * FORBIDDEN

    def _features(self, slot: Tensor, state: Tensor, context: Tensor) -> Tensor:
        return torch.cat([self.slot(slot), self.state(state.clamp(max=2.0).flatten(-2)), context], dim=-1)

    def _candidates(self, state: Tensor) -> Tensor:
        """What each net looks like from what is connected to it, (..., N, E)."""
        return F.gelu(self.net_state(state.clamp(max=2.0)) + self.net_embedding)

    def _net_logits(
        self, hidden: Tensor, candidates: Tensor, kind: Tensor, degree: Tensor, earlier: Sequence[Tensor]
    ) -> Tensor:
        """Scores of the nets at the terminal after the earlier ones, (..., N), without what canonical tokens never hold."""
        terminal = len(earlier)
        query = self.queries[terminal](F.gelu(hidden)).unsqueeze(-2)  # (..., 1, E)
        # Sums written out: batched products of matrices this small are several times slower on a CPU.
        match = (candidates * query).sum(dim=-1) / candidates.shape[-1] ** 0.5
        logits = match + self.net_bias[terminal](F.gelu(hidden))
        # Canonical tokens number internal nets as they appear, so only the first unused one can be new.
        used = degree.detach().clamp(max=1.0)
        allowed = (used + F.pad(used[..., :-1], (1, 0)) + self.always).clamp(max=1.0)
        if earlier:
            allowed = allowed * (1.0 - sum((net.detach() for net in earlier[1:]), earlier[0].detach())).clamp_min(0.0)
        # A kind with fewer terminals has net 0 there; a kind that has the terminal never does.
        has = (kind.detach() @ self.roles[:, terminal].sum(dim=-1)).unsqueeze(-1)  # (..., 1)
        allowed = torch.cat([1.0 - has, allowed[..., 1:] * has], dim=-1)
        return logits + (1.0 - allowed) * FORBIDDEN

    def _chosen(self, net: Tensor, candidates: Tensor, terminal: int) -> Tensor:
        return self.chosen[terminal]((net.unsqueeze(-1) * candidates).sum(dim=-2))

    def _connections(self, kind: Tensor, nets: Sequence[Tensor]) -> Tensor:
        """How a slot adds to what is connected to each net, (..., N, roles)."""
        parts = [
            net.unsqueeze(-1) * (kind @ self.roles[:, terminal]).unsqueeze(-2) for terminal, net in enumerate(nets)
        ]
        return sum(parts[1:], parts[0])

    def _choose(self, logits: Tensor, uniform: Tensor, temperature: Tensor) -> Tensor:
        """One-hot of the choice at a quantile (B,) of the tempered distribution, with the gradient of its probabilities."""
        probability = (logits / temperature).softmax(dim=-1)
        passed = (probability.cumsum(dim=-1) < uniform.unsqueeze(-1).clamp(max=1.0 - 1e-6)).sum(dim=-1)
        hard = F.one_hot(passed.clamp(max=logits.shape[-1] - 1), logits.shape[-1]).to(logits.dtype)
        if not torch.is_grad_enabled():
            return hard
        return hard - probability.detach() + probability


class Encoder(nn.Module):
    """Topology (B, M, K + 3 N) -> specification (B, D) and style (B, Z)."""

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(TOPOLOGY_FEATURES, 2 * config.critic_width),
            nn.GELU(),
            nn.Linear(2 * config.critic_width, 2 * config.critic_width),
            nn.GELU(),
        )
        self.specification = nn.Linear(2 * config.critic_width, config.specification_size)
        self.style = nn.Linear(2 * config.critic_width, config.style_size)

    def forward(self, topology: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(topology.flatten(1))
        return self.specification(hidden), self.style(hidden)


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

    version: ClassVar[int] = 2
    config_class: ClassVar[type] = TopologyGANConfig
    config: TopologyGANConfig

    def __init__(self, config: TopologyGANConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config)
        self.encoder = Encoder(config)
        self.topology_critic = Critic(TOPOLOGY_FEATURES + config.specification_size, config.critic_width)
        self.specification_critic = Critic(config.specification_size + config.style_size, config.critic_width)

    def forward(self, specification: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
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


def _roles() -> Tensor:
    """Which role (role) a terminal (3) of a kind (K) plays; interchangeable terminals play the same."""
    roles = torch.zeros(N_KINDS, MAX_TERMINALS, N_ROLES)
    role = 0
    for index, kind in enumerate(KINDS.values()):
        for terminal in range(len(kind.terminals)):
            roles[1 + index, terminal, role] = 1.0
            if not kind.interchangeable:
                role += 1
        if kind.interchangeable:
            role += 1
    return roles
