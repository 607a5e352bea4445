"""VACASK against closed forms: what linear circuits transmit and how much noise they make, and how hot a transistor is."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from genrf import classes, technology
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.harmonic_balance import amplifier_lines, drive
from genrf.simulation.vacask.netlist import number, options
from genrf.simulation.vacask.process import run
from genrf.simulation.vacask.small_signal import BOLTZMANN, REFERENCE_TEMPERATURE_K, cautions, small_signal
from genrf.technology.sg13g2.mim_capacitor import mim_capacitor
from genrf.technology.sg13g2.npn13g2 import thermal_resistance
from tests.vacask.circuits import COMMON_EMITTER, CONDITIONS, circuit, design

pytestmark = pytest.mark.vacask
TECHNOLOGY = technology.get()
FREQUENCY_HZ = np.array([1e9, 10e9, 40e9])
NOISE_DB = 2e-5
"""VACASK's Boltzmann constant is that of 1998, 1.3806503e-23, and resistances have seven digits."""


def _pad(loss_db: float) -> tuple[float, float]:
    """Series and shunt resistances of a T pad matched to 50 Ohm (Pozar, Microwave Engineering, 4th ed., example 4.4)."""
    k = 10.0 ** (loss_db / 20.0)
    return 50.0 * (k - 1.0) / (k + 1.0), 50.0 * 2.0 * k / (k**2 - 1.0)


@pytest.mark.parametrize("loss_db", [1.0, 3.0, 10.0])
def test_a_matched_attenuator_has_its_loss_for_noise_figure(loss_db: float) -> None:
    series, shunt = _pad(loss_db)
    pad = circuit(("resistor", "in m", series), ("resistor", "m out", series), ("resistor", "m 0", shunt))
    found = small_signal(pad, CONDITIONS, TECHNOLOGY, FREQUENCY_HZ, FREQUENCY_HZ)
    # At the ambient temperature T the loss L makes F = 1 + (L - 1) T / T0 (Pozar, 10.1).
    loss = 10.0 ** (loss_db / 10.0)
    factor = 1.0 + (loss - 1.0) * (273.15 + CONDITIONS.temperature_c) / REFERENCE_TEMPERATURE_K
    np.testing.assert_allclose(found.nf_db, 10.0 * math.log10(factor), atol=NOISE_DB)
    np.testing.assert_allclose(20.0 * np.log10(np.abs(found.scattering[:, 1, 0])), -loss_db, atol=1e-6)
    np.testing.assert_allclose(np.abs(found.scattering[:, 0, 0]), 0.0, atol=1e-7)


@pytest.mark.parametrize("temperature_c", [-40.0, 27.0, 125.0])
def test_thermal_noise_of_a_resistor_goes_with_its_temperature(temperature_c: float) -> None:
    conditions = replace(CONDITIONS, temperature_c=temperature_c, source_ohm=75.0)
    found = small_signal(circuit(("resistor", "in out", 100.0)), conditions, TECHNOLOGY, FREQUENCY_HZ)
    # The resistance that the corner and the temperature make of 100 Ohm, from the transmission: S21 = 2 sqrt(R_s R_L) / sum.
    ohm = 2.0 * math.sqrt(75.0 * 50.0) / abs(found.scattering[0, 1, 0]) - 125.0
    own = 4.0 * BOLTZMANN * (273.15 + temperature_c) * ohm
    factor = 1.0 + own / (4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * 75.0)
    assert found.nf_db[0] == pytest.approx(10.0 * math.log10(factor), abs=NOISE_DB)


def test_a_resistor_and_a_capacitor_transmit_as_on_paper() -> None:
    lowpass = circuit(("resistor", "in m", 30.0), ("capacitor", "m 0", 200e-15), ("resistor", "m out", 20.0))
    found = small_signal(lowpass, CONDITIONS, TECHNOLOGY, FREQUENCY_HZ)
    mim = mim_capacitor(200e-15, "typ", 27.0)
    shunt = 1.0 / (mim.series_ohm + 1.0 / (2j * np.pi * FREQUENCY_HZ * mim.capacitance_f))
    # A series, a shunt and a series element (Pozar, table 4.1).
    a, b, c, d = 1.0 + 30.0 * shunt, 30.0 + 20.0 + 600.0 * shunt, shunt, 1.0 + 20.0 * shunt
    np.testing.assert_allclose(found.scattering[:, 1, 0], 2.0 / (a + b / 50.0 + c * 50.0 + d), rtol=1e-6)


def test_power_of_a_divider() -> None:
    divider = circuit(("resistor", "vdd m", 100.0), ("resistor", "m 0", 80.0), ("resistor", "in out", 50.0))
    found = small_signal(divider, CONDITIONS, TECHNOLOGY, FREQUENCY_HZ)
    assert found.power_w == pytest.approx(1.8**2 / 180.0, rel=1e-6)


def test_a_transistor_is_as_hot_as_its_power_makes_it() -> None:
    found = small_signal(COMMON_EMITTER, CONDITIONS, TECHNOLOGY)
    point = found.transistors["q1"]
    kelvin_per_watt = thermal_resistance(8.0, 1.0, "typ", 27.0)
    # What the base takes is about 1 % of it.
    assert point.rise_k == pytest.approx(kelvin_per_watt * point.ic_a * point.vce_v, rel=0.03)
    assert point.rise_k > 3.0


def test_harmonic_balance_at_low_drive_has_the_small_signals_gain() -> None:
    gain = small_signal(COMMON_EMITTER, CONDITIONS, TECHNOLOGY).decibels_at(10e9, 2, 1)
    lines = amplifier_lines(COMMON_EMITTER, CONDITIONS, TECHNOLOGY)
    levels = drive(COMMON_EMITTER, CONDITIONS, lines, [-60.0, -50.0], 3)
    assert [level.output_dbm - dbm for dbm, level in levels.items()] == pytest.approx([gain, gain], abs=0.01)


def test_no_way_to_the_output_is_a_failure() -> None:
    apart = circuit(("resistor", "in 0", 50.0), ("resistor", "out 0", 50.0))
    with pytest.raises(SimulationFailure, match="no signal") as caught:
        small_signal(apart, CONDITIONS, TECHNOLOGY, FREQUENCY_HZ)
    assert caught.value.cause == "not_measurable"


@pytest.mark.parametrize("frequency_hz", [[], [0.0], [-1.0], [float("nan")], [[1e9], [2e9]]])
def test_frequencies_are_checked(frequency_hz: list[float]) -> None:
    with pytest.raises(SimulationFailure, match="frequency_hz") as caught:
        small_signal(COMMON_EMITTER, CONDITIONS, TECHNOLOGY, np.array(frequency_hz))
    assert caught.value.cause == "invalid_value"


def test_broken_limits_and_negative_resistance_are_told() -> None:
    fine = small_signal(COMMON_EMITTER, CONDITIONS, TECHNOLOGY)
    assert cautions(fine, COMMON_EMITTER, TECHNOLOGY) == ()
    hot = small_signal(COMMON_EMITTER, replace(CONDITIONS, supply_v=3.3), TECHNOLOGY)
    assert any("Q1: |V_CE|" in said for said in cautions(hot, COMMON_EMITTER, TECHNOLOGY))
    reflecting = replace(fine, scattering=fine.scattering * np.array([[9.0, 1.0], [1.0, 1.0]]))
    (said,) = cautions(reflecting, COMMON_EMITTER, TECHNOLOGY)
    assert "negative resistance at the input" in said


def test_noise_without_a_local_oscillators_drive_is_that_of_the_operating_point() -> None:
    lines = amplifier_lines(COMMON_EMITTER, CONDITIONS, TECHNOLOGY)
    values = f"values=[{number(10e9)}]"
    control = [
        "control",
        "abort always",
        options(CONDITIONS),
        f'analysis plain noise out="out" in="v_in" {values}',
        f'analysis periodic hbnoise freq=[{number(25e9)}] nharm=2 out="out" in="v_in" outspur=[0] inspur=[0] {values}',
        "endc",
    ]
    found = run([*lines, *control], ("plain", "periodic"))
    for vector in ("onoise", "gain", "n(r_in)", "n(r_out)"):
        assert found["periodic"][vector][0].real == pytest.approx(found["plain"][vector][0].real, rel=1e-4), vector


def test_noise_figures_of_both_sidebands_follow_from_their_gains() -> None:
    mixer, spec = design("mixer_28ghz")
    measured = classes.get("mixer").second_opinion(mixer, spec.conditions, TECHNOLOGY)
    image_db = float(re.findall(r"image's sideband is (\S+) dB", " ".join(measured.notes))[0])
    gain = 10.0 ** (measured.metrics["conversion_gain_db"] / 10.0)
    both = gain + 10.0 ** (image_db / 10.0)
    difference = measured.metrics["nf_ssb_db"] - measured.metrics["nf_dsb_db"]
    assert difference == pytest.approx(10.0 * math.log10(both / gain), abs=0.01)
