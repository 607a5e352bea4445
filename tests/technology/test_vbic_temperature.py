"""Cards at other temperatures than their own: nothing at 27 degrees, physics elsewhere, and the same as VACASK's VBIC."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrf import technology
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.simulation.library import Library
from genrf.simulation.testbench import Deck
from genrf.simulation.vacask.locate import installed
from genrf.simulation.vacask.netlist import PREAMBLE, circuit_lines, instance, options
from genrf.simulation.vacask.process import run
from genrf.technology import vbic_temperature
from genrf.technology.sg13g2 import npn13g2

PROCESS = technology.get("sg13g2")
HBT = Circuit(Topology("lna", (Device("hbt", ("c", "b", "0")),)), (4.0,))
K_OVER_Q = 8.617e-5

celsius = st.floats(-40.0, 125.0)


def collector_a(
    library: Library, base_v: float, temperature_c: float, corner: str = "typ", rise_k: float | None = 0.0
) -> float:
    """At V_CE = 1.2 V; the junctions are held at a rise of temperature above ambient, or heat themselves."""
    lines = PROCESS.instances(HBT, corner, temperature_c) + PROCESS.models(HBT, corner, temperature_c)
    held = [] if rise_k is None else [f"vt q1_t 0 {rise_k}"]
    deck = ("dc", "vc c 0 1.2", f"vb b 0 {base_v!r}", *held, *lines, f".options temp={temperature_c} reltol=1e-6")
    library.run(Deck(deck, ("op",), ("vc#branch",)))
    return float(-library.vector("op1", "vc#branch")[0])


def vacask_collector_a(base_v: float, temperature_c: float, corner: str, rise_k: float | None) -> float:
    conditions = Conditions(frequency_hz=10e9, supply_v=1.2, temperature_c=temperature_c, corner=corner)
    sources = [
        instance("vc", ["c", "0"], "vsource", dc=1.2),
        instance("vb", ["b", "0"], "vsource", dc=base_v),
        *([] if rise_k is None else [instance("vt", ["q1_t", "0"], "vsource", dc=rise_k)]),
    ]
    control = ["control", "abort always", options(conditions), "analysis o op", "endc"]
    found = run(["dc", *PREAMBLE, *circuit_lines(HBT, conditions, PROCESS), *sources, *control], ["o"])
    return float(-found["o"]["vc:flow(br)"][0].real)


def base_v_for(library: Library, current_a: float, temperature_c: float) -> float:
    low, high = 0.3, 1.1
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (low, middle) if collector_a(library, middle, temperature_c) > current_a else (middle, high)
    return middle


def test_at_its_own_temperature_a_card_is_the_pdks() -> None:
    card = npn13g2.card_values(4, "typ", 27.0)
    assert vbic_temperature.scaled(card, 27.0) == dict(card)
    assert "tnom=27 " in npn13g2.card(4, "typ", 27.0)


@given(first=celsius, second=celsius)
def test_scaling_in_two_steps_is_scaling_in_one(first: float, second: float) -> None:
    """What self-heating does to a card that has been scaled to the ambient temperature."""
    card = npn13g2.card_values(4, "typ", 27.0)
    once = vbic_temperature.scaled(card, second)
    twice = vbic_temperature.scaled(vbic_temperature.scaled(card, first), second)
    # The two that nothing in a card makes compose, and what was written for that.
    inexact = {"gamm", "isp", "eap"}
    assert {k: v for k, v in twice.items() if k not in inexact} == pytest.approx(
        {k: once[k] for k in twice if k not in inexact}, rel=1e-9
    )


@pytest.mark.parametrize("temperature_c", [-40.0, 27.0, 85.0, 125.0])
def test_ten_times_the_current_takes_the_thermal_voltage_times_ln_10(library: Library, temperature_c: float) -> None:
    """At low injection, where V_BE is nf kT/q ln(I_C / I_S): the PTAT voltage of every band-gap reference."""
    high, low = (base_v_for(library, current_a, temperature_c) for current_a in (1e-6, 1e-7))
    nf = 1.018 * (1.0 + 1.5e-4 * (temperature_c - 27.0))
    thermal_v = K_OVER_Q * (temperature_c + 273.15)
    # The Early effect of the base-emitter junction (ver = 5.3 V) adds a little.
    assert (high - low) / (nf * thermal_v * math.log(10.0)) == pytest.approx(1.0, abs=0.01)


def test_the_base_emitter_voltage_falls_by_one_to_two_millivolts_a_kelvin(library: Library) -> None:
    voltages = [base_v_for(library, 1e-4, temperature_c) for temperature_c in (-40.0, 27.0, 125.0)]
    slopes = [(voltages[1] - voltages[0]) / 67.0, (voltages[2] - voltages[1]) / 98.0]
    assert all(-2e-3 < slope < -1e-3 for slope in slopes), slopes
    # dV_BE/dT = (V_BE - E_a - x_is kT/q) / T, and what the emission coefficient adds as it rises.
    expected = (voltages[1] - 1.056 - 2.3 * K_OVER_Q * 300.0) / 300.0 + 1.5e-4 * voltages[1]
    assert sum(slopes) / 2.0 == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("corner", ["typ", "bcs", "wcs"])
@pytest.mark.parametrize("temperature_c", [-40.0, 27.0, 85.0, 125.0])
def test_collector_currents_are_those_of_vacask(library: Library, temperature_c: float, corner: str) -> None:
    if not installed():
        pytest.skip("VACASK is not installed: the second simulator's word is missing here")
    base_v = 0.88 - 1.2e-3 * (temperature_c - 27.0)
    for rise_k in (0.0, 40.0, None):
        ours = collector_a(library, base_v, temperature_c, corner, rise_k)
        # Measured: 5e-6 at the worst.
        assert ours == pytest.approx(vacask_collector_a(base_v, temperature_c, corner, rise_k), rel=1e-4)
