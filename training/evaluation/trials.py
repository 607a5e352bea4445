"""Methods tried on held-out specifications: the generator, and whatever else proposes circuits and is told how they did."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from genrf.circuit.topology import Circuit
from genrf.cores import cores
from genrf.generation.backend import OnnxBackend
from genrf.generation.bundle import Bundle
from genrf.generation.designer import Designer
from genrf.generation.precedents import precedents_in
from genrf.generation.settings import SearchSettings
from genrf.metrics import Metrics
from genrf.progress import progress_bar
from genrf.simulation.outcome import Outcome, Simulation
from training.config.schema import Config, PerClass, per_class
from training.data.specifications import HeldOutSpecification
from training.evaluation.methods import GENERATOR
from training.running.processes import Processes

if TYPE_CHECKING:
    from genrf.generation.design import Design
    from genrf.generation.models import TopologySource


@dataclass
class Trial:
    """One method on one specification."""

    method: str
    circuit_class: str
    level: str
    name: str
    first_met: int | None
    """SPICE calls until the specification was met; none if it was not."""
    simulated: int
    failed: dict[str, int]
    seconds: float
    metrics: list[Metrics] = field(default_factory=list)
    """Metrics of the circuits that simulated."""
    best: Design | None = None
    """The generator's best design."""


class CircuitSource(Protocol):
    """What proposes circuits for one specification."""

    def ask(self, most: int) -> Sequence[Circuit]:
        """The next circuits to simulate, at most ``most``; none if there are no more."""
        ...

    def tell(self, outcomes: Sequence[Metrics | None]) -> None:
        """Learn the metrics of the circuits last asked for, in order; none for a circuit that failed."""
        ...


@dataclass
class SourceTrial:
    """A trial of a circuit source in progress; can be pickled between two batches, if its source can."""

    item: HeldOutSpecification
    source: CircuitSource
    calls: int
    """SPICE calls that it may spend."""
    trial: Trial
    over: bool = False

    @classmethod
    def of(cls, method: str, item: HeldOutSpecification, source: CircuitSource, calls: int) -> SourceTrial:
        """A trial that has yet to simulate anything."""
        trial = Trial(method, item.spec.circuit_class, item.level, item.spec.name, None, 0, {}, 0.0)
        return cls(item=item, source=source, calls=calls, trial=trial)

    def step(self, simulate: Callable[[Sequence[Simulation]], Sequence[Outcome]]) -> None:
        """Simulate one batch; the trial is over once the specification is met, or calls or circuits are used up."""
        start = time.perf_counter()
        spec, trial = self.item.spec, self.trial
        circuits = self.source.ask(self.calls - trial.simulated)
        outcomes = simulate([Simulation(circuit, spec.conditions, spec.needs_signoff) for circuit in circuits])
        for outcome in outcomes:
            trial.simulated += 1
            if outcome.metrics is None:
                assert outcome.failure is not None
                trial.failed[outcome.failure.cause] = trial.failed.get(outcome.failure.cause, 0) + 1
                continue
            trial.metrics.append(outcome.metrics)
            if trial.first_met is None and spec.meets(outcome.metrics):
                trial.first_met = trial.simulated
        self.over = not circuits or trial.first_met is not None or trial.simulated >= self.calls
        if not self.over:
            self.source.tell([outcome.metrics for outcome in outcomes])
        trial.seconds += time.perf_counter() - start


def generator_trial(designer: Designer, item: HeldOutSpecification, calls: int, method: str = GENERATOR) -> Trial:
    """Let the generator try one specification, stopping at the batch that meets it."""
    start = time.perf_counter()
    result = designer.design(item.spec, calls=calls, stop_when_met=True)
    return Trial(
        method=method,
        circuit_class=item.spec.circuit_class,
        level=item.level,
        name=item.spec.name,
        first_met=result.first_met,
        simulated=result.simulated,
        failed=result.failed,
        seconds=time.perf_counter() - start,
        metrics=[design.metrics for design in result.designs],
        best=next(iter(result.designs), None),
    )


def bundle_designer(
    config: Config,
    bundle: Bundle,
    topology_source: TopologySource | None = None,
    *,
    precedents: bool = True,
    settings: SearchSettings | None = None,
) -> Designer:
    """A designer with exported models, on one core.

    Args:
        topology_source: where topologies come from instead of from the generator.
        precedents: whether searches also start from the bundle's precedents.
        settings: how searches divide their effort.
    """
    return Designer(
        OnnxBackend(bundle, threads=1),
        bundle.conditioning,
        bundle.sampler,
        settings=settings,
        workers=1,
        seed=config.seed,
        technology_name=config.technology,
        topology_source=topology_source,
        precedents=precedents_in(bundle.folder) if precedents else None,
    )


def generator_trials(
    open_designer: Callable[[], Designer],
    specifications: Sequence[HeldOutSpecification],
    calls: PerClass,
    *,
    description: str = GENERATOR,
    processes: int | None = None,
) -> list[Trial]:
    """Let the generator try every specification, one process a core: a search by itself does not fill many.

    Args:
        open_designer: makes a designer; must be picklable, since every process makes its own.
        processes: by default one a core.
    """
    processes = min(processes or cores(), max(1, len(specifications)))
    opened = partial(_opened, open_designer, calls)
    trials: dict[int, Trial] = {}
    with progress_bar() as progress:
        task = progress.add_task(description, total=len(specifications))
        with contextlib.ExitStack() as stack:
            ended: Iterator[tuple[int, Trial]]
            if processes == 1:
                ended = map(stack.enter_context(opened()), enumerate(specifications))
            else:
                ended = stack.enter_context(Processes(processes, opened)).map(enumerate(specifications))
            for number, trial in ended:
                trials[number] = trial
                progress.update(task, advance=1)
    return [trials[number] for number in range(len(specifications))]


@contextlib.contextmanager
def _opened(
    open_designer: Callable[[], Designer], calls: PerClass
) -> Iterator[Callable[[tuple[int, HeldOutSpecification]], tuple[int, Trial]]]:
    """In a process: a designer, as a function of numbered specifications."""
    with open_designer() as designer:

        def attempt(task: tuple[int, HeldOutSpecification]) -> tuple[int, Trial]:
            number, item = task
            return number, generator_trial(designer, item, per_class(calls, item.spec.circuit_class))

        yield attempt
