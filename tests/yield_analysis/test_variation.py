"""What is drawn is what the PDK says, and a varied circuit is simulated with it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.engine import measure
from genrf.simulation.library import Library
from genrf.simulation.messages import pack_tasks, unpack_tasks
from genrf.simulation.outcome import Simulation
from genrf.simulation.testbench import Deck
from genrf.technology.sg13g2 import statistics as sg13g2_statistics
from genrf.technology.variation import Variation
from genrf.technology.varied import VariedTechnology
from genrf.yield_analysis.study import YieldStudy
from tests.amplifiers import MATCHED_28GHZ

PROCESS = technology.get("sg13g2")
DRAWS = 4000
FOUR_SIGMA = 4.0 / math.sqrt(2.0 * DRAWS)
"""Four standard errors of a standard deviation, relative to it."""


def circuit(*parts: tuple[str, str, float]) -> Circuit:
    return Circuit(
        Topology("lna", tuple(Device(kind, tuple(nets.split())) for kind, nets, _ in parts)),
        tuple(value for _, _, value in parts),
    )


def draws(of: Circuit, count: int = DRAWS) -> list[Variation]:
    rng = np.random.default_rng(1)
    return [PROCESS.draw(of, rng) for _ in range(count)]


def test_the_statistics_are_those_of_the_model_files() -> None:
    deviations = sg13g2_statistics.process_deviations()
    assert deviations["vbic_is"] == 0.087
    assert deviations["cap_carea"] == 0.033
    assert deviations["rsh_rppd"] == 0.033
    assert "vbic_tf" not in deviations, "commented out in the file"


@pytest.mark.parametrize("name", ["vbic_cje", "vbic_is", "cap_carea", "cap_cpara", "rsh_rppd"])
def test_a_process_parameter_spreads_as_the_pdk_says(name: str) -> None:
    drawn = [dict(variation.process)[name] for variation in draws(MATCHED_28GHZ)]
    sigma = sg13g2_statistics.process_deviations()[name]
    assert np.std(drawn) == pytest.approx(sigma, rel=FOUR_SIGMA)
    assert np.mean(drawn) == pytest.approx(1.0, abs=4.0 * sigma / math.sqrt(DRAWS))


@pytest.mark.parametrize(
    ("variation", "reason"),
    [
        (Variation(process=(("vbic_tf", 1.1),)), "no vbic_tf varies in this process; known are .*vbic_is"),
        (Variation(mismatch=(1.0,)), "1 factors of mismatch for"),
    ],
)
def test_a_variation_that_is_not_the_process_s_is_refused_by_both_simulators(variation: Variation, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        PROCESS.instances(MATCHED_28GHZ, variation=variation)
    conditions = Conditions(frequency_hz=28e9, supply_v=1.2)
    (outcome,) = BatchedSimulator(1).run([Simulation(MATCHED_28GHZ, conditions, variation=variation)])
    assert outcome.failure is not None
    assert re.search(reason, outcome.failure.detail)


def test_process_parameters_are_independent_of_each_other() -> None:
    drawn = np.array([[factor for _, factor in variation.process] for variation in draws(MATCHED_28GHZ)])
    correlation = np.corrcoef(drawn.T) - np.eye(drawn.shape[1])
    assert np.abs(correlation).max() < 5.0 / math.sqrt(DRAWS)


@pytest.mark.parametrize(
    ("kind", "nets", "value", "deviation"),
    [
        ("hbt", "n1 n2 0", 4.0, 0.1),
        ("hbt", "n1 n2 0", 40.0, 0.1 / 2.0),  # four transistors in parallel
        ("capacitor", "n1 0", 60e-15, 0.1 / math.sqrt(40.0)),  # 40 um^2 at 1.5 fF/um^2
        ("resistor", "n1 0", 2600.0, math.hypot(0.015 / math.sqrt(40), 0.01 / 20**0.5 / 2, 0.01 / 2**0.5 / 20)),
        ("inductor", "n1 0", 1e-9, 0.0),
        ("bias_voltage", "n1", 0.9, 0.0),
    ],
)
def test_mismatch_follows_the_area_law(kind: str, nets: str, value: float, deviation: float) -> None:
    drawn = [variation.mismatch[0] for variation in draws(circuit((kind, nets, value)))]
    assert np.std(drawn) == pytest.approx(deviation, rel=FOUR_SIGMA, abs=1e-15)


def test_mismatch_is_independent_between_devices() -> None:
    pair = circuit(("hbt", "n1 n2 0", 4.0), ("hbt", "n3 n2 0", 4.0))
    drawn = np.array([variation.mismatch for variation in draws(pair)])
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4.0 / math.sqrt(DRAWS)


def test_process_moves_equal_devices_together_and_mismatch_does_not() -> None:
    pair = circuit(("resistor", "n1 0", 500.0), ("resistor", "n2 0", 500.0), ("capacitor", "n1 0", 1e-13))

    def resistances(variation: Variation) -> tuple[float, ...]:
        lines = PROCESS.instances(pair, variation=variation)
        return tuple(float(line.split()[3]) for line in lines if line.startswith("r1 ") or line.startswith("r2 "))

    rng = np.random.default_rng(2)
    first, second = resistances(PROCESS.draw(pair, rng, mismatch=False))
    assert first == second != 500.0
    first, second = resistances(PROCESS.draw(pair, rng, process=False))
    assert first != second
    assert 500.0 not in (first, second)


def test_leaving_one_part_out_does_not_change_the_other() -> None:
    both, only_process, only_mismatch = (
        PROCESS.draw(MATCHED_28GHZ, np.random.default_rng(5), process=process, mismatch=mismatch)
        for process, mismatch in ((True, True), (True, False), (False, True))
    )
    assert (only_process.process, only_process.mismatch) == (both.process, ())
    assert (only_mismatch.process, only_mismatch.mismatch) == ((), both.mismatch)


def test_no_variation_gives_the_nominal_metrics_exactly(library: Library, study: YieldStudy) -> None:
    nominal = Simulation(study.circuit, study.spec.conditions)
    ones = Variation(
        tuple((name, 1.0) for name in sg13g2_statistics.process_deviations()), (1.0,) * len(study.circuit.values)
    )
    expected = measure(library, nominal, "sg13g2")
    assert expected.metrics is not None
    for variation in (Variation(), ones):
        assert measure(library, replace(nominal, variation=variation), "sg13g2") == expected


def test_what_ngspice_draws_of_the_same_expression_spreads_alike(library: Library) -> None:
    # The PDK's `gauss` and `agauss` are read as: relative and absolute standard deviation, divided by the last one.
    count = 2000
    lines = [f"r{i} a 0 'gauss(1000, 0.058, 1)'" for i in range(count)]
    lines += [f"r{count + i} a 0 'agauss(1000, 100, 1)'" for i in range(count)]
    library.command("setseed 7")
    library.run(Deck(("draws", "v1 a 0 1", *lines), ("op",), ("a",)))
    drawn = np.array([library.device(f"r{i}", "resistance") for i in range(2 * count)]).reshape(2, count)
    four_sigma = 4.0 / math.sqrt(2.0 * count)
    assert np.std(drawn[0]) / 1000.0 == pytest.approx(0.058, rel=four_sigma)
    assert np.std(drawn[1]) / 1000.0 == pytest.approx(0.1, rel=four_sigma)


def test_the_area_scales_a_transistors_current(library: Library) -> None:
    transistor = circuit(("hbt", "c b 0", 4.0))

    def current(area: float) -> float:
        lines = PROCESS.instances(transistor, variation=Variation(mismatch=(area,)))
        deck = ("current", "vc c 0 1", "vb b 0 0.7", *lines, *PROCESS.models(transistor, "typ", 27.0))
        library.run(Deck(deck, ("op",), ("vc#branch",)))
        return float(-library.vector("op1", "vc#branch")[0])

    assert current(1.1) == pytest.approx(1.1 * current(1.0), rel=0.01)


def test_the_spread_of_a_divider_is_the_closed_form(library: Library) -> None:
    top, bottom, count = 90.0, 270.0, 400
    divider = circuit(("resistor", "a b", top), ("resistor", "b 0", bottom))
    ratio = bottom / (top + bottom)

    def voltage(variation: Variation) -> float:
        process = VariedTechnology(PROCESS, variation)
        library.run(Deck(("divider", "v1 a 0 1", *process.instances(divider)), ("op",), ("b",)))
        return float(library.vector("op1", "b")[0])

    rng = np.random.default_rng(11)
    varied = [PROCESS.draw(divider, rng) for _ in range(count)]
    # Below one square the contacts' heads have an equal share of both, so sheet resistance cancels; only mismatch is left, to
    # first order x (1 - x) times the ratio's deviation.
    expected = ratio * (1.0 - ratio) * math.hypot(*(map(sg13g2_statistics.resistor_deviation, (top, bottom))))
    assert np.std([voltage(v) for v in varied]) == pytest.approx(expected, rel=4.0 / math.sqrt(2.0 * count))
    assert voltage(Variation(process=varied[0].process)) == pytest.approx(ratio, rel=1e-6)


def test_workers_are_told_of_the_variation(study: YieldStudy) -> None:
    simulation = study.simulation(0)
    assert simulation.variation is not None
    assert unpack_tasks(pack_tasks([(4, simulation, False)])) == [(4, simulation, False)]
