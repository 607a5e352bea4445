"""Other simulators find the same: ngspice with junctions held, ngspice as it is where its errors are copied, and VACASK."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.topology import Circuit
from genrf.classes.lna.testbench import LnaTestbench
from genrf.conditions import Conditions
from genrf.errors import MissingToolError
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.library import library
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.locate import program
from genrf.simulation.vacask.small_signal import small_signal
from tests.simulation.circuits import CONDITIONS, cascode

PROCESS = technology.get("sg13g2")


def drawn(name: str, count: int, seed: int) -> list[Simulation]:
    """Circuits of a class's grammar with first-order values, at random frequencies and supplies."""
    definition = classes.get(name)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        topology = definition.sample_topology(rng)
        frequency_hz = float(f"{10 ** rng.uniform(np.log10(2e9), np.log10(60e9)):.4g}")
        conditions = Conditions(frequency_hz=frequency_hz, supply_v=float(rng.choice([1.2, 1.8, 2.5])))
        values = definition.first_order_values(topology, conditions, rng)
        legal = (PROCESS.snap(device.kind, value) for device, value in zip(topology.devices, values, strict=True))
        found.append(Simulation(Circuit(topology, tuple(legal)), conditions))
    return found


@pytest.mark.parametrize("name", ["lna", "filter"])
def test_ngspice_finds_the_same_with_junctions_held(pool: SimulatorPool, name: str) -> None:
    simulations = drawn(name, 60, 5)
    ours = BatchedSimulator(1).run(simulations)
    theirs = pool.run(simulations)
    causes = [
        tuple(outcome.failure and outcome.failure.cause for outcome in pair) for pair in zip(ours, theirs, strict=True)
    ]
    # ngspice finds no operating point now and then where there is one.
    assert all(one == other or other == "no_convergence" for one, other in causes)
    compared = [(a.metrics, b.metrics) for a, b in zip(ours, theirs, strict=True) if a.metrics and b.metrics]
    assert len(compared) > 20
    for one, other in compared:
        # Held junctions do not follow the signal, which shows at low frequencies and in what is smallest; ngspice's noise is
        # without that of rbp. Measured: 0.024 and 0.017 dB, 8e-4, 5 % of mu.
        for metric, value in other.items():
            tolerance = {"abs": 0.03} if metric.endswith("_db") else {"rel": 0.06 if metric == "mu_min" else 1e-3}
            if metric != "s12_db":
                assert one[metric] == pytest.approx(value, **tolerance), metric


def test_ngspice_as_it_is_finds_the_same_where_its_errors_are_copied() -> None:
    testbench, simulator = LnaTestbench(), library()
    simulations = drawn("lna", 60, 5)
    compared = 0
    for simulation, ours in zip(simulations, BatchedSimulator(1, defects=True).run(simulations), strict=True):
        circuit, conditions = simulation.circuit, simulation.conditions
        if ours.metrics is None:
            continue
        # Of the noise only rbp's is put right.
        cold = dict.fromkeys(PROCESS.transistors(circuit), 0.0)
        try:
            simulator.run(testbench.deck(circuit, conditions, PROCESS))
            other = testbench.measure(simulator, circuit, conditions, PROCESS, cold).metrics
        except SimulationFailure:
            continue
        compared += 1
        for metric, value in other.items():
            assert ours.metrics[metric] == pytest.approx(value, rel=2e-3, abs=2e-3 * metric.endswith("_db")), metric
    assert compared > 20


@pytest.mark.parametrize(("corner", "temperature_c"), [("typ", 27.0), ("bcs", -40.0), ("wcs", 125.0), ("typ", 85.0)])
def test_vacask_finds_the_same_at_every_temperature(corner: str, temperature_c: float) -> None:
    try:
        program()
    except MissingToolError as error:
        pytest.skip(str(error))
    conditions = replace(CONDITIONS, corner=corner, temperature_c=temperature_c)
    simulations = [Simulation(cascode(), conditions)]
    simulations += [
        replace(s, conditions=replace(s.conditions, corner=corner, temperature_c=temperature_c))
        for s in drawn("lna", 8, 9)
    ]
    compared = 0
    for simulation, outcome in zip(simulations, BatchedSimulator(1).run(simulations), strict=True):
        if outcome.metrics is None:
            continue
        other = small_signal(simulation.circuit, simulation.conditions, PROCESS)
        f0 = simulation.conditions.frequency_hz
        assert outcome.metrics["gain_db"] == pytest.approx(other.decibels_at(f0, 2, 1), abs=0.02)
        assert outcome.metrics["nf_db"] == pytest.approx(float(other.nf_db[0]), abs=0.02)
        assert 10 ** (outcome.metrics["s11_db"] / 20) == pytest.approx(
            10 ** (other.decibels_at(f0, 1, 1) / 20), abs=2e-3
        )
        assert outcome.metrics["power_w"] == pytest.approx(other.power_w, rel=2e-3)
        compared += 1
    assert compared >= 2
