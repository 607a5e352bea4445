"""What physics says of a transistor and of passive circuits, at every temperature."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.simulation.batched import solver
from genrf.simulation.batched.circuits import pack
from genrf.simulation.batched.operating_point import CONVERGED
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.batched.solver import Results
from genrf.simulation.outcome import Simulation
from tests.simulation.circuits import CONDITIONS, cascode, circuit

PROCESS = technology.get("sg13g2")
K_OVER_Q = 8.617333e-5
TEMPERATURES_C = (-40.0, 27.0, 125.0)


def solve(*simulations: Simulation) -> Results:
    packed = pack(simulations, PROCESS)
    assert not packed.refused
    frequencies = np.array([[simulation.conditions.frequency_hz] for simulation in simulations])
    results = solver.small_signal(packed.circuits, packed.cards, frequencies, noise_points=1, workers=1)
    assert (results.end == CONVERGED).all()
    return results


def biased(base_v: float, temperature_c: float, emitters: float = 4.0) -> Simulation:
    """One transistor with 1 V at its collector, next to ports that do not touch it."""
    devices = circuit(
        ("bias_voltage", "n1", base_v),
        ("bias_voltage", "n2", 1.0),
        ("hbt", "n2 n1 0", emitters),
        ("resistor", "in out", 50.0),
    )
    return Simulation(devices, replace(CONDITIONS, temperature_c=temperature_c))


@pytest.mark.parametrize("temperature_c", TEMPERATURES_C)
def test_collector_current_rises_by_e_in_n_kt_over_q(temperature_c: float) -> None:
    # Small currents, where neither series resistance nor heat counts; the base's width changes the current by 0.5 %.
    base = 0.45 if temperature_c > 100.0 else 0.6
    low, high = solve(biased(base, temperature_c), biased(base + 0.01, temperature_c)).collector_a[:, 0]
    emission = 1.018 * (1.0 + 0.00015 * (temperature_c - 27.0))
    thermal_v = K_OVER_Q * (temperature_c + 273.15)
    assert math.log(high / low) == pytest.approx(0.01 / (emission * thermal_v), rel=1e-2)


def test_base_emitter_voltage_falls_with_temperature_at_constant_current() -> None:
    """By (E_g/q + n kT/q - V_BE) / T: about 1 mV/K (Gray and Meyer, 4.4.3, with this emitter's activation energy)."""
    bias = np.linspace(0.55, 0.85, 61)
    found = []
    for temperature_c in (27.0, 37.0):
        currents = solve(*(biased(float(base), temperature_c) for base in bias)).collector_a[:, 0]
        found.append(float(np.interp(math.log(1e-5), np.log(currents), bias)))
    assert -1.5e-3 < (found[1] - found[0]) / 10.0 < -0.5e-3


def test_transistor_heats_itself_by_its_power_times_its_thermal_resistance() -> None:
    simulation = biased(0.9, 27.0)
    results = solve(simulation)
    rth = PROCESS.thermal_resistances(simulation.circuit, "typ", 27.0)["q1_t"]
    # The bias sources are the only ones, so what they deliver heats the transistor, but for nothing in the substrate.
    assert results.inner_v[0, 0, -1] == pytest.approx(results.power_w[0] * rth, rel=1e-3)


def test_transistors_in_parallel_are_one_of_as_many_emitters_sized_apart() -> None:
    one, four = solve(biased(0.85, 27.0, 10.0), biased(0.85, 27.0, 40.0)).collector_a[:, 0]
    assert four == pytest.approx(4.0 * one, rel=1e-6)


@pytest.mark.parametrize("temperature_c", TEMPERATURES_C)
def test_attenuator_makes_the_noise_of_its_own_temperature(temperature_c: float) -> None:
    """F = 1 + (L - 1) T / T0 of a matched pad (Pozar, Microwave Engineering, eq. 10.20)."""
    conditions = Conditions(frequency_hz=10e9, supply_v=1.8, temperature_c=temperature_c)
    # The process's resistors drift: design for what they become.
    (factor,) = PROCESS.elements("resistor", np.array([1.0]), "typ", temperature_c, (), np.array([1.0]))[0]
    ratio = 10 ** (6.0 / 20)
    series, shunt = 50.0 * (ratio - 1) / (ratio + 1) / factor, 100.0 * ratio / (ratio**2 - 1) / factor
    pad = circuit(("resistor", "in n1", series), ("resistor", "n1 0", shunt), ("resistor", "n1 out", series))
    (outcome,) = BatchedSimulator(1).run([Simulation(pad, conditions)])
    assert outcome.metrics is not None
    assert outcome.metrics["gain_db"] == pytest.approx(-6.0, abs=1e-9)
    expected = 10 * math.log10(1 + (ratio**2 - 1) * (temperature_c + 273.15) / 290.0)
    assert outcome.metrics["nf_db"] == pytest.approx(expected, abs=1e-6)


def test_outcome_depends_neither_on_company_nor_on_threads() -> None:
    simulations = [Simulation(cascode(value * 1e-12), CONDITIONS) for value in np.linspace(120.0, 200.0, 150)]
    together = BatchedSimulator(3).run(simulations)
    alone = [BatchedSimulator(1).run([simulation])[0] for simulation in simulations[::30]]
    assert [outcome.metrics for outcome in together[::30]] == [outcome.metrics for outcome in alone]


def test_order_of_devices_does_not_matter() -> None:
    devices = cascode()
    order = [3, 9, 0, 7, 5, 1, 8, 2, 6, 4]
    shuffled = Circuit(
        replace(devices.topology, devices=tuple(devices.topology.devices[k] for k in order)),
        tuple(devices.values[k] for k in order),
    )
    one, other = BatchedSimulator(1).run([Simulation(devices, CONDITIONS), Simulation(shuffled, CONDITIONS)])
    assert one.metrics is not None
    assert other.metrics is not None
    assert dict(other.metrics) == pytest.approx(dict(one.metrics), rel=1e-9)
