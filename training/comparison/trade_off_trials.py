"""Runs of the comparison of refinement with searches from scratch, one process a core, each kept as soon as it is finished."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genrf import technology
from genrf.circuit.topology import Circuit
from genrf.generation.design import DesignResult
from genrf.generation.opening import open_designer
from genrf.metrics import Metrics
from genrf.progress import progress_bar
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec
from training.comparison import trade_off_searches as trade_off_baselines
from training.comparison.trade_off_searches import SpentError

TECHNOLOGY = "sg13g2"
REFINING = ("refined", "bayesian")
GENERATING = (*REFINING, "generator")
SCRATCH = {"nsga2": trade_off_baselines.nsga2, "botorch": trade_off_baselines.botorch}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One method on one specification with one seed."""

    method: str
    specification: dict[str, Any]
    objectives: tuple[str, ...]
    seed: int
    calls: int
    first: int
    bundle: str
    """Identity of the models; empty for methods without."""

    @property
    def key(self) -> str:
        """What a finished run is recognised by."""
        return json.dumps(asdict(self), sort_keys=True)


class Ledger:
    """Simulates circuits for a method, counts calls, and keeps what meets the specification."""

    def __init__(self, pool: Judge, spec: DesignSpec, objectives: Sequence[str], calls: int) -> None:
        self._pool, self._spec, self._objectives, self._left = pool, spec, objectives, calls
        self.spent = self.failed = 0
        self.points: list[list[float]] = []
        """Of each circuit that meets the specification: number of the call, then the objectives."""

    def __call__(self, circuits: Sequence[Circuit]) -> list[Metrics | None]:
        """The metrics of circuits; as many as calls are left are simulated even if that are too few."""
        chosen = circuits[: self._left]
        found = []
        for outcome in self._pool.run_iter([Simulation(circuit, self._spec.conditions) for circuit in chosen]):
            self.spent, self._left = self.spent + 1, self._left - 1
            found.append(outcome.metrics)
            if outcome.metrics is None:
                self.failed += 1
            elif self._spec.meets(outcome.metrics):
                self.points.append([self.spent, *(outcome.metrics[name] for name in self._objectives)])
        if len(chosen) < len(circuits) or self._left == 0:
            raise SpentError
        return found


def run(task: Task, bundle: Path) -> dict[str, Any]:
    """Carry out one task; plain data, a line of the output file."""
    spec = DesignSpec.from_dict(task.specification)
    start = time.perf_counter()
    if task.method in GENERATING:
        with open_designer(bundle, workers=1, threads=1, seed=task.seed) as designer:
            first = task.first if task.method in REFINING else task.calls
            result = designer.design(spec, calls=first)
            if task.method in REFINING:
                result = designer.refine(
                    result,
                    calls=task.calls - first,
                    objectives=task.objectives,
                    descend=task.method != "bayesian",
                )
        points, failed, spent, stages = *_of_result(result, task.objectives), result.simulated, result.seconds
    else:
        with Judge(workers=1, technology=TECHNOLOGY) as pool:
            ledger = Ledger(pool, spec, task.objectives, task.calls)
            search, process = SCRATCH[task.method], technology.get(TECHNOLOGY)
            with contextlib.suppress(SpentError):
                search(spec, task.objectives, process, ledger, task.calls, np.random.default_rng((task.seed, 23)))
            points, failed, spent, stages = ledger.points, ledger.failed, ledger.spent, {}
    return {
        "task": asdict(task),
        "points": points,
        "failed": failed,
        "spent": spent,
        "seconds": round(time.perf_counter() - start, 2),
        "stages": {name: round(seconds, 2) for name, seconds in stages.items()},
    }


def _of_result(result: DesignResult, objectives: Sequence[str]) -> tuple[list[list[float]], int]:
    met = sorted((d for d in result.designs if d.met), key=lambda design: design.provenance["order"])
    points = [[d.provenance["order"], *(d.metrics[name] for name in objectives)] for d in met]
    return points, sum(result.failed.values())


def finished(path: Path) -> dict[str, dict[str, Any]]:
    """Runs in the output file, by key; a line that was cut off counts for nothing."""
    runs = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            content = json.loads(line)
            content["task"]["objectives"] = tuple(content["task"]["objectives"])
            runs[Task(**content["task"]).key] = content
        except (ValueError, KeyError, TypeError):
            continue
    return runs


def carry_out(tasks: Sequence[Task], bundle: Path, path: Path, processes: int) -> list[dict[str, Any]]:
    """All tasks' runs; each is appended to the file as soon as it is finished."""
    done = finished(path)
    waiting = [task for task in tasks if task.key not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, progress_bar() as progress:
        # A line that was cut off stays by itself.
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            file.write("\n")
        for content in progress.track(_runs(waiting, bundle, processes), total=len(waiting), description="runs"):
            file.write(json.dumps(content) + "\n")
            file.flush()
            done[Task(**content["task"]).key] = content
    return [done[task.key] for task in tasks]


def _runs(tasks: Sequence[Task], bundle: Path, processes: int) -> Iterable[dict[str, Any]]:
    if processes == 1 or len(tasks) < 2:
        yield from (run(task, bundle) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(tasks)), _single_threaded) as pool:
        yield from pool.imap_unordered(partial(run, bundle=bundle), tasks)


def _single_threaded() -> None:
    import torch

    torch.set_num_threads(1)
