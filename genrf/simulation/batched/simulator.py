"""The batched simulator as what simulates circuits: small-signal metrics of classes that have a `SmallSignalBench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from genrf import classes, technology
from genrf.simulation.batched import operating_point, solver
from genrf.simulation.batched.bench import SmallSignal, SmallSignalBench, Sweep
from genrf.simulation.batched.circuits import Packed, pack
from genrf.simulation.engine import Failure, Outcome, Simulation
from genrf.technology import DEFAULT

_FAILURES = {
    operating_point.SINGULAR: Failure("singular_matrix", "a net without a path for direct current"),
    operating_point.NOT_CONVERGED: Failure("no_convergence", "no operating point: a transistor may run away thermally"),
}


class BatchedSimulator:
    """Simulates circuits of classes with a `SmallSignalBench`, without processes of its own.

    Args:
        workers: threads; None for one a core.
        technology_name: process to simulate in.
        defects: whether ngspice's errors are copied, for comparisons.
    """

    def __init__(
        self, workers: int | None = None, technology_name: str = DEFAULT, *, defects: bool = False, device: str = "cpu"
    ) -> None:
        self._workers = workers
        self._technology = technology.get(technology_name)
        self._defects = defects
        self._device = device

    def run(self, simulations: Sequence[Simulation], *, curves: bool = False) -> list[Outcome]:
        """Measure circuits, those of one class together; outcomes in the same order.

        Raises:
            ValueError: for a circuit whose class has no `SmallSignalBench`.
        """
        outcomes: dict[int, Outcome] = {}
        for name in dict.fromkeys(s.circuit.topology.circuit_class for s in simulations):
            own = [n for n, s in enumerate(simulations) if s.circuit.topology.circuit_class == name]
            bench = classes.get(name).small_signal
            if bench is None:
                raise ValueError(f"class {name} is not measured in small signal alone")
            chosen = [simulations[n] for n in own]
            packed = pack(chosen, self._technology)
            measured = bench.outcomes(chosen, self._found(chosen, packed, bench.sweep), self._technology)
            if curves:
                measured = self._with_curves(bench, chosen, packed, measured)
            outcomes |= zip(own, measured, strict=True)
        return [outcomes[number] for number in range(len(simulations))]

    def _with_curves(
        self, bench: SmallSignalBench, simulations: Sequence[Simulation], packed: Packed, measured: list[Outcome]
    ) -> list[Outcome]:
        wide = self._found(simulations, packed, bench.curve_sweep)
        return [
            replace(outcome, curves=bench.curves(simulation, found))
            if outcome.metrics is not None and isinstance(found, SmallSignal)
            else outcome
            for simulation, outcome, found in zip(simulations, measured, wide, strict=True)
        ]

    def _found(self, simulations: Sequence[Simulation], packed: Packed, sweep: Sweep) -> list[SmallSignal | Failure]:
        found: list[SmallSignal | Failure | None] = [packed.refused.get(number) for number in range(len(simulations))]
        if len(packed.numbers):
            centres = np.array([simulations[number].conditions.frequency_hz for number in packed.numbers])
            results = self._solve(packed, centres[:, None] * sweep.ratios, sweep)
            edges, power = results.edges_hz.tolist(), results.power_w.tolist()
            ic, vce = results.collector_a.tolist(), results.vce_v.tolist()
            for row, (number, end) in enumerate(zip(packed.numbers.tolist(), results.end.tolist(), strict=True)):
                if end != operating_point.CONVERGED:
                    found[number] = _FAILURES[end]
                    continue
                points = {
                    index: {"ic": ic[row][q], "vce": vce[row][q]} for q, index in enumerate(packed.transistors[row])
                }
                found[number] = SmallSignal(
                    results.s[row], results.noise[row], (edges[row][0], edges[row][1]), power[row], points
                )
        return [item for item in found if item is not None]

    def _solve(self, packed: Packed, frequencies: np.ndarray, sweep: Sweep) -> solver.Results:
        if self._device != "cpu":
            from genrf.simulation.batched import gpu

            return gpu.small_signal(
                packed.circuits,
                packed.cards,
                frequencies,
                noise_points=sweep.noise_points,
                grid=sweep.grid,
                centre=sweep.centre,
                defects=self._defects,
            )
        return solver.small_signal(
            packed.circuits,
            packed.cards,
            frequencies,
            noise_points=sweep.noise_points,
            grid=sweep.grid,
            centre=sweep.centre,
            defects=self._defects,
            workers=self._workers,
        )
