"""What a designer would not sign, though it simulates: values beyond what the conditions allow, and unequal halves.

rule                    a value breaks it                                               source
bias above the supply   bias voltage above the supply's                                 nothing in the circuit makes it
self-resonance          inductor whose self-resonance is below twice the frequency      `Technology.design_range`
smallest part           capacitor smaller than the process draws                        `Technology.design_range`
unequal halves          devices that mirror each other in a balanced circuit            `genrf.circuit.symmetry`
series pair             two resistors, or two inductors, where one would do             `genrf.circuit.merging`

`DesignRules.kept` brings a circuit within them. They are no limits of the simulation: whoever wants to break them, in a
design by hand, can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.devices import KINDS
from genrf.circuit.merging import merged_circuit
from genrf.circuit.normalise import denormalise, normalise
from genrf.circuit.symmetry import mirrored
from genrf.circuit.tokens import KIND_TOKENS
from genrf.circuit.topology import Circuit, Topology
from genrf.conditions import Conditions
from genrf.technology.base import Technology

BIAS, SELF_RESONANCE, SIZE, HALVES, SERIES = (
    "bias above the supply",
    "self-resonance",
    "smallest part",
    "unequal halves",
    "series pair",
)
_UNEQUAL = 1e-3
"""Relative difference from which halves count as unequal: their grid is finer."""


class Breach(NamedTuple):
    """A rule that a circuit breaks."""

    rule: str
    message: str
    """With the device and its value."""


@dataclass(frozen=True)
class DesignRules:
    """The rules for circuits of a class, at some conditions, in a process."""

    circuit_class: str
    conditions: Conditions
    technology: Technology

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of each kind, in SI units."""
        frequency_hz = self.conditions.frequency_hz * classes.get(self.circuit_class).inductors_at
        return {kind: self.technology.design_range(kind, frequency_hz, self.conditions.supply_v) for kind in KINDS}

    def on_grid(
        self, topologies: Sequence[Topology], kinds: NDArray[np.int64], values: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Normalised values (P, M) moved to where circuits keep the rules, as they would be built.

        Args:
            topologies: P.
            kinds: their kind tokens, (P, M).
        """
        legal = self._legal(topologies, kinds, values)
        return normalise(kinds, legal, self.conditions.frequency_hz).astype(np.float32)

    def sized(self, topology: Topology, values: NDArray[np.floating]) -> Circuit:
        """The circuit of a topology that normalised values (M,) stand for, within the rules."""
        kinds = np.zeros((1, len(values)), dtype=np.int64)
        kinds[0, : len(topology.devices)] = [KIND_TOKENS[device.kind] for device in topology.devices]
        legal = self._legal([topology], kinds, values[None])
        return Circuit(topology, tuple(legal[0, : len(topology.devices)].tolist()))

    def kept(self, circuit: Circuit) -> Circuit:
        """A circuit brought within the rules: parts in series merged, values moved into their ranges, halves made equal."""
        circuit = merged_circuit(circuit)
        kinds = np.array([[KIND_TOKENS[device.kind] for device in circuit.topology.devices]])
        values = normalise(kinds, np.array([circuit.values]), self.conditions.frequency_hz)
        return self.sized(circuit.topology, values[0])

    def broken(self, circuit: Circuit) -> list[Breach]:
        """The rules that a circuit breaks."""
        topology = circuit.topology
        found = []
        for name, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True):
            low, high = self.ranges[device.kind]
            unit = KINDS[device.kind].unit
            if device.kind == "bias_voltage" and value > high:
                found.append(Breach(BIAS, f"{name}: {value:g} V is above the supply of {high:g} V"))
            elif device.kind == "inductor" and value > high:
                text = f"{name}: {value:.4g} H resonates with itself below twice the frequency; at most {high:.3g} H"
                found.append(Breach(SELF_RESONANCE, text))
            elif not low <= value <= high:
                found.append(Breach(SIZE, f"{name}: {value:.4g} {unit} is outside {low:.3g} to {high:.3g} {unit}"))
        for one, other in mirrored(topology):
            if abs(circuit.values[one] - circuit.values[other]) > _UNEQUAL * abs(circuit.values[one]):
                names = f"{topology.designators[one]} and {topology.designators[other]}"
                values = f"{circuit.values[one]:.4g} and {circuit.values[other]:.4g}"
                found.append(Breach(HALVES, f"{names}: halves of a balanced circuit are unequal, {values}"))
        if len(merged_circuit(circuit).values) < len(circuit.values):
            found.append(Breach(SERIES, "two resistors, or two inductors, lie in series"))
        return found

    def _legal(
        self, topologies: Sequence[Topology], kinds: NDArray[np.int64], values: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Normalised values (P, M) with halves made equal, in SI units, within the ranges and on the process's grid."""
        tied = np.array(values, dtype=np.float32)
        for row, topology in enumerate(topologies):
            for one, other in mirrored(topology):
                tied[row, [one, other]] = 0.5 * (tied[row, one] + tied[row, other])
        return denormalise(kinds, tied, self.conditions.frequency_hz, self.technology, self.ranges)
