"""Refinement on a problem whose front is known: it finds it, keeps to the constraints, and makes nothing up."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from genrf import technology
from genrf.conditions import Constraint
from genrf.errors import InvalidInputError, MissingToolError
from genrf.generation.design import DesignResult, FailedCircuit
from genrf.generation.objectives import MOST_OBJECTIVES, Outputs, choose_objectives, parse_objectives
from genrf.generation.refine import Refinement, RefinementSettings, far_apart, require_botorch
from genrf.spec import DesignSpec
from tests.generation.analytic import (
    CONDITIONS,
    KNOWN,
    OBJECTIVES,
    AnalyticPool,
    conditioning,
    formulas,
    models,
    searched,
)

SMALL = RefinementSettings(proposals=48, fresh=4, rounds=1, kept=8, offspring=4, shortlist=24)


def spec_of(*constraints: Constraint) -> DesignSpec:
    return DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=constraints)


EASY = spec_of(Constraint("gain_db", ">=", 8.0), Constraint("nf_db", "<=", 4.0))
HARD = spec_of(Constraint("gain_db", ">=", 13.5), Constraint("nf_db", "<=", 2.8))


def refined(
    spec: DesignSpec, *, calls: int = 24, seed: int = 0, pool: AnalyticPool | None = None, count: int = 12
) -> tuple[DesignResult, DesignResult]:
    """The result before and after."""
    pool = pool or AnalyticPool()
    before = searched(spec, count=count, pool=pool)
    refinement = Refinement(models(), before, OBJECTIVES, np.random.default_rng(seed), SMALL)
    return before, refinement.run(pool, calls, provenance={"seed": seed})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def easy() -> tuple[DesignResult, DesignResult]:
    return refined(EASY)


def test_the_hypervolume_of_a_known_problem_grows(easy: tuple[DesignResult, DesignResult]) -> None:
    before, after = easy
    assert after.hypervolume is not None
    assert after.hypervolume[1] > 1.1 * after.hypervolume[0] > 0.0
    assert {d.provenance["source"] for d in after.designs if d.pareto} >= {"refinement"}
    assert {design.circuit for design in before.designs} <= {design.circuit for design in after.designs}


def test_every_call_is_accounted_for(easy: tuple[DesignResult, DesignResult]) -> None:
    before, after = easy
    assert after.simulated == before.simulated + 24
    assert after.refined_from == before.simulated
    assert len(after.designs) + sum(after.failed.values()) == after.simulated
    orders = sorted(design.provenance["order"] for design in after.designs)
    assert len(set(orders)) == len(orders)
    assert {"processes", "proposals", "acquisition", "ranking", "spice"} <= after.seconds.keys()


def test_new_designs_say_that_they_come_from_refinement(easy: tuple[DesignResult, DesignResult]) -> None:
    before, after = easy
    new = [design for design in after.designs if design.provenance["order"] > before.simulated]
    assert {design.provenance["source"] for design in new} == {"refinement"}
    assert {design.provenance["seed"] for design in new} == {0}


def test_every_metric_is_what_the_simulator_said(easy: tuple[DesignResult, DesignResult]) -> None:
    assert all(design.metrics == formulas(design.circuit) for design in easy[1].designs)


def test_new_circuits_are_legal_and_differ(easy: tuple[DesignResult, DesignResult]) -> None:
    process = technology.get("sg13g2")
    circuits = [design.circuit for design in easy[1].designs]
    assert len(set(circuits)) == len(circuits)
    for circuit in circuits:
        for device, value in zip(circuit.topology.devices, circuit.values, strict=True):
            low, high = process.value_range(device.kind)
            assert low <= value <= high
            assert process.snap(device.kind, value) == pytest.approx(value, rel=1e-12)


def test_the_front_is_of_designs_that_meet_the_specification(easy: tuple[DesignResult, DesignResult]) -> None:
    after = easy[1]
    front = [design for design in after.designs if design.pareto]
    assert front
    assert all(design.met for design in front)
    assert after.designs[: len(front)] == tuple(front)
    for design in front:
        better = [
            other
            for other in after.designs
            if other.met
            and other.metrics["gain_db"] > design.metrics["gain_db"]
            and other.metrics["nf_db"] < design.metrics["nf_db"]
        ]
        assert not better


def test_constraints_draw_the_calls_into_what_can_be_used() -> None:
    tight = spec_of(Constraint("gain_db", ">=", 12.0), Constraint("nf_db", "<=", 3.2))
    before, after = refined(tight, calls=16)
    assert any(design.met for design in before.designs)
    new = [design for design in after.designs if design.provenance["source"] == "refinement"]
    old = [design for design in after.designs if design.provenance["source"] != "refinement"]
    assert np.mean([d.met for d in new]) > np.mean([d.met for d in old])


def test_failures_are_counted_and_are_no_points() -> None:
    pool = AnalyticPool(largest=0.1)
    before, after = refined(EASY, calls=16, pool=pool)
    assert before.failed_circuits
    failed = [circuit for circuit in pool.simulated if not pool.works(circuit)]
    assert after.failed == {"no_convergence": len(before.failed_circuits) + len(failed)}
    expected = {*before.failed_circuits, *(FailedCircuit(circuit, "no_convergence") for circuit in failed)}
    assert set(after.failed_circuits) == expected
    assert all(pool.works(design.circuit) for design in after.designs)
    assert len(pool.simulated) == 16


def test_an_unmet_specification_is_met_first() -> None:
    before, after = refined(HARD, calls=24)
    assert before.first_met is None
    assert after.first_met is not None
    assert before.simulated < after.first_met <= after.simulated
    assert after.designs[0].met
    assert after.hypervolume is not None
    assert after.hypervolume[0] == 0.0 < after.hypervolume[1]


def test_one_that_cannot_be_met_leaves_no_hypervolume_but_better_margins() -> None:
    impossible = spec_of(Constraint("gain_db", ">=", 30.0), Constraint("nf_db", "<=", 0.5))
    before, after = refined(impossible, calls=8)
    assert after.hypervolume is None
    assert after.first_met is None
    assert after.designs[0].margin >= before.designs[0].margin


def test_without_bounds_every_design_can_be_used() -> None:
    _, after = refined(spec_of(), calls=8)
    assert all(design.met for design in after.designs)
    assert after.hypervolume is not None
    assert after.hypervolume[1] > 0.0


def test_the_seed_decides() -> None:
    first, again, other = (refined(EASY, calls=8, seed=seed)[1] for seed in (1, 1, 2))
    assert [d.circuit for d in first.designs] == [d.circuit for d in again.designs]
    assert {d.circuit for d in first.designs} != {d.circuit for d in other.designs}


def test_progress_counts_on_from_the_search() -> None:
    seen: list[tuple[int, int]] = []
    before = searched(EASY)
    Refinement(models(), before, OBJECTIVES, np.random.default_rng(0), SMALL).run(
        AnalyticPool(),  # type: ignore[arg-type]
        10,
        progress=lambda spent, allowed, _: seen.append((spent, allowed)),
    )
    assert seen == [(spent, 22) for spent in range(13, 23)]


def test_nothing_simulated_is_nothing_to_refine() -> None:
    pool = AnalyticPool(largest=-np.inf)
    before, after = refined(EASY, pool=pool)
    assert after.designs == ()
    assert after.simulated == before.simulated
    assert pool.simulated == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("gain_db", "gian_db"), r"'gian_db' is not a metric of class lna; choose from gain_db, nf_db, "),
        (("gain_db", "gain_db"), "gain_db is named twice"),
        (("gain_db",), f"expected 2 to {MOST_OBJECTIVES} metrics, got 1"),
        (("gain_db", "nf_db", "s11_db", "s22_db", "power_w"), f"expected 2 to {MOST_OBJECTIVES} metrics, got 5"),
        (("gain_db", "iip3_dbm"), "iip3_dbm is a sign-off metric.*add a bound on iip3_dbm"),
    ],
)
def test_objectives_that_cannot_be_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        choose_objectives(EASY, names)


def test_objectives_are_read_from_a_list() -> None:
    assert parse_objectives(EASY, " gain_db, power_w,") == ("gain_db", "power_w")
    assert parse_objectives(EASY, None) == ("gain_db", "nf_db", "power_w")
    with pytest.raises(InvalidInputError, match="names no metric; choose from gain_db"):
        parse_objectives(EASY, " , ")


def test_a_sign_off_metric_is_an_objective_where_the_specification_has_it_measured() -> None:
    bounded = spec_of(Constraint("iip3_dbm", ">=", -20.0))
    assert choose_objectives(bounded, ("gain_db", "iip3_dbm")) == ("gain_db", "iip3_dbm")


def test_slacks_on_the_models_scale_are_those_of_the_specification() -> None:
    spec = spec_of(Constraint("gain_db", ">=", 12.0), Constraint("power_w", "<=", 0.02), Constraint("nf_db", "<=", 2.0))
    outputs = Outputs.of(spec, OBJECTIVES, conditioning(), [])
    metrics = formulas(KNOWN)
    values = outputs.standardised(metrics)
    found = [slope * values[index] + offset for index, slope, offset in outputs.slacks]
    assert found == pytest.approx(list(spec.margins(metrics).values()))


def test_volume_is_counted_from_the_bounds() -> None:
    outputs = Outputs.of(EASY, OBJECTIVES, conditioning(), [])
    reference = outputs.reference(OBJECTIVES, np.array([[0.0, 0.0], [1.0, -1.0]]))
    at_bounds = outputs.standardised({"gain_db": 8.0, "nf_db": 4.0}) * outputs.signs
    assert reference == pytest.approx(at_bounds)
    free = Outputs.of(spec_of(), OBJECTIVES, conditioning(), [])
    assert free.reference(OBJECTIVES, np.array([[0.0, 0.0], [3.0, -1.0]])) == pytest.approx([-3.0, -2.0])


def test_points_far_apart_include_the_extremes() -> None:
    points = np.array([[0.0, 1.0], [0.1, 0.9], [0.5, 0.5], [1.0, 0.0], [0.51, 0.5]])
    assert set(far_apart(points, 3)) in ({0, 3, 2}, {0, 3, 4})
    assert sorted(far_apart(points, 9)) == [0, 1, 2, 3, 4]


def test_without_botorch_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "genrf.generation.acquisition", raising=False)
    for name in [name for name in sys.modules if name == "botorch" or name.startswith("botorch.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botorch", None)
    with pytest.raises(MissingToolError, match="pip install botorch"):
        require_botorch()


def test_botorch_is_loaded_by_refinement_alone() -> None:
    code = "import sys, genrf.cli, genrf.generation.designer, genrf.generation.refine; "
    code += "print(sorted({'torch', 'botorch', 'gpytorch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
