"""A netlist that stands alone: run by hand with ``ngspice -b file.cir``, it prints the same metrics as the simulator
pool."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from genrf import classes
from genrf.circuit.devices import KINDS
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError, MissingToolError
from genrf.metrics import Metrics
from genrf.simulation.library import CONVERGENCE_OPTIONS, REMEDY
from genrf.technology.base import Technology

_RUN_LIMIT_S = 60.0


def standalone_netlist(
    circuit: Circuit, conditions: Conditions, technology: Technology, comments: Sequence[str] = ()
) -> str:
    """The circuit with its testbench, models and a ``.control`` block that prints every metric of its class.

    The text needs no other file: model cards are written out as numbers, for the given corner and temperature.

    Args:
        circuit: to write.
        conditions: to measure it under.
        technology: that it is made in.
        comments: said before the devices, a line each.

    Raises:
        SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
    """
    circuit_class = classes.get(circuit.topology.circuit_class)
    testbench = circuit_class.testbench
    title, *lines = testbench.netlist(circuit, conditions, technology)
    if testbench.own_cards:
        lines = technology.with_own_cards(lines)
    return "\n".join(
        [
            f"{title}: {len(circuit.values)} devices in {technology.name} ({technology.version})",
            "* Run with: ngspice -b FILE",
            f"* {conditions.frequency_hz:g} Hz, {conditions.supply_v:g} V supply, source {conditions.source_ohm:g} Ohm,"
            f" load {conditions.load_ohm:g} Ohm, corner {conditions.corner}, {conditions.temperature_c:g} Celsius",
            *(f"* {comment}" for comment in comments),
            "* Devices as designed; the lines below are what they come to in this corner, parasitics included:",
            *_device_comments(circuit),
            "",
            *lines,
            f".options {CONVERGENCE_OPTIONS}",
            "",
            ".control",
            *testbench.control(circuit, conditions, technology),
            "quit",
            ".endc",
            ".end",
            "",
        ]
    )


def parse_metrics(output: str, circuit_class: str) -> Metrics:
    """Metrics from what ngspice printed when it ran a `standalone_netlist`.

    Raises:
        InvalidInputError: naming the metrics that are missing, as when the simulation failed.
    """
    found = {name: float(value) for name, value in re.findall(r"^(\w+) = ([-+.\dEe]+)\s*$", output, re.M)}
    names = classes.get(circuit_class).label_metrics
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidInputError(f"ngspice output: no value of {', '.join(missing)}")
    return Metrics({name: found[name] for name in names})


def run_standalone(path: Path, circuit_class: str) -> Metrics:
    """Run a `standalone_netlist` file in a separate ``ngspice -b`` process.

    Raises:
        MissingToolError: if ngspice is not installed.
        InvalidInputError: if the run prints no metrics.
    """
    program = shutil.which("ngspice")
    if program is None:
        raise MissingToolError(f"ngspice: the program is not installed; {REMEDY}")
    try:
        finished = subprocess.run(
            [program, "-b", str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_RUN_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInputError(f"{path}: ngspice did not end within {_RUN_LIMIT_S:g} s") from error
    try:
        return parse_metrics(finished.stdout, circuit_class)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _device_comments(circuit: Circuit) -> list[str]:
    comments = []
    for designator, device, value in zip(
        circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
    ):
        kind = KINDS[device.kind]
        terminals = " ".join(f"{terminal}={net}" for terminal, net in zip(kind.terminals, device.nets, strict=True))
        comments.append(f"*   {designator:4s} {device.kind:12s} {value:.6g} {kind.unit or kind.value}  {terminals}")
    return comments
