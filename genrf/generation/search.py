"""How the calls to SPICE are spent on one specification.

Before the first batch the topology generator proposes graphs and the sizing model draws values for each; the nearest precedents,
circuits that were simulated before, join them as they are and with values drawn around theirs, which are bred on by what the
surrogate predicts, corrected by what is known of the precedents. Those that most likely meet the specification are simulated.
Each later batch also learns from that: the best circuits are partly re-noised and denoised again at several noise levels and
bred on, and the surrogate's predictions are corrected by its errors so far.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from genrf.circuit.canonical import fingerprint
from genrf.circuit.tokens import Tokens
from genrf.circuit.topology import Circuit, Topology
from genrf.generation.breeding import bred
from genrf.generation.candidates import Candidates, normalised_values, slots
from genrf.generation.design import DesignResult, ranked
from genrf.generation.models import Models
from genrf.generation.ranking import Ranking
from genrf.generation.record import Progress, Record
from genrf.generation.settings import SearchSettings
from genrf.generation.sources import Sources
from genrf.simulation.judge import Judge
from genrf.spec import DesignSpec

VERSION = 14
"""Raised when the same models would spend the calls otherwise: benchmarks then try again."""
_Chosen = tuple[Candidates, int, Circuit]
"""A candidate by its place among others, and the circuit that it stands for."""


class Search:
    """The state of one search.

    Args:
        models: which propose, size and rank.
        settings: how the effort is divided.
        spec: what to look for.
        rng: source of all randomness.
    """

    def __init__(self, models: Models, settings: SearchSettings, spec: DesignSpec, rng: np.random.Generator) -> None:
        self._conditioning = models.conditioning
        self._settings = settings
        self._spec = spec
        self._rng = rng
        self._record = Record(spec)
        self._sources = Sources(models, settings, spec, rng, self._record)
        self._ranking = Ranking(models.conditioning, spec, self._sources.conditions)
        self._seen: set[Circuit] = set()

    def run(
        self,
        pool: Judge,
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
            # Nothing need be generated first where a precedent will sooner meet the specification than not.
            if not generated and (self._record.simulated or not self._ranking.expects_success(fresh)):
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
        return self._sources.topologies(count)

    def sized(self, topologies: list[Topology], draws: int) -> list[Circuit]:
        """Values for each topology: of so many that the sizing model draws from pure noise, those likeliest to work."""
        drawn = self._sources.sized([topology for topology in topologies for _ in range(draws)], "generator")
        rows = drawn.feasible.reshape(len(topologies), draws).argmax(axis=1) + draws * np.arange(len(topologies))
        return [self._sources.circuit(own, drawn.values[row]) for own, row in zip(topologies, rows, strict=True)]

    def _propose(self) -> Candidates:
        """Topologies from the generator, sized; fewer sizings once there is something to compare them with."""
        met = self._record.first_met is not None
        return self._sources.proposed(self._settings.sizings_when_met if met else self._settings.sizings)

    def _recall(self) -> list[Candidates]:
        """The nearest precedents, rescaled to the specification's frequency, and variations of the best of them."""
        with self._record.timed("precedents"):
            near = self._sources.precedents()
            if near is None:
                return []
            topologies = near.topologies(self._spec.circuit_class)
            kinds, nets = slots(topologies)
            values = near.values.astype(np.float32)
            mean, deviation, feasible = self._sources.predicted(values, kinds, nets, near.conditions)
            as_they_were = Candidates(
                topologies=topologies,
                values=values,
                mean=mean,
                deviation=deviation,
                feasible=feasible,
                source="precedent",
            )
            self._ranking.observe_precedents(as_they_were, near.conditions, near.metrics.astype(np.float32))
        # Rescaled to the specification's frequency and brought within its rules.
        recalled = self._sources.rated(topologies, kinds, nets, values, "precedent")
        best = self._ranking.best(recalled, self._settings.parents)
        varied = self._sources.around([topologies[index] for index in best], recalled.values[best])
        return [recalled, self._bred(varied)]

    def _vary(self, fresh: list[Candidates]) -> Candidates:
        """Variations of the best simulated circuits or, while none has worked, of the likeliest candidates."""
        count = self._settings.parents
        parents = [design.circuit for design in ranked(self._record.designs, self._spec)[:count]]
        if not parents:
            likeliest = self._ranking.ordered(fresh)[:count]
            parents = [self._sources.circuit(own.topologies[index], own.values[index]) for own, index in likeliest]
        frequency = self._spec.conditions.frequency_hz
        topologies = [parent.topology for parent in parents]
        varied = self._sources.around(topologies, np.stack([normalised_values(p, frequency) for p in parents]))
        if not self._record.designs:
            # What their values have in common may be what is wrong, such as a bias for another supply.
            again = [topology for topology in topologies for _ in range(self._settings.variations)]
            varied = varied.joined(self._sources.sized(again, "variation"))
        return self._bred(varied) if self._record.first_met is None else varied

    def _bred(self, candidates: Candidates) -> Candidates:
        return bred(candidates, self._sources, self._ranking, self._settings, self._rng)

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
        for candidates, index in self._ranking.ordered(pools):
            if len(chosen) == count:
                break
            topology = candidates.topologies[index]
            circuit = self._sources.circuit(topology, candidates.values[index])
            if circuit in self._seen or used[fingerprint(topology)] >= per_topology:
                continue
            self._seen.add(circuit)
            used[fingerprint(topology)] += 1
            chosen.append((candidates, index, circuit))
        return chosen

    def _simulate(
        self,
        pool: Judge,
        chosen: list[_Chosen],
        allowed: int,
        progress: Progress | None,
        provenance: dict[str, Any],
    ) -> None:
        """Simulate a batch and learn from it."""
        outcomes = self._record.simulate(
            pool,
            [circuit for _, _, circuit in chosen],
            [own.source for own, _, _ in chosen],
            allowed=allowed,
            progress=progress,
            provenance=provenance,
        )
        for (own, index, _), outcome in zip(chosen, outcomes, strict=True):
            measured = None
            if outcome.metrics is not None:
                measured = self._conditioning.encode_metrics(self._spec.circuit_class, outcome.metrics)
            self._ranking.observe(own, index, measured)
