"""What refinement is compared with, and how: baselines that spend their calls, volumes that are right, runs that resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.refinement import shares, summarize
from genrf import technology
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning, fit
from genrf.conditions import Conditions, Constraint
from genrf.metrics import Metrics
from genrf.pareto import volume
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.spec import DesignSpec
from training.comparison import trade_off_searches as trade_off_baselines
from training.comparison import trade_off_trials
from training.comparison.front_volume import reference_point, row_metrics, scaled, training_rows
from training.comparison.trade_off_searches import botorch, nsga2
from training.comparison.trade_off_trials import Ledger, SpentError, Task, carry_out, finished
from training.data.rows import Rows
from training.data.specifications import FRONTIER_WINDOW
from training.evaluation.baselines import retuned_circuits

PROCESS = technology.get("sg13g2")
OBJECTIVES = ("gain_db", "nf_db")
SPEC = DesignSpec(
    circuit_class="lna",
    conditions=Conditions(frequency_hz=10e9, supply_v=1.8),
    constraints=(Constraint("gain_db", ">=", 0.0), Constraint("nf_db", "<=", 4.0)),
    name="toy",
)


def conditioning() -> Conditioning:
    """Gain with a deviation of about 2 dB, all else of about 1."""
    columns = {
        name: np.linspace(-1.349, 1.349, 21) * (2.0 if name == "gain_db" else 1.0) + 10.0
        for name in ("gain_db", "nf_db", "s11_db", "s22_db", "s12_db", "bandwidth_hz", "mu_min", "power_w")
    }
    return fit(("lna",), {"lna": columns})


def analytic(circuit: Circuit) -> Metrics | None:
    """More emitters give more gain, more resistance more noise; few devices fail."""
    if len(circuit.topology.devices) < 6:
        return None
    pairs = list(zip(circuit.topology.devices, circuit.values, strict=True))
    emitters = sum(value for device, value in pairs if device.kind == "hbt")
    ohms = sum(value for device, value in pairs if device.kind == "resistor")
    return Metrics({"gain_db": emitters - 8.0, "nf_db": 1.0 + 0.1 * emitters + np.log10(1.0 + ohms)})


class Pool:
    """Stands in for `SimulatorPool`."""

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run_iter(self, jobs: Sequence[Simulation]) -> list[Outcome]:
        found = [analytic(job.circuit) for job in jobs]
        return [Outcome(m) if m is not None else Outcome(None, Failure("no_convergence", "")) for m in found]


def ledger(calls: int) -> Ledger:
    return Ledger(Pool(), SPEC, OBJECTIVES, calls)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("search", "calls"), [(nsga2, 100), pytest.param(botorch, 20, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_baseline_spends_its_calls_and_the_seed_decides(
    search: Callable[..., None], calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, few in (("FIRST_DRAWS", 2), ("RAW_SAMPLES", 8), ("RESTARTS", 1), ("STEPS", 3), ("SAMPLES", 4)):
        monkeypatch.setattr(trade_off_baselines, name, few)
    logs = []
    for seed in (1, 1, 2):
        log = ledger(calls)
        with pytest.raises(SpentError):
            search(SPEC, OBJECTIVES, PROCESS, log, calls, np.random.default_rng(seed))
        assert log.spent == calls
        logs.append((log.points, log.failed))
    assert logs[0] == logs[1] != logs[2]


def test_nsga2_improves_on_its_first_generation() -> None:
    log = ledger(400)
    with pytest.raises(SpentError):
        nsga2(SPEC, OBJECTIVES, PROCESS, log, 400, np.random.default_rng(0))
    (found,) = shares(SPEC, OBJECTIVES, conditioning(), [log.points], [40, 400])
    assert found[1] == pytest.approx(1.0)
    assert found[0] < 0.95


def test_a_ledger_keeps_what_meets_the_specification_and_stops_at_the_calls() -> None:
    from training.comparison.trade_off_searches import random_circuit

    circuits = [random_circuit(SPEC, PROCESS, np.random.default_rng(seed)) for seed in range(8)]
    log = ledger(5)
    assert len(log(circuits[:3])) == 3
    with pytest.raises(SpentError):
        log(circuits[3:])
    assert log.spent == 5
    found = [analytic(circuit) for circuit in circuits[:5]]
    assert log.failed == found.count(None)
    met = [[call, m["gain_db"], m["nf_db"]] for call, m in enumerate(found, start=1) if m and SPEC.meets(m)]
    assert log.points == met


def test_volume_is_exact_and_counted_from_the_bounds() -> None:
    names = conditioning()
    points = scaled(
        SPEC, OBJECTIVES, names, [Metrics({"gain_db": 4.0, "nf_db": 3.0}), Metrics({"gain_db": 2.0, "nf_db": 2.0})]
    )
    reference = reference_point(SPEC, OBJECTIVES, names, points)
    deviations = [names.deviation[0][names.metrics.index(name)] for name in OBJECTIVES]
    # Boxes of 4 dB by 1 dB and of 2 dB by 2 dB, which share one of 2 dB by 1 dB.
    assert volume(points, reference) == pytest.approx(6.0 / np.prod(deviations))
    assert volume(points[:0], reference) == 0.0
    free = DesignSpec(circuit_class="lna", conditions=SPEC.conditions)
    np.testing.assert_allclose(reference_point(free, OBJECTIVES, names, points), points.min(axis=0))


def test_shares_are_of_what_all_dominate_together() -> None:
    fronts = [[[1, 4.0, 3.0]], [[3, 2.0, 2.0], [1, -5.0, 1.0]], []]
    found = shares(SPEC, OBJECTIVES, conditioning(), fronts, [1, 4])
    np.testing.assert_allclose(found, [[4 / 6, 4 / 6], [0.0, 4 / 6], [0.0, 0.0]])
    assert np.isnan(shares(SPEC, OBJECTIVES, conditioning(), [[], []], [4])).all()


def test_a_summary_holds_the_mean_within_its_interval() -> None:
    summary = summarize(np.array([[0.2, 0.4], [0.6, 0.8]]), np.random.default_rng(0))
    assert summary == {"share": [0.4, 0.6], "low": [0.2, 0.4], "high": [0.6, 0.8]}


def test_the_training_front_is_near_in_frequency_at_the_supply_and_meets_the_specification(prepared: Path) -> None:
    train, names = Rows.load(prepared / "train.npz"), Conditioning.load(prepared)
    row = int(np.flatnonzero(train.useful)[0])
    spec = DesignSpec(
        circuit_class="lna",
        conditions=Conditions(frequency_hz=float(train.frequency_hz[row]), supply_v=float(train.supply_v[row])),
        constraints=(Constraint("gain_db", ">=", float(train.measured[row, names.metrics.index("gain_db")]) - 3.0),),
    )
    index = training_rows(spec, OBJECTIVES, train, names)
    assert len(index) > 0
    ratio = train.frequency_hz[index] / spec.conditions.frequency_hz
    assert ((ratio < FRONTIER_WINDOW) & (ratio > 1.0 / FRONTIER_WINDOW)).all()
    assert set(train.supply_v[index]) == {spec.conditions.supply_v}
    found = row_metrics(spec, OBJECTIVES, train, names, index)
    assert all(spec.meets(metrics) for metrics in found)
    own = train.measured[row, [names.metrics.index(name) for name in OBJECTIVES]]
    assert any(m["gain_db"] >= own[0] and m["nf_db"] <= own[1] for m in found), "the row itself or what dominates it"
    for circuit in retuned_circuits(spec, train, index, PROCESS):
        assert len(circuit.values) == len(circuit.topology.devices)


def task(seed: int, method: str = "nsga2") -> Task:
    return Task(
        method=method, specification=SPEC.to_dict(), objectives=OBJECTIVES, seed=seed, calls=60, first=0, bundle=""
    )


def test_finished_runs_are_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_off_trials, "Judge", lambda **_: Pool())
    path = tmp_path / "runs.jsonl"
    first = carry_out([task(0)], tmp_path, path, 1)
    assert first[0]["spent"] == 60
    # The next run was interrupted while it wrote its line.
    path.write_text(path.read_text() + '{"task": {"method"')
    monkeypatch.setattr(trade_off_trials, "run", lambda task, bundle: {"task": json.loads(task.key), "points": []})
    again = carry_out([task(0), task(1)], tmp_path, path, 1)
    assert again[0]["points"] == first[0]["points"]
    assert again[1]["points"] == []
    assert finished(path).keys() == {task(0).key, task(1).key}
