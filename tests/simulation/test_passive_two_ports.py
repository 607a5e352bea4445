"""S-parameters and noise of circuits whose answer is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skrf

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Curve
from genrf.technology.sg13g2.inductor import SpiralInductor
from genrf.technology.sg13g2.mim_capacitor import mim_capacitor
from tests.simulation.circuits import circuit

CELSIUS = 27.0
AMBIENT = (CELSIUS + 273.15) / 290.0
"""Temperature of the circuits relative to the 290 K that noise figures refer to."""


def conditions(**changes: float) -> Conditions:
    return Conditions(**{"frequency_hz": 10e9, "supply_v": 1.8, "temperature_c": CELSIUS} | changes)


def pad(attenuation_db: float, impedance_ohm: float = 50.0) -> Circuit:
    """A matched T pad (Pozar, Microwave Engineering, table 4.1 by symmetry)."""
    ratio = 10 ** (attenuation_db / 20)
    series = impedance_ohm * (ratio - 1) / (ratio + 1)
    shunt = 2 * impedance_ohm * ratio / (ratio**2 - 1)
    return circuit(("resistor", "in n1", series), ("resistor", "n1 0", shunt), ("resistor", "n1 out", series))


def available_gain_noise_figure_db(network: skrf.Network, source_reflection: complex = 0.0) -> np.ndarray:
    """Noise figure of a passive network at ambient temperature: F = 1 + (1 / G_A - 1) T / T0 (Pozar, eq. 10.20)."""
    s11, s21, s22 = network.s[:, 0, 0], network.s[:, 1, 0], network.s[:, 1, 1]
    output = s22 + network.s[:, 0, 1] * s21 * source_reflection / (1 - s11 * source_reflection)
    gain = (
        (1 - abs(source_reflection) ** 2)
        * np.abs(s21) ** 2
        / (np.abs(1 - s11 * source_reflection) ** 2 * (1 - np.abs(output) ** 2))
    )
    return 10 * np.log10(1 + (1 / gain - 1) * AMBIENT)


def series(frequency_hz: np.ndarray, impedance: np.ndarray) -> skrf.Network:
    """Two-port with an impedance in series."""
    abcd = np.zeros((len(frequency_hz), 2, 2), complex)
    abcd[:, 0, 0] = abcd[:, 1, 1] = 1.0
    abcd[:, 0, 1] = impedance
    return skrf.Network(frequency=skrf.Frequency.from_f(frequency_hz, unit="hz"), s=skrf.network.a2s(abcd), z0=50)


def shunt(frequency_hz: np.ndarray, admittance: np.ndarray) -> skrf.Network:
    """Two-port with an admittance to ground."""
    abcd = np.zeros((len(frequency_hz), 2, 2), complex)
    abcd[:, 0, 0] = abcd[:, 1, 1] = 1.0
    abcd[:, 1, 0] = admittance
    return skrf.Network(frequency=skrf.Frequency.from_f(frequency_hz, unit="hz"), s=skrf.network.a2s(abcd), z0=50)


def assert_s_parameters(curves: dict[str, Curve], network: skrf.Network) -> None:
    for row in (1, 2):
        for column in (1, 2):
            measured = curves[f"s{row}{column}"].values
            assert np.abs(measured - network.s[:, row - 1, column - 1]).max() < 1e-6


@pytest.mark.parametrize("attenuation_db", [1.0, 3.0, 10.0])
def test_matched_pad(pool: SimulatorPool, attenuation_db: float) -> None:
    metrics = pool.run([Simulation(pad(attenuation_db), conditions())])[0].metrics
    assert metrics is not None
    assert metrics["gain_db"] == pytest.approx(-attenuation_db, abs=1e-4)
    assert metrics["s12_db"] == pytest.approx(-attenuation_db, abs=1e-4)
    assert metrics["s11_db"] < -90
    assert metrics["s22_db"] < -90
    assert metrics["nf_db"] == pytest.approx(10 * math.log10(1 + (10 ** (attenuation_db / 10) - 1) * AMBIENT), abs=1e-4)
    # A flat response fills the wide sweep, from a tenth to ten times the centre.
    assert metrics["bandwidth_hz"] == pytest.approx(9.9 * 10e9, rel=1e-6)
    assert metrics["power_w"] == pytest.approx(0.0, abs=1e-9)


def test_noise_figure_of_a_pad_at_290_kelvin_is_its_loss(pool: SimulatorPool) -> None:
    reference = conditions(temperature_c=16.85)
    # The process's resistors have a temperature coefficient: design for 290 K.
    factor = 1.0 + 170e-6 * (16.85 - 27.0)
    designed = pad(3.0)
    designed = designed.with_values([value / factor for value in designed.values])
    metrics = pool.run([Simulation(designed, reference)])[0].metrics
    assert metrics is not None
    assert metrics["nf_db"] == pytest.approx(3.0, abs=1e-4)


@pytest.mark.parametrize(("source_ohm", "load_ohm"), [(50.0, 50.0), (50.0, 200.0), (100.0, 25.0)])
def test_noise_of_a_loaded_resistive_divider(pool: SimulatorPool, source_ohm: float, load_ohm: float) -> None:
    upper, lower = 30.0, 80.0
    divider = circuit(("resistor", "in out", upper), ("resistor", "out 0", lower))
    metrics = pool.run([Simulation(divider, conditions(source_ohm=source_ohm, load_ohm=load_ohm))])[0].metrics
    assert metrics is not None
    # Referred to the source's voltage: 4kT R_u, and 4kT/R_l times (R_s + R_u)^2. The load's noise does not count.
    factor = 1 + AMBIENT * (upper + (source_ohm + upper) ** 2 / lower) / source_ohm
    assert metrics["nf_db"] == pytest.approx(10 * math.log10(factor), abs=1e-4)
    parallel = 1 / (1 / lower + 1 / load_ohm)
    voltage_gain = parallel / (source_ohm + upper + parallel)
    transducer_gain = 4 * source_ohm / load_ohm * voltage_gain**2
    assert metrics["gain_db"] == pytest.approx(10 * math.log10(transducer_gain), abs=1e-4)


def test_capacitor_and_inductor_ladder_agrees_with_scikit_rf(pool: SimulatorPool) -> None:
    shunt_f, series_h, ground_h = 150e-15, 400e-12, 300e-12
    ladder = circuit(("capacitor", "in 0", shunt_f), ("inductor", "in out", series_h), ("inductor", "out 0", ground_h))
    outcome = pool.run([Simulation(ladder, conditions())], curves=True)[0]
    assert outcome.metrics is not None
    frequency = outcome.curves["s11"].frequency_hz
    omega = 2j * math.pi * frequency
    mim = mim_capacitor(shunt_f, "typ", CELSIUS)

    def winding(inductance: float) -> np.ndarray:
        spiral = SpiralInductor.of(inductance)
        return spiral.series_ohm + 1 / (1 / spiral.parallel_ohm + 1 / (omega * inductance))

    sides = [SpiralInductor.of(inductance).side_f for inductance in (series_h, ground_h)]
    network = (
        shunt(frequency, 1 / (mim.series_ohm + 1 / (omega * mim.capacitance_f)) + omega * sides[0])
        ** series(frequency, winding(series_h))
        ** shunt(frequency, omega * sum(sides) + 1 / winding(ground_h))
    )
    assert_s_parameters(dict(outcome.curves), network)
    assert outcome.curves["nf_db"].values == pytest.approx(available_gain_noise_figure_db(network), abs=2e-4)
    centre = len(frequency) // 2
    assert frequency[centre] == pytest.approx(10e9)
    assert outcome.metrics["gain_db"] == pytest.approx(20 * math.log10(abs(network.s[centre, 1, 0])), abs=1e-4)
    assert outcome.metrics["nf_db"] == pytest.approx(available_gain_noise_figure_db(network)[centre], abs=2e-4)


def test_series_capacitor_with_its_plates_agrees_with_scikit_rf(pool: SimulatorPool) -> None:
    # Resistors give the capacitor's nets a path to ground, as the electrical rules demand.
    coupled = circuit(("capacitor", "in out", 80e-15), ("resistor", "in 0", 300.0), ("resistor", "out 0", 200.0))
    outcome = pool.run([Simulation(coupled, conditions())], curves=True)[0]
    frequency = outcome.curves["s11"].frequency_hz
    omega = 2j * math.pi * frequency
    mim = mim_capacitor(80e-15, "typ", CELSIUS)
    plate = omega * mim.bottom_plate_f / 2
    network = (
        shunt(frequency, 1 / 300.0 + plate)
        ** series(frequency, mim.series_ohm + 1 / (omega * mim.capacitance_f))
        ** shunt(frequency, 1 / 200.0 + plate)
    )
    assert_s_parameters(dict(outcome.curves), network)
    assert outcome.curves["nf_db"].values == pytest.approx(available_gain_noise_figure_db(network), abs=2e-4)
