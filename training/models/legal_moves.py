"""What a half-written topology allows next, and what it still lacks.

Most illegal topologies break a rule by one choice that nothing later can mend, such as an inductor that closes a loop of
inductors, or by ending while something is missing, such as the feed of a collector. Both follow from which nets are joined, so
that is carried along from device to device: such choices are left out, and a circuit that would end too early gets resistors,
inductors or capacitors for what it lacks, where the generator likes them best. The rules are those of
`genrf.circuit.rules` and that an amplifier amplifies. What else a class asks for (feedback, tuning), and what a later bias source
cuts off, is left to be learnt.

B circuits, K kinds including the empty one, N net categories. All values are 0 or 1 and pass no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genrf import classes
from genrf.circuit.amplifier_rules import amplifies
from genrf.circuit.biasing import LARGEST_V_CE, STACK_TOLERANCE_V
from genrf.circuit.devices import KINDS, MAX_TERMINALS
from genrf.circuit.tokens import FIRST_INTERNAL_TOKEN, FIRST_PORT_TOKEN, KIND_TOKENS, MAX_DEVICES, MAX_NETS
from genrf.conditioning import REFERENCE_SUPPLY_V

GROUND, SUPPLY = 1, 2
"""Net tokens."""
_RESISTOR, _INDUCTOR, _CAPACITOR, _HBT, _BIAS, _DIODE = (
    KIND_TOKENS[name] for name in ("resistor", "inductor", "capacitor", "hbt", "bias_voltage", "diode")
)
_CONDUCTING = (_RESISTOR, _INDUCTOR, _DIODE)
_TRANSISTOR_AND_BIAS = slice(3, 7)
"""Of the roles that a net can have: collector, base, emitter, bias source."""

_ONE_VOLTAGE, _DIRECT, _PASSIVE, _SIGNAL, _COUPLED = range(5)
"""Groups of nets: joined by inductors; by all that passes direct current, with everything of fixed voltage; by passive devices
that do, but not across ground; by any device, but not across ground or supply; and by any that amplifies nothing, likewise."""
_IN, _OUT = FIRST_PORT_TOKEN, FIRST_PORT_TOKEN + 1
"""Ports of an amplifier."""
_IN_A_ROW = 3
"""Transistors beyond the first that a signal is followed through."""

Wiring = tuple[Tensor, Tensor, Tensor, Tensor]
"""What joins nets so far: the kinds of group (B, 5, N, N); from net to net (B, N, N) what direct current reaches on its way from
the supply to ground, and what meets in a device; and the transistors from collector and from base to emitter, and from base to
collector (B, 3, N, N)."""


class Surroundings(NamedTuple):
    """What a circuit is written for."""

    ports: Tensor
    """Ports that must be free of direct current, that the testbench holds at a voltage, and that must be used, (B, 3, N)."""
    absent: Tensor
    """Ports that the circuit's class does not have, (B, N)."""
    high_supply: Tensor
    """Whether one transistor cannot bear the supply, (B, 1)."""
    amplified: Tensor
    """Ports that a signal must get to through a transistor, (B, N)."""


class Outlook(NamedTuple):
    """What the wiring before a device means for it. Things that a net can lack are the feed of a collector, the return of an
    emitter, the drive of a base, any path of direct current, a second terminal, a way from the input through a transistor, a path
    of signals, and a second neighbour."""

    lacks: Tensor
    """Nets that lack each, (B, 8, N)."""
    gives: Tensor
    """Nets that have it to give, (B, 8, N)."""
    neighbours: Tensor
    """(B, N, N)."""
    menders: Tensor
    """Kinds of device that mend what is lacking, (B, K)."""
    left: Tensor
    """Slots that are left, (B, 1)."""
    fixed: Tensor
    """Nets of fixed voltage, (B, N)."""
    anchored: Tensor
    """Those and what inductors join to them, (B, N)."""
    biasing: Tensor
    """Nets at which a bias source is wrong, (B, N)."""
    one_voltage: Tensor
    """Groups joined by inductors, (B, N, N)."""
    taken: Tensor
    """Nets at one voltage with a collector, a base, an emitter, what must not be at the supply because of an emitter at ground,
    and an emitter that must not be at ground because of what is at the supply, (B, 5, N)."""
    taboo: Tensor
    """Nets at one voltage with what each must not be held at; of the last two the supply and ground, (B, 5, N)."""
    high_supply: Tensor
    """Whether one transistor cannot bear the supply, (B, 1)."""
    apart: Tensor
    """Pairs of nets at one voltage with a transistor's emitter and with its base or collector, (B, N, N)."""
    quiet: Tensor
    """Nets joined to a port that must be free of direct current, (B, N)."""
    loud: Tensor
    """Nets that no such port may be joined to, (B, N)."""

    def incomplete(self) -> Tensor:
        """Whether anything is lacking, (B, 1)."""
        return self.lacks.amax(dim=(1, 2)).unsqueeze(1)

    def urgent(self) -> Tensor:
        """Whether there is but a slot left for each net that lacks something, and one to spare, (B, 1)."""
        nets = self.lacks.amax(dim=1).sum(dim=1, keepdim=True)
        return (nets + 1.0 >= self.left).to(nets.dtype) * nets.clamp(max=1.0)

    def useless(self, earlier: Sequence[Tensor]) -> Tensor:
        """Nets at which the next terminal of a device would mend nothing, given its terminals before, (B, N)."""
        if not earlier:
            return 1.0 - self.lacks.amax(dim=1)
        first = earlier[0].detach()
        own = _at(self.lacks, first.unsqueeze(1))  # (B, 8, 1)
        # One thing at a time: no net need have all of them to give.
        wanted = own * (own.cumsum(dim=1) == 1.0)
        same_again = wanted[:, -1] * (self.neighbours * first.unsqueeze(-1)).sum(dim=1)
        return (wanted * (1.0 - self.gives)).sum(dim=1) + same_again

    def wrong(self, kind: Tensor, earlier: Sequence[Tensor]) -> Tensor:
        """Nets at which the next terminal of a device of a kind (B, K) breaks a rule for good, (B, N)."""
        kind = kind.detach()
        hbt, bias, inductor = (kind[:, token].unsqueeze(1) for token in (_HBT, _BIAS, _INDUCTOR))
        wrong = hbt * torch.maximum(self.taboo[:, len(earlier)], self.quiet)
        if not earlier:
            return wrong + bias * self.biasing
        first = earlier[0].detach()
        conducting = sum((kind[:, token] for token in _CONDUCTING[1:]), kind[:, _CONDUCTING[0]]).unsqueeze(1)
        loop = (self.one_voltage * first.unsqueeze(-1)).sum(dim=1) + self.anchored * _at(self.anchored, first)
        first_taken, first_taboo = _at(self.taken, first.unsqueeze(1)), _at(self.taboo, first.unsqueeze(1))
        loop = loop + (self.taken * first_taboo + self.taboo * first_taken).sum(dim=1)
        loop = loop + (self.apart * first.unsqueeze(-1)).sum(dim=1)
        wrong = (
            wrong
            + (1.0 - hbt) * self.fixed * _at(self.fixed, first)
            + inductor * loop
            + conducting * (self.quiet * _at(self.loud, first) + self.loud * _at(self.quiet, first))
        )
        if len(earlier) < 2:
            return wrong
        # An emitter at the base's voltage, or all of the supply across their junction or across the transistor.
        base = earlier[1].detach()
        same = (self.one_voltage * base.unsqueeze(-1)).sum(dim=1)
        at_supply = self.taboo[:, 3]
        all_of_it = _at(at_supply, base) + self.high_supply * _at(at_supply, first)
        return wrong + hbt * (same + all_of_it * self.taboo[:, 4])


class LegalMoves(nn.Module):
    """Follows a circuit as it is written.

    Args:
        circuit_classes: in the order of their one-hot, with which a specification starts.
    """

    _ports: Tensor
    _absent: Tensor
    _amplified: Tensor
    _joins: Tensor
    _groups: Tensor
    _across: Tensor
    _menders: Tensor
    _share: Tensor
    _none: Tensor
    _ground: Tensor
    _supply: Tensor
    _internal: Tensor

    def __init__(self, circuit_classes: Sequence[str]) -> None:
        super().__init__()
        ports = torch.zeros(3, len(circuit_classes), MAX_NETS)
        absent = torch.zeros(len(circuit_classes), MAX_NETS)
        amplified = torch.zeros(len(circuit_classes), MAX_NETS)
        for row, name in enumerate(circuit_classes):
            definition = classes.get(name)
            amplified[row, _OUT] = float(amplifies in definition.rules)
            absent[row, FIRST_PORT_TOKEN + len(definition.ports.names) : FIRST_INTERNAL_TOKEN] = 1.0
            for token, port in enumerate(definition.ports.names, start=FIRST_PORT_TOKEN):
                ports[0, row, token] = float(port not in definition.ports.held)
                ports[1, row, token] = float(port in definition.ports.held)
                ports[2, row, token] = float(port not in definition.ports.optional)
        kinds = len(KINDS) + 1
        joins = torch.zeros(kinds, 5, MAX_TERMINALS)
        joins[_INDUCTOR, _ONE_VOLTAGE, :2] = 1.0
        for kind in _CONDUCTING:
            joins[kind, [_DIRECT, _PASSIVE], :2] = 1.0
        joins[_HBT, _DIRECT] = 1.0
        joins[_BIAS, _DIRECT, 0] = 1.0
        joins[1:, [_SIGNAL, _COUPLED]] = 1.0
        joins[_HBT, _COUPLED] = 0.0
        groups = torch.eye(MAX_NETS).repeat(5, 1, 1)
        groups[_DIRECT, GROUND:FIRST_INTERNAL_TOKEN, GROUND:FIRST_INTERNAL_TOKEN] = 1.0
        across = torch.ones(5, MAX_NETS)
        across[[_PASSIVE, _SIGNAL, _COUPLED], :SUPPLY] = 0.0
        across[[_SIGNAL, _COUPLED], SUPPLY] = 0.0
        menders = torch.zeros(2, kinds)
        menders[0, [_RESISTOR, _INDUCTOR]] = 1.0
        menders[1, _CAPACITOR] = 1.0
        # How much of a device each role is.
        share = [
            0.5 if kind.interchangeable else float(terminal == 0)
            for kind in KINDS.values()
            for terminal in range(1 if kind.interchangeable else len(kind.terminals))
        ]
        nets = torch.eye(MAX_NETS)
        for name, tensor in {
            "ports": ports,
            "absent": absent,
            "amplified": amplified,
            "joins": joins,
            "groups": groups,
            "across": across,
            "menders": menders,
            "share": torch.tensor(share),
            "none": nets[0],
            "ground": nets[GROUND],
            "supply": nets[SUPPLY],
            "internal": nets[FIRST_INTERNAL_TOKEN:].sum(dim=0),
        }.items():
            # Cloned, because an exported loop must not have inputs that share memory.
            self.register_buffer(f"_{name}", tensor.clone(), persistent=False)

    def surroundings(self, specification: Tensor) -> Surroundings:
        """What specifications (B, D) say of ports and supply."""
        n_classes = self._ports.shape[1]
        own = specification.detach()[:, : n_classes + 2]
        high = own[:, n_classes + 1 :] > LARGEST_V_CE + STACK_TOLERANCE_V - REFERENCE_SUPPLY_V
        own_class = own[:, :n_classes]
        ports = torch.einsum("bc,pcn->bpn", own_class, self._ports)
        return Surroundings(ports, own_class @ self._absent, high.to(own.dtype), own_class @ self._amplified)

    def start(self, specification: Tensor) -> Wiring:
        """Nothing is joined yet."""
        # Not `expand`: a traced model would keep the number of circuits that it was traced with.
        none = torch.zeros_like(specification[:, :1, None])
        alone = self._groups[_ONE_VOLTAGE] + none
        return self._groups + none.unsqueeze(3), alone, alone, torch.zeros_like(alone).unsqueeze(1).repeat(1, 3, 1, 1)

    def after(self, wiring: Wiring, kind: Tensor, nets: Sequence[Tensor]) -> Wiring:
        """What is joined once there is a device of a kind (B, K) on nets, each (B, N)."""
        groups, downward, neighbours, transistors = wiring
        kind = kind.detach()
        first, second, third = nets = [net.detach() for net in nets]
        own = (kind @ self._joins.flatten(1)).unflatten(1, self._joins.shape[1:])  # (B, 5, terminals)
        members = sum(own[..., t, None] * net.unsqueeze(1) for t, net in enumerate(nets)) * self._across  # (B, 5, N)
        held = kind[:, _BIAS, None, None] * self._ground * self._joins[_BIAS, :, :1]
        joined = ((members + held).unsqueeze(-2) @ groups).clamp(max=1.0)  # (B, 5, 1, N)
        groups = torch.maximum(groups, joined.transpose(-1, -2) * joined)
        hbt, passive = kind[:, _HBT, None], (kind[:, _RESISTOR] + kind[:, _INDUCTOR]).unsqueeze(1)
        downward = self._passing(downward, (passive + hbt) * first, passive * second + hbt * third)
        downward = self._passing(downward, passive * second, passive * first)
        touched = (first + second + third) * (1.0 - self._none)
        neighbours = torch.maximum(neighbours, touched.unsqueeze(-1) * touched.unsqueeze(-2))
        starts, ends = torch.stack([first, second, second], dim=1), torch.stack([third, third, first], dim=1)
        transistors = torch.maximum(transistors, (hbt.unsqueeze(-1) * starts).unsqueeze(-1) * ends.unsqueeze(-2))
        return groups, downward, neighbours, transistors

    def outlook(self, wiring: Wiring, state: Tensor, around: Surroundings) -> Outlook:
        """What wiring, connections to each net (B, N, roles) and surroundings mean for the next device."""
        groups, downward, neighbours, transistors = wiring
        state = state.detach()
        free, held, needed = around.ports.unbind(dim=1)
        high, one_voltage = around.high_supply, groups[:, _ONE_VOLTAGE]
        collectors, bases, emitters, bias = state[..., _TRANSISTOR_AND_BIAS].clamp(max=1.0).unbind(dim=-1)
        terminals = state.sum(dim=-1)
        used = terminals.clamp(max=1.0)
        voltages = self._supply + bias + held
        fixed = (self._ground + voltages).clamp(max=1.0)

        # What reaches ground or comes from the supply is not passed on.
        fed = downward[:, SUPPLY] * (1.0 - self._ground)
        returned = downward[..., GROUND] * (1.0 - self._supply)
        driven = torch.maximum(fed, (bias.unsqueeze(1) @ downward).squeeze(1)).clamp(max=1.0) * (1.0 - self._ground)
        hanging = self._internal * (1.0 - (terminals - 1.0).abs()).clamp_min(0.0)
        live = torch.maximum(used, needed) * (1.0 - fixed)
        through = _through_transistors(groups[:, _COUPLED], transistors, 1.0 - fixed)
        joined = groups[:, _SIGNAL, _IN] * live
        # All nets of fixed voltage count as one neighbour.
        others = neighbours * (1.0 - self._groups[_ONE_VOLTAGE])
        to_fixed = (others @ fixed.unsqueeze(-1)).clamp(max=1.0)  # (B, N, 1)
        ways = (others @ (1.0 - fixed).unsqueeze(-1) + to_fixed).squeeze(-1)
        dead = (ways == 1.0).to(used.dtype) * self._internal * (1.0 - bias)
        needs = [collectors, emitters, bases, used * self._internal, hanging, around.amplified, live, dead]
        gives = torch.stack(
            [
                fed,
                returned,
                driven,
                groups[:, _DIRECT, GROUND],
                used * (1.0 - hanging),
                through,
                joined,
                used * (1.0 - dead),
            ],
            dim=1,
        )
        lacks = torch.stack(needs, dim=1) * (1.0 - gives)
        unpowered = lacks[:, :4].amax(dim=(1, 2)).unsqueeze(1)

        ground = self._ground.expand_as(bias)
        supply = self._supply.expand_as(bias)
        never = [ground + bias, ground, supply + bias, supply, ground]
        at = (torch.stack([*never, fixed, collectors, bases, emitters], dim=1) @ one_voltage).clamp(max=1.0)
        taboo, anchored, taken = at[:, :5], at[:, 5], at[:, 6:]
        # What is above an emitter at ground, and emitters below what is at the supply: bases, and collectors if that is high.
        above_emitters = transistors[:, :2]
        unbearable = above_emitters * torch.cat([high, torch.ones_like(high)], dim=1)[..., None, None]
        above = (unbearable @ at[:, 4, None, :, None]).sum(dim=1).squeeze(-1)
        below = (at[:, 3, None, None] @ unbearable).sum(dim=1).squeeze(1)
        apart = one_voltage @ above_emitters.sum(dim=1) @ one_voltage
        taken = torch.cat([taken, torch.stack([above, below], dim=1) @ one_voltage], dim=1).clamp(max=1.0)
        voiced = ((collectors + bases + emitters) * (1.0 - self._ground) + voltages).clamp(max=1.0)
        quiet, loud = (torch.stack([free, voiced], dim=1) @ groups[:, _PASSIVE]).clamp(max=1.0).unbind(dim=1)
        biasing = 1.0 - self._internal + anchored + taken[:, 0] + taken[:, 2] + quiet
        return Outlook(
            lacks=lacks,
            gives=gives,
            neighbours=torch.maximum(others, to_fixed * fixed.unsqueeze(1)),
            menders=self._menders[0] + (1.0 - unpowered) * self._menders[1],
            left=MAX_DEVICES - (state.sum(dim=1) * self._share).sum(dim=-1, keepdim=True),
            fixed=fixed,
            anchored=anchored,
            biasing=biasing,
            one_voltage=one_voltage,
            taken=taken,
            taboo=taboo,
            apart=apart + apart.transpose(-1, -2),
            high_supply=high,
            quiet=quiet,
            loud=loud,
        )

    def _passing(self, downward: Tensor, top: Tensor, bottom: Tensor) -> Tensor:
        """With a way from one net to another, each (B, N) or none; none leaves ground or enters the supply."""
        above = downward @ (top * (1.0 - self._ground)).unsqueeze(-1)  # (B, N, 1)
        below = (bottom * (1.0 - self._supply)).unsqueeze(-2) @ downward  # (B, 1, N)
        return torch.maximum(downward, above * below)


def _through_transistors(coupled: Tensor, transistors: Tensor, free: Tensor) -> Tensor:
    """Nets that a signal reaches from the input through a transistor, base or emitter first, of those that are free, (B, N)."""
    to_emitter, from_base = transistors[:, 0], transistors[:, 1:].sum(dim=1)
    forward = from_base + to_emitter.transpose(-1, -2)  # (B, N, N)
    reached = ((coupled[:, _IN, None] @ forward) * free[:, None] @ coupled).clamp(max=1.0)  # (B, 1, N)
    for _ in range(_IN_A_ROW):
        reached = torch.maximum(reached, ((reached @ forward) * free[:, None] @ coupled).clamp(max=1.0))
    return reached.squeeze(1) * free


def _at(nets: Tensor, one: Tensor) -> Tensor:
    """Whether one net is among nets, (..., 1)."""
    return (nets * one).sum(dim=-1, keepdim=True)
