"""The best circuit that the generator designed for each class, drawn: schematic and measured curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genrf.generation.design import Design
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec
from training.data.specifications import HeldOutSpecification
from training.evaluation.trials import Trial

FOLDER = "circuits"
SCHEMATIC = "schematic.svg"
CURVES = "curves.svg"
HARDEST_LAST = ("relaxed", "exact", "tightened", "frontier")


def draw_showpieces(
    trials: Sequence[Trial], specifications: Sequence[HeldOutSpecification], technology: str, output: Path
) -> None:
    """Write ``circuits/<class>/`` with the pictures of one design for every class that met a specification."""
    from genrf.report.curves import plot_performance
    from genrf.report.schematic import write_schematic

    chosen = showpieces(trials, specifications)
    with Judge(technology=technology, workers=1) as pool:
        outcomes = pool.run(
            [Simulation(design.circuit, spec.conditions, spec.needs_signoff) for spec, design in chosen], curves=True
        )
    for (spec, design), outcome in zip(chosen, outcomes, strict=True):
        folder = output / FOLDER / spec.circuit_class
        folder.mkdir(parents=True, exist_ok=True)
        write_schematic(design.circuit, folder / SCHEMATIC, supply_v=spec.conditions.supply_v, title=spec.name)
        if outcome.curves:
            plot_performance(outcome.curves, spec, design.metrics, [folder / CURVES], spec.name)


def showpieces(
    trials: Sequence[Trial], specifications: Sequence[HeldOutSpecification]
) -> list[tuple[DesignSpec, Design]]:
    """For every class the design with the widest margin among those that met a specification of the hardest level."""
    specs = {(item.spec.circuit_class, item.level, item.spec.name): item.spec for item in specifications}
    best: dict[str, tuple[tuple[int, float], DesignSpec, Design]] = {}
    for trial in trials:
        if trial.best is None or not trial.best.met:
            continue
        level = HARDEST_LAST.index(trial.level) if trial.level in HARDEST_LAST else -1
        rank = (level, trial.best.margin)
        if trial.circuit_class not in best or rank > best[trial.circuit_class][0]:
            spec = specs[trial.circuit_class, trial.level, trial.name]
            best[trial.circuit_class] = (rank, spec, trial.best)
    return [(spec, design) for _, spec, design in best.values()]
