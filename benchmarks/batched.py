"""How fast and how right the batched simulator is, next to everything else that simulates the same circuits.

    python benchmarks/batched.py                       # on the processor, next to ngspice and VACASK
    python benchmarks/batched.py --sedes PYTHON        # and next to sedes, of an environment that has it
    python benchmarks/batched.py --device cuda         # on a GPU, 11 frequencies and noise

On the processor every simulator has the same amplifiers (drawn from the grammar with first-order values; those that do not
simulate are left out), and the same analyses: the operating point, S-parameters at 26 frequencies and the noise at f0. Times are
processor time a circuit, of all processes and threads, what prepares and reads included for the batched simulator.

    kernels    the batched simulator's compiled code alone, on packed circuits
    batched    circuits in, all label metrics out, the band's edges too
    pool       ngspice in worker processes as `SimulatorPool` has it, the worker's time
    sedes      ngspice in worker processes as PyPI's sedes has it, our netlists, its processes' time
    process    one ``ngspice -b`` process a circuit with the PDK's library, 11 frequencies

On a GPU the circuits are as many as asked for, by repetition; times are of the wall. The last line is one JSON object. Other work
on the machine slows all; processor time a circuit is less sensitive to it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from simulation import LNA, PROCESS, draw_circuits, time_baseline

from genrf.classes.lna.testbench import LnaTestbench
from genrf.errors import MissingToolError
from genrf.simulation.batched import solver
from genrf.simulation.batched.circuits import Circuits, Packed, pack
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from training.running.machine import commit

BENCH = LNA.small_signal
BAND = np.concatenate([[1.0], np.delete(np.linspace(0.75, 1.25, 11), 5)])

SEDES = """
import json, os, resource, sys
import sedes

def children():
    total = 0.0
    for task in os.listdir("/proc/self/task"):
        for process in open(f"/proc/self/task/{task}/children").read().split():
            fields = open(f"/proc/{process}/stat").read().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total

jobs = [(netlist, commands) for netlist, commands in json.load(sys.stdin)]
pool = sedes.SimulationPool(workers=int(sys.argv[1]))
pool.run_simulations_batch(jobs[:8])
before = children(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
results = pool.run_simulations_batch(jobs)
done = sum(result.success for result in results)
print(json.dumps([done, children() - before[0], sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before[1]]))
"""
"""Run by another interpreter: circuits simulated, processor time of its workers, and its own."""


def find_library() -> str:
    """The path of the system's libngspice."""
    lines = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout.splitlines()
    return next(line.rpartition("=> ")[2] for line in lines if "libngspice.so.0" in line)


def processor_seconds(process: int) -> float:
    """Processor time of a running process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_pool(simulations: list[Simulation], workers: int) -> float:
    """Seconds a circuit."""
    with SimulatorPool(workers) as pool:
        pool.run(simulations[: 20 * workers])
        before = sum(map(processor_seconds, pool.process_ids))
        pool.run(simulations)
        return (sum(map(processor_seconds, pool.process_ids)) - before) / len(simulations)


def time_batched(simulations: list[Simulation], workers: int) -> float:
    """Seconds a circuit, label metrics out."""
    simulator = BatchedSimulator(workers)
    simulator.run(simulations[:16])
    before = time.process_time()
    for first in range(0, len(simulations), 256):
        simulator.run(simulations[first : first + 256])
    return (time.process_time() - before) / len(simulations)


def frequencies(packed: Packed, simulations: list[Simulation], ratios: np.ndarray) -> np.ndarray:
    """Frequencies in Hz, (B, F)."""
    centres = np.array([simulations[number].conditions.frequency_hz for number in packed.numbers])
    return centres[:, None] * ratios


def time_kernels(simulations: list[Simulation], workers: int) -> float:
    """Seconds a circuit, packed before and no metrics made."""
    assert BENCH is not None
    packed = pack(simulations, PROCESS)
    asked = frequencies(packed, simulations, BENCH.sweep.ratios)
    before = time.process_time()
    solver.small_signal(packed.circuits, packed.cards, asked, noise_points=1, workers=workers)
    return (time.process_time() - before) / len(simulations)


def time_sedes(python: str, simulations: list[Simulation], workers: int) -> tuple[float, float]:
    """Seconds a circuit of its workers, and of the process that asks them."""
    assert isinstance(LNA.testbench, LnaTestbench)
    decks = [LNA.testbench.deck(s.circuit, s.conditions, PROCESS) for s in simulations]
    jobs = [("\n".join([*deck.netlist, ".end"]), list(deck.analyses)) for deck in decks]
    # The same library as ours: what sedes brings with it wants a newer libstdc++ than Debian 12 has.
    environment = os.environ | {"NGSPICE_LIBRARY_PATH": os.environ.get("NGSPICE_LIBRARY_PATH", find_library())}
    command = [python, "-c", SEDES, str(workers)]
    run = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, check=True, env=environment)
    done, children, own = json.loads(run.stdout.splitlines()[-1])
    if done < len(simulations):
        raise RuntimeError(f"sedes simulated {done} of {len(simulations)} circuits")
    return children / done, own / done


def differences(simulations: list[Simulation]) -> dict[str, Any]:
    """Largest differences from VACASK; nothing if that is not installed."""
    from genrf.simulation.vacask.many import small_signals
    from genrf.simulation.vacask.small_signal import SmallSignal

    try:
        others = small_signals(simulations, PROCESS.name)
    except MissingToolError as error:
        print(error, file=sys.stderr)
        return {"worst_gain_db": None, "worst_nf_db": None}
    gain, noise = [], []
    for simulation, outcome, other in zip(simulations, BatchedSimulator().run(simulations), others, strict=True):
        if outcome.metrics is not None and isinstance(other, SmallSignal):
            gain.append(abs(outcome.metrics["gain_db"] - other.decibels_at(simulation.conditions.frequency_hz, 2, 1)))
            noise.append(abs(outcome.metrics["nf_db"] - float(other.nf_db[0])))
    return {
        "vacask_circuits": len(gain),
        "median_gain_db": float(np.median(gain)),
        "worst_gain_db": max(gain),
        "worst_nf_db": max(noise),
    }


def on_processor(options: argparse.Namespace) -> dict[str, Any]:
    """All simulators on the processor."""
    drawn = draw_circuits(options.circuits, options.seed)
    working = [
        s for s, outcome in zip(drawn, BatchedSimulator().run(drawn), strict=True) if outcome.metrics is not None
    ]
    with SimulatorPool(options.workers) as pool:
        working = [s for s, outcome in zip(working, pool.run(working), strict=True) if outcome.metrics is not None]
    seconds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, measure in (("kernels", time_kernels), ("batched", time_batched), ("pool", time_pool)):
            seconds.setdefault(name, []).append(measure(working, options.workers))
        if options.sedes:
            workers, asking = time_sedes(options.sedes, working, options.workers)
            seconds.setdefault("sedes", []).append(workers + asking)
        few = working[: options.baseline_circuits]
        seconds.setdefault("process", []).append(time_baseline(few, options.workers)[1] * 1e-3)
    best = {name: min(found) for name, found in seconds.items()}
    report = {
        "circuits": len(working),
        "rounds_us": {name: [round(1e6 * value, 1) for value in found] for name, found in seconds.items()},
        "us": {name: round(1e6 * value, 1) for name, value in best.items()},
        **{
            f"ratio_{'batch_process' if name == 'process' else name}": round(best[name] / best["batched"], 1)
            for name in ("pool", "sedes", "process")
            if name in best
        },
        "kernels_ratio_pool": round(best["pool"] / best["kernels"], 1),
        **differences(working[: options.vacask_circuits]),
    }
    print(f"{'':12}{'us a circuit':>14}{'of batched':>12}")
    for name, value in best.items():
        print(f"{name:12}{1e6 * value:14.1f}{value / best['batched']:12.1f}")
    return report


def on_gpu(options: argparse.Namespace) -> dict[str, Any]:
    """Circuits a second on a GPU, with and without their way to and from it."""
    from genrf.simulation.batched import gpu

    simulations = sorted(draw_circuits(options.circuits, options.seed), key=lambda s: repr(s.circuit.topology))
    packed = pack(simulations, PROCESS)
    asked = frequencies(packed, simulations, BAND)
    reference = solver.small_signal(packed.circuits, packed.cards, asked, noise_points=1)
    found = gpu.small_signal(packed.circuits, packed.cards, asked, noise_points=1)
    good = (reference.end == 0) & (found.end == 0)
    apart = np.abs(20.0 * np.log10(np.abs(found.s[good, 0, 2] / reference.s[good, 0, 2])))
    index = np.sort(np.arange(options.repeat) % len(packed.numbers))
    many = Circuits(*(array[index] for array in packed.circuits))
    wall, kernel = [], []
    for _ in range(options.rounds + 1):
        start = time.perf_counter()
        results = gpu.small_signal(many, packed.cards, asked[index], noise_points=1)
        wall.append(time.perf_counter() - start)
        kernel.append(gpu.kernel_seconds(many, packed.cards, asked[index], noise_points=1))
    digests = {hash(gpu.small_signal(many, packed.cards, asked[index], noise_points=1).s.tobytes()) for _ in range(2)}
    report = {
        "gpu": gpu.name(),
        "circuits": options.repeat,
        "distinct": len(packed.numbers),
        "converged": int((results.end == 0).sum()),
        "circuits_per_s": round(options.repeat / min(wall[1:])),
        "kernel_circuits_per_s": round(options.repeat / min(kernel[1:])),
        "equal_bytes": len(digests) == 1,
        "largest_gain_difference_from_processor_db": float(apart.max()),
    }
    print(f"{report['circuits_per_s']:,} circuits a second, {report['kernel_circuits_per_s']:,} in the kernel")
    return report


def main() -> None:
    """Measure, print a table, and the JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--circuits", type=int, default=2000, help="circuits to draw (default 2000)")
    parser.add_argument("--baseline-circuits", type=int, default=60, help="of them for ngspice -b (default 60)")
    parser.add_argument("--vacask-circuits", type=int, default=200, help="of them for VACASK (default 200)")
    parser.add_argument("--repeat", type=int, default=1_000_000, help="circuits on a GPU (default 1,000,000)")
    parser.add_argument("--workers", type=int, default=2, help="processes and threads at once (default 2)")
    parser.add_argument("--rounds", type=int, default=2, help="times that everything is measured (default 2)")
    parser.add_argument("--sedes", metavar="PYTHON", help="interpreter of an environment with sedes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = on_gpu(options) if options.device == "cuda" else on_processor(options)
    whole = {
        "benchmark": "batched",
        "device": options.device,
        "workers": options.workers,
        **report,
        "technology": PROCESS.version,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "commit": commit(),
    }
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
