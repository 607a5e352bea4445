"""How fast circuits of every class are simulated, next to one ``ngspice -b`` process a circuit, and where the time goes.

Run with::

    python benchmarks/classes.py                        # every class, two workers
    python benchmarks/classes.py --classes pa vco --circuits 200

For each class circuits are drawn as training data is: topologies from the grammar, first-order values, random
frequency and supply. ``pool`` is the rate of label metrics through `SimulatorPool`, failed circuits included;
``working`` the rate on those that succeeded. The baseline runs the stand-alone netlists of some of those, which print
the same metrics, in as many processes at once. Where the time goes is measured in this process, by analysis. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import numpy as np

from genrf import classes, technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.errors import GenRFError
from genrf.simulation.engine import measure
from genrf.simulation.library import REMEDY, library, simulator_version
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import WORKER_ENVIRONMENT, SimulatorPool
from training.data.breeding import SearchSpace, random_candidate
from training.running.machine import commit

SPACE = SearchSpace(frequency_min_hz=2e9, frequency_max_hz=60e9, supplies_v=(1.2, 1.5, 1.8, 2.5, 3.3), bands=1)
TECHNOLOGY = "sg13g2"
CIRCUITS = {"lna": 1500, "filter": 1500}
FEW = 150
"""Circuits of the classes that need a periodic steady state."""


def draw(name: str, count: int, seed: int) -> tuple[list[Simulation], float]:
    """Circuits of a class as a first round of training data has them, and the seconds that it took to draw them."""
    rng = np.random.default_rng(seed)
    process = technology.get(TECHNOLOGY)
    start = time.perf_counter()
    candidates = [random_candidate(name, SPACE, process, rng) for _ in range(count)]
    return [Simulation(c.circuit, c.conditions) for c in candidates], time.perf_counter() - start


def rate(pool: SimulatorPool, jobs: list[Simulation]) -> tuple[float, list[Simulation], dict[str, int]]:
    """Circuits a second, those that simulated, and the others by cause."""
    start = time.perf_counter()
    outcomes = pool.run(jobs)
    seconds = time.perf_counter() - start
    working = [job for job, outcome in zip(jobs, outcomes, strict=True) if outcome.metrics is not None]
    causes: dict[str, int] = Counter(outcome.failure.cause for outcome in outcomes if outcome.failure is not None)
    return len(jobs) / seconds, working, causes


def baseline(jobs: list[Simulation], processes: int) -> tuple[float, float]:
    """Circuits a second as one ``ngspice -b`` process each, and the largest relative difference of a metric."""
    process = technology.get(TECHNOLOGY)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as threads:
        paths = []
        for index, job in enumerate(jobs):
            paths.append(Path(folder, f"{index}.spice"))
            paths[-1].write_text(standalone_netlist(job.circuit, job.conditions, process), encoding="utf-8")
        names = [job.circuit.topology.circuit_class for job in jobs]
        start = time.perf_counter()
        results = list(threads.map(_run, paths, names))
        seconds = time.perf_counter() - start
    worst = 0.0
    for job, found in zip(jobs, results, strict=True):
        expected = measure(library(), job, TECHNOLOGY).metrics
        if expected is None or found is None:
            worst = math.nan
            continue
        for name in found:
            worst = max(worst, abs(found[name] - expected[name]) / max(abs(expected[name]), 1e-12))
    return len(jobs) / seconds, worst


def _run(path: Path, name: str) -> dict[str, float] | None:
    try:
        return dict(run_standalone(path, name))
    except GenRFError as error:
        print(f"ngspice -b: {error}", file=sys.stderr)
        return None


def breakdown(jobs: list[Simulation]) -> dict[str, float]:
    """Milliseconds a circuit by analysis; ``rest`` is loading the netlist and reading results."""
    spent: defaultdict[str, float] = defaultdict(float)
    simulator = library()
    run = simulator.command

    def timed(*commands: str) -> None:
        for command in commands:
            begun = time.perf_counter()
            try:
                run(command)
            finally:
                word = command.split()[0]
                spent["tran" if word == "resume" else word] += time.perf_counter() - begun

    with patch.object(simulator, "command", timed):
        start = time.perf_counter()
        for job in jobs:
            measure(simulator, job, TECHNOLOGY)
        total = time.perf_counter() - start
    parts = {
        name: seconds for name, seconds in sorted(spent.items(), key=lambda part: -part[1]) if seconds > 0.01 * total
    }
    parts["rest"] = total - sum(parts.values())
    return {name: round(1e3 * seconds / len(jobs), 2) for name, seconds in parts.items()}


def main() -> None:
    """Measure every class, print a table, and the JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", nargs="+", default=list(classes.names()), choices=classes.names())
    parser.add_argument("--circuits", type=int, help=f"circuits of each class (default {CIRCUITS} and else {FEW})")
    parser.add_argument("--baseline-circuits", type=int, default=8, help="for the baseline (default 8)")
    parser.add_argument("--workers", type=int, default=2, help="processes at once (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if shutil.which("ngspice") is None:
        sys.exit(f"ngspice: the program is not installed; {REMEDY}")
    os.environ.update(WORKER_ENVIRONMENT)

    report: dict[str, object] = {"benchmark": "classes", "workers": arguments.workers, "classes": {}}
    columns = ("class", "pool/s", "working/s", "ngspice -b/s", "ratio", "useful %", "drawing ms", "where the time goes")
    print(f"{columns[0]:8}" + "".join(f"{column:>14}" for column in columns[1:]))
    for name in arguments.classes:
        jobs, drawing = draw(name, arguments.circuits or CIRCUITS.get(name, FEW), arguments.seed)
        with SimulatorPool(arguments.workers, technology=TECHNOLOGY) as pool:
            pool.run(jobs[: 2 * arguments.workers])
            all_rate, working, causes = rate(pool, jobs)
            working_rate, _, _ = rate(pool, working)
            useful = sum(
                classes.get(name).is_useful(outcome.metrics)
                for outcome in pool.run(working)
                if outcome.metrics is not None
            )
        base_rate, difference = baseline(working[: arguments.baseline_circuits], arguments.workers)
        parts = breakdown(jobs[: max(20, len(jobs) // 10)])
        report["classes"][name] = {  # type: ignore[index]
            "circuits": len(jobs),
            "circuits_per_s": round(all_rate, 1),
            "working_per_s": round(working_rate, 1),
            "baseline_per_s": round(base_rate, 2),
            "ratio": round(working_rate / base_rate, 1),
            "useful_share": round(useful / len(jobs), 3),
            "failures": dict(causes),
            "drawing_ms": round(1e3 * drawing / len(jobs), 2),
            "milliseconds_by_analysis": parts,
            "largest_difference": difference,
        }
        figures = (all_rate, working_rate, base_rate, working_rate / base_rate, 100 * useful / len(jobs))
        print(
            f"{name:8}" + "".join(f"{figure:14.1f}" for figure in (*figures, 1e3 * drawing / len(jobs))) + f"  {parts}"
        )
    report |= {
        "simulator": simulator_version(),
        "technology": technology.get(TECHNOLOGY).version,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "commit": commit(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
