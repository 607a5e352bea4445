"""A circuit without values (topology) and with them (circuit)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from genrf.circuit.devices import KINDS

GROUND = "0"
SUPPLY = "vdd"


@dataclass(frozen=True, slots=True)
class Device:
    """One component of a topology: its kind and the nets at its terminals, in the kind's order."""

    kind: str
    nets: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown device kind {self.kind!r}; known: {', '.join(KINDS)}")
        expected = len(KINDS[self.kind].terminals)
        if len(self.nets) != expected:
            raise ValueError(f"{self.kind} has {expected} terminals, got nets {self.nets}")


@dataclass(frozen=True)
class Topology:
    """A graph of devices and nets.

    Nets are named ``"0"`` (ground), ``"vdd"`` (supply), by the circuit class's ports (``"in"``, ``"out"``), and
    anything else for internal nets.
    """

    circuit_class: str
    devices: tuple[Device, ...]

    def __hash__(self) -> int:
        # Of many circuits with one topology each looks its own up: the devices are hashed once.
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.circuit_class, self.devices))

    @cached_property
    def nets(self) -> tuple[str, ...]:
        """All nets in order of first appearance."""
        return tuple(dict.fromkeys(net for device in self.devices for net in device.nets))

    @cached_property
    def designators(self) -> tuple[str, ...]:
        """Schematic names such as ``R1`` and ``Q2``, counted a kind in device order."""
        counts: dict[str, int] = {}
        names = []
        for device in self.devices:
            prefix = KINDS[device.kind].prefix
            counts[prefix] = counts.get(prefix, 0) + 1
            names.append(f"{prefix}{counts[prefix]}")
        return tuple(names)


@dataclass(frozen=True)
class Circuit:
    """A topology with one value a device, in SI units and in the order of ``topology.devices``."""

    topology: Topology
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.topology.devices):
            raise ValueError(f"{len(self.topology.devices)} devices but {len(self.values)} values")

    def with_values(self, values: Sequence[float]) -> Circuit:
        """The same topology with other values."""
        return Circuit(self.topology, tuple(float(value) for value in values))
