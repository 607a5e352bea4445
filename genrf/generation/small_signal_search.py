"""How a specification of small-signal metrics is met: candidates are simulated, not predicted, and the best descend.

For these classes a circuit is simulated in less time than the surrogate needs to predict it, and slopes come with it. So what
precedents, topology generator and sizing model propose is simulated at once; the best descend on their worst margins
(`genrf.generation.descent`), each stage only where the one before has met nothing; and the judge is called on what meets the
specification, most margin first. Later stages vary the best designs, for more margin yet.

Descents do not see what only sign-off measures. Where the first designs miss that, the search begins anew and wants no more of
what costs it than is asked for: an amplifier's gain beyond its bound is linearity lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from genrf import classes
from genrf.circuit.canonical import fingerprint
from genrf.circuit.topology import Circuit
from genrf.conditions import Constraint
from genrf.generation.candidates import normalised_values
from genrf.generation.descent import Descent, Start
from genrf.generation.design import DesignResult, ranked
from genrf.generation.models import Models
from genrf.generation.record import Progress, Record
from genrf.generation.settings import SearchSettings
from genrf.generation.sources import Sources
from genrf.simulation.batched.bench import Parts
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec

_EXCESS_DB = 1.0
"""Of what costs sign-off metrics, once they are missed."""
_Rated = tuple[float, Circuit, str]
"""Worst margin, circuit, and where it comes from."""


@dataclass(frozen=True)
class _Stage:
    """Circuits to begin with."""

    circuits: list[Circuit]
    source: str
    """Where they come from."""
    aim: float
    """Margin to aim at."""
    iterations: int
    """Steps of a descent at most."""
    starts: int
    """Descents at most."""
    per_topology: int
    """Of them, from one topology at most."""


class SmallSignalSearch:
    """The state of one search.

    Args:
        models: which propose and size; their surrogate is not asked.
        settings: how the effort is divided.
        spec: what to look for; constraints on sign-off metrics are left to the judge.
        rng: source of all randomness.
        earlier: of a search that has gone before, precedents included, to go on from.
    """

    def __init__(
        self,
        models: Models,
        settings: SearchSettings,
        spec: DesignSpec,
        rng: np.random.Generator,
        earlier: DesignResult | None = None,
    ) -> None:
        self._settings = settings
        self._spec = spec
        self._earlier = earlier
        self._record = Record(spec, earlier)
        self._begin = partial(Sources, models, settings, rng=rng, record=self._record, rates=False)
        self._sources = self._begin(spec)
        self._pending: list[_Rated] = []
        self._seen = self._record.tried
        self._enough = settings.enough

    def run(
        self,
        pool: Judge,
        calls: int,
        *,
        stop_when_met: bool = False,
        progress: Progress | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> DesignResult:
        """Call the judge at most ``calls`` times; with ``stop_when_met`` end after the batch that meets the specification.

        Args:
            provenance: recorded with every design, besides its order of simulation and its source.
        """
        descent = self._descent(self._spec, pool)
        restrained = _restrained(self._spec)
        self._enough = 1 if stop_when_met else self._settings.enough
        stages = self._stages()
        while self._record.simulated < calls:
            met = self._record.first_met is not None
            ready = sum(margin >= 0.0 for margin, _, _ in self._pending)
            if not ready:
                stage = next(stages, None)
                if stage is not None:
                    self._add(stage, descent)
                    continue
                # What is known to miss is shown where nothing is known that does not.
                ready = 0 if met else len(self._pending)
            batch = self._settings.batch_when_met if met else self._settings.batch
            chosen = self._pending[: min(batch, ready, calls - self._record.simulated)]
            del self._pending[: len(chosen)]
            if not chosen:
                break
            self._record.simulate(
                pool,
                [circuit for _, circuit, _ in chosen],
                [source for _, _, source in chosen],
                allowed=calls,
                progress=progress,
                provenance=provenance or {},
            )
            if stop_when_met and self._record.first_met is not None:
                break
            if restrained is not None and not self._holds_back():
                # Sources too propose other circuits for it.
                self._sources, descent = self._begin(restrained), self._descent(restrained, pool)
                self._pending, stages, restrained = [], self._stages(), None
        return self._record.result()

    def _stages(self) -> Iterator[_Stage]:
        """What to begin with, stage after stage; each is made only once the one before it is over."""
        settings = self._settings
        few = settings.starts, settings.per_topology
        many = 3 * settings.starts, 2 * settings.per_topology
        recalled = self._sources.recalled() if self._earlier is None else []
        if recalled:
            yield _Stage(recalled, "precedent", settings.aim, settings.descents, *few)
        proposed = self._sources.proposed(settings.sizings)
        met = self._record.first_met is not None
        iterations = settings.descents_when_met if met else settings.descents
        circuits = self._sources.circuits(proposed.topologies, proposed.values)
        yield _Stage(circuits, "generator", settings.aim, iterations, *few)
        if self._record.first_met is None:
            left = [circuit for _, circuit, _ in self._pending]
            yield _Stage(left, "again", settings.aim, settings.descents_again, *many)
        for _ in range(settings.rounds):
            designs = ranked(self._record.designs, self._spec)
            parents = [design.circuit for design in designs] or [circuit for _, circuit, _ in self._pending]
            if not parents:
                return
            parents = parents[: settings.parents]
            frequency_hz = self._spec.conditions.frequency_hz
            around = np.stack([normalised_values(parent, frequency_hz) for parent in parents])
            varied = self._sources.around([parent.topology for parent in parents], around)
            margin = max((design.margin for design in designs), default=0.0)
            iterations = settings.descents_when_met if designs else settings.descents_again
            circuits = self._sources.circuits(varied.topologies, varied.values)
            yield _Stage(circuits, "variation", max(margin, 0.0) + settings.aim, iterations, *few)

    def _add(self, stage: _Stage, descent: Descent) -> None:
        """Rate a stage's circuits, descend from the best, and put all that is new among what waits for the judge."""
        with self._record.timed("descent"):
            rated = descent.rated(list(dict.fromkeys(stage.circuits)))
            starts = _starts(rated, stage.starts, stage.per_topology)
            # What has more margin than is aimed at needs no descent.
            done = max((margin for margin, _ in rated), default=-np.inf) >= stage.aim
            iterations = 0 if done else stage.iterations
            aim = descent.aim(stage.aim)
            descended = descent.run(
                [Start(circuit, aim) for circuit in starts], iterations=iterations, enough=self._enough
            )
        self._record.explored += len(rated) + descended.simulated
        found = [(margin, circuit, stage.source) for margin, circuit in rated if np.isfinite(margin)]
        found += [
            (float(margin), circuit, f"{stage.source}, descended")
            for margin, circuit in zip(descended.margins, descended.circuits, strict=True)
        ]
        for item in found:
            if item[1] not in self._seen:
                self._seen.add(item[1])
                self._pending.append(item)
        self._pending.sort(key=lambda item: -item[0])

    def _holds_back(self) -> bool:
        """Whether a design keeps the bounds that excess of something else costs."""
        costs = classes.get(self._spec.circuit_class).paid_by
        paid = [constraint for constraint in self._spec.constraints if constraint.metric in costs]
        return any(
            replace(self._spec, constraints=tuple(paid)).meets(design.metrics) for design in self._record.designs
        )

    def _descent(self, spec: DesignSpec, judge: Judge) -> Descent:
        def parts(circuits: Sequence[Circuit]) -> Parts:
            return judge.parts([Simulation(circuit, spec.conditions) for circuit in circuits])

        return Descent(spec, self._sources.rules, parts)


def _restrained(spec: DesignSpec) -> DesignSpec | None:
    """The specification without excess of what costs the sign-off metrics that it bounds; none where nothing does."""
    definition = classes.get(spec.circuit_class)
    costly = {definition.paid_by.get(constraint.metric) for constraint in spec.constraints}
    bounds = {(constraint.metric, constraint.sense): constraint.bound for constraint in spec.constraints}
    more = [
        Constraint(metric, "<=", bound + _EXCESS_DB)
        for (metric, sense), bound in bounds.items()
        if metric in costly and sense == ">=" and (metric, "<=") not in bounds
    ]
    return replace(spec, constraints=(*spec.constraints, *more)) if more else None


def _starts(rated: list[tuple[float, Circuit]], count: int, per_topology: int) -> list[Circuit]:
    """The best that simulate, few of one topology."""
    chosen: list[Circuit] = []
    used: Counter[str] = Counter()
    for margin, circuit in sorted(rated, key=lambda pair: -pair[0]):
        name = fingerprint(circuit.topology)
        if len(chosen) < count and np.isfinite(margin) and used[name] < per_topology:
            used[name] += 1
            chosen.append(circuit)
    return chosen
