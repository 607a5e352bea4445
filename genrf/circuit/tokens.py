"""A topology as small integer arrays, the form that the models read and write.

Kinds: 0 is an empty slot, then 1 + the kind's position in `KINDS`. Nets: 0 none, 1 ground, 2 supply, 3..6 the class's
ports in order, 7..27 the internal nets ``n1`` .. ``n21``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.devices import KINDS, MAX_TERMINALS
from genrf.circuit.ports import ports_of
from genrf.circuit.topology import GROUND, SUPPLY, Device, Topology

MAX_DEVICES = 28
"""Device slots of a topology."""
MAX_NETS = 28
"""Net categories, including none, ground, supply and the ports."""
MAX_PORTS = 4
FIRST_PORT_TOKEN = 3
FIRST_INTERNAL_TOKEN = FIRST_PORT_TOKEN + MAX_PORTS
MAX_INTERNAL_NETS = MAX_NETS - FIRST_INTERNAL_TOKEN

KIND_TOKENS: dict[str, int] = {name: 1 + index for index, name in enumerate(KINDS)}
_KINDS_BY_TOKEN = ("", *KINDS)
TERMINAL_COUNTS: tuple[int, ...] = (0, *(len(kind.terminals) for kind in KINDS.values()))
"""Terminals of each kind token; net tokens beyond them say nothing."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """A topology's tokens."""

    kinds: NDArray[np.int8]
    """Kind of each slot, shape (MAX_DEVICES,)."""
    nets: NDArray[np.int8]
    """Net at each terminal of each slot, shape (MAX_DEVICES, MAX_TERMINALS)."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return NotImplemented
        return np.array_equal(self.kinds, other.kinds) and np.array_equal(self.nets, other.nets)

    def __hash__(self) -> int:
        return hash((self.kinds.tobytes(), self.nets.tobytes()))


@cache
def _net_tokens(circuit_class: str) -> dict[str, int]:
    ports = ports_of(circuit_class).names
    return {
        GROUND: 1,
        SUPPLY: 2,
        **{port: FIRST_PORT_TOKEN + index for index, port in enumerate(ports)},
        **{f"n{index + 1}": FIRST_INTERNAL_TOKEN + index for index in range(MAX_INTERNAL_NETS)},
    }


@cache
def _nets_by_token(circuit_class: str) -> dict[int, str]:
    return {token: net for net, token in _net_tokens(circuit_class).items()}


def encode(topology: Topology) -> Tokens:
    """Tokens of a topology whose internal nets are called ``n1``, ``n2``, ... as in its canonical form.

    Raises:
        ValueError: if the topology is too large for the slots, or has other net names.
    """
    if len(topology.devices) > MAX_DEVICES:
        raise ValueError(f"{len(topology.devices)} devices do not fit into {MAX_DEVICES} slots")
    token = _net_tokens(topology.circuit_class)
    kinds = np.zeros(MAX_DEVICES, dtype=np.int8)
    nets = np.zeros((MAX_DEVICES, MAX_TERMINALS), dtype=np.int8)
    for slot, device in enumerate(topology.devices):
        kinds[slot] = KIND_TOKENS[device.kind]
        for terminal, net in enumerate(device.nets):
            if net not in token:
                raise ValueError(
                    f"net {net!r} has no token: make it canonical first; at most {MAX_INTERNAL_NETS} internal nets fit"
                )
            nets[slot, terminal] = token[net]
    return Tokens(kinds, nets)


def decode(tokens: Tokens, circuit_class: str) -> Topology:
    """The topology that tokens stand for, as written: neither made canonical nor checked by the electrical rules.

    Empty slots are passed over, and so are net tokens beyond a kind's terminals.

    Raises:
        ValueError: if a kind is unknown, or a terminal has no net or that of a port which the class does not have.
    """
    return Topology(circuit_class, tuple(_devices(tokens.kinds.tolist(), tokens.nets.tolist(), circuit_class)))


def _devices(kinds: Sequence[int], nets: Sequence[Sequence[int]], circuit_class: str) -> list[Device]:
    names = _nets_by_token(circuit_class)
    devices = []
    for slot, (kind, terminals) in enumerate(zip(kinds, nets, strict=True)):
        if kind == 0:
            continue
        if not 0 < kind < len(_KINDS_BY_TOKEN):
            raise ValueError(f"slot {slot}: unknown kind token {kind}")
        used = terminals[: TERMINAL_COUNTS[kind]]
        for net in used:
            if net not in names:
                raise ValueError(f"slot {slot}: net token {net} is no net of class {circuit_class}")
        devices.append(Device(_KINDS_BY_TOKEN[kind], tuple([names[net] for net in used])))
    return devices
