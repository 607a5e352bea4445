"""What has been simulated for one specification so far, by the search and by the refinement after it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from genrf.circuit.topology import Circuit
from genrf.generation.design import Design, DesignResult, FailedCircuit, ranked
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Outcome, Simulation
from genrf.spec import DesignSpec


class Progress(Protocol):
    """Is told of every circuit that was simulated; what it raises ends the search."""

    def __call__(self, spent: int, allowed: int, design: Design | None = None) -> None:
        """Take the calls spent and allowed, and the design, or none of a circuit that gave no metrics."""


MOST_SIGNED_OFF = 4
"""Designs that meet a specification by sign-off after which no more are signed off, where that is not measured at once."""


class Record:
    """Designs, failures and where the time went.

    Args:
        spec: what circuits are simulated for.
        earlier: of what has gone before, to go on from.
    """

    def __init__(self, spec: DesignSpec, earlier: DesignResult | None = None) -> None:
        self.spec = spec
        self.designs: list[Design] = list(earlier.designs) if earlier else []
        self.failed_circuits: list[FailedCircuit] = list(earlier.failed_circuits) if earlier else []
        self.simulated = earlier.simulated if earlier else 0
        self.first_met = earlier.first_met if earlier else None
        self.explored = earlier.explored if earlier else 0
        """Circuits simulated on the way to those that the judge was called on."""
        self._seconds = dict(earlier.seconds) if earlier else {}

    @property
    def tried(self) -> set[Circuit]:
        """The circuits that were simulated."""
        return {design.circuit for design in self.designs} | {circuit for circuit, _ in self.failed_circuits}

    def simulate(
        self,
        pool: Judge,
        circuits: Sequence[Circuit],
        sources: Sequence[str],
        *,
        allowed: int,
        progress: Progress | None,
        provenance: Mapping[str, Any],
    ) -> list[Outcome]:
        """Simulate circuits and write down how they did; outcomes in the same order.

        Args:
            sources: where each circuit comes from.
            allowed: SPICE calls in all, for the progress.
            provenance: kept with every design, besides its order of simulation and its source.
        """
        outcomes = []
        with self.timed("spice"):
            for circuit, source, outcome in zip(circuits, sources, self._measured(pool, circuits), strict=True):
                self.simulated += 1
                outcomes.append(outcome)
                design = None
                if outcome.metrics is None:
                    assert outcome.failure is not None
                    self.failed_circuits.append(FailedCircuit(circuit, outcome.failure.cause))
                else:
                    its_provenance = {**provenance, "order": self.simulated, "source": source}
                    design = Design.judged(circuit, outcome.metrics, self.spec, its_provenance)
                    if design.met and self.first_met is None:
                        self.first_met = self.simulated
                    self.designs.append(design)
                if progress is not None:
                    progress(self.simulated, allowed, design)
        return outcomes

    def _measured(self, pool: Judge, circuits: Sequence[Circuit]) -> Iterator[Outcome]:
        """Outcomes in order. Where estimates tell beforehand, or a second simulator is needed, only the best of what may meet
        the specification is signed off, until `MOST_SIGNED_OFF` designs have met it: signing an oscillator off takes ten
        seconds."""
        conditions, screen = self.spec.conditions, self.spec.screen
        second = bool(self.spec.second_metrics)
        first = pool.run_iter([Simulation(circuit, conditions, screen.needs_signoff) for circuit in circuits])
        if not second and (not self.spec.needs_signoff or screen.needs_signoff):
            yield from first
            return
        outcomes = list(first)
        margins = {n: screen.worst_margin(o.metrics) for n, o in enumerate(outcomes) if o.metrics is not None}
        hopeful = sorted((n for n, margin in margins.items() if margin >= 0.0), key=lambda n: -margins[n])
        wanted = MOST_SIGNED_OFF - sum(design.met for design in self.designs)
        while hopeful and wanted > 0:
            chosen, hopeful = hopeful[:wanted], hopeful[wanted:]
            signed = pool.run_iter(
                [Simulation(circuits[n], conditions, self.spec.needs_signoff, second=second) for n in chosen]
            )
            for number, outcome in zip(chosen, signed, strict=True):
                outcomes[number] = outcome
                wanted -= outcome.metrics is not None and self.spec.meets(outcome.metrics)
        yield from outcomes

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time that is spent inside towards a stage."""
        start = time.perf_counter()
        yield
        self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - start

    def result(self, objectives: Sequence[str] = ()) -> DesignResult:
        """All of it, ranked; the Pareto front is that of `genrf.generation.design.ranked`."""
        return DesignResult(
            spec=self.spec,
            designs=ranked(self.designs, self.spec, objectives),
            simulated=self.simulated,
            failed=dict(Counter(cause for _, cause in self.failed_circuits)),
            first_met=self.first_met,
            explored=self.explored,
            seconds=self._seconds,
            failed_circuits=tuple(self.failed_circuits),
            objectives=tuple(objectives),
        )
