"""What a report says and shows of refinement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from genrf.conditions import Conditions, Constraint
from genrf.generation.design import Design, DesignResult, ranked
from genrf.metrics import Metrics
from genrf.report.front import plot_front
from genrf.report.refinement import front_text, refinement_text
from genrf.spec import DesignSpec
from tests.amplifiers import CASCODE

SPEC = DesignSpec(
    circuit_class="lna",
    conditions=Conditions(frequency_hz=28e9, supply_v=2.0),
    constraints=(Constraint("gain_db", ">=", 10.0),),
)
OBJECTIVES = ("gain_db", "nf_db", "power_w")


def result(*figures: tuple[float, float, float], objectives: tuple[str, ...] = OBJECTIVES) -> DesignResult:
    """Designs with gain, noise figure and power, of which refinement made all but the first two."""
    designs = []
    for order, values in enumerate(figures, start=1):
        metrics = Metrics(dict(zip(OBJECTIVES, values, strict=True)))
        met, margin = SPEC.meets(metrics), SPEC.worst_margin(metrics)
        circuit = CASCODE.with_values([order * 1e-15, *CASCODE.values[1:]])
        designs.append(Design(circuit=circuit, metrics=metrics, met=met, margin=margin, provenance={"order": order}))
    return DesignResult(
        spec=SPEC,
        designs=ranked(designs, SPEC, objectives),
        simulated=len(figures),
        failed={},
        first_met=1,
        seconds={"spice": 0.1},
        objectives=objectives,
        refined_from=2,
        hypervolume=(2.0, 5.0),
    )


FIGURES = ((12.0, 3.0, 0.02), (9.0, 2.0, 0.01), (13.0, 2.5, 0.02), (11.0, 2.9, 0.01), (11.0, 3.5, 0.02))


def test_the_front_is_of_what_meets_the_specification_and_comes_first() -> None:
    found = [(design.metrics["gain_db"], design.pareto) for design in result(*FIGURES).designs]
    assert found == [(13.0, True), (11.0, True), (12.0, False), (11.0, False), (9.0, False)]


def test_without_objectives_the_front_is_of_all_designs() -> None:
    everything = [
        replace(d, metrics=Metrics({**d.metrics, "s11_db": -10.0, "s22_db": -9.0})) for d in result(*FIGURES).designs
    ]
    marked = ranked(everything, SPEC)
    assert {design.metrics["gain_db"] for design in marked if design.pareto} == {13.0, 11.0, 9.0}
    assert [design.margin for design in marked] == sorted((d.margin for d in marked), reverse=True)


def test_where_nothing_meets_it_the_front_is_of_all_designs() -> None:
    found = result((8.5, 3.0, 0.02), (9.0, 2.0, 0.01), (7.0, 1.5, 0.01))
    assert [(design.metrics["gain_db"], design.pareto) for design in found.designs] == [
        (9.0, True),
        (8.5, False),
        (7.0, True),
    ], "the closest comes first all the same"
    assert "no other one of this run" in front_text(found)


def test_words_for_what_refinement_brought() -> None:
    text = refinement_text(result(*FIGURES))
    assert text == (
        "Refined with 3 calls after the first 2: the front in gain_db, nf_db, power_w went from 1 to 2 designs "
        "and dominates 2.5 times the volume"
    )
    unmet = replace(result((9.0, 2.0, 0.01)), hypervolume=None)
    assert "no design meets the specification" in refinement_text(unmet)
    late = replace(result((9.0, 2.0, 0.01), (8.0, 2.0, 0.01), (11.0, 2.0, 0.01)), hypervolume=(0.0, 1.0))
    assert refinement_text(late).endswith("nothing met the specification before")
    assert "meets the specification and that no other such design" in front_text(result(*FIGURES))


@pytest.mark.parametrize("objectives", [OBJECTIVES, OBJECTIVES[:2]])
def test_a_panel_for_every_pair_of_objectives(objectives: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "front.svg"
    plot_front(result(*FIGURES, objectives=objectives), path)
    text = "".join(ElementTree.parse(path).getroot().itertext())
    for name in objectives:
        assert f"{name} (" in text
    assert "front before" in text
    assert "front after" in text
    assert text.count("is better)") == len(objectives) * (len(objectives) - 1)


def test_the_plot_of_a_search_that_met_nothing(tmp_path: Path) -> None:
    plot_front(result((9.0, 2.0, 0.01), (8.0, 3.0, 0.02)), tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 1000
