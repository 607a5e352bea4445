"""The generator on held-out specifications, one process a core: a search by itself does not fill many."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from genrf.generation.backend import OnnxBackend
from genrf.generation.bundle import Bundle
from genrf.generation.generate import Designer
from genrf.metrics import Metrics
from training.config import Config, PerClass, per_class
from training.progress import progress_bar
from training.specifications import HeldOutSpecification

GENERATOR = "generator"


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
    """Of the circuits that simulated."""


def bundle_designer(config: Config, bundle: Bundle) -> Designer:
    """A designer with exported models, on one core."""
    return Designer(
        OnnxBackend(bundle, threads=1),
        bundle.conditioning,
        bundle.sampler,
        workers=1,
        seed=config.seed,
        technology_name=config.technology,
    )


def generator_trials(
    open_designer: Callable[[], Designer],
    specifications: Sequence[HeldOutSpecification],
    calls: PerClass,
    *,
    description: str = GENERATOR,
    processes: int | None = None,
) -> list[Trial]:
    """Let the generator try every specification, stopping at the batch that meets it.

    Args:
        open_designer: makes a designer; must be picklable, since every process makes its own.
        processes: by default one a core.
    """
    processes = min(processes or len(os.sched_getaffinity(0)), max(1, len(specifications)))
    attempt = partial(_attempt, calls)
    with progress_bar() as progress:
        if processes == 1:
            with open_designer() as designer:
                return [attempt(item, designer) for item in progress.track(specifications, description=description)]
        # Spawned, because a forked process must not use the threads of PyTorch and ONNX Runtime that its parent started.
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes, _open, (open_designer,)) as pool:
            trials = pool.imap(attempt, specifications)
            return list(progress.track(trials, total=len(specifications), description=description))


_designer: Designer
"""Of a process of the pool."""


def _open(open_designer: Callable[[], Designer]) -> None:
    import torch

    global _designer
    torch.set_num_threads(1)
    _designer = open_designer().__enter__()


def _attempt(calls: PerClass, item: HeldOutSpecification, designer: Any = None) -> Trial:
    start = time.perf_counter()
    result = (designer or _designer).design(
        item.spec, calls=per_class(calls, item.spec.circuit_class), stop_when_met=True
    )
    return Trial(
        method=GENERATOR,
        circuit_class=item.spec.circuit_class,
        level=item.level,
        name=item.spec.name,
        first_met=result.first_met,
        simulated=result.simulated,
        failed=result.failed,
        seconds=time.perf_counter() - start,
        metrics=[design.metrics for design in result.designs],
    )
