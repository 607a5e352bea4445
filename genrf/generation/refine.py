"""Bayesian refinement of what a search found: further SPICE calls, each where it promises most.

While no circuit meets the specification there is no trade-off to improve: the calls go where the worst margin is expected to
rise (qLogNEI), because that is what the designs are ranked by. From the first one that does, they go where the hypervolume of the
objectives is expected to grow under the specification's constraints (qLogNEHVI). Everything simulated so far is known from the
start. Candidates are sizings of the few best topologies, drawn around simulated ones, and some fresh circuits from the
generator, all improved by the acquisition function itself: a choice among legal circuits, so that what is rated is what SPICE
simulates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.design_rules import DesignRules
from genrf.circuit.topology import Circuit, Topology
from genrf.errors import MissingToolError
from genrf.generation.candidates import normalised_values, slots, used_slots
from genrf.generation.design import Design, DesignResult, pareto_front, ranked
from genrf.generation.models import Models
from genrf.generation.objectives import Outputs
from genrf.generation.proposals import Proposed, Proposer
from genrf.generation.record import Progress, Record
from genrf.simulation.judge import Judge

if TYPE_CHECKING:
    from genrf.generation.acquisition import Acquisition, Points


@dataclass(frozen=True, kw_only=True)
class RefinementSettings:
    """How refinement divides its effort."""

    batch: int = 8
    """SPICE calls between two looks at the results."""
    topologies: int = 8
    """Topologies that are refined at a time."""
    parents: int = 32
    """Simulated circuits that candidates are drawn around."""
    proposals: int = 240
    """Candidates drawn around them."""
    fresh: int = 64
    """Topologies drawn from the generator for a batch, of which the legal ones are candidates too."""
    rounds: int = 2
    """How often candidates are drawn around the best candidates."""
    kept: int = 24
    """Candidates that each such round starts from."""
    offspring: int = 6
    """Candidates drawn around each of them."""
    shortlist: int = 96
    """Candidates, the best by themselves, of which a batch is put together."""
    baseline: int = 32
    """Most circuits that improvement is counted from; of a larger front as many, far apart from each other."""


def require_botorch() -> None:
    """Load BoTorch, which takes seconds.

    Raises:
        MissingToolError: if it is not installed.
    """
    try:
        import genrf.generation.acquisition  # noqa: F401
    except ImportError as error:
        raise MissingToolError(
            f"refinement by Bayesian optimization needs BoTorch, which cannot be imported ({error}); "
            "install it with: pip install botorch"
        ) from error


class Refinement:
    """The state of one refinement.

    Args:
        models: the sizing model proposes, the surrogate is the processes' prior mean.
        result: of the search to go on from.
        objectives: see `genrf.generation.objectives.choose_objectives`.
        rng: source of all randomness.

    Raises:
        MissingToolError: if BoTorch is not installed.
    """

    def __init__(
        self,
        models: Models,
        result: DesignResult,
        objectives: Sequence[str],
        rng: np.random.Generator,
        settings: RefinementSettings | None = None,
    ) -> None:
        self._record = Record(result.spec, result)
        with self._record.timed("botorch"):
            require_botorch()
        self._models = models
        self._settings = settings or RefinementSettings()
        self._result = result
        self._spec = result.spec
        self._rules = DesignRules(self._spec.circuit_class, self._spec.conditions, models.technology)
        self._objectives = tuple(objectives)
        self._rng = rng
        self._seen = {design.circuit for design in result.designs} | {circuit for circuit, _ in result.failed_circuits}
        self._numbers: dict[Topology, int] = {}
        self._predicted: dict[Circuit, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._conditions = models.conditioning.encode_conditions(self._spec.circuit_class, self._spec.conditions)
        self._outputs = Outputs.of(
            self._spec.screen,
            self._objectives,
            models.conditioning,
            [design.metrics for design in self._record.designs],
        )
        self._reference: NDArray[np.float64] | None = None

    def run(
        self,
        pool: Judge,
        calls: int,
        *,
        progress: Progress | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> DesignResult:
        """Spend at most ``calls`` further SPICE calls; fewer if nothing was simulated that could be refined.

        Args:
            provenance: recorded with every new design, besides its order of simulation and its source.
        """
        end = self._result.simulated + calls
        while self._record.simulated < end and self._record.designs:
            chosen = self._choose(min(self._settings.batch, end - self._record.simulated))
            if not chosen:
                break
            self._seen.update(chosen)
            self._record.simulate(
                pool,
                chosen,
                ["refinement"] * len(chosen),
                allowed=end,
                progress=progress,
                provenance=provenance or {},
            )
        with self._record.timed("acquisition"):
            hypervolume = self._hypervolume()
        return replace(
            self._record.result(self._objectives), hypervolume=hypervolume, refined_from=self._result.simulated
        )

    def _choose(self, count: int) -> list[Circuit]:
        """The next batch."""
        met = [design for design in self._record.designs if design.met]
        front = self._front(met) if met else []
        parents = self._parents(front)
        with self._record.timed("processes"):
            acquisition = self._acquisition(front)
        proposer = Proposer(self._models, self._spec, self._objectives if met else (), self._rng)
        with self._record.timed("proposals"):
            topologies, values = proposer.around(parents, self._settings.proposals)
            others, its_values = proposer.fresh(parents, self._settings.fresh)
        candidates, worth = self._rated(acquisition, (topologies + others, np.concatenate([values, its_values])))
        for _ in range(self._settings.rounds):
            best = np.argsort(-worth, kind="stable")[: self._settings.kept].tolist()
            nearby = proposer.near(
                [candidates[0][index] for index in best], candidates[1][best], self._settings.offspring
            )
            more, its_worth = self._rated(acquisition, nearby)
            candidates = (candidates[0] + more[0], np.concatenate([candidates[1], more[1]]))
            worth = np.concatenate([worth, its_worth])
        shortlist = self._distinct(candidates, np.argsort(-worth, kind="stable"))
        if not shortlist:
            return []
        circuits, indices = zip(*shortlist, strict=True)
        points = self._points([candidates[0][index] for index in indices], candidates[1][list(indices)])
        with self._record.timed("acquisition"):
            return [circuits[index] for index in acquisition.choose(points, count)]

    def _front(self, met: Sequence[Design]) -> list[Design]:
        """The Pareto front of designs that meet the specification, in the objectives."""
        marks = pareto_front(self._spec.circuit_class, [design.metrics for design in met], self._objectives)
        return [design for design, mark in zip(met, marks, strict=True) if mark]

    def _parents(self, front: Sequence[Design]) -> list[Design]:
        """The front and then the designs of best margin, of few topologies: those that have most of the front."""
        by_margin = ranked(self._record.designs, self._spec)
        share = Counter(design.circuit.topology for design in front)
        order = [topology for topology, _ in share.most_common()] + [design.circuit.topology for design in by_margin]
        topologies = list(dict.fromkeys(order))[: self._settings.topologies]
        mixed = [front[index] for index in self._rng.permutation(len(front))] + list(by_margin)
        own = {design.circuit: design for design in mixed if design.circuit.topology in topologies}
        return list(own.values())[: self._settings.parents]

    def _acquisition(self, front: Sequence[Design]) -> Acquisition:
        """The processes' opinion, after everything simulated so far, on what to simulate next."""
        from genrf.generation.acquisition import Processes

        failed = [circuit for circuit, _ in self._record.failed_circuits]
        known = self._known([design.circuit for design in self._record.designs] + failed)
        measured = np.full((len(known), len(self._outputs.names)), np.nan)
        measured[: len(self._record.designs)] = [
            self._outputs.standardised(design.metrics) for design in self._record.designs
        ]
        processes = Processes(known, measured, seed=int(self._rng.integers(2**31)))
        if not front:
            order = np.argsort([-design.margin for design in self._record.designs], kind="stable")
            return processes.margin(self._outputs.slacks, order[: self._settings.baseline].tolist())
        indices = [self._outputs.names.index(name) for name in self._objectives]
        signs = self._outputs.signs[indices]
        circuits = {design.circuit for design in front}
        baseline = [index for index, design in enumerate(self._record.designs) if design.circuit in circuits]
        reached = measured[np.ix_(baseline, indices)] * signs
        if self._reference is None:
            self._reference = self._outputs.reference(self._objectives, reached)
        spread = [baseline[index] for index in far_apart(reached, self._settings.baseline)]
        return processes.trade_off(indices, signs.tolist(), self._reference, self._outputs.slacks, spread)

    def _hypervolume(self) -> tuple[float, float] | None:
        """What designs that meet the specification dominate, before and after; none if none does."""
        met = [design for design in self._record.designs if design.met]
        if not met:
            return None
        reference = self._reference
        if reference is None:
            reached = self._outputs.signed(self._objectives, [design.metrics for design in self._front(met)])
            reference = self._outputs.reference(self._objectives, reached)
        return self._outputs.volumes(self._objectives, reference, met, self._result.simulated)

    def _rated(self, acquisition: Acquisition, proposed: Proposed) -> tuple[Proposed, NDArray[np.float64]]:
        """Candidates with what each is worth by itself."""
        points = self._points(*proposed)
        with self._record.timed("acquisition"):
            return proposed, acquisition.values(points)

    def _distinct(self, candidates: Proposed, order: NDArray[np.int64]) -> list[tuple[Circuit, int]]:
        """The first few candidates that are neither simulated nor equal to each other, with their places."""
        chosen: dict[Circuit, int] = {}
        for index in order.tolist():
            circuit = self._circuit(candidates[0][index], candidates[1][index])
            if circuit not in self._seen:
                chosen.setdefault(circuit, index)
            if len(chosen) == self._settings.shortlist:
                break
        return list(chosen.items())

    def _known(self, circuits: Sequence[Circuit]) -> Points:
        """Simulated circuits with the surrogate's predictions, which are asked for once."""
        from genrf.generation.acquisition import Points

        frequency = self._spec.conditions.frequency_hz
        values = np.stack([normalised_values(circuit, frequency) for circuit in circuits])
        new = [index for index, circuit in enumerate(circuits) if circuit not in self._predicted]
        if new:
            points = self._points([circuits[index].topology for index in new], values[new])
            self._predicted |= {
                circuits[index]: (points.mean[place], points.deviation[place]) for place, index in enumerate(new)
            }
        return Points(
            topology=np.array([self._number(circuit.topology) for circuit in circuits]),
            values=values,
            mean=np.stack([self._predicted[circuit][0] for circuit in circuits]),
            deviation=np.stack([self._predicted[circuit][1] for circuit in circuits]),
        )

    def _points(self, topologies: Sequence[Topology], values: NDArray[np.float32]) -> Points:
        """Circuits of normalised values (P, M) with the surrogate's predictions."""
        from genrf.generation.acquisition import Points

        with self._record.timed("ranking"):
            kinds, nets = slots(topologies)
            width = used_slots(kinds)
            mean, log_variance, _ = self._models.backend.predict(
                values[:, :width],
                kinds[:, :width],
                nets[:, :width],
                np.repeat(self._conditions[None], len(kinds), axis=0),
            )
        columns = self._outputs.known
        # Of a metric that the surrogate does not know, only the mean of what was measured is known beforehand.
        blank = np.zeros(len(kinds), dtype=np.float32)
        return Points(
            topology=np.array([self._number(topology) for topology in topologies]),
            values=values,
            mean=np.stack([blank if c is None else mean[:, c] for c in columns], axis=1),
            deviation=np.stack(
                [blank + 1.0 if c is None else np.exp(0.5 * log_variance[:, c]) for c in columns], axis=1
            ),
        )

    def _number(self, topology: Topology) -> int:
        return self._numbers.setdefault(topology, len(self._numbers))

    def _circuit(self, topology: Topology, values: NDArray[np.float32]) -> Circuit:
        return self._rules.sized(topology, values)


def far_apart(points: NDArray[np.float64], count: int) -> list[int]:
    """Chooses at most ``count`` of the points (P, k): each column's best, then always the one farthest from all chosen."""
    chosen = list(dict.fromkeys(points.argmax(axis=0).tolist()))[:count]
    while len(chosen) < min(count, len(points)):
        distance = np.linalg.norm(points[:, None] - points[None, chosen], axis=-1).min(axis=1)
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
    return chosen
