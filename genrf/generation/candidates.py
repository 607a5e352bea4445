"""Candidates of a search as arrays, ready for the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.canonical import canonical, fingerprint
from genrf.circuit.merging import merged
from genrf.circuit.normalise import normalise
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES, Tokens, decode, encode
from genrf.circuit.topology import Circuit, Topology


@dataclass(kw_only=True)
class Candidates:
    """Topologies with values; P candidates, M slots, n metrics."""

    topologies: list[Topology]
    values: NDArray[np.float32]
    """Normalised, (P, M)."""
    mean: NDArray[np.float32]
    """Standardised metrics that the surrogate predicts, (P, n)."""
    deviation: NDArray[np.float32]
    """Their predicted standard deviations, (P, n)."""
    feasible: NDArray[np.float32]
    """Logit of the predicted chance that each can be simulated within its devices' limits, (P,)."""
    source: str
    """Where they come from: the generator, precedents, or variations of simulated circuits."""

    def __len__(self) -> int:
        return len(self.topologies)

    def take(self, index: NDArray[np.integer]) -> Candidates:
        """The candidates of an index."""
        return Candidates(
            topologies=[self.topologies[place] for place in index],
            values=self.values[index],
            mean=self.mean[index],
            deviation=self.deviation[index],
            feasible=self.feasible[index],
            source=self.source,
        )

    def joined(self, others: Candidates) -> Candidates:
        """These and others of the same source."""
        return Candidates(
            topologies=self.topologies + others.topologies,
            values=np.concatenate([self.values, others.values]),
            mean=np.concatenate([self.mean, others.mean]),
            deviation=np.concatenate([self.deviation, others.deviation]),
            feasible=np.concatenate([self.feasible, others.feasible]),
            source=self.source,
        )

    @property
    def fingerprints(self) -> list[str]:
        """Fingerprint of each candidate's topology, P strings."""
        return [fingerprint(topology) for topology in self.topologies]


def slots(topologies: Sequence[Topology]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kinds (P, M) and nets (P, M, 3) of topologies."""
    if not topologies:
        return np.zeros((0, MAX_DEVICES), dtype=np.int64), np.zeros((0, MAX_DEVICES, 3), dtype=np.int64)
    encoded = {id(topology): encode(topology) for topology in topologies}
    tokens = [encoded[id(topology)] for topology in topologies]
    return np.stack([t.kinds for t in tokens]).astype(np.int64), np.stack([t.nets for t in tokens]).astype(np.int64)


def used_slots(kinds: NDArray[np.int64]) -> int:
    """How many slots the largest of the circuits (P, M) fills; the models need not see the rest."""
    return int((kinds > 0).sum(axis=1).max(initial=0))


def read_topology(
    kinds: NDArray[np.int64], nets: NDArray[np.int64], circuit_class: str
) -> tuple[Tokens, Topology | None]:
    """The tokens of one circuit, (M,) and (M, 3), with their topology in canonical form, parts in series merged, or
    none if it is not legal."""
    tokens = Tokens(kinds.astype(np.int8), nets.astype(np.int8))
    try:
        topology = merged(decode(tokens, circuit_class))
    except ValueError:
        return tokens, None
    if not is_legal(topology):
        return tokens, None
    return tokens, canonical(topology)[0]


def normalised_values(circuit: Circuit, frequency_hz: float) -> NDArray[np.float32]:
    """A circuit's values as the models see them, (M,)."""
    kinds, _ = slots([circuit.topology])
    values = np.zeros((1, MAX_DEVICES))
    values[0, : len(circuit.values)] = circuit.values
    return normalise(kinds, values, frequency_hz)[0].astype(np.float32)
