"""Draw from a grammar until the result is worth a simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genrf.circuit.canonical import canonical
from genrf.circuit.devices import KINDS
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES
from genrf.circuit.topology import Topology

_ATTEMPTS = 1000


def legal_topology(
    draw: Callable[[np.random.Generator], Topology], rng: np.random.Generator, *, twins: bool = False
) -> Topology:
    """The first legal topology that a grammar draws, in canonical form.

    Args:
        draw: one topology of the grammar, legal or not.
        twins: whether two devices of one kind may lie in parallel, which might as well be one.

    Raises:
        RuntimeError: if a thousand draws give none: a defect of the grammar, not of the caller.
    """
    for _ in range(_ATTEMPTS):
        topology = draw(rng)
        if len(topology.devices) <= MAX_DEVICES and (twins or not _has_twins(topology)) and is_legal(topology):
            return canonical(topology)[0]
    raise RuntimeError(f"no legal topology in {_ATTEMPTS} draws")


def _has_twins(topology: Topology) -> bool:
    seen = [
        (device.kind, frozenset(device.nets) if KINDS[device.kind].interchangeable else device.nets)
        for device in topology.devices
    ]
    return len(set(seen)) < len(seen)
