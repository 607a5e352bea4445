"""A circuit of any class, exported with our models as a netlist, measures as it does in the pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.measurement.process import measure_netlist
from genrf.measurement.user_netlist import read_netlist
from genrf.metrics import Metrics
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool

CONDITIONS = Conditions(frequency_hz=5e9, supply_v=1.6)
PROCESS = technology.get("sg13g2")
DRAWS = 60


def drawn(circuit_class: str) -> list[Circuit]:
    definition, rng = classes.get(circuit_class), np.random.default_rng(3)
    circuits = []
    for _ in range(DRAWS):
        topology = definition.sample_topology(rng)
        values = definition.first_order_values(topology, CONDITIONS, rng)
        snapped = [PROCESS.snap(device.kind, value) for device, value in zip(topology.devices, values, strict=True)]
        circuits.append(Circuit(topology, tuple(snapped)))
    return circuits


def first_that_simulates(circuit_class: str) -> tuple[Circuit, Metrics]:
    circuits = drawn(circuit_class)
    with SimulatorPool(workers=1) as pool:
        for circuit in circuits:
            metrics = pool.run([Simulation(circuit, CONDITIONS)])[0].metrics
            if metrics is not None:
                return circuit, metrics
    pytest.fail(f"none of {DRAWS} drawn circuits simulates")


@pytest.mark.parametrize("circuit_class", classes.names())
def test_an_exported_netlist_gives_the_metrics_of_the_pool(tmp_path: Path, circuit_class: str) -> None:
    circuit, expected = first_that_simulates(circuit_class)
    lines = [*PROCESS.instances(circuit), *PROCESS.models(circuit, "typ", 27.0)]
    path = tmp_path / "exported.cir"
    path.write_text("\n".join(["exported", *lines, ""]))
    supply = "vdd" if "vdd" in circuit.topology.nets else None
    probe = None
    if circuit_class == "vco":
        from genrf.classes.vco.testbench import probe as resonator

        probe = resonator(circuit)
    netlist = read_netlist(path, circuit_class, None, supply, probe)
    assert netlist.notes == ()
    outcome = measure_netlist(netlist, CONDITIONS)
    assert outcome.failure is None
    assert outcome.metrics == pytest.approx(dict(expected), rel=1e-6)


def test_phase_noise_of_devices_whose_noise_is_not_known_is_not_signed_off(tmp_path: Path) -> None:
    path = tmp_path / "oscillator.cir"
    path.write_text("an oscillator\nl1 r vdd 1n\nc1 r tune 1p\nc2 r out 1p\nb1 r 0 i=v(r)\n")
    netlist = read_netlist(path, "vco", None, "vdd", "r")
    with pytest.raises(InvalidInputError, match="--signoff: phase noise is signed off from the noise of every device"):
        measure_netlist(netlist, CONDITIONS, signoff=True)
