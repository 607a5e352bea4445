"""What a search does about bounds that its descents do not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.topology import Circuit
from genrf.conditions import Constraint
from genrf.generation.design import DesignResult
from genrf.generation.settings import SearchSettings
from genrf.generation.small_signal_search import SmallSignalSearch
from genrf.generation.sources import Sources
from genrf.metrics import Metrics
from genrf.simulation.outcome import Outcome, Simulation
from genrf.spec import DesignSpec
from tests.generation.analytic import CENTRE, CONDITIONS, KNOWN, AnalyticPool, formulas, models

SETTINGS = SearchSettings(latents=4, topologies=4, sizings=1, starts=4, rounds=0)
GAIN = Constraint("gain_db", ">=", 10.0)
LINEAR = Constraint("iip3_dbm", ">=", -12.0)


class CompressedPool(AnalyticPool):
    """In which every decibel of gain is one of linearity."""

    def run_iter(self, jobs: Sequence[Simulation]) -> Iterator[Outcome]:
        for job in jobs:
            metrics = formulas(job.circuit)
            yield Outcome(Metrics({**metrics, "iip3_dbm": -metrics["gain_db"]}) if job.signoff else metrics)


def recalled(_: Sources) -> list[Circuit]:
    """Circuits around the centre, whose gain is 15.7 dB."""
    rules = DesignRules("lna", CONDITIONS, technology.get("sg13g2"))
    rng, used = np.random.default_rng(0), np.arange(len(CENTRE)) < len(KNOWN.values)
    return [rules.sized(KNOWN.topology, CENTRE + used * rng.normal(0.0, 0.02, len(CENTRE))) for _ in range(8)]


def searched(monkeypatch: pytest.MonkeyPatch, *constraints: Constraint) -> DesignResult:
    monkeypatch.setattr(Sources, "recalled", recalled)
    spec = DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=constraints)
    search = SmallSignalSearch(models(), SETTINGS, spec, np.random.default_rng(0))
    return search.run(CompressedPool(), 12)  # type: ignore[arg-type]


def test_gain_beyond_its_bound_is_given_up_for_linearity_that_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = searched(monkeypatch, GAIN, LINEAR)
    by_order = sorted(result.designs, key=lambda design: design.provenance["order"])
    first, later = by_order[: SETTINGS.batch], by_order[SETTINGS.batch :]
    assert not any(design.met for design in first)
    assert min(design.metrics["gain_db"] for design in first) > 12.0
    assert any(design.met for design in later)
    assert all(10.0 <= design.metrics["gain_db"] <= 11.0 for design in later if design.met)


@pytest.mark.parametrize(
    "constraints",
    [(GAIN,), (GAIN, replace(LINEAR, bound=-20.0)), (GAIN, Constraint("gain_db", "<=", 30.0), LINEAR)],
    ids=["no sign-off", "linearity is met at once", "gain is bounded from above as well"],
)
def test_gain_is_not_given_up_otherwise(constraints: tuple[Constraint, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    result = searched(monkeypatch, *constraints)
    assert min(design.metrics["gain_db"] for design in result.designs) > 11.0
