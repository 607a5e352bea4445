"""A voltage-controlled oscillator's figures against formulas, and against ngspice run by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.circuit.rules import is_legal
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.vco.metrics import BOLTZMANN, figure_of_merit_dbc_hz, phase_noise_dbc_hz, unwarped
from genrf.classes.vco.modes import modes
from genrf.classes.vco.oscillation import KICK_V, OPTIONS, POINTS, Oscillation, Oscillator, Steady
from genrf.classes.vco.phase_noise import signoff_phase_noise
from genrf.conditions import Conditions
from genrf.simulation.library import library
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Deck, SimulationFailure

INDUCTANCE, CAPACITANCE, LOSS_OHM = 1e-9, 1e-12, 500.0
RESONANCE_HZ = 1.0 / (2.0 * math.pi * math.sqrt(INDUCTANCE * CAPACITANCE))
CONDITIONS = Conditions(frequency_hz=17e9, supply_v=1.5)
WATCHED = Oscillator(net="a", output="a", sources={}, thermal_ohm={})


def ideal(conductance: float = 4e-3, cubic: float = 2e-3) -> list[str]:
    """A lossy resonator and a current -g v + c v^3."""
    return [
        "ideal oscillator",
        "i_kick 0 a dc 0 ac 1 pulse(0 0 0 1p 1p 1p 1)",
        f"l1 a 0 {INDUCTANCE}",
        f"c1 a 0 {CAPACITANCE}",
        f"r_loss a 0 {LOSS_OHM}",
        f"b1 a 0 i=-{conductance}*v(a)+{cubic}*v(a)*v(a)*v(a)",
        OPTIONS,
    ]


def run(netlist: list[str], points: int = POINTS) -> tuple[Oscillation, Steady]:
    simulator = library()
    simulator.run(Deck(tuple(netlist), ("op",), WATCHED.saved()))
    running = Oscillation(simulator, WATCHED, "tran1", 1.0 / (points * RESONANCE_HZ), RESONANCE_HZ)
    running.start(KICK_V * CAPACITANCE, {})
    return running, running.settle()


def pair(tail_ohm: float = 700.0) -> Circuit:
    """A cross-coupled pair at about 17 GHz."""
    parts = (
        ("inductor", "vdd a", 400e-12),
        ("inductor", "vdd b", 400e-12),
        ("varactor", "tune a", 40),
        ("varactor", "tune b", 40),
        ("hbt", "a b e", 4),
        ("hbt", "b a e", 4),
        ("resistor", "e 0", tail_ohm),
        ("capacitor", "a 0", 60e-15),
        ("capacitor", "b 0", 60e-15),
        ("capacitor", "a out", 30e-15),
    )
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology("vco", devices), tuple(float(value) for *_, value in parts))


@pytest.mark.parametrize("points", [POINTS, 2 * POINTS])
def test_frequency_of_an_ideal_lc_oscillator(points: int) -> None:
    running, steady = run(ideal(), points)
    assert unwarped(steady.frequency_hz, running.step_s) == pytest.approx(RESONANCE_HZ, rel=1e-3)


def test_amplitude_of_an_ideal_lc_oscillator_with_a_cubic_current() -> None:
    _, steady = run(ideal())
    # Describing function of the cubic: g - 1/R = 3/4 c V^2.
    assert steady.amplitude_v == pytest.approx(math.sqrt(4.0 / 3.0 * (4e-3 - 1.0 / LOSS_OHM) / 2e-3), rel=0.01)


def test_phase_noise_of_an_lc_oscillator_with_one_known_source() -> None:
    simulator = library()
    noise = signoff_phase_noise(
        simulator,
        ideal(),
        WATCHED,
        temperature_c=27.0,
        kick_c=KICK_V * CAPACITANCE,
        guess_hz=RESONANCE_HZ,
        kelvin={},
    )
    _, steady = run(ideal())
    # A charge q steps the voltage by q/C and turns the phase by -q/(C V) sin: half of 4kT/R becomes phase noise.
    per_radian = CAPACITANCE * steady.amplitude_v * 2.0 * math.pi * 1e6
    expected = 10.0 * math.log10(BOLTZMANN * 300.15 / (LOSS_OHM * per_radian**2))
    assert noise.dbc_hz(1e6) == pytest.approx(expected, abs=1.0)
    assert noise.dbc_hz(1e7) == pytest.approx(noise.dbc_hz(1e6) - 20.0, abs=0.01)


def test_estimate_of_phase_noise_is_the_same_formula_for_a_parallel_resonator() -> None:
    amplitude = 0.8
    # Net of loss and gain the resonator has no conductance: ln Z has the slope 2C / Y, and S_v = S_i / Y^2.
    admittance = 1e-4
    density = 4.0 * BOLTZMANN * 300.15 / LOSS_OHM / admittance**2
    estimate = phase_noise_dbc_hz(density, amplitude, 2.0 * CAPACITANCE / admittance)
    per_radian = CAPACITANCE * amplitude * 2.0 * math.pi * 1e6
    assert estimate == pytest.approx(10.0 * math.log10(BOLTZMANN * 300.15 / (LOSS_OHM * per_radian**2)), abs=1e-9)


def test_figure_of_merit_rewards_frequency_and_charges_power() -> None:
    assert figure_of_merit_dbc_hz(-100.0, 10e9, 10e-3) == pytest.approx(-100.0 - 80.0 + 10.0)


@pytest.mark.parametrize("growth", [-0.1, 0.05, 0.5])
def test_natural_mode_is_found_whether_it_grows_or_dies(growth: float) -> None:
    frequency = np.geomspace(1e9, 30e9, 61)
    omega, conductance = 2.0 * np.pi * frequency, -2.0 * growth * math.sqrt(CAPACITANCE / INDUCTANCE)
    impedance = 1.0 / (1j * omega * CAPACITANCE + 1.0 / (1j * omega * INDUCTANCE) + conductance)
    (mode,) = [mode for mode in modes(frequency, impedance) if mode.residue_ohm_hz > 1e9]
    assert mode.frequency_hz == pytest.approx(RESONANCE_HZ, rel=1e-4)
    assert mode.growth == pytest.approx(growth * 2.0 * math.pi * RESONANCE_HZ, rel=1e-3)


def test_oscillator_that_dies_is_told_so() -> None:
    with pytest.raises(SimulationFailure, match="no_oscillation"):
        run(ideal(conductance=1e-3))


def test_cross_coupled_pair_starts_and_tunes(pool: SimulatorPool) -> None:
    assert is_legal(pair().topology)
    outcome = pool.run([Simulation(pair(), CONDITIONS)], curves=True)[0]
    assert outcome.metrics is not None, outcome.failure
    metrics = outcome.metrics
    assert metrics["frequency_error_percent"] < 5.0
    assert 0.5 < metrics["tuning_range_percent"] < 10.0
    assert metrics["frequency_error_percent"] == pytest.approx(100.0 * abs(metrics["frequency_hz"] / 17e9 - 1.0))
    tuning = outcome.curves["tuning"]
    # More tuning voltage takes reverse bias off the varactors: more capacitance.
    assert tuning.values[0] > tuning.values[-1]
    assert {"waveform", "phase_noise"} <= outcome.curves.keys()


def test_cross_coupled_pair_without_enough_current_is_reported(pool: SimulatorPool) -> None:
    failure = pool.run([Simulation(pair(tail_ohm=20e3), CONDITIONS)])[0].failure
    assert failure is not None
    assert failure.cause == "no_oscillation"


def test_ngspice_by_hand_agrees_in_frequency_and_power(pool: SimulatorPool, tmp_path: Path) -> None:
    metrics = pool.run([Simulation(pair(), CONDITIONS)])[0].metrics
    assert metrics is not None
    path = tmp_path / "vco.cir"
    path.write_text(standalone_netlist(pair(), CONDITIONS, technology.get("sg13g2")))
    by_hand = run_standalone(path, "vco")
    assert by_hand["frequency_hz"] == pytest.approx(metrics["frequency_hz"], rel=1e-3)
    assert by_hand["output_power_dbm"] == pytest.approx(metrics["output_power_dbm"], abs=0.1)
    assert by_hand["tuning_range_percent"] == pytest.approx(metrics["tuning_range_percent"], rel=0.03)
    assert by_hand["phase_noise_estimate_dbc_hz"] == pytest.approx(metrics["phase_noise_estimate_dbc_hz"], abs=0.3)
    assert by_hand["power_w"] == pytest.approx(metrics["power_w"], rel=0.05)
