"""Refinement by descents: on a problem whose front is known, and on an amplifier and a filter."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.design_rules import DesignRules
from genrf.conditions import Conditions, Constraint
from genrf.generation.design import DesignResult
from genrf.generation.front_descent import SOURCE, FrontDescent, FrontSettings
from genrf.generation.objectives import Outputs, in_small_signal
from genrf.generation.settings import SearchSettings
from genrf.pareto import volume
from genrf.spec import DesignSpec
from tests.generation.analytic import (
    CENTRE,
    CONDITIONS,
    KNOWN,
    OBJECTIVES,
    STEP,
    AnalyticPool,
    conditioning,
    formulas,
    models,
    searched,
)

RULES = DesignRules("lna", CONDITIONS, technology.get("sg13g2"))
SEARCH = SearchSettings(latents=4, topologies=4, sizings=1, starts=4, descents_again=25)
THOROUGH = FrontSettings(rounds=4, starts=24)
QUICK = FrontSettings(rounds=2, growth=1.0, starts=8, iterations=8)


def spec_of(*constraints: Constraint) -> DesignSpec:
    return DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=constraints)


EASY = spec_of(Constraint("gain_db", ">=", 8.0), Constraint("nf_db", "<=", 4.0))
HARD = spec_of(Constraint("gain_db", ">=", 13.5), Constraint("nf_db", "<=", 2.8))
IMPOSSIBLE = spec_of(Constraint("gain_db", ">=", 30.0), Constraint("nf_db", "<=", 0.5))


def refined(
    spec: DesignSpec,
    *,
    calls: int = 24,
    seed: int = 0,
    pool: AnalyticPool | None = None,
    settings: FrontSettings = QUICK,
) -> tuple[DesignResult, DesignResult]:
    """The result before and after."""
    pool = pool or AnalyticPool()
    before = searched(spec, pool=pool)
    refinement = FrontDescent(models(), before, OBJECTIVES, np.random.default_rng(seed), SEARCH, settings)
    return before, refinement.run(pool, calls, provenance={"seed": seed})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def easy() -> tuple[DesignResult, DesignResult]:
    return refined(EASY, settings=THOROUGH)


def reached(spec: DesignSpec, metrics: list[dict[str, float]]) -> float:
    """Volume above the bounds."""
    outputs = Outputs.of(spec, OBJECTIVES, conditioning(), [])
    bounds = {constraint.metric: constraint.bound for constraint in spec.constraints}
    return volume(outputs.signed(OBJECTIVES, metrics), outputs.signed(OBJECTIVES, [bounds])[0])


def known_front(spec: DesignSpec) -> float:
    """Volume of the front that the formulas have: the line between their two best points, as it would be built."""
    line = [RULES.sized(KNOWN.topology, CENTRE + t * STEP) for t in np.linspace(-1.0, 1.0, 401)]
    return reached(spec, [dict(formulas(circuit)) for circuit in line])


def test_the_known_front_is_found(easy: tuple[DesignResult, DesignResult]) -> None:
    before, after = easy
    assert after.hypervolume is not None
    assert after.hypervolume[0] == pytest.approx(reached(EASY, [dict(d.metrics) for d in before.designs if d.met]))
    assert after.hypervolume[0] < 0.5 * known_front(EASY)
    assert 0.8 * known_front(EASY) < after.hypervolume[1] <= known_front(EASY)


def test_every_call_is_accounted_for_and_adds_volume(easy: tuple[DesignResult, DesignResult]) -> None:
    before, after = easy
    assert after.refined_from == before.simulated
    assert before.simulated < after.simulated <= before.simulated + 24
    assert len(after.designs) == after.simulated
    assert after.explored > before.explored
    assert {design.circuit for design in before.designs} <= {design.circuit for design in after.designs}
    new = sorted(
        (d for d in after.designs if d.provenance["source"] == SOURCE), key=lambda design: design.provenance["order"]
    )
    assert [design.provenance["order"] for design in new] == list(range(before.simulated + 1, after.simulated + 1))
    assert {design.provenance["seed"] for design in new} == {0}
    found = [dict(design.metrics) for design in before.designs if design.met]
    for design in new:
        least = reached(EASY, found)
        found.append(dict(design.metrics))
        assert reached(EASY, found) > least


def test_new_designs_meet_the_specification_and_are_what_the_simulator_says(
    easy: tuple[DesignResult, DesignResult],
) -> None:
    for design in easy[1].designs:
        assert design.metrics == formulas(design.circuit)
        assert design.met or design.provenance["source"] != SOURCE


def test_new_circuits_are_as_they_would_be_built(easy: tuple[DesignResult, DesignResult]) -> None:
    circuits = [design.circuit for design in easy[1].designs]
    assert len(set(circuits)) == len(circuits)
    for circuit in circuits:
        assert not RULES.broken(circuit)
        assert RULES.kept(circuit).values == pytest.approx(circuit.values, rel=1e-9)


def test_the_seed_decides() -> None:
    first, again, other = (refined(EASY, calls=8, seed=seed)[1] for seed in (1, 1, 2))
    assert [d.circuit for d in first.designs] == [d.circuit for d in again.designs]
    assert {d.circuit for d in first.designs} != {d.circuit for d in other.designs}


def test_objectives_without_a_bound_are_traded_too() -> None:
    _, after = refined(spec_of(Constraint("nf_db", "<=", 4.0)), calls=8)
    assert after.hypervolume is not None
    assert after.hypervolume[1] > after.hypervolume[0] > 0.0
    assert all(design.met for design in after.designs if design.provenance["source"] == SOURCE)
    _, free = refined(spec_of(), calls=8)
    assert free.hypervolume is not None
    assert free.hypervolume[1] > free.hypervolume[0] > 0.0


def test_circuits_that_fail_are_not_given_to_the_judge() -> None:
    pool = AnalyticPool(largest=0.1)
    before, after = refined(EASY, calls=16, pool=pool)
    assert before.failed_circuits
    assert after.failed_circuits == before.failed_circuits
    assert all(pool.works(circuit) for circuit in pool.simulated)


def test_an_unmet_specification_is_met_first() -> None:
    before, after = refined(HARD)
    assert before.first_met is None
    assert after.first_met is not None
    assert before.simulated < after.first_met <= after.simulated
    assert after.refined_from == before.simulated
    assert after.hypervolume is not None
    assert after.hypervolume[0] == 0.0 < after.hypervolume[1]
    assert SOURCE in {design.provenance["source"] for design in after.designs}


def test_one_that_cannot_be_met_leaves_no_hypervolume_but_better_margins() -> None:
    before, after = refined(IMPOSSIBLE, calls=8)
    assert after.hypervolume is None
    assert after.first_met is None
    assert after.simulated <= before.simulated + 8
    assert after.designs[0].margin >= before.designs[0].margin


def test_progress_counts_on_from_the_search() -> None:
    seen: list[tuple[int, int]] = []
    before = searched(EASY)
    FrontDescent(models(), before, OBJECTIVES, np.random.default_rng(0), SEARCH, QUICK).run(
        AnalyticPool(),  # type: ignore[arg-type]
        6,
        progress=lambda spent, allowed, _: seen.append((spent, allowed)),
    )
    assert seen == [(spent, 18) for spent in range(13, 19)]


def test_descents_need_no_botorch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("botorch", "gpytorch", "torch", "genrf.generation.acquisition"):
        monkeypatch.setitem(sys.modules, name, None)
    _, after = refined(EASY, calls=4)
    assert after.simulated == 16


@pytest.mark.parametrize(
    ("circuit_class", "objectives", "bounded", "known"),
    [
        ("lna", ("gain_db", "nf_db", "power_w"), "s11_db", True),
        ("lna", ("gain_db", "iip3_dbm"), "iip3_dbm", False),
        ("lna", ("gain_db", "power_w"), "iip3_dbm", False),
        ("filter", ("insertion_loss_db", "rejection_low_db"), "ripple_db", True),
        ("pa", ("gain_db", "psat_dbm"), "gain_db", False),
        ("mixer", ("conversion_gain_db", "power_w"), "conversion_gain_db", False),
    ],
)
def test_descents_are_for_what_small_signal_analyses_measure(
    circuit_class: str, objectives: tuple[str, ...], bounded: str, known: bool
) -> None:
    conditions = Conditions(frequency_hz=28e9, supply_v=1.8)
    spec = DesignSpec(circuit_class=circuit_class, conditions=conditions, constraints=(Constraint(bounded, ">=", 0.5),))
    assert in_small_signal(spec, objectives) == known
