"""Mixers: ideal ones with known figures through the testbench's own spectra, and real ones in and outside the library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.mixer import testbench
from genrf.classes.mixer.compression import compression_point
from genrf.classes.mixer.testbench import LO_DBM, MixerTestbench
from genrf.conditions import Conditions
from genrf.simulation.library import library
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Measurement, SimulationFailure
from genrf.simulation.transient import available_amplitude_v, dbm

PROCESS = technology.get("sg13g2")
CONDITIONS = Conditions(frequency_hz=28e9, supply_v=2.5)
ANGLE = f"{2.0 * math.pi * 0.9 * CONDITIONS.frequency_hz:.12g}*time"
COSINE = f"{4.0 / math.pi:.12g}*cos({ANGLE})"
"""The fundamental of a square wave of +-1."""


@dataclass
class Behaviour:
    """A technology whose circuits are given lines of SPICE."""

    lines: tuple[str, ...]
    name: str = "behaviour"
    version: str = "1"
    corners: tuple[str, ...] = ("typ",)

    def value_range(self, kind: str) -> tuple[float, float]:
        return 0.0, 1e9

    def snap(self, kind: str, value: float) -> float:
        return value

    def thermal_resistances(self, circuit: Circuit, corner: str, temperature_c: float) -> dict[str, float]:
        return {}

    def instances(self, circuit: Circuit, corner: str = "typ", temperature_c: float = 27.0) -> list[str]:
        return list(self.lines)

    def models(self, circuit: Circuit, corner: str, temperature_c: float) -> list[str]:
        return []

    def violations(self, device: Device, value: float, operating_point: dict[str, float]) -> list[str]:
        return []


def circuit(*parts: tuple[str, str, float]) -> Circuit:
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology("mixer", devices), tuple(float(value) for _, _, value in parts))


def ideal(output: str, *others: str, signoff: bool = False) -> Measurement:
    """Matched ports, and an output of an open-circuit voltage behind the load's resistance, twice what is given."""
    lines = ("r_in rf 0 50", "r_p lop 0 50", "r_n lon 0 50", f"b_mix mixed 0 v = 2*({output})", "r_mix mixed out 50")
    stand_in = circuit(("resistor", "rf out", 50.0))
    process = Behaviour((*lines, *others))
    return MixerTestbench().simulate(library(), stand_in, CONDITIONS, process, signoff=signoff)


def gilbert() -> Circuit:
    """A double-balanced Gilbert cell at 28 GHz, not matched."""
    return circuit(
        ("capacitor", "rf n1", 400e-15),
        ("bias_voltage", "n2", 0.9),
        ("resistor", "n2 n1", 400),
        ("resistor", "n2 n3", 400),
        ("capacitor", "n3 0", 1e-12),
        ("hbt", "n4 n1 n5", 6),
        ("hbt", "n6 n3 n7", 6),
        ("resistor", "n5 n8", 20),
        ("resistor", "n7 n8", 20),
        ("resistor", "n8 0", 20),
        ("capacitor", "lop n9", 400e-15),
        ("capacitor", "lon n10", 400e-15),
        ("bias_voltage", "n11", 1.6),
        ("resistor", "n11 n9", 400),
        ("resistor", "n11 n10", 400),
        ("hbt", "n12 n9 n4", 6),
        ("hbt", "n13 n10 n4", 6),
        ("hbt", "n12 n10 n6", 6),
        ("hbt", "n13 n9 n6", 6),
        ("resistor", "vdd n12", 150),
        ("resistor", "vdd n13", 150),
        ("capacitor", "n12 out", 2e-12),
    )


def test_a_square_wave_converts_with_two_over_pi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that reverses the RF at the LO's rate: |V_IF / V_RF| = 2 / pi (Razavi, RF Microelectronics, 6.2)."""
    # Sixteen steps a period would place the edges of an ideal switch only roughly.
    monkeypatch.setattr(testbench, "POINTS", 3200)
    metrics = ideal(f"v(rf)*sgn(cos({ANGLE}))").metrics
    assert metrics["conversion_gain_db"] == pytest.approx(20.0 * math.log10(2.0 / math.pi), abs=0.03)


def test_a_switch_with_soft_edges_needs_no_finer_steps() -> None:
    angle = np.linspace(0.0, 2.0 * math.pi, 1000, endpoint=False)
    fundamental = 2.0 * np.mean(np.tanh(4.0 * np.cos(angle)) * np.cos(angle))
    metrics = ideal(f"v(rf)*tanh(4*cos({ANGLE}))").metrics
    assert metrics["conversion_gain_db"] == pytest.approx(20.0 * math.log10(fundamental / 2.0), abs=0.03)


def test_a_perfectly_balanced_switch_lets_no_lo_through() -> None:
    metrics = ideal(f"v(rf)*{COSINE}").metrics
    assert metrics["conversion_gain_db"] == pytest.approx(20.0 * math.log10(2.0 / math.pi), abs=0.02)
    assert metrics["lo_if_isolation_db"] == 80.0
    assert metrics["lo_rf_isolation_db"] == 80.0


def test_isolation_is_from_all_of_the_lo_to_the_load() -> None:
    """A tenth of one phase's voltage: half the power, 20 dB down."""
    metrics = ideal(f"v(rf)*{COSINE} + 0.1*v(lop)").metrics
    assert metrics["lo_if_isolation_db"] == pytest.approx(20.0 + 10.0 * math.log10(2.0), abs=0.05)


def test_lo_that_reaches_the_rf_source_is_counted_in_its_resistance() -> None:
    """A current of v(lop) / 500 Ohm into the RF port, where 25 Ohm are: a twentieth of the voltage."""
    metrics = ideal(f"v(rf)*{COSINE}", "g_leak 0 rf lop 0 0.002").metrics
    assert metrics["lo_rf_isolation_db"] == pytest.approx(20.0 * math.log10(20.0) + 10.0 * math.log10(2.0), abs=0.05)


def test_the_lo_s_two_sources_offer_their_power_together() -> None:
    amplitude = available_amplitude_v(LO_DBM - 10.0 * math.log10(2.0), 50.0)
    # Into a matched load each delivers what is available.
    assert 2.0 * 10 ** (dbm(amplitude / 2.0, 50.0) / 10.0) == pytest.approx(1.0)


def test_compression_and_intercept_of_a_cubic() -> None:
    """v - a v^3: 1 dB at A^2 = 0.145 / a, intercept at A^2 = 4 / (3 a) (Razavi, RF Microelectronics, 2.2)."""
    cubic = 4.0
    metrics = ideal(f"(v(rf) - {cubic}*v(rf)*v(rf)*v(rf))*{COSINE}", signoff=True).metrics
    at_drop = 4.0 / (3.0 * cubic) * (1.0 - 10.0 ** (-1.0 / 20.0))
    assert metrics["ip1db_dbm"] == pytest.approx(dbm(math.sqrt(at_drop), 50.0), abs=0.1)
    # The tones themselves are compressed a little.
    assert metrics["iip3_dbm"] == pytest.approx(dbm(math.sqrt(4.0 / (3.0 * cubic)), 50.0), abs=0.3)


def test_second_order_distortion_does_not_pass_for_third() -> None:
    """Products of second order fall beside those of third, so an even nonlinearity has no intercept of third order."""
    even = ideal(f"(v(rf) + 2*v(rf)*v(rf))*{COSINE} + 0.5*(v(rf)*{COSINE})^2", signoff=True).metrics
    assert even["iip3_dbm"] > 40.0


def test_an_expanding_gain_is_searched_to_the_end() -> None:
    asked: list[float] = []

    def gain(level: float) -> float:
        asked.append(level)
        return 10.0 + 0.1 * (level + 40.0)

    assert compression_point(gain, 10.0) == 10.0
    assert max(asked) == 10.0


@pytest.mark.parametrize("p1db", [-33.0, -20.0, -7.0, 4.0])
def test_few_levels_find_the_compression_point(p1db: float) -> None:
    asked: list[float] = []

    def gain(level: float) -> float:
        asked.append(level)
        # Saturation: the gain falls by 1 dB at p1db, and without end above.
        return -10.0 * math.log10(1.0 + 0.2589 * 10.0 ** ((level - p1db) / 10.0))

    assert compression_point(gain, 0.0) == pytest.approx(p1db, abs=0.25)
    assert len(asked) <= 6


def test_a_circuit_with_a_swing_of_its_own_is_a_failure() -> None:
    """A van der Pol oscillator at 0.37 f0, beside all frequencies of the testbench, feeds the output."""
    f0 = CONDITIONS.frequency_hz
    capacitance = 1e-12
    inductance = 1.0 / ((2.0 * math.pi * 0.37 * f0) ** 2 * capacitance)
    oscillator = (
        f"l_osc x 0 {inductance:.6g}",
        f"c_osc x 0 {capacitance:.6g}",
        "b_osc 0 x i = 0.02*v(x) - 0.02*v(x)*v(x)*v(x)",
        "r_kick rf x 5000",
    )
    with pytest.raises(SimulationFailure) as failure:
        ideal(f"v(rf)*{COSINE} + 0.1*v(x)", *oscillator)
    assert failure.value.cause == "oscillation"


def test_a_circuit_that_does_not_convert_is_not_measurable() -> None:
    with pytest.raises(SimulationFailure) as failure:
        ideal("v(rf)")
    assert failure.value.cause == "not_measurable"
    assert "conversion gain" in failure.value.detail


def test_a_gilbert_cell_in_and_outside_the_library(pool: SimulatorPool, tmp_path: Path) -> None:
    metrics = pool.run([Simulation(gilbert(), CONDITIONS)])[0].metrics
    assert metrics is not None
    # Plausible: an unmatched cell, differential at the LO only, with a single-ended output into 50 Ohm.
    assert -12.0 < metrics["conversion_gain_db"] < -4.0
    assert metrics["lo_rf_isolation_db"] > 60.0
    assert metrics["lo_if_isolation_db"] > 30.0
    assert 2e-3 < metrics["power_w"] < 20e-3
    path = tmp_path / "gilbert.cir"
    path.write_text(standalone_netlist(gilbert(), CONDITIONS, PROCESS))
    by_hand = run_standalone(path, "mixer")
    assert by_hand["conversion_gain_db"] == pytest.approx(metrics["conversion_gain_db"], abs=0.05)
    assert by_hand["lo_rf_isolation_db"] == pytest.approx(metrics["lo_rf_isolation_db"], abs=0.2)
    assert by_hand["lo_if_isolation_db"] == pytest.approx(metrics["lo_if_isolation_db"], abs=0.05)
    assert by_hand["power_w"] == pytest.approx(metrics["power_w"], rel=0.01)
    # The search gives a level a few periods; by hand each has many.
    assert by_hand["ip1db_dbm"] == pytest.approx(metrics["ip1db_dbm"], abs=0.3)


def test_label_metrics_do_not_depend_on_curves_and_signoff(pool: SimulatorPool) -> None:
    plain = pool.run([Simulation(gilbert(), CONDITIONS)])[0]
    full = pool.run([Simulation(gilbert(), CONDITIONS, signoff=True)], curves=True)[0]
    assert plain.metrics is not None
    assert full.metrics is not None
    assert dict(plain.metrics) == {name: full.metrics[name] for name in plain.metrics}
    assert set(full.metrics) - set(plain.metrics) == {"iip3_dbm"}
    assert full.metrics["iip3_dbm"] > full.metrics["ip1db_dbm"]
    assert plain.curves == {}
    gain, power = full.curves["conversion_gain_db"], full.curves["if_power_dbm"]
    np.testing.assert_allclose(power.values - gain.values, gain.x)
    at_compression = np.interp(full.metrics["ip1db_dbm"], gain.x, gain.values)
    assert at_compression == pytest.approx(full.metrics["conversion_gain_db"] - 1.0, abs=0.2)


def test_power_is_that_of_supply_and_bias_without_the_lo_and_has_a_floor() -> None:
    passive, fed = ideal(f"v(rf)*{COSINE}"), ideal(f"v(rf)*{COSINE}", "r_fed vdd 0 1000")
    assert passive.metrics["power_w"] == 1e-6
    assert fed.metrics["power_w"] == pytest.approx(CONDITIONS.supply_v**2 / 1000.0, rel=1e-6)


def test_voltage_beyond_the_limit_is_a_failure(pool: SimulatorPool) -> None:
    too_much = Conditions(frequency_hz=28e9, supply_v=3.3)
    single = circuit(
        ("capacitor", "rf n1", 400e-15),
        ("capacitor", "lop n1", 100e-15),
        ("bias_voltage", "n2", 0.8),
        ("resistor", "n2 n1", 400),
        ("hbt", "n3 n1 0", 4),
        ("resistor", "vdd n3", 100),
        ("capacitor", "n3 out", 2e-12),
    )
    outcome = pool.run([Simulation(single, too_much)])[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "device_limit"
    assert "Q1: |V_CE|" in outcome.failure.detail
