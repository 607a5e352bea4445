"""What ``genrf simulate`` does: written designs again, at every combination of corner, temperature and supply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from genrf import technology
from genrf.errors import InvalidInputError
from genrf.export.design_file import read_design
from genrf.simulation.judge import Outcome, Simulation, run_in_processes
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
    """
    read = [(path, *read_design(path)) for path in design_files]
    if spec_file is not None:
        other = DesignSpec.from_yaml(spec_file)
        read = [(path, design, other) for path, design, _ in read]
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
        own = spec.conditions
        for corner, temperature, supply in product(
            sweep.corners or [own.corner],
            sweep.temperatures_c or [own.temperature_c],
            sweep.supplies_v or [own.supply_v],
        ):
            conditions = replace(own, corner=corner, temperature_c=temperature, supply_v=supply)
            simulation = Simulation(design.circuit, conditions, signoff or spec.needs_signoff)
            jobs.append((path, replace(spec, conditions=conditions), simulation))
            processes.append(process.name)
    outcomes = run_in_processes([simulation for _, _, simulation in jobs], processes)
    return [Resimulated(path, spec, outcome) for (path, spec, _), outcome in zip(jobs, outcomes, strict=True)]
