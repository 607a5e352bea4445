"""How fast circuits are simulated, next to one ``ngspice -b`` process a circuit with the PDK's own library file.

Run with::

    python benchmarks/simulation.py                   # two workers, 2,000 circuits, the baseline on 60 of them
    python benchmarks/simulation.py --workers 4 --circuits 10000

Three figures, on the same circuits (drawn from the amplifier grammar with first-order values; those that do not
simulate are left out of all three), in the same run:

    band         S-parameters at 11 frequencies and noise figure at f0, libngspice in worker processes, derived model
    cards baseline     the same two analyses, one ``ngspice -b`` process a circuit, ``.lib cornerHBT.lib hbt_typ`` and
    its subcircuit full labels  what training data needs (a second, wide sweep, operating limits, all metrics), through
    `SimulatorPool`

As many processes run at once in each. The last line is one JSON object. Other work on the machine slows all three;
processor time a circuit is less sensitive to it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from genrf import classes, technology
from genrf.circuit.topology import Circuit
from genrf.classes.lna.metrics import noise_figure_db
from genrf.classes.lna.testbench import LnaTestbench
from genrf.conditions import Conditions
from genrf.simulation.library import REMEDY, library, simulator_version
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import WORKER_ENVIRONMENT, SimulatorPool
from genrf.simulation.testbench import Deck
from genrf.technology.sg13g2 import model_cards, npn13g2
from training.running.machine import commit

PARAMETERS = ("S_1_1", "S_1_2", "S_2_1", "S_2_2")
PROCESS = technology.get("sg13g2")
LNA = classes.get("lna")


def draw_circuits(count: int, seed: int) -> list[Simulation]:
    """Random amplifiers at random frequencies and supplies."""
    rng = np.random.default_rng(seed)
    simulations = []
    for _ in range(count):
        topology = LNA.sample_topology(rng)
        frequency_hz = float(f"{10 ** rng.uniform(np.log10(2e9), np.log10(60e9)):.4g}")
        conditions = Conditions(frequency_hz=frequency_hz, supply_v=float(rng.choice([1.2, 1.5, 1.8, 2.5])))
        values = LNA.first_order_values(topology, conditions, rng)
        legal = (PROCESS.snap(device.kind, value) for device, value in zip(topology.devices, values, strict=True))
        simulations.append(Simulation(Circuit(topology, tuple(legal)), conditions))
    return simulations


def band_deck(simulation: Simulation) -> Deck:
    """The testbench's deck with the band sweep and the noise analysis only."""
    assert isinstance(LNA.testbench, LnaTestbench)
    deck = LNA.testbench.deck(simulation.circuit, simulation.conditions, PROCESS)
    band, _, noise = deck.analyses
    return replace(deck, analyses=(band, noise), saved=(*PARAMETERS, "inoise_spectrum", "v_supply#branch"))


def measure_band(simulation: Simulation) -> tuple[np.ndarray, float]:
    """S-parameters, shape (4, 11), and noise figure in dB, with the library of this process."""
    simulator = library()
    simulator.run(band_deck(simulation))
    scattering = np.array([simulator.vector("sp1", name) for name in PARAMETERS])
    noise = float(simulator.vector("noise1", "inoise_spectrum")[0])
    return scattering, noise_figure_db(noise, simulation.conditions.source_ohm)


def band_process(
    simulations: list[Simulation], start: Barrier, results: multiprocessing.SimpleQueue[tuple[float, float]]
) -> None:
    """One of the processes of the ``band`` figure: wall and processor time for its share."""
    for simulation in simulations[:20]:
        measure_band(simulation)
    start.wait()
    wall, processor = time.perf_counter(), time.process_time()
    for simulation in simulations:
        measure_band(simulation)
    results.put((time.perf_counter() - wall, time.process_time() - processor))


def time_band(simulations: list[Simulation], workers: int) -> tuple[float, float]:
    """Circuits a second over all workers, and processor milliseconds a circuit."""
    os.environ.update(WORKER_ENVIRONMENT)
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(workers), context.SimpleQueue()
    processes = [
        context.Process(target=band_process, args=(simulations[index::workers], start, results))
        for index in range(workers)
    ]
    for process in processes:
        process.start()
    times = [results.get() for _ in processes]
    for process in processes:
        process.join()
    count = len(simulations)
    return count / max(wall for wall, _ in times), sum(cpu for _, cpu in times) / count * 1e3


def pdk_netlist(simulation: Simulation) -> str:
    """The same circuit and analyses as `band_deck`, transistors from the PDK's own library file.

    Both analyses are small-signal, and ngspice 39 leaves the overlap capacitances of the PDK's card out of those. So the
    reference is the PDK's transistor with these capacitors beside it; in a transient they would count twice.
    """
    circuit, conditions = simulation.circuit, simulation.conditions
    deck = band_deck(simulation)
    derived = re.compile(r"(q|rsub_q|csub_q|rt_q|cbeo_q|cbco_q)\d+ |\.model npn_")
    lines = [line for line in deck.netlist if not derived.match(line)]
    for name, device, value in zip(circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True):
        if device.kind == "hbt":
            parallel = -(-int(value) // 10)
            collector, base, emitter = device.nets
            lines.append(f"x{name} {collector} {base} {emitter} 0 npn13G2 Nx={int(value) // parallel} m={parallel}")
            lines += npn13g2.overlap_lines(f"x{name}", device.nets, value)
    corner_file = model_cards.model_folder() / "cornerHBT.lib"
    prints = [f"print sp1.{name}" for name in PARAMETERS]
    control = [".control", *deck.analyses, "set numdgt=9", *prints, "print noise1.inoise_spectrum", "quit", ".endc"]
    title, *rest = lines
    return "\n".join([title, f'.lib "{corner_file}" hbt_{conditions.corner}', *rest, *control, ".end", ""])


def run_pdk(simulation: Simulation, path: Path) -> tuple[np.ndarray, float]:
    """`measure_band` in a process of its own."""
    path.write_text(pdk_netlist(simulation), encoding="ascii")
    output = subprocess.run(["ngspice", "-b", str(path)], capture_output=True, text=True, check=False).stdout
    rows = re.findall(r"^\d+\s+[-+.\de]+\s+([-+.\de]+),\s+([-+.\de]+)", output, re.M)
    scattering = np.array([complex(float(real), float(imaginary)) for real, imaginary in rows]).reshape(4, -1)
    found = re.search(r"inoise_spectrum = ([-+.\de]+)", output)
    if found is None:
        raise RuntimeError(f"ngspice -b printed no noise for {path}:\n{output[-2000:]}")
    return scattering, noise_figure_db(float(found[1]), simulation.conditions.source_ohm)


def time_baseline(simulations: list[Simulation], workers: int) -> tuple[float, float, list[tuple[np.ndarray, float]]]:
    """Circuits a second, processor milliseconds a circuit, and the results."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        paths = [Path(folder, f"{index}.cir") for index in range(len(simulations))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter()
        results = list(threads.map(run_pdk, simulations, paths))
        wall = time.perf_counter() - wall
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return len(simulations) / wall, processor / len(simulations) * 1e3, results


def compare(simulations: list[Simulation], baseline: list[tuple[np.ndarray, float]]) -> tuple[float, float]:
    """Largest difference of any S-parameter (relative to the largest of its circuit) and of any noise figure, in dB."""
    scattering, noise = 0.0, 0.0
    for simulation, (expected, expected_nf) in zip(simulations, baseline, strict=True):
        measured, measured_nf = measure_band(simulation)
        scattering = max(scattering, float(np.abs(measured - expected).max() / np.abs(expected).max()))
        noise = max(noise, abs(measured_nf - expected_nf))
    return scattering, noise


def main() -> None:
    """Measure, print a table, and the JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuits", type=int, default=2000, help="circuits to draw (default 2000)")
    parser.add_argument(
        "--baseline-circuits", type=int, default=60, help="how many of them for the baseline (default 60)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes at once (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if shutil.which("ngspice") is None:
        sys.exit(f"ngspice: the program is not installed; {REMEDY}")

    drawn = draw_circuits(arguments.circuits, arguments.seed)
    with SimulatorPool(arguments.workers) as pool:
        pool.run(drawn[: 20 * arguments.workers])
        wall = time.perf_counter()
        outcomes = pool.run(drawn)
        all_rate = len(drawn) / (time.perf_counter() - wall)
        working = [simulation for simulation, outcome in zip(drawn, outcomes, strict=True) if outcome.metrics]
        wall = time.perf_counter()
        pool.run(working)
        full_rate = len(working) / (time.perf_counter() - wall)
    band_rate, band_cpu = time_band(working, arguments.workers)
    sample = working[: arguments.baseline_circuits]
    baseline_rate, baseline_cpu, baseline = time_baseline(sample, arguments.workers)
    worst_scattering, worst_noise = compare(sample, baseline)
    devices = [len(simulation.circuit.values) for simulation in working]
    report = {
        "benchmark": "simulation",
        "workers": arguments.workers,
        "circuits": len(working),
        "devices_per_circuit": round(float(np.mean(devices)), 1),
        "band_circuits_per_s": round(band_rate, 1),
        "band_cpu_ms": round(band_cpu, 3),
        "baseline_circuits_per_s": round(baseline_rate, 2),
        "baseline_cpu_ms": round(baseline_cpu, 1),
        "ratio": round(band_rate / baseline_rate, 1),
        "full_labels_per_s": round(full_rate, 1),
        "full_labels_per_s_with_failures": round(all_rate, 1),
        "failures": dict(Counter(outcome.failure.cause for outcome in outcomes if outcome.failure)),
        "largest_s_parameter_difference": worst_scattering,
        "largest_nf_difference_db": worst_noise,
        "simulator": simulator_version(),
        "technology": PROCESS.version,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "commit": commit(),
    }
    print(f"{'':24}{'circuits/s':>12}{'CPU ms/circuit':>16}")
    print(f"{'band':24}{band_rate:12.0f}{band_cpu:16.2f}")
    print(f"{'baseline':24}{baseline_rate:12.1f}{baseline_cpu:16.1f}")
    print(f"{'full labels':24}{full_rate:12.0f}")
    print(f"{'full labels, failures':24}{all_rate:12.0f}")
    print(f"ratio {band_rate / baseline_rate:.0f}")
    print(f"largest difference of S-parameters {worst_scattering:.1e}, of noise figure {worst_noise:.1e} dB")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
