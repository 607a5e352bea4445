"""A transformer over the devices of a circuit, aware of the graph that their nets make.

One token a device, plus one global token for the conditioning vector. The devices are a set: there are no positions, so
permuting the device slots permutes the outputs. Internal nets are seen only through which terminals share them, never
through their number, so renaming them changes nothing; ground, supply and ports have embeddings of their own. The two
terminals of a resistor, inductor or capacitor have the same role, so swapping them changes nothing either.

Symbols: B batch, M device slots, N = 28 net categories, R terminal roles, W width, H attention heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.roberta_prelayernorm.configuration_roberta_prelayernorm import RobertaPreLayerNormConfig
from transformers.models.roberta_prelayernorm.modeling_roberta_prelayernorm import RobertaPreLayerNormEncoder

from genrf.circuit.devices import KINDS, MAX_TERMINALS

N_KINDS = len(KINDS) + 1
"""Device kinds and the empty slot, which is kind 0."""
N_NETS = 28
FIRST_INTERNAL_NET = 7
"""Nets 0 none, 1 ground, 2 supply, 3 to 6 ports; internal nets from here on."""
FIRST_SIGNAL_NET = 3
"""Ground and supply are signal grounds: sharing them does not make two devices neighbours."""


def _terminal_roles() -> tuple[Tensor, int]:
    """Role of each terminal of each kind as one-hot codes (kinds, terminals, R): interchangeable terminals share a
    role."""
    names: list[tuple[str, str]] = []
    role_of: dict[tuple[int, int], int] = {}
    for index, kind in enumerate(KINDS.values(), start=1):
        for position, terminal in enumerate(kind.terminals):
            # All two-terminal passives share one role: their kind tells them apart already.
            name = ("passive", "") if kind.interchangeable else (kind.name, terminal)
            if name not in names:
                names.append(name)
            role_of[index, position] = names.index(name)
    roles = torch.zeros(N_KINDS, MAX_TERMINALS, len(names))
    for (kind_id, position), role in role_of.items():
        roles[kind_id, position, role] = 1.0
    return roles, len(names)


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Size of the transformer."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 2
    """Width of the feed-forward layers, in multiples of the width."""
    message_width: int = 32
    """Width of the messages that devices exchange through a shared net."""
    value_waves: int = 3
    """Pairs of sine and cosine of each value, an octave apart, that a device's token starts from besides the value
    itself."""
    walk_steps: int = 6
    """Steps of the random walks that tell a device where in the circuit it is."""
    dropout: float = 0.0


class NetMessage(nn.Module):
    """Devices tell the nets at their terminals about themselves, and hear the sum of what all the neighbours told."""

    def __init__(self, width: int, roles: int, message_width: int) -> None:
        super().__init__()
        self.roles, self.message_width = roles, message_width
        self.norm = nn.LayerNorm(width)
        self.tell = nn.Linear(width, roles * message_width)
        self.net = nn.Linear(message_width, message_width)
        self.hear = nn.Linear(roles * message_width, width)

    def forward(self, hidden: Tensor, incidence: Tensor) -> Tensor:
        """Args: hidden (B, M, W); incidence (B, M * R, N), 1 where a device's terminal of that role is on that net."""
        batch, slots = hidden.shape[0], hidden.shape[1]
        told = self.tell(self.norm(hidden)).reshape(batch, slots * self.roles, self.message_width)  # (B, M * R, E)
        nets = functional.silu(self.net(incidence.transpose(1, 2) @ told))  # (B, N, E)
        heard = (incidence @ nets).reshape(batch, slots, self.roles * self.message_width)
        return hidden + self.hear(heard)


class CircuitTransformer(nn.Module):
    """Set transformer over device tokens, conditioned on one vector a circuit."""

    roles: Tensor

    def __init__(self, config: BackboneConfig, condition_size: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        roles, self.n_roles = _terminal_roles()
        self.register_buffer("roles", roles, persistent=False)
        self.kind = nn.Embedding(N_KINDS, width)
        self.net = nn.Linear(self.n_roles * FIRST_INTERNAL_NET, width, bias=False)
        self.place = nn.Linear(config.walk_steps * (FIRST_INTERNAL_NET - 1), width, bias=False)
        value_size = N_KINDS * (2 + 2 * config.value_waves)
        self.value = nn.Sequential(nn.Linear(value_size, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Sequential(nn.Linear(condition_size, width), nn.SiLU(), nn.Linear(width, 2 * width))
        self.neighbours = nn.Linear(self.n_roles**2, config.heads, bias=False)
        nn.init.normal_(self.neighbours.weight, std=0.5)
        encoder = RobertaPreLayerNormConfig(
            vocab_size=3,  # the smallest that its special tokens accept; there is no vocabulary
            hidden_size=width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feed_forward * width,
            hidden_act="silu",
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=0.0,
            # As fast as fused attention on so few tokens, and the only one that exports with a dynamic number of them.
            attn_implementation="eager",  # type: ignore[call-arg]
        )
        # The encoder of RoBERTa-PreLayerNorm has no positions of its own; they live in its embeddings, which are not
        # used.
        self.encoder = RobertaPreLayerNormEncoder(encoder)
        self.message = NetMessage(width, self.n_roles, config.message_width)
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor, kinds: Tensor, nets: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Encode circuits.

        Args:
            values: (B, M) numbers of about unit scale, one a device.
            kinds: (B, M) kind ids, 0 for an empty slot.
            nets: (B, M, 3) net ids.
            condition: (B, condition_size).

        Returns:
            The global token (B, W) and the device tokens (B, M, W).
        """
        tokens, bias = self.embed(values, kinds, nets, condition)
        tokens = self.norm(self.encoder(tokens, attention_mask=bias).last_hidden_state)
        return tokens[:, 0], tokens[:, 1:]

    def embed(self, values: Tensor, kinds: Tensor, nets: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, 1 + M, W), the global one first, and additive attention scores (B, H, 1 + M, 1 + M)."""
        present = (kinds > 0).to(values.dtype)  # (B, M)
        kind_code = functional.one_hot(kinds, N_KINDS).to(values.dtype)  # (B, M, K)
        net_code = functional.one_hot(nets, N_NETS).to(values.dtype)  # (B, M, 3, N)
        # A matrix product with one-hot codes, not indexing: its gradient needs no scatter.
        role_code = (kind_code @ self.roles.flatten(1)).unflatten(-1, (MAX_TERMINALS, self.n_roles))  # (B, M, 3, R)
        # The sum over terminals written out: a batched product of matrices this small is several times slower.
        roles = [role_code[:, :, t, :, None] * net_code[:, :, t, None, :] for t in range(MAX_TERMINALS)]
        incidence = sum(roles[1:], roles[0])  # (B, M, R, N)
        signal = incidence[..., FIRST_SIGNAL_NET:]  # (B, M, R, N')

        shift, first = self.condition(condition).chunk(2, dim=-1)  # each (B, W)
        hidden = (
            kind_code @ self.kind.weight
            + self.value(self._value_features(values, kind_code))
            + self.net(incidence[..., :FIRST_INTERNAL_NET].flatten(2))
            + self.place(self._places(incidence))
            + shift.unsqueeze(1)
        )
        hidden = self.message(hidden, signal.flatten(1, 2))
        # What the layers add to stays in the values' precision, whatever that of matrix products.
        tokens = torch.cat([first.unsqueeze(1), hidden], dim=1).to(values.dtype)
        return tokens, self._attention_bias(signal, present)

    def _value_features(self, values: Tensor, kind_code: Tensor) -> Tensor:
        """One, the value, and waves of it, in columns of the device's own kind: (B, M, K * V)."""
        phases = [values * (torch.pi / 4.0 * 2.0**octave) for octave in range(self.config.value_waves)]
        waves = [wave(phase) for phase in phases for wave in (torch.sin, torch.cos)]
        features = torch.stack([torch.ones_like(values), values, *waves], dim=-1)  # (B, M, V)
        return (kind_code.unsqueeze(-1) * features.unsqueeze(-2)).flatten(2)

    def _places(self, incidence: Tensor) -> Tensor:
        """Where in the circuit each device is, whatever its number: (B, M, steps * fixed nets).

        For each step, the chance that a random walk over neighbouring devices ends at one that touches ground, supply
        or a given port: the random-walk positional encoding of Dwivedi et al. (2022) with fixed nets as targets.
        """
        touches = incidence.sum(dim=2)  # (B, M, N)
        signal = touches[..., FIRST_SIGNAL_NET:]
        neighbours = (signal @ signal.transpose(1, 2)).clamp(max=1.0)  # (B, M, M)
        walk = neighbours / neighbours.sum(dim=2, keepdim=True).clamp(min=1.0)
        at = touches[..., 1:FIRST_INTERNAL_NET]
        places = []
        for _ in range(self.config.walk_steps):
            at = walk @ at
            places.append(at)
        # About unit scale: a circuit has some ten devices, and few of them touch a given net.
        return 3.0 * torch.cat(places, dim=2)

    def _attention_bias(self, signal: Tensor, present: Tensor) -> Tensor:
        """Additive attention scores (B, H, 1 + M, 1 + M): by the roles in which two devices share a net; -1e4 to empty
        slots."""
        slots = present.shape[1]
        flat = signal.flatten(1, 2)  # (B, M * R, N')
        shared = (flat @ flat.transpose(1, 2)).reshape(-1, slots, self.n_roles, slots, self.n_roles)
        shared = shared.permute(0, 1, 3, 2, 4).flatten(3)  # (B, M, M, R * R)
        bias = self.neighbours(shared).permute(0, 3, 1, 2)  # (B, H, M, M)
        bias = functional.pad(bias, (1, 0, 1, 0))
        absent = functional.pad(present - 1.0, (1, 0)) * 1e4  # (B, 1 + M)
        return bias + absent[:, None, None, :]
