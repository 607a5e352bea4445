"""How a round of circuits is drawn: at random from the grammar at first, then from the best circuits simulated so far.

Random circuits are useful about once in a hundred. Later rounds vary, cross and mutate the best circuits of every
frequency band, so that the dataset is dense where designers want to be. What "best" means is drawn anew a parent: a
random weighting of the class's specification metrics, so that no single trade-off takes over.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.biasing import fits_supply
from genrf.circuit.canonical import canonical_circuit
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.mutation import cross, mutate, mutate_circuit, vary
from genrf.circuit.topology import Circuit, Topology
from genrf.conditions import Conditions
from genrf.spec import relative_slack
from genrf.technology.base import Technology

PARENT_MUTATED = 0.25
"""Share of offspring whose topology is mutated."""
PARENTS_CROSSED = 0.25
"""Share of offspring that mix the values of two parents of one topology."""
PARENT_MOVED = 0.15
"""Share of offspring moved to another frequency band."""
RANDOM_MUTATED = 0.2
"""Share of random circuits whose grammar topology is mutated, so that unusual graphs are present from the start."""
FITTING_ATTEMPTS = 50
"""Topologies drawn for a supply before one that does not fit it is taken; about every second one fits."""
WEIGHTINGS = 8
"""How many random trade-offs pick the best of a band."""
INFEASIBILITY_WEIGHT = 10.0
"""Cost of missing a usefulness constraint against gaining as much in a metric."""
ELITE_SHARE = 0.2
"""Largest share of a band's circuits that are parents, so that small rounds are selected from too."""
ELITE_PER_TOPOLOGY = 2
"""Parents of one topology that one trade-off picks in a band, so that a few topologies do not take over the dataset."""


@dataclass(frozen=True, kw_only=True)
class Individual:
    """A simulated circuit: where it came from, what it is, how it was measured."""

    row: int
    """Identity in the dataset, unique over shards."""
    parents: tuple[int, int]
    """Rows it descends from; -1 where there is none."""
    circuit: Circuit
    """Circuit in canonical form."""
    fingerprint: str
    """Fingerprint of the circuit's topology."""
    conditions: Conditions
    metrics: dict[str, float]
    """Empty if the simulation failed."""
    failure: str | None = None
    """The cause, if it did."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A circuit yet to be simulated."""

    parents: tuple[int, int]
    circuit: Circuit
    """Circuit in canonical form."""
    conditions: Conditions


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The frequencies and supplies that the dataset spans."""

    frequency_min_hz: float
    frequency_max_hz: float
    supplies_v: tuple[float, ...]
    bands: int
    """Number of bands, equal in octaves, in which the best are kept apart."""

    def draw(self, rng: np.random.Generator) -> Conditions:
        """Conditions with a log-uniform frequency."""
        frequency = math.exp(rng.uniform(math.log(self.frequency_min_hz), math.log(self.frequency_max_hz)))
        return Conditions(frequency_hz=_round_frequency(frequency), supply_v=float(rng.choice(self.supplies_v)))

    def band(self, frequency_hz: float) -> int:
        """Index of the band a frequency lies in."""
        position = math.log(frequency_hz / self.frequency_min_hz) / math.log(
            self.frequency_max_hz / self.frequency_min_hz
        )
        return min(self.bands - 1, max(0, int(position * self.bands)))

    def clip(self, frequency_hz: float) -> float:
        """The nearest frequency inside the space, with six significant digits."""
        return _round_frequency(min(max(frequency_hz, self.frequency_min_hz), self.frequency_max_hz))


def fitting_topology(circuit_class: str, supply_v: float, rng: np.random.Generator) -> Topology:
    """A topology from the class's grammar whose transistors can stay within their voltage limits at a supply, in V."""
    for _ in range(FITTING_ATTEMPTS):
        topology = classes.get(circuit_class).sample_topology(rng)
        if fits_supply(topology, supply_v):
            break
    return topology


def random_candidate(
    circuit_class: str, space: SearchSpace, technology: Technology, rng: np.random.Generator
) -> Candidate:
    """A circuit from the grammar, sized around first-order design equations."""
    definition = classes.get(circuit_class)
    conditions = space.draw(rng)
    topology = fitting_topology(circuit_class, conditions.supply_v, rng)
    if rng.random() < RANDOM_MUTATED:
        topology = mutate(topology, rng)
    values = definition.first_order_values(topology, conditions, rng)
    circuit = within_rules(Circuit(topology, tuple(values)), conditions, technology)
    return Candidate(parents=(-1, -1), circuit=circuit, conditions=conditions)


class Breeder:
    """Draws offspring from the best individuals of every frequency band."""

    def __init__(
        self,
        circuit_class: str,
        population: Sequence[Individual],
        elite_per_band: int,
        space: SearchSpace,
        technology: Technology,
        rng: np.random.Generator,
    ) -> None:
        self._space = space
        self._technology = technology
        self._bands: list[list[Individual]] = [[] for _ in range(space.bands)]
        self._by_topology: dict[str, list[Individual]] = {}
        members: list[list[int]] = [[] for _ in range(space.bands)]
        for index, individual in enumerate(population):
            members[space.band(individual.conditions.frequency_hz)].append(index)
        if population:
            gains, shortfalls = _quality(circuit_class, population)
            for band, indices in enumerate(members):
                fingerprints = [population[index].fingerprint for index in indices]
                count = min(elite_per_band, math.ceil(ELITE_SHARE * len(indices)))
                chosen = _elite(gains[indices], shortfalls[indices], fingerprints, count, rng)
                self._bands[band] = [population[indices[i]] for i in chosen]
        for individual in (individual for band in self._bands for individual in band):
            self._by_topology.setdefault(individual.fingerprint, []).append(individual)
        self._occupied = [band for band in range(space.bands) if self._bands[band]]

    @property
    def empty(self) -> bool:
        """Whether there is nobody to breed from."""
        return not self._occupied

    def offspring(self, rng: np.random.Generator) -> Candidate:
        """One child of one or two of the best."""
        band = self._bands[self._occupied[rng.integers(len(self._occupied))]]
        parent = band[rng.integers(len(band))]
        circuit, other = parent.circuit, -1
        draw = rng.random()
        spread = math.exp(rng.uniform(math.log(0.02), math.log(0.4)))
        if draw < PARENT_MUTATED:
            circuit = vary(mutate_circuit(circuit, rng, self._technology), rng, spread / 2, self._technology)
        else:
            mates = self._by_topology[parent.fingerprint]
            if draw < PARENT_MUTATED + PARENTS_CROSSED and len(mates) > 1:
                mate = mates[rng.integers(len(mates))]
                other = mate.row
                circuit = cross(circuit, self._retuned(mate, parent.conditions.frequency_hz), rng, self._technology)
                spread /= 4
            circuit = vary(circuit, rng, spread, self._technology)
        frequency = parent.conditions.frequency_hz
        if rng.random() < PARENT_MOVED:
            target = self._space.draw(rng).frequency_hz
        else:
            target = self._space.clip(frequency * math.exp(rng.normal(0.0, 0.1)))
        supply = parent.conditions.supply_v if rng.random() < 0.85 else float(rng.choice(self._space.supplies_v))
        conditions = Conditions(frequency_hz=target, supply_v=supply)
        circuit = within_rules(retune(circuit, frequency, target), conditions, self._technology)
        return Candidate(parents=(parent.row, other), circuit=circuit, conditions=conditions)

    def _retuned(self, mate: Individual, frequency_hz: float) -> Circuit:
        return retune(mate.circuit, mate.conditions.frequency_hz, frequency_hz)


def retune(circuit: Circuit, from_hz: float, to_hz: float) -> Circuit:
    """Scale inductances and capacitances by the frequency ratio, which keeps their reactances."""
    ratio = from_hz / to_hz
    return circuit.with_values(
        [
            value * ratio if device.kind in ("inductor", "capacitor") else value
            for device, value in zip(circuit.topology.devices, circuit.values, strict=True)
        ]
    )


def within_rules(circuit: Circuit, conditions: Conditions, technology: Technology) -> Circuit:
    """A canonical circuit brought within the design rules and onto the process's grid, canonical again."""
    kept = DesignRules(circuit.topology.circuit_class, conditions, technology).kept(circuit)
    return kept if kept.topology is circuit.topology else canonical_circuit(kept)


def _quality(circuit_class: str, population: Sequence[Individual]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standardised value of each specification metric, (N, n), and total shortfall from usefulness, (N,)."""
    definition = classes.get(circuit_class)
    columns = []
    for name in definition.specification_metrics:
        metric = definition.metrics[name]
        columns.append([metric.sign * metric.normalise(individual.metrics[name]) for individual in population])
    gains = np.array(columns, dtype=np.float64).T
    gains = (gains - np.median(gains, axis=0)) / np.maximum(np.std(gains, axis=0), 1e-9)
    shortfalls = np.array(
        [
            sum(
                max(0.0, -relative_slack(definition.metrics[c.metric], c, individual.metrics[c.metric]))
                for c in definition.useful
            )
            for individual in population
        ]
    )
    return gains, shortfalls


def _elite(
    gains: NDArray[np.float64],
    shortfalls: NDArray[np.float64],
    fingerprints: Sequence[str],
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    """Indices of the best under several random trade-offs, without repeats and with few of any topology."""
    chosen: dict[int, None] = {}
    for _ in range(WEIGHTINGS):
        weights = rng.dirichlet(np.ones(gains.shape[1]))
        # Extremes of one metric are not worth a circuit that is poor in the others.
        scores = np.clip(gains, -2.0, 2.0) @ weights - INFEASIBILITY_WEIGHT * shortfalls
        picked: Counter[str] = Counter()
        for index in np.argsort(-scores, kind="stable"):
            if picked.total() == math.ceil(count / WEIGHTINGS):
                break
            if picked[fingerprints[index]] < ELITE_PER_TOPOLOGY:
                picked[fingerprints[index]] += 1
                chosen[int(index)] = None
    return list(chosen)


def _round_frequency(frequency_hz: float) -> float:
    return float(f"{frequency_hz:.6g}")
