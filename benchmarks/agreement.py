"""How far the batched simulator is from VACASK, over temperature and corners, on random and on designed circuits.

    python benchmarks/agreement.py                          # 700 circuits, 12 times each
    python benchmarks/agreement.py --random 50 --designed 20

Random circuits are drawn from the grammars of amplifiers and filters with first-order values, designed ones are released
precedents. Each is simulated at -40, 27, 85 and 125 degrees and in three corners by both simulators, which share no code.
Circuits that one of them finds no operating point of are counted, and those whose transistors are beyond their limits or
that oscillate are left out. Reflections are compared in dB where they are above -25 dB in both, and as complex numbers
everywhere: near a match a thousandth is a decibel.

Every difference of gain or noise figure above 0.02 dB is listed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from genrf import classes, technology
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning
from genrf.conditions import Conditions
from genrf.generation.precedents import Precedents, file_name
from genrf.generation.released import released_folder
from genrf.simulation.batched import solver
from genrf.simulation.batched.circuits import pack
from genrf.simulation.batched.operating_point import CONVERGED
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.outcome import Simulation
from genrf.simulation.scattering import mu_minimum
from genrf.simulation.two_port import frequencies
from genrf.simulation.vacask.locate import program_version
from genrf.simulation.vacask.many import small_signals
from genrf.simulation.vacask.small_signal import SmallSignal
from training.running.machine import commit

PROCESS = technology.get("sg13g2")
TEMPERATURES_C = (-40.0, 27.0, 85.0, 125.0)
FIGURES = ("gain_db", "nf_db", "s11_db", "s22_db", "s11", "s22", "mu", "power")
NOTED_DB = 0.02
_SHALLOW_DB = -25.0
_CHUNK = 100


def random_circuits(name: str, count: int, seed: int) -> list[Simulation]:
    """Circuits of a class's grammar that work at 27 degrees."""
    definition = classes.get(name)
    rng = np.random.default_rng(seed)
    found: list[Simulation] = []
    simulator = BatchedSimulator()
    while len(found) < count:
        drawn = []
        for _ in range(count):
            topology = definition.sample_topology(rng)
            frequency_hz = float(f"{10 ** rng.uniform(np.log10(2e9), np.log10(60e9)):.4g}")
            conditions = Conditions(frequency_hz=frequency_hz, supply_v=float(rng.choice([1.2, 1.5, 1.8, 2.5, 3.3])))
            values = definition.first_order_values(topology, conditions, rng)
            legal = (PROCESS.snap(device.kind, value) for device, value in zip(topology.devices, values, strict=True))
            drawn.append(Simulation(Circuit(topology, tuple(legal)), conditions))
        found += [s for s, outcome in zip(drawn, simulator.run(drawn), strict=True) if outcome.metrics is not None]
    return found[:count]


def designed_circuits(name: str, count: int, seed: int) -> list[Simulation]:
    """Released precedents."""
    precedents = Precedents.load(released_folder() / file_name(name))
    chosen = np.random.default_rng(seed).permutation(len(precedents.kinds))[:count]
    made = precedents.take(chosen).circuits(name, Conditioning.load(released_folder()), PROCESS)
    return [Simulation(circuit, conditions) for circuit, conditions in made]


def compared(
    simulations: list[Simulation], counts: dict[str, int]
) -> Iterator[tuple[Simulation, float, dict[str, float]]]:
    """Each circuit that both simulate, its gain in dB, and the differences."""
    packed = pack(simulations, PROCESS)
    ratios = np.concatenate([[1.0], frequencies(1.0)])
    centres = np.array([simulations[number].conditions.frequency_hz for number in packed.numbers])
    ours = solver.small_signal(packed.circuits, packed.cards, centres[:, None] * ratios, noise_points=1)
    theirs = small_signals(simulations, PROCESS.name)
    working = BatchedSimulator().run(simulations)
    for row, number in enumerate(packed.numbers.tolist()):
        other, simulation = theirs[number], simulations[number]
        if working[number].metrics is None and ours.end[row] == CONVERGED:
            counts["beyond limits"] += 1
            continue
        if not isinstance(other, SmallSignal) or ours.end[row] != CONVERGED:
            counts[
                "no operating point, ours" if isinstance(other, SmallSignal) else "no operating point, VACASK's"
            ] += 1
            continue
        counts["compared"] += 1
        yield simulation, decibels(ours.s[row, 0, 2]), difference(simulation, ours, row, other)


def difference(simulation: Simulation, ours: solver.Results, row: int, other: SmallSignal) -> dict[str, float]:
    """Ours less VACASK's at f0; absolute differences of complex reflections, relative ones of power."""
    own, f0 = ours.s[row], simulation.conditions.frequency_hz
    at = int(np.argmin(np.abs(other.frequency_hz - f0)))
    s11, _, s21, s22 = other.scattering[at].reshape(4)
    noise = 1.0 + ours.noise[row, 0] / (4.0 * 1.380649e-23 * 290.0 * simulation.conditions.source_ohm)
    found = {
        "gain_db": decibels(own[0, 2]) - decibels(s21),
        "nf_db": 10.0 * float(np.log10(noise)) - float(other.nf_db[0]),
        "s11": float(abs(own[0, 0] - s11)),
        "s22": float(abs(own[0, 3] - s22)),
        "mu": mu_minimum(*own[1:].T) - other.mu_min,
        "power": float(ours.power_w[row]) / other.power_w - 1.0 if other.power_w > 1e-9 else 0.0,
    }
    for name, one, two in (("s11_db", own[0, 0], s11), ("s22_db", own[0, 3], s22)):
        if min(decibels(one), decibels(two)) > _SHALLOW_DB:
            found[name] = decibels(one) - decibels(two)
    return found


def decibels(value: complex) -> float:
    """Magnitude in dB."""
    return 20.0 * float(np.log10(max(abs(value), 1e-15)))


def main() -> None:
    """Compare, print tables, and the JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=500, help="random circuits, half of them filters (default 500)")
    parser.add_argument("--designed", type=int, default=200, help="designed ones (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sets = {
        "random": [s for name in ("lna", "filter") for s in random_circuits(name, options.random // 2, options.seed)],
        "designed": [
            s for name in ("lna", "filter") for s in designed_circuits(name, options.designed // 2, options.seed)
        ],
    }
    tables: dict[str, Any] = {}
    noted: list[dict[str, Any]] = []
    for name, simulations in sets.items():
        for celsius in TEMPERATURES_C:
            counts = dict.fromkeys(
                ("compared", "beyond limits", "no operating point, ours", "no operating point, VACASK's"), 0
            )
            values: dict[str, list[float]] = {figure: [] for figure in FIGURES}
            for corner in PROCESS.corners:
                here = [
                    replace(s, conditions=replace(s.conditions, temperature_c=celsius, corner=corner))
                    for s in simulations
                ]
                for first in range(0, len(here), _CHUNK):
                    for simulation, gain, found in compared(here[first : first + _CHUNK], counts):
                        for figure, value in found.items():
                            values[figure].append(abs(value))
                        if max(abs(found["gain_db"]), abs(found["nf_db"])) > NOTED_DB:
                            conditions = simulation.conditions
                            noted.append(
                                {
                                    "set": name,
                                    "class": simulation.circuit.topology.circuit_class,
                                    "celsius": celsius,
                                    "corner": corner,
                                    "ghz": conditions.frequency_hz / 1e9,
                                    "of_gain_db": round(gain, 1),
                                    **{figure: round(value, 5) for figure, value in found.items()},
                                }
                            )
            cells = {
                figure: [float(f"{np.median(own):.2g}"), float(f"{np.max(own):.2g}")]
                for figure, own in values.items()
                if own
            }
            tables.setdefault(name, {})[f"{celsius:g} C"] = {**counts, **cells}
            print(f"{name} at {celsius:g} C: {counts['compared']} compared; median, worst of")
            print("   " + ", ".join(f"{figure} {a:.2g}, {b:.2g}" for figure, (a, b) in cells.items()), flush=True)
    for item in noted:
        print("above 0.02 dB:", item)
    report = {
        "benchmark": "agreement",
        "vacask": program_version(),
        "seed": options.seed,
        "tables": tables,
        "above_0.02_db": noted,
        "technology": PROCESS.version,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "commit": commit(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
