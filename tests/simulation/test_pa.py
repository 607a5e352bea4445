"""Power amplifiers under drive: consistent figures, in and outside the library, and failures with an honest cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.circuit.rules import violations
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.pa.metrics import METRICS
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Trace

CONDITIONS = Conditions(frequency_hz=31.7e9, supply_v=1.2)


def circuit(*parts: tuple[str, str, float]) -> Circuit:
    """A circuit from (kind, "net net ...", value)."""
    devices = tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)
    return Circuit(Topology("pa", devices), tuple(value for _, _, value in parts))


def common_emitter(base_v: float = 0.849, emitters: float = 16) -> Circuit:
    """One stage in class AB, about 9 dBm."""
    return circuit(
        ("inductor", "in n1", 3.419e-10),
        ("inductor", "n1 0", 1.426e-09),
        ("capacitor", "n1 n2", 9.188e-14),
        ("resistor", "n2 n3", 36.86),
        ("capacitor", "n2 n3", 4.981e-13),
        ("inductor", "n2 n4", 1.023e-10),
        ("resistor", "n4 n6", 36.86),
        ("bias_voltage", "n6", base_v),
        ("hbt", "n5 n3 0", emitters),
        ("inductor", "n5 vdd", 9.655e-11),
        ("capacitor", "n5 out", 1.32e-13),
        ("inductor", "out 0", 1.042e-10),
    )


@pytest.fixture(scope="module")
def metrics(pool: SimulatorPool) -> Metrics:
    (outcome,) = pool.run([Simulation(common_emitter(), CONDITIONS)])
    assert outcome.metrics is not None, outcome.failure
    return outcome.metrics


def test_the_known_amplifier_is_legal() -> None:
    assert violations(common_emitter().topology) == []


def test_label_metrics_are_those_of_the_class(metrics: Metrics) -> None:
    assert tuple(metrics) == tuple(name for name, metric in METRICS.items() if not metric.signoff)
    assert set(classes.get("pa").specification_metrics) <= set(metrics)


def test_figures_are_those_of_a_class_ab_amplifier_of_its_current(metrics: Metrics) -> None:
    """About 10 mW of direct current at rest; a voltage swing of 1 V at most bounds the power from 1.2 V."""
    assert 6.0 < metrics["gain_db"] < 10.0
    assert 6.0 < metrics["op1db_dbm"] < 10.0
    assert 15.0 < metrics["pae_percent"] < 40.0


@pytest.mark.slow
def test_a_base_of_high_resistance_breaks_down_at_a_swing_that_one_of_low_resistance_stands(
    pool: SimulatorPool,
) -> None:
    """Holes of impact ionisation leave through the base; the one is fed by 37 Ohm, the other by 5 kOhm."""
    low = common_emitter()
    values = dict(zip(low.topology.designators, low.values, strict=True))
    high = low.with_values(list((values | {"R2": 5e3}).values()))
    conditions = replace(CONDITIONS, supply_v=1.5)
    stands, breaks = pool.run([Simulation(one, conditions) for one in (low, high)])
    assert stands.metrics is not None, stands.failure
    assert breaks.failure is not None
    assert breaks.failure.cause == "device_limit"
    assert "Q1: breaks down under drive: with a peak V_CE of" in breaks.failure.detail


def test_saturated_power_is_not_below_that_at_compression_and_pae_not_above_collector_efficiency(
    metrics: Metrics,
) -> None:
    assert metrics["psat_dbm"] >= metrics["op1db_dbm"]
    assert metrics["pae_percent"] <= metrics["collector_efficiency_percent"]
    assert metrics["pae_p1db_percent"] > 0.0


def test_less_bias_draws_less_at_rest_and_is_more_efficient_at_compression(
    pool: SimulatorPool, metrics: Metrics
) -> None:
    """From class A towards class B."""
    (hot,) = pool.run([Simulation(common_emitter(base_v=0.90), CONDITIONS)])
    assert hot.metrics is not None, hot.failure
    assert hot.metrics["power_w"] > 1.5 * metrics["power_w"]
    assert hot.metrics["pae_p1db_percent"] < metrics["pae_p1db_percent"]
    assert hot.metrics["gain_db"] > metrics["gain_db"]


def test_ngspice_by_hand_prints_the_same_metrics(metrics: Metrics, tmp_path: Path) -> None:
    path = tmp_path / "pa.cir"
    path.write_text(standalone_netlist(common_emitter(), CONDITIONS, technology.get("sg13g2")))
    by_hand = run_standalone(path, "pa")
    for name in ("gain_db", "s11_db", "s22_db", "mu_min"):
        assert by_hand[name] == pytest.approx(metrics[name], rel=1e-4, abs=1e-4), name
    for name in ("op1db_dbm", "psat_dbm"):
        assert by_hand[name] == pytest.approx(metrics[name], abs=0.05), name
    for name in ("pae_percent", "pae_p1db_percent", "collector_efficiency_percent"):
        assert by_hand[name] == pytest.approx(metrics[name], rel=0.02), name


def test_curves_show_gain_that_falls_and_leave_the_metrics_alone(pool: SimulatorPool, metrics: Metrics) -> None:
    (outcome,) = pool.run([Simulation(common_emitter(), CONDITIONS)], curves=True)
    assert outcome.metrics == metrics
    assert outcome.curves.keys() >= {"s11", "s21", "s22", "output_power_dbm", "power_gain_db", "pae_percent"}
    gain = outcome.curves["power_gain_db"]
    assert isinstance(gain, Trace)
    assert (np.diff(gain.x) > 0.0).all()
    assert gain.values[-1] < gain.values[0] - 2.5


def test_intermodulation_is_a_signoff_metric(pool: SimulatorPool) -> None:
    (outcome,) = pool.run([Simulation(common_emitter(), CONDITIONS, signoff=True)])
    assert outcome.metrics is not None, outcome.failure
    # At the peak envelope of 1 dB compression a cubic has -20 dBc; real transistors are near it.
    assert -40.0 < outcome.metrics["im3_dbc"] < -10.0


@pytest.mark.parametrize(
    ("changed", "conditions", "cause"),
    [
        (common_emitter(base_v=0.5), CONDITIONS, "not_measurable"),
        (common_emitter(), replace(CONDITIONS, supply_v=1.8), "device_limit"),
    ],
    ids=["no gain to compress", "too much voltage"],
)
def test_what_cannot_be_measured_says_why(
    pool: SimulatorPool, changed: Circuit, conditions: Conditions, cause: str
) -> None:
    (outcome,) = pool.run([Simulation(changed, conditions)])
    assert outcome.failure is not None
    assert outcome.failure.cause == cause
