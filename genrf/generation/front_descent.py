"""A Pareto front moved on by descents, for classes whose circuits are simulated in less time than they are predicted.

symbol  variable   meaning                                                                                     unit
z       reached    objectives as slack above the reference that volume is counted from, larger being better    1
eps     levels     what other objectives are held at while one is pushed                                       1

The epsilon-constraint method (Haimes, Lasdon and Wismer 1971): one objective is pushed while the others are held at levels, and
many levels make a front. Levels are those of designs that span the front so far, or drawn from its extent. A push starts from the
known circuit that lacks least of what it wants, of that circuit's topology or another, and wants a little more each time that it
has it: what is never asked for much more than can be had, bounds and levels hold (`genrf.generation.descent`). As the simulator
is the judge's own, what comes of it is known: the judge is called on the circuits that together add most to the hypervolume.
While nothing meets the specification there is no front, and the search for a first design goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrf import classes, pareto
from genrf.circuit.topology import Circuit, Topology
from genrf.conditions import Constraint
from genrf.generation.descent import Aim, Descent, Start, worst
from genrf.generation.design import DesignResult
from genrf.generation.models import Models
from genrf.generation.objectives import Outputs
from genrf.generation.record import Progress, Record
from genrf.generation.settings import SearchSettings
from genrf.generation.small_signal_search import SmallSignalSearch
from genrf.generation.sources import Sources
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec

SOURCE = "refinement"


@dataclass(frozen=True, kw_only=True)
class FrontSettings:
    """How the refinement of a front divides its effort."""

    batch: int = 8
    """Calls of the judge between two looks at the results."""
    rounds: int = 8
    """Times that pushes descend at most: before the judge is called, and again where nothing is left that adds volume."""
    growth: float = 0.02
    """Share that a round adds to the volume at least, if another is to follow before the judge is called."""
    starts: int = 48
    """Pushes that descend side by side."""
    iterations: int = 12
    """Steps that each takes at most."""
    nearest: float = 0.5
    """Chance that a push starts from the topology that comes nearest; from the second with the same chance, and so on."""
    drawn: float = 0.5
    """Chance that a level is drawn from the front's extent instead of taken from a design."""
    varied: float = 0.5
    """Chance that a push starts with a transistor of an emitter more or fewer."""
    push: tuple[float, float] = (0.07, 0.33)
    """Least and most that an objective is pushed at a time, in extents of the front."""
    least_extent: float = 0.01
    """Taken of a front that is narrower in an objective."""
    slack: float = 2e-3
    """Wanted of each bound: a descent ends a little short of it, and values move to the grid."""


class FrontDescent:
    """The state of one refinement.

    Args:
        models: which propose and size; their surrogate is not asked.
        result: of the search to go on from.
        objectives: label metrics, see `genrf.generation.objectives.choose_objectives`.
        rng: source of all randomness.
        search: how searches divide their effort.
    """

    def __init__(
        self,
        models: Models,
        result: DesignResult,
        objectives: Sequence[str],
        rng: np.random.Generator,
        search: SearchSettings | None = None,
        settings: FrontSettings | None = None,
    ) -> None:
        self._models = models
        self._search = search or SearchSettings()
        self._settings = settings or FrontSettings()
        self._before = result
        self._spec = result.spec
        self._objectives = tuple(objectives)
        self._rng = rng

    def run(
        self,
        pool: Judge,
        calls: int,
        *,
        progress: Progress | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> DesignResult:
        """Call the judge at most ``calls`` further times; fewer if nothing is found that adds volume.

        Args:
            provenance: recorded with every new design, besides its order of simulation and its source.
        """
        before, end = self._before.simulated, self._before.simulated + calls
        result = self._before
        if result.first_met is None:
            search = SmallSignalSearch(self._models, self._search, self._spec, self._rng, earlier=result)
            result = search.run(pool, end, stop_when_met=True, progress=progress, provenance=provenance)
        record = Record(self._spec, result)
        volumes = None
        met = [design.metrics for design in result.designs if design.met]
        if met:
            outputs = Outputs.of(self._spec, self._objectives, self._models.conditioning, [])
            reached = outputs.signed(self._objectives, met)
            reference = outputs.reference(self._objectives, reached[pareto.front(reached)])
            bounds = outputs.metrics(self._objectives, reference)
            self._refine(pool, end, record, bounds, progress, provenance or {})
            volumes = outputs.volumes(self._objectives, reference, record.designs, before)
        return replace(record.result(self._objectives), hypervolume=volumes, refined_from=before)

    def _refine(
        self,
        pool: Judge,
        end: int,
        record: Record,
        reference: Mapping[str, float],
        progress: Progress | None,
        provenance: Mapping[str, Any],
    ) -> None:
        """Call the judge until ``end`` on what adds volume above a reference."""
        conditions = self._spec.conditions
        sources = Sources(self._models, self._search, self._spec, self._rng, record, rates=False)
        bounded = _bounded(self._spec, reference)
        descent = Descent(
            bounded,
            sources.rules,
            lambda circuits: pool.parts([Simulation(circuit, conditions) for circuit in circuits]),
        )
        columns = _columns(bounded, descent.constraints, self._objectives)
        transistors = self._models.technology.transistor_kinds
        pushes = _Pushes(descent, columns, transistors, self._settings, self._rng)
        begun = [design.circuit for design in record.designs] + _drawn(sources, self._search)
        with record.timed("descent"):
            pushes.learn(begun)
            left = self._settings.rounds
            while left > 0:
                left -= 1
                if pushes.descend() < self._settings.growth:
                    break
        while record.simulated < end:
            with record.timed("choice"):
                chosen = pushes.choose(record, min(self._settings.batch, end - record.simulated))
            if chosen:
                record.simulate(
                    pool, chosen, [SOURCE] * len(chosen), allowed=end, progress=progress, provenance=provenance
                )
            elif left > 0:
                left -= 1
                with record.timed("descent"):
                    pushes.descend()
            else:
                break
        record.explored += pushes.explored


class _Pushes:
    """Descents from known circuits, and all circuits that came of them.

    Args:
        descent: for a specification that bounds every objective.
        columns: the constraint of each objective, (k,).
        transistors: kinds of devices that are made of them.
    """

    def __init__(
        self,
        descent: Descent,
        columns: NDArray[np.int64],
        transistors: Collection[str],
        settings: FrontSettings,
        rng: np.random.Generator,
    ) -> None:
        self._descent = descent
        self._settings = settings
        self._rng = rng
        self._columns = columns
        self._transistors = transistors
        self._circuits: list[Circuit] = []
        self._slacks = np.zeros((0, len(descent.constraints)))
        self._topologies: list[int] = []
        self._numbers: dict[Topology, int] = {}
        self._known: set[Circuit] = set()
        self.explored = 0
        """Circuits simulated so far."""

    def learn(self, circuits: Sequence[Circuit]) -> None:
        """Simulate circuits to start from."""
        circuits = list(dict.fromkeys(circuits))
        self.explored += len(circuits)
        self._add(circuits, self._descent.slacks(circuits))

    def descend(self) -> float:
        """Push from circuits that span the front.

        Returns:
            What it adds to the volume, as a share of that.
        """
        settings, before = self._settings, self._volume()
        starts = [Start(self._varied(self._circuits[self._start(aim)]), aim) for aim in self._aims(settings.starts)]
        found = self._descent.run(starts, iterations=settings.iterations)
        self.explored += found.simulated
        self._add(found.circuits, found.slacks)
        return self._volume() / before - 1.0 if before > 0.0 else np.inf

    def choose(self, record: Record, count: int) -> list[Circuit]:
        """The circuits that together add most to what the record's designs dominate, at most ``count``."""
        tried = record.tried
        met = {design.circuit for design in record.designs if design.met}
        usable = self._usable()
        known = [place for place in usable if self._circuits[place] in met]
        new = [place for place in usable if self._circuits[place] not in tried]
        reached = self._slacks[:, self._columns]
        chosen = pareto.largest_addition(reached[new], reached[known], np.zeros(len(self._columns)), count)
        return [self._circuits[new[place]] for place in chosen]

    def _add(self, circuits: Sequence[Circuit], slacks: NDArray[np.float64]) -> None:
        new = [n for n, circuit in enumerate(circuits) if circuit not in self._known and np.isfinite(slacks[n]).all()]
        self._slacks = np.concatenate([self._slacks, slacks[new]])
        for circuit in (circuits[n] for n in new):
            self._known.add(circuit)
            self._circuits.append(circuit)
            self._topologies.append(self._numbers.setdefault(circuit.topology, len(self._numbers)))

    def _volume(self) -> float:
        """What all circuits that meet the specification dominate."""
        return pareto.volume(self._slacks[self._usable()][:, self._columns], np.zeros(len(self._columns)))

    def _usable(self) -> list[int]:
        """Circuits that meet the specification and are above the reference."""
        return np.flatnonzero(worst(self._slacks) >= 0.0).tolist()

    def _aims(self, count: int) -> list[Aim]:
        """Pushes of each objective in turn from designs that span the front."""
        settings, rng, columns = self._settings, self._rng, self._columns
        reached, reference = self._slacks[self._usable()][:, columns], np.zeros((1, len(columns)))
        chosen = pareto.largest_addition(reached, reference, reference[0], count)
        spanning = reached[chosen] if chosen else reference  # (F, k)
        extent = np.maximum(spanning.max(axis=0), settings.least_extent)
        held = self._descent.aim(settings.slack)
        aims = []
        for number in range(count):
            pushed = number % len(columns)
            if pushed == 0:
                levels = spanning[rng.integers(len(spanning))]
            drawn = rng.random(len(columns)) < settings.drawn
            slack, weight, further = held.slack.copy(), held.weight.copy(), np.zeros(len(held.slack))
            slack[columns] = np.maximum(np.where(drawn, rng.random(len(columns)) * extent, levels), settings.slack)
            weight[columns] = 1.0 / extent
            step = np.exp(rng.uniform(*np.log(settings.push))) * extent[pushed]
            further[columns[pushed]] = step
            slack[columns[pushed]] = levels[pushed] + step
            aims.append(Aim(slack, weight, further))
        return aims

    def _start(self, aim: Aim) -> int:
        """The circuit that lacks least of an aim, of the nearest topology or another."""
        lacking = ((aim.weight * np.maximum(aim.slack - self._slacks, 0.0)) ** 2).sum(axis=1)
        order = np.argsort(lacking, kind="stable")
        _, first = np.unique(np.array(self._topologies)[order], return_index=True)
        rank = int(self._rng.geometric(self._settings.nearest)) - 1
        return int(order[np.sort(first)[min(rank, len(first) - 1)]])

    def _varied(self, circuit: Circuit) -> Circuit:
        """A circuit with a transistor of an emitter more or fewer: a descent rounds such steps away."""
        whole = [n for n, device in enumerate(circuit.topology.devices) if device.kind in self._transistors]
        if not whole or self._rng.random() >= self._settings.varied:
            return circuit
        values = list(circuit.values)
        place = int(self._rng.choice(whole))
        values[place] = max(values[place] + float(self._rng.choice((-1.0, 1.0))), 1.0)
        return circuit.with_values(values)


def _drawn(sources: Sources, search: SearchSettings) -> list[Circuit]:
    """What precedents, topology generator and sizing model propose."""
    proposed = sources.proposed(search.sizings)
    return sources.recalled() + sources.circuits(proposed.topologies, proposed.values)


def _bounded(spec: DesignSpec, reference: Mapping[str, float]) -> DesignSpec:
    """The specification with the reference as bounds of objectives that have none."""
    metrics = classes.get(spec.circuit_class).metrics
    bounded = {(constraint.metric, constraint.sense) for constraint in spec.constraints}
    more = [Constraint(name, metrics[name].sense, bound) for name, bound in reference.items()]
    return replace(spec, constraints=(*spec.constraints, *(c for c in more if (c.metric, c.sense) not in bounded)))


def _columns(spec: DesignSpec, constraints: Sequence[Constraint], objectives: Sequence[str]) -> NDArray[np.int64]:
    """Of each objective the constraint that counts its slack, (k,)."""
    metrics = classes.get(spec.circuit_class).metrics
    places = {(constraint.metric, constraint.sense): place for place, constraint in enumerate(constraints)}
    return np.array([places[name, metrics[name].sense] for name in objectives])
