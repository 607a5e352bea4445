"""The judge asks the right simulator, and joins what two of them have found."""

from __future__ import annotations

import pytest

from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.judge import Judge, run_in_processes, simulate
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from tests.simulation.circuits import CONDITIONS, cascode, divider


def test_small_signal_needs_no_processes() -> None:
    with Judge(workers=1) as judge:
        (outcome,) = judge.run([Simulation(cascode(), CONDITIONS)])
        assert judge.process_ids == ()
    assert outcome == BatchedSimulator(1).run([Simulation(cascode(), CONDITIONS)])[0]


def test_signed_off_amplifier_has_small_signal_metrics_of_ours_and_driven_ones_of_ngspice(pool: SimulatorPool) -> None:
    simulation = Simulation(cascode(), CONDITIONS, signoff=True)
    with Judge(workers=1) as judge:
        (joined,) = judge.run([simulation])
    (driven,) = pool.run([simulation])
    (small,) = BatchedSimulator(1).run([simulation])
    assert joined.metrics is not None
    assert driven.metrics is not None
    assert small.metrics is not None
    assert set(joined.metrics) == set(driven.metrics)
    assert dict(joined.metrics) == {**driven.metrics, **small.metrics}
    assert joined.metrics["gain_db"] != driven.metrics["gain_db"]


def test_outcomes_are_in_order_over_more_than_one_chunk() -> None:
    resistances = [10.0 + index for index in range(600)]
    with Judge(workers=2) as judge:
        outcomes = list(judge.run_iter(divider(resistance) for resistance in resistances))
    gains = [outcome.metrics["gain_db"] for outcome in outcomes if outcome.metrics]
    assert len(gains) == 600
    assert gains == sorted(gains, reverse=True)


def test_judge_is_used_inside_its_block() -> None:
    with pytest.raises(RuntimeError, match="outside its `with` block"):
        Judge().run([divider(10.0)])


def test_one_circuit_and_many_processes_agree() -> None:
    alone = simulate(cascode(), CONDITIONS)
    (other,) = run_in_processes([Simulation(cascode(), CONDITIONS)], ["sg13g2"])
    assert alone == other
