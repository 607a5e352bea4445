"""What ``genrf simulate`` does: written designs again, at every combination of corner, temperature and supply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from genrf import technology
from genrf.errors import InvalidInputError
from genrf.export.design_file import read_design
from genrf.signoff import joined, require_second_simulator, second_opinions
from genrf.simulation.judge import run_in_processes
from genrf.simulation.outcome import Outcome, Simulation
from genrf.simulation.vacask.locate import installed
from genrf.spec import DesignSpec


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Conditions to combine; an empty sequence stands for the specification's own."""

    corners: Sequence[str] = ()
    temperatures_c: Sequence[float] = ()
    supplies_v: Sequence[float] = ()


@dataclass(frozen=True)
class Resimulated:
    """One simulation of one design."""

    path: Path
    """The design's file."""
    spec: DesignSpec
    """Specification that it is held against, under this simulation's conditions."""
    outcome: Outcome
    second: Outcome | None = None
    """What VACASK says of it; none unless signed off where it is installed."""

    @property
    def met(self) -> bool:
        """Whether it simulated and meets the specification."""
        return self.outcome.metrics is not None and self.spec.meets(self.outcome.metrics)


def resimulate(
    design_files: Sequence[Path], spec_file: Path | None, sweep: Sweep, *, signoff: bool = False
) -> list[Resimulated]:
    """Simulate designs on the process that each was made for.

    Args:
        design_files: files that ``genrf generate`` wrote.
        spec_file: specification to judge by; each design's own if None.
        sweep: conditions to simulate at.
        signoff: whether the metrics that take seconds are measured even if the specification does not need them.

    Raises:
        InvalidInputError: for unreadable files, unknown corners, or a specification of another class.
        MissingToolError: if a specification bounds what only VACASK measures, which is not installed.
    """
    read = [(path, *read_design(path)) for path in design_files]
    if spec_file is not None:
        other = DesignSpec.from_yaml(spec_file)
        read = [(path, design, other) for path, design, _ in read]
    # Then VACASK is asked for all that it can measure anyway.
    both = signoff and installed()
    jobs: list[tuple[Path, DesignSpec, Simulation]] = []
    processes: list[str] = []
    for path, design, spec in read:
        process = technology.get(design.technology)
        for name in sweep.corners:
            if name not in process.corners:
                raise InvalidInputError(f"--corner: unknown corner {name!r}; known: {', '.join(process.corners)}")
        if spec.circuit_class != design.circuit.topology.circuit_class:
            raise InvalidInputError(
                f"{path}: a design of class {design.circuit.topology.circuit_class},"
                f" which a specification of class {spec.circuit_class} cannot judge"
            )
        require_second_simulator(spec)
        own = spec.conditions
        for corner, temperature, supply in product(
            sweep.corners or [own.corner],
            sweep.temperatures_c or [own.temperature_c],
            sweep.supplies_v or [own.supply_v],
        ):
            conditions = replace(own, corner=corner, temperature_c=temperature, supply_v=supply)
            simulation = Simulation(
                design.circuit,
                conditions,
                signoff or spec.needs_signoff,
                second=bool(spec.second_metrics) and not both,
            )
            jobs.append((path, replace(spec, conditions=conditions), simulation))
            processes.append(process.name)
    simulations = [simulation for _, _, simulation in jobs]
    outcomes = run_in_processes(simulations, processes)
    second: list[Outcome | None] = [None] * len(jobs)
    if both:
        second = second_opinions(simulations, processes)
        outcomes = [
            joined(spec, outcome, other) for (_, spec, _), outcome, other in zip(jobs, outcomes, second, strict=True)
        ]
    return [
        Resimulated(path, spec, outcome, other)
        for (path, spec, _), outcome, other in zip(jobs, outcomes, second, strict=True)
    ]
