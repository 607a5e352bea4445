"""A test double for `genrf.generation.designer.Designer`: it proposes given circuits, and really simulates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from genrf.circuit.topology import Circuit
from genrf.generation.design import Design, DesignResult, FailedCircuit, ranked
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Outcome, Simulation
from genrf.spec import DesignSpec


class ScriptedDesigner:
    """Simulates the circuits that it was given instead of searching for some."""

    def __init__(self, circuits: Sequence[Circuit], workers: int = 1) -> None:
        self._circuits = list(circuits)
        self._pool = Judge(workers=workers)

    @property
    def circuit_classes(self) -> tuple[str, ...]:
        return tuple({circuit.topology.circuit_class for circuit in self._circuits})

    @property
    def provenance(self) -> dict[str, str]:
        return {"bundle": "0" * 64, "precision": "fp32"}

    def __enter__(self) -> ScriptedDesigner:
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)

    def beyond_precedents(self, spec: DesignSpec) -> list[str]:
        return []

    def simulate(self, simulations: Sequence[Simulation], *, curves: bool = False) -> list[Outcome]:
        return self._pool.run(simulations, curves=curves)

    def design(
        self, spec: DesignSpec, *, calls: int = 64, seed: int | None = None, stop_when_met: bool = False, progress=None
    ) -> DesignResult:
        own = [circuit for circuit in self._circuits if circuit.topology.circuit_class == spec.circuit_class]
        circuits = own[:calls]
        designs, failed, first = [], [], None
        outcomes = self._pool.run([Simulation(circuit, spec.conditions, spec.needs_signoff) for circuit in circuits])
        for order, (circuit, outcome) in enumerate(zip(circuits, outcomes, strict=True), start=1):
            if outcome.metrics is None:
                failed.append(FailedCircuit(circuit, outcome.failure.cause))
                if progress is not None:
                    progress(order, calls)
                continue
            provenance = {"technology": "sg13g2", "seed": seed or 0, "order": order, "source": "script"}
            design = Design.judged(circuit, outcome.metrics, spec, provenance)
            first = order if design.met and first is None else first
            designs.append(design)
            if progress is not None:
                progress(order, calls, design)
            if design.met and stop_when_met:
                break
        return DesignResult(
            spec=spec,
            designs=ranked(designs, spec),
            simulated=len(designs) + len(failed),
            failed=dict(Counter(cause for _, cause in failed)),
            failed_circuits=tuple(failed),
            first_met=first,
            seconds={"spice": 0.0},
        )
