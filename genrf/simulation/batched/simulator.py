"""The batched simulator as what simulates circuits: label metrics of classes that have a `SmallSignalBench`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from genrf import classes, technology
from genrf.circuit_class import CircuitClass
from genrf.metrics import Metrics
from genrf.simulation.band import Band
from genrf.simulation.batched import operating_point, solver
from genrf.simulation.batched.bench import Parts, SmallSignal, SmallSignalBench, Sweep
from genrf.simulation.batched.circuits import Packed, pack
from genrf.simulation.outcome import Failure, Outcome, Simulation
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
        device: ``cpu`` or ``cuda``.
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
            MissingToolError: if a GPU is asked for that is not there.
        """
        outcomes: dict[int, Outcome] = {}
        for name in dict.fromkeys(s.circuit.topology.circuit_class for s in simulations):
            own = [n for n, s in enumerate(simulations) if s.circuit.topology.circuit_class == name]
            measured = self._measured(classes.get(name), [simulations[n] for n in own], curves)
            outcomes |= zip(own, measured, strict=True)
        return [outcomes[number] for number in range(len(simulations))]

    def parts(self, simulations: Sequence[Simulation]) -> dict[str, NDArray[np.float64]]:
        """Label metrics of circuits of one class as `SmallSignalBench.parts` has them, (circuits, K) each.

        Returns:
            Not-a-number where a circuit has no metrics.
        """
        definition = classes.get(simulations[0].circuit.topology.circuit_class)
        bench = _bench(definition)
        packed = pack(simulations, self._technology)
        found, rows, _ = self._found(simulations, packed, bench.sweep)
        works = np.array([failure is None for failure in bench.failures(found, self._technology)], bool)
        whole: dict[str, NDArray[np.float64]] = {}
        for name, values in bench.parts(found).items():
            whole[name] = np.full((len(simulations), values.shape[1]), np.nan)
            whole[name][rows[works]] = values[works]
        return whole

    def _measured(self, definition: CircuitClass, simulations: Sequence[Simulation], curves: bool) -> list[Outcome]:
        bench = _bench(definition)
        packed = pack(simulations, self._technology)
        found, rows, unsolved = self._found(simulations, packed, bench.sweep)
        outcomes = {number: Outcome(None, failure) for number, failure in {**packed.refused, **unsolved}.items()}
        worst = _worst(definition, bench.parts(found))
        failures = bench.failures(found, self._technology)
        edges = found.edges_hz.tolist()
        for row, (number, failure) in enumerate(zip(rows.tolist(), failures, strict=True)):
            values = {name: column[row] for name, column in worst.items()}
            failure = failure or _not_measurable(values)
            if failure is not None:
                outcomes[number] = Outcome(None, failure)
                continue
            centre_hz = simulations[number].conditions.frequency_hz
            notes = Band.of((edges[row][0], edges[row][1]), centre_hz, bench.span).notes
            outcomes[number] = Outcome(Metrics(values), notes=notes)
        if curves:
            wide, wide_rows, _ = self._found(simulations, packed, bench.curve_sweep)
            for row, number in enumerate(wide_rows.tolist()):
                if outcomes[number].metrics is not None:
                    outcomes[number] = replace(outcomes[number], curves=bench.curves(wide, row))
        return [outcomes[number] for number in range(len(simulations))]

    def _found(
        self, simulations: Sequence[Simulation], packed: Packed, sweep: Sweep
    ) -> tuple[SmallSignal, NDArray[np.int64], dict[int, Failure]]:
        """What is found of the circuits that have an operating point, which simulations these are, and why others have none."""
        centres = np.array([simulations[number].conditions.frequency_hz for number in packed.numbers])
        results = self._solve(packed, centres[:, None] * sweep.ratios, sweep)
        good = np.nonzero(results.end == operating_point.CONVERGED)[0]
        rows = packed.numbers[good]
        found = SmallSignal(
            simulations=[simulations[number] for number in rows],
            s=results.s[good],
            noise=results.noise[good],
            edges_hz=results.edges_hz[good],
            power_w=results.power_w[good],
            transistors=[packed.transistors[row] for row in good],
            collector_a=results.collector_a[good],
            vce_v=results.vce_v[good],
        )
        ends = zip(packed.numbers.tolist(), results.end.tolist(), strict=True)
        return found, rows, {number: _FAILURES[end] for number, end in ends if end != operating_point.CONVERGED}

    def _solve(self, packed: Packed, frequencies: NDArray[np.float64], sweep: Sweep) -> solver.Results:
        if self._device == "cpu":
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


def _bench(definition: CircuitClass) -> SmallSignalBench:
    if definition.small_signal is None:
        raise ValueError(f"class {definition.name} is not measured in small signal alone")
    return definition.small_signal


def _worst(definition: CircuitClass, parts: Parts) -> dict[str, list[float]]:
    """Each label metric of every circuit."""
    return {
        name: (values.min(axis=1) if definition.metrics[name].better == "higher" else values.max(axis=1)).tolist()
        for name, values in parts.items()
    }


def _not_measurable(values: dict[str, float]) -> Failure | None:
    for name, value in values.items():
        if not math.isfinite(value):
            return Failure("not_measurable", f"{name} is {value}")
    return None
