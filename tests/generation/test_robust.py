"""The best designs of a search, reordered by the corners that they hold at."""

from __future__ import annotations

from collections.abc import Sequence

from genrf.conditions import Conditions, Constraint
from genrf.generation.design import Design, DesignResult
from genrf.generation.robust import ranked_by_corners
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.spec import DesignSpec
from tests.amplifiers import CASCODE

SPEC = DesignSpec(
    circuit_class="lna",
    conditions=Conditions(frequency_hz=28e9, supply_v=2.0),
    constraints=(Constraint("gain_db", ">=", 10.0),),
)


def searched(*gains: dict[str, float | None]) -> tuple[DesignResult, object]:
    """A search's result and a simulator for designs of known gain at each corner, in the order of the first value."""
    circuits = [CASCODE.with_values([300e-15 + number * 1e-15, *CASCODE.values[1:]]) for number in range(len(gains))]
    designs = tuple(
        Design(
            circuit=circuit,
            metrics=Metrics({"gain_db": at["typ"]}),
            met=at["typ"] >= 10.0,
            margin=SPEC.worst_margin({"gain_db": at["typ"]}),
            provenance={"name": number},
        )
        for number, (circuit, at) in enumerate(zip(circuits, gains, strict=True))
    )

    def simulate(jobs: Sequence[Simulation]) -> list[Outcome]:
        found = [gains[circuits.index(job.circuit)][job.conditions.corner] for job in jobs]
        return [
            Outcome(None, Failure("no_convergence", "")) if gain is None else Outcome(Metrics({"gain_db": gain}))
            for gain in found
        ]

    result = DesignResult(
        spec=SPEC, designs=designs, simulated=len(designs), failed={}, first_met=1, seconds={"spice": 0.0}
    )
    return result, simulate


def order(result: DesignResult) -> list[int]:
    return [design.provenance["name"] for design in result.designs]


def test_more_corners_met_come_first_then_the_worst_margin() -> None:
    result, simulate = searched(
        {"typ": 19.0, "bcs": 20.0, "wcs": 9.0},
        {"typ": 15.0, "bcs": 16.0, "wcs": 11.0},
        {"typ": 14.0, "bcs": 15.0, "wcs": 12.0},
        {"typ": 13.0, "bcs": None, "wcs": 12.0},
    )
    robust = ranked_by_corners(result, simulate)
    assert order(robust) == [2, 1, 0, 3]
    assert robust.designs[0].provenance["corners"] == {"met": 3, "of": 3, "missed": [], "margin": 0.2}
    assert robust.designs[3].provenance["corners"] == {"met": 2, "of": 3, "missed": ["bcs"], "margin": None}


def test_a_design_that_misses_its_own_conditions_stays_behind() -> None:
    result, simulate = searched(
        {"typ": 10.0, "bcs": 9.0, "wcs": 9.0},
        {"typ": 9.9, "bcs": 12.0, "wcs": 12.0},
    )
    assert order(ranked_by_corners(result, simulate)) == [0, 1]


def test_only_the_best_are_simulated_and_the_rest_keep_their_order() -> None:
    same = {"typ": 11.0, "bcs": 9.0, "wcs": 9.0}
    result, simulate = searched(same, {"typ": 11.0, "bcs": 12.0, "wcs": 12.0}, {"typ": 10.5, "bcs": 99.0, "wcs": 99.0})
    robust = ranked_by_corners(result, simulate, candidates=2)
    assert order(robust) == [1, 0, 2]
    assert "corners" not in robust.designs[2].provenance


def test_a_search_without_designs_stays_empty() -> None:
    result, simulate = searched()
    assert ranked_by_corners(result, simulate).designs == ()
