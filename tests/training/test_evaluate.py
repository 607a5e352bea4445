"""How methods are judged: counted, with intervals, against baselines that get the same simulations."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.circuit.rules import is_legal
from genrf.conditioning import Conditioning
from genrf.conditions import Conditions, Constraint
from genrf.metrics import Metrics
from genrf.simulation.judge import simulate
from genrf.spec import DesignSpec
from training.config.schema import Config
from training.data.rows import Rows
from training.data.specifications import HeldOutSpecification
from training.evaluation.baselines import random_circuits, retrieved_circuits
from training.evaluation.evaluate import baseline_trials
from training.evaluation.hypervolume import hypervolumes
from training.evaluation.success import summarize
from training.evaluation.trials import Trial

PROCESS = technology.get("sg13g2")


@pytest.fixture(scope="module")
def train(prepared: Path) -> Rows:
    return Rows.load(prepared / "train.npz")


@pytest.fixture(scope="module")
def conditioning(prepared: Path) -> Conditioning:
    return Conditioning.load(prepared)


def own_specification(train: Rows, index: int, conditioning: Conditioning) -> DesignSpec:
    """A specification that bounds a training row's specification metrics by its own values."""
    definition = classes.get("lna")
    constraints = [
        Constraint(
            name,
            definition.metrics[name].sense,
            float(train.measured[index, conditioning.metrics.index(name)]),
        )
        for name in definition.specification_metrics
    ]
    conditions = Conditions(frequency_hz=float(train.frequency_hz[index]), supply_v=float(train.supply_v[index]))
    return DesignSpec(circuit_class="lna", conditions=conditions, constraints=tuple(constraints))


def trial(method: str, first_met: int | None, **values: object) -> Trial:
    return Trial(method, "lna", "exact", "x", first_met, 64, {"oscillation": 2}, 0.5, **values)  # type: ignore[arg-type]


def test_success_counts_specifications_met_within_so_many_calls(config: Config) -> None:
    trials = [trial("generator", first) for first in (1, 5, 40, None)]
    (entry,) = summarize(trials, config)
    assert [entry[f"success_at_{calls}"] for calls in (1, 8, 64)] == [0.25, 0.5, 0.75]
    assert entry["median_calls_when_met"] == 5
    assert entry["failed"] == {"oscillation": 8}


def test_an_interval_holds_its_figure_and_shrinks_with_more_specifications(config: Config) -> None:
    few = summarize([trial("generator", first) for first in (1, None) * 5], config)[0]["success_at_64_interval"]
    many = summarize([trial("generator", first) for first in (1, None) * 100], config)[0]["success_at_64_interval"]
    assert few[0] < many[0] < 0.5 < many[1] < few[1]


def test_retrieval_finds_a_training_circuit_for_its_own_specification_at_once(
    train: Rows, conditioning: Conditioning
) -> None:
    index = int(np.flatnonzero(train.useful)[0])
    spec = own_specification(train, index, conditioning)
    circuit = next(retrieved_circuits(spec, train, conditioning, PROCESS))
    outcome = simulate(circuit, spec.conditions)
    assert outcome.metrics is not None
    assert spec.meets(outcome.metrics)


def test_random_circuits_are_legal_and_differ(train: Rows, conditioning: Conditioning) -> None:
    spec = own_specification(train, 0, conditioning)
    circuits = list(islice(random_circuits(spec, PROCESS, np.random.default_rng(1)), 8))
    assert len({fingerprint(circuit.topology) for circuit in circuits}) > 4
    assert all(is_legal(circuit.topology) for circuit in circuits)


def test_baselines_stop_at_the_calls_that_they_may_spend(
    config: Config, train: Rows, conditioning: Conditioning
) -> None:
    conditions = Conditions(frequency_hz=10e9, supply_v=1.5)
    constraint = Constraint("gain_db", ">=", 90.0)
    spec = DesignSpec(circuit_class="lna", conditions=conditions, constraints=(constraint,))
    trials = baseline_trials(config, [HeldOutSpecification(level="exact", row=0, spec=spec)], train, conditioning)
    assert {trial.method for trial in trials} == {"retrieval", "random"}
    for result in trials:
        assert result.first_met is None
        assert result.simulated == config.evaluation.calls
        assert len(result.metrics) + sum(result.failed.values()) == result.simulated


def test_the_training_data_has_its_own_hypervolume_and_better_circuits_have_more(
    train: Rows, conditioning: Conditioning
) -> None:
    names = classes.get("lna").specification_metrics
    columns = [conditioning.metrics.index(name) for name in names]
    required = {"mu_min": 1.5, "s12_db": -30.0, "bandwidth_hz": 1e9}
    same = [
        Metrics({**required, **dict(zip(names, row, strict=True))}) for row in train.measured[train.useful][:, columns]
    ]
    better = [Metrics({**m, "gain_db": m["gain_db"] + 3.0, "nf_db": 0.8 * m["nf_db"]}) for m in same]
    trials = [trial("same", 1, metrics=same), trial("better", 1, metrics=better), trial("none", None)]
    volumes = hypervolumes(trials, train, conditioning, ["lna"])["lna"]
    assert volumes["same"] == pytest.approx(1.0)
    assert volumes["better"] > 1.0
    assert volumes["none"] == 0.0
