"""Periodic steady state: the closed-form answer, found without waiting for it, or an honest failure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.simulation.library import library
from genrf.simulation.testbench import Deck, SimulationFailure
from genrf.simulation.transient import Transient, available_amplitude_v, dbm

FREQUENCY = 1e9
OMEGA = 2.0 * math.pi * FREQUENCY


def linear(lines: list[str], saved: list[str], points: int = 64, longest: int = 400) -> Transient:
    netlist = ["a linear circuit", f"v_in src 0 sin(0 1 {FREQUENCY:g})", *lines]
    return Transient(library(), netlist, saved, thermal_ohm={}, period_s=1 / FREQUENCY, points=points, longest=longest)


def outputs(transient: Transient) -> np.ndarray:
    return np.array([transient.phasor("out", FREQUENCY)])


def test_a_low_pass_settles_to_its_transfer_function() -> None:
    r, c = 50.0, 4e-12
    (found,) = linear([f"r1 src out {r}", f"c1 out 0 {c}"], ["out"]).settle(outputs)
    # A sine is -j in phasors relative to cosine.
    assert found == pytest.approx(-1j / (1 + 1j * OMEGA * r * c), rel=2e-3)


def test_a_time_constant_of_fifty_periods_is_extrapolated_not_waited_for() -> None:
    """A coupling capacitor's charge decays over 50 periods; the average is known long before it has."""
    transient = linear(["v_dc mid src 1", "c1 mid out 1n", "r1 out 0 50"], ["out"], longest=2000)

    def average(running: Transient) -> np.ndarray:
        return np.array([1.0 + running.average("out"), running.phasor("out", FREQUENCY)])

    found = transient.settle(average)
    assert found[0].real == pytest.approx(1.0, abs=3e-3)
    assert transient.periods < 300


def test_a_level_changed_on_the_way_gives_what_a_fresh_run_gives() -> None:
    lines = ["r1 src out 50", "c1 out 0 4p", "d1 out 0 junction", ".model junction d(is=1e-14 cjo=0.1p)"]
    running = linear(lines, ["out"])
    running.settle(outputs)
    running.drive("v_in", 2.0, FREQUENCY)
    stepped = running.settle(outputs)
    fresh = linear(lines, ["out"])
    fresh._netlist = tuple(line.replace("sin(0 1 ", "sin(0 2 ") for line in fresh._netlist)
    np.testing.assert_allclose(stepped, fresh.settle(outputs), rtol=3e-3)


def test_what_is_not_periodic_is_a_failure() -> None:
    lines = ["r1 src out 50", "r2 out 0 50", "v_other x 0 sin(0 1 1.03e9)", "r3 x out 50"]
    with pytest.raises(SimulationFailure, match="not periodic") as failure:
        linear(lines, ["out"], longest=120).settle(outputs)
    assert failure.value.cause == "no_convergence"


def test_a_transistor_starts_at_the_temperature_of_its_operating_point() -> None:
    """Without drive nothing may move; ngspice alone starts it cold, 10 % lower in current."""
    process = technology.get("sg13g2")
    devices = (Device("resistor", ("vdd", "c")), Device("hbt", ("c", "b", "0")), Device("bias_voltage", ("b",)))
    circuit = Circuit(Topology("lna", devices), (60.0, 10.0, 0.9))
    netlist = ["one transistor", "v_supply vdd 0 2", *process.instances(circuit), *process.models(circuit, "typ", 27.0)]
    simulator = library()
    simulator.run(Deck(tuple(netlist), ("op",), ("v_supply#branch",)))
    expected = float(simulator.vector("op1", "v_supply#branch")[0])
    heat = process.thermal_resistances(circuit, "typ", 27.0)
    running = Transient(
        simulator, netlist, ["v_supply#branch"], thermal_ohm=heat, period_s=1e-10, points=32, longest=100
    )
    running.advance(20)
    assert running.average("v_supply#branch") == pytest.approx(expected, rel=2e-3)


def test_available_power_and_amplitude_are_inverse() -> None:
    """A matched load takes the available power: half of the open-circuit voltage across it."""
    assert dbm(available_amplitude_v(-7.0, 50.0) / 2.0, 50.0) == pytest.approx(-7.0)
