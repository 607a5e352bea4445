"""What ``genrf generate`` does: search, refinement, ranking, curves and files, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.errors import GenRFError
from genrf.export.folder import PlotWorker, check_free, write_result
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.generation.design import over_objectives
from genrf.generation.objectives import in_small_signal, parse_objectives
from genrf.generation.robust import ranked_by_corners
from genrf.signoff import MISSING, SignedOff, require_second_simulator, second_opinions
from genrf.simulation.outcome import Outcome, Simulation
from genrf.simulation.vacask.locate import installed

if TYPE_CHECKING:
    from genrf.feedback.log import FeedbackLog
    from genrf.generation.design import DesignResult
    from genrf.generation.designer import Designer
    from genrf.generation.record import Progress
    from genrf.spec import DesignSpec


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for besides the specification."""

    calls: int = 64
    """SPICE calls of the search."""
    refine: int = 0
    """SPICE calls after it, for a better trade-off."""
    pareto: str | None = None
    """Metrics to trade off, with commas between them; None for those of the class if there is refinement, else for none."""
    robust: bool = False
    """Whether the best designs are ranked by the process corners that they hold at."""
    until_met: bool = False
    """Whether the search ends with the first design that meets the specification."""
    signoff: bool = False
    """Whether the designs that are written are signed off, in both simulators."""
    seed: int = 0
    designs: int = 3
    """Designs that are written."""


def generate(
    spec: DesignSpec,
    request: Request,
    folder: Path,
    *,
    open_designer: Callable[[], Designer],
    progress: Callable[[int], AbstractContextManager[Progress | None]],
    warn: Callable[[str], None],
    overwrite: bool = False,
    feedback: FeedbackLog | None = None,
) -> DesignResult:
    """Design circuits for a specification and write them to a folder.

    Args:
        spec: specification to meet.
        request: what to spend on it and how to rank.
        folder: folder to write, which must not exist yet unless it may be overwritten.
        open_designer: gives the designer, once all else has been checked.
        progress: gives a context with the callback of a bar, for a number of SPICE calls.
        warn: is told of what the models have never seen the like of, of designs that are written without curves, and of a
            search that could not be recorded.
        overwrite: whether an existing folder is replaced.
        feedback: where the search is recorded, once its designs are written.

    Raises:
        InvalidInputError: for metrics that cannot be traded off, or a folder that is in the way.
        GenRFError: if nothing can be written to the feedback log; before any work is done.
        MissingToolError: if refinement needs BoTorch and that is not installed, or the specification bounds what only
            VACASK measures and that is not.
    """
    require_second_simulator(spec)
    traded = request.refine or request.pareto is not None
    objectives = parse_objectives(spec, request.pareto) if traded else ()
    if request.refine and not in_small_signal(spec, objectives):
        from genrf.generation.refine import require_botorch

        require_botorch()
    check_free(folder, overwrite=overwrite)
    if feedback is not None:
        feedback.check()
    # Before the plot worker starts: whatever is wrong with the bundle is said at once.
    opened = open_designer()
    with PlotWorker() as plots:
        with opened as designer:
            for sentence in designer.beyond_precedents(spec):
                warn(sentence)
            with progress(request.calls + request.refine) as advance:
                result = designer.design(
                    spec, calls=request.calls, seed=request.seed, stop_when_met=request.until_met, progress=advance
                )
                if request.refine:
                    result = designer.refine(
                        result, calls=request.refine, objectives=objectives, seed=request.seed, progress=advance
                    )
            if objectives and not request.refine:
                result = over_objectives(result, objectives)
            if request.robust:
                result = ranked_by_corners(result, designer.simulate)
            if request.signoff:
                result = _signed_off(designer, result, request.designs, warn)
            curves = _curves(designer, result, request.designs, warn)
        write_result(folder, result, curves, plots, overwrite=overwrite)
    if feedback is not None:
        _record(feedback, result, request, designer.provenance, warn)
    return result


def _record(
    log: FeedbackLog, result: DesignResult, request: Request, provenance: Mapping[str, Any], warn: Callable[[str], None]
) -> None:
    """Write the search to the feedback log; a log that fails by now costs no designs."""
    record = SearchRecord.of_result(
        result,
        source="command line",
        model=ModelVersion(bundle=provenance["bundle"]),
        variant=provenance["precision"],
        calls=request.calls + request.refine,
    )
    try:
        log.append([record])
    except GenRFError as error:
        warn(f"the designs are written, but the search is not recorded: {error}")


def _signed_off(designer: Designer, result: DesignResult, count: int, warn: Callable[[str], None]) -> DesignResult:
    """The result with its best designs measured for sign-off in ngspice and, where it is installed, in VACASK."""
    best = result.designs[:count]
    jobs = [Simulation(design.circuit, result.spec.conditions, signoff=True) for design in best]
    first = designer.simulate(jobs)
    second: list[Outcome | None] = [None] * len(jobs)
    if installed():
        second = second_opinions(jobs, [design.technology for design in best])
    else:
        warn(MISSING)
    return replace(result, signed_off=tuple(SignedOff(*pair) for pair in zip(first, second, strict=True)))


def _curves(designer: Designer, result: DesignResult, count: int, warn: Callable[[str], None]) -> list[Any]:
    """Measured curves of the best designs, simulated once more for them; none where that goes beyond what converges."""
    jobs = [Simulation(design.circuit, result.spec.conditions) for design in result.designs[:count]]
    outcomes = designer.simulate(jobs, curves=True)
    for number, outcome in enumerate(outcomes, start=1):
        if outcome.failure is not None:
            warn(f"design {number} is written without curves ({outcome.failure.cause}: {outcome.failure.detail})")
    return [outcome.curves for outcome in outcomes]
