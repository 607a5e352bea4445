"""Refinement with the simulators behind it, from a search by models that draw circuits from the grammar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.design_rules import DesignRules
from genrf.conditioning import fit
from genrf.conditions import Constraint
from genrf.errors import InvalidInputError
from genrf.generation.designer import Designer
from genrf.generation.sampler import SamplerSettings
from genrf.simulation.judge import simulate
from tests.generation.test_generate import CONDITIONS, SETTINGS, GrammarBackend, spec_of

OBJECTIVES = ("gain_db", "nf_db", "power_w")


@pytest.fixture(scope="module")
def designer():  # type: ignore[no-untyped-def]
    spread = np.linspace(-1.0, 1.0, 20)
    middle = {"gain_db": (0.0, 10.0), "nf_db": (8.0, 4.0), "power_w": (0.012, 0.01)}
    columns = {}
    for name in classes.get("lna").label_metrics:
        centre, width = middle.get(name, (1.0, 0.5))
        columns[name] = centre + width * spread
    conditioning = fit(("lna",), {"lna": columns})
    backend = GrammarBackend(len(conditioning.metrics))
    sampler = SamplerSettings(steps=3, conditions_size=conditioning.conditions_size)
    with Designer(backend, conditioning, sampler, settings=SETTINGS, workers=2, seed=3) as designer:
        yield designer


def test_a_front_descends_in_the_batched_simulator(designer: Designer) -> None:
    spec = spec_of(Constraint("gain_db", ">=", -40.0), Constraint("mu_min", ">=", 1.0))
    before = designer.design(spec, calls=16, seed=0)
    after = designer.refine(before, calls=16)
    assert after.objectives == OBJECTIVES
    assert before.simulated < after.simulated <= before.simulated + 16
    assert after.hypervolume is not None
    assert after.hypervolume[1] > after.hypervolume[0]
    rules = DesignRules("lna", CONDITIONS, technology.get("sg13g2"))
    new = [design for design in after.designs if design.provenance["source"] == "refinement"]
    assert len(new) == after.simulated - before.simulated
    for design in new:
        assert design.met
        assert not rules.broken(design.circuit)
        assert simulate(design.circuit, CONDITIONS).metrics == design.metrics
    again = designer.refine(before, calls=16)
    assert [design.circuit for design in again.designs] == [design.circuit for design in after.designs]


@pytest.mark.slow
def test_a_search_is_refined_by_bayesian_optimization(designer: Designer) -> None:
    spec = spec_of(Constraint("gain_db", ">=", -40.0))
    before = designer.design(spec, calls=16, seed=0)  # of which some simulate
    after = designer.refine(before, calls=16, descend=False)
    assert after.objectives == OBJECTIVES
    assert after.simulated == 32
    assert len(after.designs) + sum(after.failed.values()) == 32
    assert after.hypervolume is not None
    assert after.hypervolume[1] > after.hypervolume[0]
    new = [design for design in after.designs if design.provenance["source"] == "refinement"]
    assert new
    for design in new[:3]:
        assert simulate(design.circuit, CONDITIONS).metrics == design.metrics
        assert design.provenance["seed"] == 3
    again = designer.refine(before, calls=16, descend=False)
    assert [design.circuit for design in again.designs] == [design.circuit for design in after.designs]
    twice = designer.refine(after, calls=8, objectives=OBJECTIVES[:2], seed=4, descend=False)
    assert twice.refined_from == 32
    assert twice.simulated == 40


def test_a_designer_refuses_unknown_objectives(designer: Designer) -> None:
    nothing = replace(designer.design(spec_of(), calls=1), designs=())
    with pytest.raises(InvalidInputError, match="not a metric of class lna"):
        designer.refine(nothing, calls=8, objectives=("gain_db", "beauty"))
