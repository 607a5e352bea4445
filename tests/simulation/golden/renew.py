"""Simulate the fixed designs of this folder again and write their metrics: ``python -m tests.simulation.golden.renew``.

Only where a change of a testbench or of the process is meant; the difference in the files is what to review.
"""

from __future__ import annotations

import json
from pathlib import Path

from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.simulation.library import simulator_version
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool

FOLDER = Path(__file__).parent


def design(circuit_class: str) -> tuple[Circuit, Conditions]:
    """The fixed design of a class, and the conditions that it is measured under."""
    content = json.loads((FOLDER / f"{circuit_class}.json").read_text(encoding="utf-8"))
    parts = [line.split() for line in content["devices"]]  # kind, nets, value
    devices = tuple(Device(kind, tuple(nets)) for kind, *nets, _ in parts)
    values = tuple(float(part[-1]) for part in parts)
    return Circuit(Topology(circuit_class, devices), values), Conditions(**content["conditions"])


def golden(circuit_class: str) -> dict[str, float]:
    """The metrics that the design had when they were last written, sign-off metrics included."""
    return dict(json.loads((FOLDER / f"{circuit_class}.json").read_text(encoding="utf-8"))["metrics"])


def renew(path: Path) -> None:
    """Write the metrics of one design."""
    content = json.loads(path.read_text(encoding="utf-8"))
    with SimulatorPool(workers=1) as pool:
        (outcome,) = pool.run([Simulation(*design(path.stem), signoff=True)])
    if outcome.metrics is None:
        raise SystemExit(f"{path}: {outcome.failure}")
    content |= {"simulator": simulator_version(), "metrics": dict(outcome.metrics)}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for each in sorted(FOLDER.glob("*.json")):
        renew(each)
