"""How the calls to SPICE are spent on one specification.

Before the first batch the topology generator proposes graphs and the sizing model draws values for each; the nearest precedents,
circuits that were simulated before, join them as they are and with values drawn around theirs, which are bred on by what the
surrogate predicts, corrected by what is known of the precedents. Those that most likely meet the specification are simulated.
Each later batch also learns from that: the best circuits are partly re-noised and denoised again at several noise levels and
bred on, and the surrogate's predictions are corrected by its errors so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import fits_supply
from genrf.circuit.canonical import fingerprint
from genrf.circuit.tokens import MAX_DEVICES, Tokens
from genrf.circuit.topology import Circuit, Topology
from genrf.conditioning import Conditioning
from genrf.generation.backend import Backend
from genrf.generation.candidates import (
    Candidates,
    normalised_values,
    on_grid,
    read_topology,
    sized_circuit,
    slots,
    used_slots,
)
from genrf.generation.design import DesignResult, ranked
from genrf.generation.posterior import Feasibility, Posterior
from genrf.generation.precedents import PrecedentSource, condition_place
from genrf.generation.record import Progress, Record
from genrf.generation.sampler import SamplerSettings, sample
from genrf.simulation.pool import SimulatorPool
from genrf.spec import DesignSpec
from genrf.technology.base import Technology

VERSION = 12
"""Raised when the same models would spend the calls otherwise: benchmarks then try again."""
TopologySource = Callable[[DesignSpec, int, np.random.Generator], list[Topology]]
"""Gives legal, distinct topologies for a specification, at most as many as asked for, in canonical form."""
_Chosen = tuple[Candidates, int, Circuit]
"""A candidate by its place among others, and the circuit that it stands for."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the search divides its effort."""

    latents: int = 64
    """Topologies drawn from the generator."""
    topologies: int = 32
    """Legal, distinct topologies that are sized."""
    sizings: int = 4
    """Values drawn a topology."""
    sizings_when_met: int = 1
    """The same if a precedent already meets the specification, and the generator is asked for others to choose from."""
    batch: int = 4
    """SPICE calls between two looks at the results."""
    batch_when_met: int = 20
    """The same once the specification is met, and what is left is spent on designs with more margin."""
    parents: int = 4
    """Simulated circuits that later batches start from."""
    variations: int = 9
    """Values drawn around each parent."""
    generations: int = 3
    """Times that variations are bred on, by the surrogate alone, until the specification is met."""
    survivors: int = 32
    """Variations that are bred from."""
    children: int = 64
    noise_levels: tuple[float, ...] = (0.02, 0.05, 0.15)
    """Noise, in normalised values, at which parents are re-denoised."""
    precedents: int = 64
    """Nearest precedents that are considered."""
    per_topology: int = 2
    """Most candidates of one topology in the first batch."""
    fresh_share: float = 0.25
    """Share of each later batch given to candidates that descend from no simulated circuit."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The trained models and what is needed to ask them."""

    backend: Backend
    conditioning: Conditioning
    """How they encode specifications."""
    sampler: SamplerSettings
    """How values are drawn."""
    technology: Technology
    topology_source: TopologySource | None = None
    """Where topologies come from instead of from the generator; to measure what the generator is worth."""
    precedents: PrecedentSource | None = None
    """What was simulated before, if that is known."""


class Search:
    """The state of one search.

    Args:
        models: which propose, size and rank.
        settings: how the effort is divided.
        spec: what to look for.
        rng: source of all randomness.
    """

    def __init__(self, models: Models, settings: SearchSettings, spec: DesignSpec, rng: np.random.Generator) -> None:
        self._models = models
        self._settings = settings
        self._spec = spec
        self._rng = rng
        self._conditions = models.conditioning.encode_conditions(spec.circuit_class, spec.conditions)
        self._specification = models.conditioning.encode_specification(spec)
        self._posterior = Posterior()
        self._feasibility = Feasibility()
        self._record = Record(spec)
        self._seen: set[Circuit] = set()

    def run(
        self,
        pool: SimulatorPool,
        calls: int,
        *,
        stop_when_met: bool = False,
        progress: Progress | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> DesignResult:
        """Spend at most ``calls`` SPICE calls; with ``stop_when_met`` end after the batch that meets the specification.

        Args:
            provenance: recorded with every design, besides its order of simulation and its source.
        """
        fresh = self._recall()
        generated = False
        while self._record.simulated < calls:
            if not generated and (self._record.simulated or not self._expects_success(fresh)):
                fresh.append(self._propose())
                generated = True
            batch = self._settings.batch if self._record.first_met is None else self._settings.batch_when_met
            count = min(batch, calls - self._record.simulated)
            chosen = self._choose(fresh, count)
            self._simulate(pool, chosen, calls, progress, provenance or {})
            if not chosen or (stop_when_met and self._record.first_met is not None):
                break
        return self._record.result()

    def topologies(self, count: int) -> list[tuple[Tokens, Topology | None]]:
        """Draw token sequences from the generator, each with its topology or none if it is not legal."""
        backend = self._models.backend
        specification = np.repeat(self._specification[None], count, axis=0)
        latent = self._rng.standard_normal((count, backend.latent_size)).astype(np.float32)
        kind_logits, net_logits = backend.propose(specification, latent)
        kinds = kind_logits.argmax(axis=-1)  # (count, M)
        nets = net_logits.argmax(axis=-1)  # (count, M, 3)
        return [read_topology(k, n, self._spec.circuit_class) for k, n in zip(kinds, nets, strict=True)]

    def sized(self, topologies: list[Topology], draws: int) -> list[Circuit]:
        """Values for each topology: of so many that the sizing model draws from pure noise, those likeliest to work."""
        drawn = self._sized([topology for topology in topologies for _ in range(draws)], "generator")
        rows = drawn.works.reshape(len(topologies), draws).argmax(axis=1) + draws * np.arange(len(topologies))
        return [self._circuit(topology, drawn.values[row]) for topology, row in zip(topologies, rows, strict=True)]

    def _propose(self) -> Candidates:
        """Topologies from the generator, sized and rated by the surrogate."""
        with self._record.timed("topologies"):
            if self._models.topology_source is not None:
                chosen = self._models.topology_source(self._spec, self._settings.topologies, self._rng)
            else:
                drawn = self.topologies(self._settings.latents)
                legal = {fingerprint(topology): topology for _, topology in drawn if topology is not None}
                supply = self._spec.conditions.supply_v
                fitting = [topology for topology in legal.values() if fits_supply(topology, supply)]
                chosen = (fitting or list(legal.values()))[: self._settings.topologies]
        sizings = self._settings.sizings if self._record.first_met is None else self._settings.sizings_when_met
        return self._sized([topology for topology in chosen for _ in range(sizings)], "generator")

    def _sized(self, topologies: list[Topology], source: str) -> Candidates:
        """Topologies with values drawn from pure noise."""
        kinds, nets = slots(topologies)
        return self._rated(topologies, kinds, nets, self._draw(kinds, nets), source)

    def _recall(self) -> list[Candidates]:
        """The nearest precedents, rescaled to the specification's frequency, and variations of the best of them."""
        source, name = self._models.precedents, self._spec.circuit_class
        known = source(name) if source is not None else None
        if known is None or len(known) == 0:
            return []
        with self._record.timed("precedents"):
            near = known.nearest(self._models.conditioning, self._spec, self._settings.precedents)
            topologies = near.topologies(name)
            kinds, nets = slots(topologies)
            values = near.values.astype(np.float32)
            mean, deviation, _ = self._predict(values, kinds, nets, near.conditions)
            places = self._place(values, near.conditions)
            for index, topology in enumerate(topologies):
                measured = near.metrics[index].astype(np.float32)
                self._posterior.observe(fingerprint(topology), places[index], mean[index], deviation[index], measured)
            rescaled = on_grid(kinds, values, self._spec.conditions.frequency_hz, self._models.technology)
        recalled = self._rated(topologies, kinds, nets, rescaled, "precedent")
        best = np.argsort(-self._likelihood(recalled), kind="stable")[: self._settings.parents]
        return [recalled, self._bred(self._around([topologies[index] for index in best], rescaled[best]))]

    def _vary(self, fresh: list[Candidates]) -> Candidates:
        """Variations of the best simulated circuits or, while none has worked, of the likeliest candidates."""
        count = self._settings.parents
        parents = [design.circuit for design in ranked(self._record.designs, self._spec)[:count]]
        if not parents:
            likeliest = self._order(fresh)[:count]
            parents = [self._circuit(own.topologies[index], own.values[index]) for own, index in likeliest]
        frequency = self._spec.conditions.frequency_hz
        topologies = [parent.topology for parent in parents]
        varied = self._around(topologies, np.stack([normalised_values(p, frequency) for p in parents]))
        if not self._record.designs:
            # What their values have in common may be what is wrong, such as a bias for another supply.
            varied = varied.joined(
                self._sized([t for t in topologies for _ in range(self._settings.variations)], "variation")
            )
        return self._bred(varied) if self._record.first_met is None else varied

    def _bred(self, pool: Candidates) -> Candidates:
        """Candidates bred on for some generations by the surrogate, as corrected so far."""
        for _ in range(self._settings.generations):
            pool = self._next_generation(pool)
        return pool

    def _next_generation(self, pool: Candidates) -> Candidates:
        """The likeliest candidates, and children of them: each moved along the difference of two others of its topology."""
        order = np.argsort(-self._likelihood(pool), kind="stable")[: self._settings.survivors]
        best = pool.take(order)
        values = best.values
        names = np.array(best.fingerprints)
        kinds, nets = slots(best.topologies)
        base = self._rng.integers(len(order), size=self._settings.children)
        moved = np.empty((len(base), values.shape[1]), dtype=np.float32)
        for child, parent in enumerate(base):
            relatives = np.flatnonzero(names == names[parent])
            first, second = self._rng.choice(relatives, 2)
            step = self._rng.uniform(0.3, 1.0) * (values[first] - values[second])
            noise = 0.03 * self._rng.standard_normal(values.shape[1])
            moved[child] = values[parent] + (step + noise) * (kinds[parent] > 0)
        moved = on_grid(kinds[base], moved, self._spec.conditions.frequency_hz, self._models.technology)
        born = self._rated([best.topologies[index] for index in base], kinds[base], nets[base], moved, "variation")
        return best.joined(born)

    def _around(self, parents: list[Topology], parent_values: NDArray[np.float32]) -> Candidates:
        """Re-noised versions of circuits with normalised values (P, M)."""
        levels = self._settings.noise_levels
        topologies = [parent for parent in parents for _ in range(self._settings.variations)]
        kinds, nets = slots(topologies)
        start = np.repeat(parent_values, self._settings.variations, axis=0)
        level = np.arange(len(topologies)) % len(levels)
        values = np.empty_like(start)
        noise = self._rng.standard_normal(start.shape).astype(np.float32)
        for index, sigma in enumerate(levels):
            own = level == index
            noisy = start[own] + sigma * noise[own] * (kinds[own] > 0)
            values[own] = self._denoise(noisy, kinds[own], nets[own], sigma)
        return self._rated(topologies, kinds, nets, values, "variation")

    def _likelihood(self, candidates: Candidates) -> NDArray[np.float32]:
        """Logarithm of the chance that each candidate works and meets the specification, by all that is known so far, (P,)."""
        fingerprints, places = candidates.fingerprints, self._place(candidates.values, self._conditions)
        mean, deviation = self._posterior.correct(fingerprints, places, candidates.mean, candidates.deviation)
        met = self._models.conditioning.log_probability_met(self._spec, mean, deviation)
        return met + self._feasibility.log_probability(fingerprints, places, candidates.works)

    def _order(self, pools: list[Candidates]) -> list[tuple[Candidates, int]]:
        """All candidates, each by its pool and its place in it, the likeliest to meet the specification first."""
        everything = [(candidates, index) for candidates in pools for index in range(len(candidates))]
        likelihood = np.concatenate([self._likelihood(candidates) for candidates in pools])
        return [everything[place] for place in np.argsort(-likelihood, kind="stable").tolist()]

    def _expects_success(self, pools: list[Candidates]) -> bool:
        """Whether one of the candidates will sooner meet the specification than not; then nothing need be generated first."""
        return any(self._likelihood(candidates).max(initial=-np.inf) > np.log(0.5) for candidates in pools)

    def _choose(self, fresh: list[Candidates], count: int) -> list[_Chosen]:
        """The next batch: at first the likeliest of the fresh candidates, later variations and a few more of those."""
        if not self._record.simulated or not (self._record.designs or any(map(len, fresh))):
            return self._best(fresh, count, self._settings.per_topology)
        reserved = min(sum(map(len, fresh)), round(self._settings.fresh_share * count))
        chosen = self._best([self._vary(fresh)], count - reserved, count)
        return chosen + self._best(fresh, count - len(chosen), count)

    def _best(self, pools: list[Candidates], count: int, per_topology: int) -> list[_Chosen]:
        """The candidates that most likely meet the specification and were not simulated yet."""
        chosen: list[_Chosen] = []
        used: Counter[str] = Counter()
        for candidates, index in self._order(pools):
            if len(chosen) == count:
                break
            topology = candidates.topologies[index]
            circuit = self._circuit(topology, candidates.values[index])
            if circuit in self._seen or used[fingerprint(topology)] >= per_topology:
                continue
            self._seen.add(circuit)
            used[fingerprint(topology)] += 1
            chosen.append((candidates, index, circuit))
        return chosen

    def _simulate(
        self,
        pool: SimulatorPool,
        chosen: list[_Chosen],
        allowed: int,
        progress: Progress | None,
        provenance: dict[str, Any],
    ) -> None:
        outcomes = self._record.simulate(
            pool,
            [circuit for _, _, circuit in chosen],
            [own.source for own, _, _ in chosen],
            allowed=allowed,
            progress=progress,
            provenance=provenance,
        )
        for (own, index, circuit), outcome in zip(chosen, outcomes, strict=True):
            place = self._place(own.values[index], self._conditions)
            self._feasibility.observe(fingerprint(circuit.topology), place, worked=outcome.metrics is not None)
            if outcome.metrics is not None:
                self._posterior.observe(
                    fingerprint(circuit.topology),
                    place,
                    own.mean[index],
                    own.deviation[index],
                    self._models.conditioning.encode_metrics(self._spec.circuit_class, outcome.metrics),
                )

    def _draw(self, kinds: NDArray[np.int64], nets: NDArray[np.int64]) -> NDArray[np.float32]:
        """Values from pure noise, (P, M)."""
        sigma = self._models.sampler.sigma_max
        noise = self._rng.standard_normal(kinds.shape).astype(np.float32)
        return self._denoise(noise * np.float32(sigma), kinds, nets, sigma)

    def _denoise(
        self, noisy: NDArray[np.float32], kinds: NDArray[np.int64], nets: NDArray[np.int64], sigma: float
    ) -> NDArray[np.float32]:
        """Values (P, M) from noisy ones, as they would be built."""
        with self._record.timed("sizing"):
            width = used_slots(kinds)
            values = np.zeros((len(kinds), MAX_DEVICES))
            values[:, :width] = sample(
                self._models.backend,
                noisy[:, :width],
                kinds[:, :width],
                nets[:, :width],
                np.repeat(self._specification[None], len(kinds), axis=0),
                self._models.sampler,
                sigma_start=sigma,
            )
            # So that the surrogate rates what SPICE would simulate.
            return on_grid(kinds, values, self._spec.conditions.frequency_hz, self._models.technology)

    def _rated(
        self,
        topologies: list[Topology],
        kinds: NDArray[np.int64],
        nets: NDArray[np.int64],
        values: NDArray[np.float32],
        source: str,
    ) -> Candidates:
        """Candidates with the surrogate's prediction."""
        with self._record.timed("ranking"):
            conditions = np.repeat(self._conditions[None], len(kinds), axis=0)
            mean, deviation, works = self._predict(values, kinds, nets, conditions)
        return Candidates(
            topologies=topologies, values=values, mean=mean, deviation=deviation, works=works, source=source
        )

    def _predict(
        self,
        values: NDArray[np.float32],
        kinds: NDArray[np.int64],
        nets: NDArray[np.int64],
        conditions: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The surrogate's mean and deviation of the standardised metrics, (P, n) each, and logit that a circuit works, (P,)."""
        if len(kinds) == 0:
            nothing = np.zeros((0, len(self._models.conditioning.metrics)), dtype=np.float32)
            return nothing, nothing, np.zeros(0, dtype=np.float32)
        width = used_slots(kinds)
        mean, log_variance, works = self._models.backend.predict(
            values[:, :width], kinds[:, :width], nets[:, :width], conditions
        )
        return mean, np.exp(0.5 * log_variance), works

    def _place(self, values: NDArray[np.float32], conditions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where circuits (..., M) under conditions (C,) or (..., C) lie for the correction of predictions: (..., M + 4)."""
        place = condition_place(conditions)
        place = np.broadcast_to(place, (*values.shape[:-1], place.shape[-1]))
        return np.concatenate([values, place], axis=-1).astype(np.float32)

    def _circuit(self, topology: Topology, values: NDArray[np.float32]) -> Circuit:
        """The circuit of normalised values (M,)."""
        return sized_circuit(topology, values, self._spec.conditions.frequency_hz, self._models.technology)
