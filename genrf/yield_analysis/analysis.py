"""Simulate a study: what is left of its runs, then its corners."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from genrf.signoff import require_second_simulator
from genrf.simulation.judge import Judge
from genrf.yield_analysis.result import YieldResult
from genrf.yield_analysis.run_log import RunLog
from genrf.yield_analysis.study import YieldStudy

CHUNK = 50
"""Runs between two writes to the log: what a kill costs at most."""


def analyse(
    study: YieldStudy,
    runs: int,
    log: RunLog,
    pool: Judge,
    progress: Callable[[int, int], None] | None = None,
) -> YieldResult:
    """Simulate the runs that the log lacks, and the corners.

    Args:
        runs: of which the log may hold some, or more.
        progress: called with the runs done and the runs wanted.

    Raises:
        MissingToolError: if the specification bounds what only the second simulator measures, which is not installed.
    """
    require_second_simulator(study.spec)
    missing = range(len(log.outcomes), runs)
    outcomes = pool.run_iter(study.simulation(run) for run in missing)
    while chunk := list(islice(outcomes, CHUNK)):
        log.append(chunk)
        if progress is not None:
            progress(len(log.outcomes), runs)
    corners = study.corners()
    at_corners = pool.run(list(corners.values()))
    return YieldResult(study=study, outcomes=log.outcomes[:runs], corners=dict(zip(corners, at_corners, strict=True)))
