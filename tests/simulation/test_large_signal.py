"""Compression, intermodulation and efficiency agree with closed forms; what cannot be measured is a failure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genrf import classes
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.pa.drive import Drive, watts
from genrf.classes.pa.metrics import efficiency_percent
from genrf.conditions import Conditions
from genrf.simulation.large_signal import PowerSweep, ToneSpacing, compress, two_tones, warped
from genrf.simulation.library import library
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.transient import Transient, available_amplitude_v, dbm
from genrf.technology import get
from tests.amplifiers import MATCHED_28GHZ
from tests.simulation.circuits import CONDITIONS as LNA_CONDITIONS
from tests.simulation.circuits import cascode

FREQUENCY = 1e9
CONDITIONS = Conditions(frequency_hz=FREQUENCY, supply_v=1.5)
LINEAR, CUBIC = 5.0, -8.0
GAIN_DB = 20.0 * math.log10(LINEAR / 2.0)
"""Matched at the input, half the voltage at the output."""
AMPLIFIER = (
    "r_t in 0 50",
    f"b_o x 0 v={LINEAR}*v(in)+({CUBIC})*v(in)*v(in)*v(in)",
    "r_o x out 50",
    "r_l out 0 50",
)


def input_dbm(amplitude_v: float) -> float:
    """Power of an amplitude across the matched input of 50 Ohm."""
    return 10.0 * math.log10(amplitude_v**2 / 100.0 / 1e-3)


def cubic_output_dbm(points: int = 16):
    frequency = warped(FREQUENCY, points)
    transient = Transient(
        library(),
        ("cubic", "v_in src 0 sin(0 0 1)", "r_in src in 50", *AMPLIFIER),
        ["out"],
        thermal_ohm={},
        period_s=1.0 / frequency,
        points=points,
        longest=1000,
    )

    def measure(level: float) -> float:
        transient.drive("v_in", available_amplitude_v(level, 50.0), frequency)
        (out,) = transient.settle(lambda running: np.array([running.phasor("out", frequency)]))
        return dbm(abs(out), 50.0)

    return measure


@pytest.mark.parametrize("start_dbm", [-20.0, -8.0, -1.0])
def test_p1db_of_a_cubic_nonlinearity_is_the_closed_form_from_any_start(start_dbm: float) -> None:
    """A = sqrt(0.145 |a1 / a3|) (Razavi, RF Microelectronics, 2.2)."""
    amplitude = math.sqrt(4.0 / 3.0 * (1.0 - 10.0 ** (-1.0 / 20.0)) * abs(LINEAR / CUBIC))
    sweep = compress(cubic_output_dbm(), GAIN_DB, start_dbm, drops_db=(1.0,))
    assert sweep.input_at(1.0) == pytest.approx(input_dbm(amplitude), abs=0.05)
    assert sweep.output_at(1.0) == pytest.approx(input_dbm(amplitude) + GAIN_DB - 1.0, abs=0.05)


@pytest.mark.parametrize("level_dbm", [-35.0, -25.0])
def test_iip3_of_a_cubic_nonlinearity_is_the_closed_form_at_any_low_drive(level_dbm: float) -> None:
    """A = sqrt(4/3 |a1 / a3|) (Razavi, RF Microelectronics, 2.2)."""
    spacing = ToneSpacing(FREQUENCY, cycles=10)
    transient = Transient(
        library(),
        ("cubic", "v_a src mid sin(0 0 1)", "v_b mid 0 sin(0 0 1)", "r_in src in 50", *AMPLIFIER),
        ["out"],
        thermal_ohm={},
        period_s=spacing.period_s,
        points=336,
        longest=100,
    )
    result = two_tones(
        transient,
        spacing,
        sources=("v_a", "v_b"),
        output="out",
        input_dbm=level_dbm,
        source_ohm=50.0,
        load_ohm=50.0,
    )
    assert result.iip3_dbm == pytest.approx(input_dbm(math.sqrt(4.0 / 3.0 * abs(LINEAR / CUBIC))), abs=0.05)
    assert result.output_dbm == pytest.approx(level_dbm + GAIN_DB, abs=0.05)


def test_two_tones_and_their_products_have_whole_cycles_about_the_centre() -> None:
    spacing = ToneSpacing(28e9, cycles=20)
    lower, upper = spacing.tones_hz
    assert (lower + upper) / 2.0 == pytest.approx(28e9)
    assert spacing.products_hz == pytest.approx((2.0 * lower - upper, 2.0 * upper - lower))
    cycles = np.array([lower, upper, *spacing.products_hz]) * spacing.period_s
    np.testing.assert_allclose(cycles, np.round(cycles), rtol=1e-12)


def test_a_resonator_driven_at_the_warped_frequency_has_its_exact_gain_at_f0_with_sixteen_points_a_period() -> None:
    inductance, capacitance, points = 8e-9, 1e-12, 16
    frequency = warped(1.6e9, points)
    lines = ("resonator", f"v_in src 0 sin(0 1 {frequency:.12g})", "r_in src out 500")
    transient = Transient(
        library(),
        (*lines, f"l_1 out 0 {inductance}", f"c_1 out 0 {capacitance}"),
        ["out"],
        thermal_ohm={},
        period_s=1.0 / frequency,
        points=points,
        longest=400,
    )
    (found,) = transient.settle(lambda running: np.array([running.phasor("out", frequency)]))
    omega = 2.0 * math.pi * 1.6e9
    admittance = 1j * omega * capacitance + 1.0 / (1j * omega * inductance)
    assert abs(found) == pytest.approx(1.0 / abs(1.0 + 500.0 * admittance), rel=2e-3)


def ideal_efficiency_percent(current: str, load_ohm: float) -> float:
    """Collector efficiency of an ideal transistor whose tank shorts the harmonics, at an input amplitude of 1 V."""
    conditions = Conditions(frequency_hz=FREQUENCY, supply_v=1.5, load_ohm=load_ohm)
    quality, omega = 20.0, 2.0 * math.pi * FREQUENCY
    netlist = (
        "ideal power amplifier",
        "v_supply vdd 0 1.5",
        "v_in src 0 sin(0 0 1)",
        "r_in src in 50",
        f"b_q c 0 i={current}",
        f"l_t vdd c {load_ohm / quality / omega:.12g}",
        f"c_t c vdd {quality / load_ohm / omega:.12g}",
        f"r_l c vdd {load_ohm}",
        "e_o out 0 c vdd 1",
    )
    nothing = Circuit(Topology("pa", (Device("resistor", ("in", "0")),)), (50.0,))
    drive = Drive(library(), netlist, {}, {}, nothing, conditions, get("sg13g2"), points=96)
    power_dbm = 10.0 * math.log10(1.0 / (8.0 * 50.0) / 1e-3)  # an open-circuit amplitude of 1 V
    drive.output_dbm(power_dbm)
    level = drive.levels[power_dbm]
    return efficiency_percent(watts(level.output_dbm), level.collector_w)


def test_ideal_class_a_at_full_swing_is_50_percent_efficient() -> None:
    assert ideal_efficiency_percent("0.03*(1+v(in))", 1.5 / 0.03) == pytest.approx(50.0, abs=0.3)


def test_ideal_class_b_at_full_swing_is_pi_over_four_efficient() -> None:
    """A half-wave of peak I has the fundamental I / 2 and the mean I / pi."""
    assert ideal_efficiency_percent("0.06*max(v(in),0)", 1.5 / 0.03) == pytest.approx(25.0 * math.pi, abs=0.5)


def test_levels_around_each_wanted_compression_are_few_and_near() -> None:
    asked = []

    def saturating(level: float) -> float:
        asked.append(level)
        # Rapp's model of a power amplifier, smoothness 2, saturated output 10 dBm.
        linear = 10.0 ** ((level + 12.0) / 10.0)
        return 10.0 * math.log10(linear / math.sqrt(1.0 + (linear / 10.0) ** 2))

    sweep = compress(saturating, 12.0, -6.0)
    for drop in (1.0, 3.0):
        exact = 10.0 + 5.0 * math.log10(10.0 ** (drop / 5.0) - 1.0) - 12.0
        assert sweep.input_at(drop) == pytest.approx(exact, abs=0.05)
    assert len(asked) <= 7


def test_what_does_not_compress_is_not_measurable() -> None:
    with pytest.raises(SimulationFailure, match="not_measurable"):
        compress(lambda level: level + 3.0, 3.0, 0.0)


def test_a_gain_that_is_low_at_low_drive_already_is_not_measurable() -> None:
    with pytest.raises(SimulationFailure, match="not_measurable"):
        compress(lambda level: level + 3.0, 10.0, 0.0)


def test_a_sweep_that_ends_early_has_no_compression_point() -> None:
    sweep = PowerSweep(10.0, np.array([-10.0, 0.0]), np.array([0.0, 9.5]))
    with pytest.raises(SimulationFailure, match="not_measurable"):
        sweep.input_at(1.0)


def test_a_low_noise_amplifier_compresses_about_ten_decibels_below_its_intercept_point(pool: SimulatorPool) -> None:
    """9.6 dB for a cubic (Razavi, RF Microelectronics, 2.2); the label metrics do not change with sign-off."""
    plain, signed = (pool.run([Simulation(cascode(), LNA_CONDITIONS, signoff=signoff)])[0] for signoff in (False, True))
    assert plain.metrics is not None
    assert signed.metrics is not None, signed.failure
    assert {"iip3_dbm", "ip1db_dbm"} == signed.metrics.keys() - plain.metrics.keys()
    assert all(signed.metrics[name] == value for name, value in plain.metrics.items())
    assert signed.metrics["iip3_dbm"] - signed.metrics["ip1db_dbm"] == pytest.approx(9.6, abs=3.0)


@pytest.mark.parametrize("frequency_hz", [28e9, 36e9])
def test_an_amplifiers_gain_at_low_drive_is_that_of_its_s_parameters(frequency_hz: float) -> None:
    conditions, technology, level_dbm = Conditions(frequency_hz=frequency_hz, supply_v=2.0), get("sg13g2"), -50.0
    lna = classes.get("lna").testbench
    gain_db = lna.simulate(library(), MATCHED_28GHZ, conditions, technology).metrics["gain_db"]
    netlist = classes.get("pa").testbench.netlist(MATCHED_28GHZ, conditions, technology)
    heat = technology.thermal_resistances(MATCHED_28GHZ, "typ", 27.0)
    drive = Drive(library(), netlist, heat, {}, MATCHED_28GHZ, conditions, technology)
    # 0.2 dB are left, all of it self-heating: without thermal resistance the two agree to 0.01 dB.
    assert drive.output_dbm(level_dbm) - level_dbm == pytest.approx(gain_db, abs=0.3)
