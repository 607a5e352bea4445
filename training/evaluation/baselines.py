"""What the generator has to beat: retrieval from the training data and random circuits, each judged by the same simulations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.biasing import fits_supply
from genrf.circuit.tokens import Tokens, decode
from genrf.circuit.topology import Circuit, Topology
from genrf.conditioning import Conditioning
from genrf.metrics import Metrics
from genrf.spec import DesignSpec
from genrf.technology.base import Technology
from training.data.breeding import fitting_topology, retune, within_rules
from training.data.rows import Rows, at_own_frequency

COST_OF_RETUNING = 2.0
"""Standard deviations of metrics that retrieval gives up rather than retune by a factor of e."""
COST_OF_SUPPLY = 1.0
"""Standard deviations of metrics that retrieval gives up rather than change the supply by 1 V."""
BATCH = 16
"""Circuits simulated at once."""


class Listed:
    """Circuits in an order that no result changes."""

    def __init__(self, circuits: Iterable[Circuit]) -> None:
        self._circuits = iter(circuits)

    def ask(self, most: int) -> list[Circuit]:
        """The next of the circuits, at most ``most``."""
        return list(islice(self._circuits, min(most, BATCH)))

    def tell(self, outcomes: Sequence[Metrics | None]) -> None:
        """Nothing is learnt."""


def retrieved_circuits(
    spec: DesignSpec, train: Rows, conditioning: Conditioning, technology: Technology
) -> Iterator[Circuit]:
    """Training circuits of topologies that fit the supply, nearest first, with L and C rescaled to the specification's frequency.

    Nearness is the worst slack that the row's own metrics have, in standard deviations, less a cost for how far the row has to
    be moved in frequency and supply.
    """
    own = np.flatnonzero(train.circuit_class == spec.circuit_class)
    if classes.get(spec.circuit_class).own_frequency is not None:
        train, own = at_own_frequency(train.take(own), conditioning, spec.circuit_class), np.arange(len(own))
    margin = conditioning.predicted_margin(spec, train.metrics[own])
    frequency = spec.conditions.frequency_hz
    distance = COST_OF_RETUNING * np.abs(np.log(train.frequency_hz[own] / frequency))
    distance += COST_OF_SUPPLY * np.abs(train.supply_v[own] - spec.conditions.supply_v)
    nearest = own[np.argsort(distance - margin, kind="stable")]
    rescaled = retuned_circuits(spec, train, nearest, technology)
    return (circuit for circuit in rescaled if fits_supply(circuit.topology, spec.conditions.supply_v))


def retuned_circuits(
    spec: DesignSpec, train: Rows, index: NDArray[np.int64], technology: Technology
) -> Iterator[Circuit]:
    """Training rows with L and C rescaled to the specification's frequency, legal in the technology."""
    for row in index:
        topology = decode(Tokens(train.kinds[row], train.nets[row]), spec.circuit_class)
        circuit = Circuit(topology, tuple(train.values_si[row, : len(topology.devices)]))
        retuned = retune(circuit, float(train.frequency_hz[row]), spec.conditions.frequency_hz)
        yield within_rules(retuned, spec.conditions, technology)


def random_circuits(spec: DesignSpec, technology: Technology, rng: np.random.Generator) -> Iterator[Circuit]:
    """Topologies from the grammar with values around first-order design equations for the specification's conditions."""
    definition = classes.get(spec.circuit_class)
    while True:
        topology = fitting_topology(spec.circuit_class, spec.conditions.supply_v, rng)
        values = definition.first_order_values(topology, spec.conditions, rng)
        yield within_rules(Circuit(topology, tuple(values)), spec.conditions, technology)


def drawn_topologies(train: Rows, circuit_class: str, count: int, rng: np.random.Generator) -> list[Topology]:
    """Distinct topologies of useful training circuits drawn at random, at most ``count``."""
    own = np.flatnonzero((train.circuit_class == circuit_class) & train.useful)
    chosen: dict[str, Topology] = {}
    for index in rng.permutation(own):
        if len(chosen) == count:
            break
        fingerprint = str(train.fingerprint[index])
        if fingerprint not in chosen:
            chosen[fingerprint] = decode(Tokens(train.kinds[index], train.nets[index]), circuit_class)
    return list(chosen.values())
