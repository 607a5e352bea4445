"""What holds for the testbench of every class, on one fixed design each (`tests/simulation/golden`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from genrf import classes, technology
from genrf.circuit.rules import is_legal
from genrf.metrics import Metrics
from genrf.simulation.library import library
from genrf.simulation.outcome import Outcome, Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Deck
from tests.simulation.golden.renew import design, golden

GOLDEN_TOLERANCE = 1e-6
AT_THE_OPERATING_POINT = ("lna", "pa")
"""Classes whose `power_w` is that of the operating point: mixers and oscillators are measured while they run."""


@dataclass(frozen=True)
class Measured:
    """One design of a class, measured in every way."""

    name: str
    plain: Outcome
    with_curves: Outcome
    signed_off: Outcome
    """With curves too."""
    again: Outcome
    """As `plain`, after all the others in the same process."""


@pytest.fixture(scope="module", params=classes.names())
def measured(request: pytest.FixtureRequest, pool: SimulatorPool) -> Measured:
    circuit, conditions = design(request.param)
    ways = [(False, False), (False, True), (True, True), (False, False)]
    return Measured(
        request.param,
        *(pool.run([Simulation(circuit, conditions, signoff=signoff)], curves=curves)[0] for signoff, curves in ways),
    )


def metrics(outcome: Outcome) -> Metrics:
    assert outcome.metrics is not None, outcome.failure
    return outcome.metrics


def test_the_fixed_design_is_a_legal_and_useful_circuit_of_its_class(measured: Measured) -> None:
    circuit, _ = design(measured.name)
    assert is_legal(circuit.topology)
    assert classes.get(measured.name).is_useful(metrics(measured.plain))


def test_a_plain_simulation_measures_all_label_metrics_and_no_others(measured: Measured) -> None:
    assert set(metrics(measured.plain)) == set(classes.get(measured.name).label_metrics)
    assert all(math.isfinite(value) for value in metrics(measured.plain).values())
    assert measured.plain.curves == {}


def test_signoff_adds_exactly_the_signoff_metrics(measured: Measured) -> None:
    vocabulary = classes.get(measured.name).metrics
    plain, signed_off = metrics(measured.plain), metrics(measured.signed_off)
    assert set(signed_off) == {name for name, metric in vocabulary.items() if not metric.second}
    added = {name for name, metric in vocabulary.items() if metric.signoff and not metric.second}
    assert {name for name in signed_off if name not in plain} == added
    assert {name: signed_off[name] for name in plain} == dict(plain)
    assert all(math.isfinite(value) for value in signed_off.values())


def test_curves_change_no_metric(measured: Measured) -> None:
    assert dict(metrics(measured.with_curves)) == dict(metrics(measured.plain))
    assert measured.with_curves.curves
    assert measured.with_curves.curves.keys() == measured.signed_off.curves.keys()


def test_a_second_measurement_is_the_same_to_the_bit(measured: Measured) -> None:
    assert dict(metrics(measured.again)) == dict(metrics(measured.plain))


def test_the_metrics_are_what_they_were(measured: Measured) -> None:
    """Written without curves. Where a difference is meant: ``python -m tests.simulation.golden.renew``, and review it."""
    assert dict(metrics(measured.signed_off)) == pytest.approx(golden(measured.name), rel=GOLDEN_TOLERANCE)


@pytest.mark.parametrize("name", AT_THE_OPERATING_POINT)
def test_power_is_what_all_sources_deliver_at_the_operating_point(name: str, pool: SimulatorPool) -> None:
    """Every voltage source of the testbench's netlist is counted, by what the netlist says it is."""
    circuit, conditions = design(name)
    lines = classes.get(name).testbench.netlist(circuit, conditions, technology.get("sg13g2"))
    sources = [line.split()[0] for line in lines[1:] if line.startswith("v")]
    nets = {line.split()[0]: line.split()[1:3] for line in lines[1:] if line.startswith("v")}
    simulator = library()
    vectors = {net for pair in nets.values() for net in pair if net != "0"}
    simulator.run(Deck(tuple(lines), ("op",), (*(f"{source}#branch" for source in sources), *vectors)))

    def volt(net: str) -> float:
        return 0.0 if net == "0" else float(simulator.vector("op1", net)[0])

    delivered = sum(
        -(volt(plus) - volt(minus)) * float(simulator.vector("op1", f"{source}#branch")[0])
        for source, (plus, minus) in nets.items()
    )
    assert len(sources) > 3, "the supply, two ports and a bias source at least"
    assert metrics(pool.run([Simulation(circuit, conditions)])[0])["power_w"] == pytest.approx(delivered, rel=1e-6)
