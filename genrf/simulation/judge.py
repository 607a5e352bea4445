"""What simulates circuits: our own batched simulator where small-signal analyses are enough, ngspice for everything else.

Metrics of low-noise amplifiers and filters come from `genrf.simulation.batched`, whose transistor is right where ngspice's is not
(docs/method.md); what is driven, oscillates or mixes comes from ngspice's transients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby, islice
from types import TracebackType
from typing import TYPE_CHECKING

from genrf import classes
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.cores import cores
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.technology import DEFAULT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genrf.simulation.batched.simulator import BatchedSimulator

__all__ = ["Failure", "Judge", "Outcome", "Simulation", "run_in_processes", "simulate"]

_CHUNK = 256
"""Circuits that are simulated at once: enough to keep all threads busy, few enough that results do not wait."""


class Judge:
    """A context manager around the simulators; ngspice's processes start when the first circuit needs them.

    Args:
        workers: processes and threads; None for one a core.
        technology: name of the process to simulate in.
        device: where the batched simulator runs, ``cpu`` or ``cuda``.
    """

    def __init__(self, workers: int | None = None, technology: str = DEFAULT, device: str = "cpu") -> None:
        self._workers = workers
        self._technology = technology
        self._device = device
        self._stack: ExitStack | None = None
        self._pool: SimulatorPool | None = None

    def __enter__(self) -> Judge:
        self._stack = ExitStack()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, self._stack, self._pool = self._stack, None, None
        assert stack is not None
        stack.__exit__(kind, error, trace)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Process identifiers of ngspice's workers; none before one is needed."""
        return () if self._pool is None else self._pool.process_ids

    def run(self, simulations: Sequence[Simulation], *, curves: bool = False) -> list[Outcome]:
        """Simulate circuits; outcomes in the same order.

        Raises:
            MissingToolError: if a simulator that they need, or the technology's models, are not installed.
        """
        return list(self.run_iter(simulations, curves=curves))

    def run_iter(self, simulations: Iterable[Simulation], *, curves: bool = False) -> Iterator[Outcome]:
        """Simulate circuits as an iterable yields them; outcomes in the same order. One run at a time.

        Raises:
            MissingToolError: if a simulator that they need, or the technology's models, are not installed.
        """
        if self._stack is None:
            raise RuntimeError("Judge is used outside its `with` block")
        for small, group in groupby(simulations, key=_is_small_signal):
            if not small:
                yield from self._ngspice().run_iter(group, curves=curves)
                continue
            while chunk := list(islice(group, _CHUNK)):
                yield from self._small_signal(chunk, curves)

    def parts(self, simulations: Sequence[Simulation]) -> dict[str, NDArray[np.float64]]:
        """Label metrics of circuits of one class as `BatchedSimulator.parts` has them; not counted as calls of the judge."""
        return self._batched().parts(simulations)

    def _batched(self) -> BatchedSimulator:
        from genrf.simulation.batched.simulator import BatchedSimulator

        return BatchedSimulator(self._workers, self._technology, device=self._device)

    def _small_signal(self, simulations: Sequence[Simulation], curves: bool) -> list[Outcome]:
        measured = self._batched().run(simulations, curves=curves)
        signed = [n for n, s in enumerate(simulations) if s.signoff and measured[n].metrics is not None]
        if signed:
            driven = self._ngspice().run([simulations[number] for number in signed])
            for number, outcome in zip(signed, driven, strict=True):
                measured[number] = _joined(measured[number], outcome)
        return measured

    def _ngspice(self) -> SimulatorPool:
        if self._pool is None:
            assert self._stack is not None
            self._pool = self._stack.enter_context(SimulatorPool(self._workers, self._technology))
        return self._pool


def _is_small_signal(simulation: Simulation) -> bool:
    return classes.get(simulation.circuit.topology.circuit_class).small_signal is not None


def _joined(small: Outcome, driven: Outcome) -> Outcome:
    """Small-signal metrics of one outcome with the others of another, or a note that says why there are none."""
    if small.metrics is None:
        return driven
    if driven.metrics is None:
        assert driven.failure is not None
        note = f"driven: not measured, {driven.failure.cause}: {driven.failure.detail}"
        return replace(small, notes=(*small.notes, note))
    notes = dict.fromkeys(
        (*small.notes, *(note for note in driven.notes if note.partition(":")[0] not in small.metrics))
    )
    return replace(small, metrics=Metrics({**driven.metrics, **small.metrics}), notes=tuple(notes))


def simulate(circuit: Circuit, conditions: Conditions, *, curves: bool = False, technology: str = DEFAULT) -> Outcome:
    """Simulate one circuit; use `Judge` for more than one."""
    with Judge(workers=1, technology=technology) as judge:
        return judge.run([Simulation(circuit, conditions)], curves=curves)[0]


def run_in_processes(simulations: Sequence[Simulation], technologies: Sequence[str]) -> list[Outcome]:
    """Simulate circuits, each in the process of its own name; outcomes in the same order."""
    outcomes: dict[int, Outcome] = {}
    for name in dict.fromkeys(technologies):
        own = [index for index, technology in enumerate(technologies) if technology == name]
        with Judge(workers=min(len(own), cores()), technology=name) as judge:
            outcomes |= zip(own, judge.run([simulations[index] for index in own]), strict=True)
    return [outcomes[index] for index in range(len(simulations))]
