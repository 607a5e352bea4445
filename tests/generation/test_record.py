"""What a search simulates of its circuits, and what it signs off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions, Constraint
from genrf.generation.record import MOST_SIGNED_OFF, Record
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.spec import DesignSpec
from tests.simulation.test_vco import pair

CONDITIONS = Conditions(frequency_hz=17e9, supply_v=2.5)
SPEC = DesignSpec(
    circuit_class="vco",
    conditions=CONDITIONS,
    constraints=(Constraint("tuning_range_percent", ">=", 2.0), Constraint("phase_noise_dbc_hz", "<=", -100.0)),
)
CIRCUITS = [pair(tail_ohm=ohm) for ohm in (100.0, 200.0, 300.0, 400.0)]
TUNING = dict(zip(CIRCUITS, (1.0, 3.0, 3.0, None), strict=True))
SIGNED_OFF = dict(zip(CIRCUITS, (-120.0, -97.0, -104.0, None), strict=True))


class Oscillators:
    """Stands in for `SimulatorPool`: four oscillators, all of the same estimate."""

    def __init__(self) -> None:
        self.signed_off: list[Circuit] = []

    def run_iter(self, jobs: Sequence[Simulation]) -> Iterator[Outcome]:
        """As `SimulatorPool.run_iter`."""
        for job in jobs:
            tuning = TUNING[job.circuit]
            if tuning is None:
                yield Outcome(None, Failure("no_oscillation", "it dies"))
                continue
            metrics = {"tuning_range_percent": tuning, "phase_noise_estimate_dbc_hz": -110.0, "frequency_hz": 17e9}
            metrics |= {"output_power_dbm": 0.0, "power_w": 0.01, "frequency_error_percent": 0.1}
            if job.signoff:
                self.signed_off.append(job.circuit)
                metrics["phase_noise_dbc_hz"] = SIGNED_OFF[job.circuit] or 0.0
            yield Outcome(Metrics(metrics))


def test_only_what_meets_the_rest_is_signed_off_and_only_that_can_meet_the_specification() -> None:
    pool, record = Oscillators(), Record(SPEC)
    record.simulate(pool, CIRCUITS, ["drawn"] * 4, allowed=4, progress=None, provenance={})  # type: ignore[arg-type]
    assert pool.signed_off == CIRCUITS[1:3]
    result = record.result()
    assert (result.simulated, result.first_met, result.failed) == (4, 3, {"no_oscillation": 1})
    assert [(design.circuit, design.met) for design in result.designs] == [
        (CIRCUITS[2], True),
        (CIRCUITS[0], False),
        (CIRCUITS[1], False),
    ]
    assert [design.margin >= 0.0 for design in result.designs] == [True, False, False]


def test_no_more_is_signed_off_once_enough_designs_meet_the_specification() -> None:
    class AllGood(Oscillators):
        def run_iter(self, jobs: Sequence[Simulation]) -> Iterator[Outcome]:
            for job in jobs:
                metrics = {"tuning_range_percent": 2.0 + 1e-3 * job.circuit.values[0], "frequency_hz": 17e9}
                metrics |= {"phase_noise_estimate_dbc_hz": -110.0, "output_power_dbm": 0.0, "power_w": 0.01}
                metrics["frequency_error_percent"] = 0.1
                if job.signoff:
                    self.signed_off.append(job.circuit)
                    metrics["phase_noise_dbc_hz"] = -104.0
                yield Outcome(Metrics(metrics))

    circuits = [pair(tail_ohm=100.0 + 10.0 * number) for number in range(MOST_SIGNED_OFF + 2)]
    pool, record = AllGood(), Record(SPEC)
    record.simulate(pool, circuits, ["drawn"] * len(circuits), allowed=9, progress=None, provenance={})  # type: ignore[arg-type]
    assert len(pool.signed_off) == MOST_SIGNED_OFF
    assert sum(design.met for design in record.designs) == MOST_SIGNED_OFF
    assert all((design.margin >= 0.0) == design.met for design in record.designs)
    record.simulate(pool, circuits[:1], ["drawn"], allowed=9, progress=None, provenance={})  # type: ignore[arg-type]
    assert len(pool.signed_off) == MOST_SIGNED_OFF
