"""The search: it spends what it may, simulates everything that it reports, and is decided by its seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genrf import classes
from genrf.circuit.tokens import Tokens, encode
from genrf.circuit.topology import Topology
from genrf.conditioning import Conditioning, fit
from genrf.conditions import Conditions, Constraint
from genrf.generation.candidates import Candidates, normalised_values
from genrf.generation.design import pareto_front
from genrf.generation.designer import Designer
from genrf.generation.precedents import Precedents
from genrf.generation.sampler import SamplerSettings
from genrf.generation.settings import SearchSettings
from genrf.generation.sources import Sources
from genrf.metrics import Metrics
from genrf.simulation.judge import Judge, simulate
from genrf.simulation.pool import Failure, Outcome
from genrf.spec import DesignSpec

CONDITIONS = Conditions(frequency_hz=10e9, supply_v=1.8)
SETTINGS = SearchSettings(latents=24, topologies=12, sizings=4, batch=8, parents=3, variations=6, children=12)


class GrammarBackend:
    """Stands in for trained models: topologies from the grammar, values near zero noise, and no idea of metrics."""

    latent_size = 4

    def __init__(self, n_metrics: int) -> None:
        self._n_metrics = n_metrics

    def propose(self, specification: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(int(abs(latent[0, 0]) * 1e6))
        tokens = [encode(classes.get("lna").sample_topology(rng)) for _ in latent]
        return np.eye(6)[np.stack([t.kinds for t in tokens])], np.eye(28)[np.stack([t.nets for t in tokens])]

    def denoise(self, noisy_values, sigma, kinds, nets, specification):  # type: ignore[no-untyped-def]
        return (noisy_values / (1.0 + sigma[:, None] ** 2) * (kinds > 0)).astype(np.float32)

    def predict(self, values, kinds, nets, conditions):  # type: ignore[no-untyped-def]
        mean = np.repeat(values.mean(axis=1, keepdims=True), self._n_metrics, axis=1)
        mean = mean.astype(np.float32)
        return mean, np.zeros_like(mean), np.zeros(len(mean), dtype=np.float32)


def spec_of(*constraints: Constraint) -> DesignSpec:
    return DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=constraints)


EASY = spec_of(Constraint("gain_db", ">=", -60.0))
IMPOSSIBLE = spec_of(Constraint("gain_db", ">=", 90.0))


@pytest.fixture(scope="module")
def conditioning() -> Conditioning:
    columns = {name: np.linspace(0.5, 1.5, 20) for name in classes.get("lna").metrics}
    return fit(("lna",), {"lna": columns})


@pytest.fixture(scope="module")
def designer(conditioning: Conditioning):  # type: ignore[no-untyped-def]
    backend = GrammarBackend(len(conditioning.metrics))
    sampler = SamplerSettings(steps=3, conditions_size=conditioning.conditions_size)
    with Designer(backend, conditioning, sampler, settings=SETTINGS, workers=2, seed=3) as designer:
        yield designer


def test_what_no_known_circuit_was_simulated_under_is_said(conditioning: Conditioning) -> None:
    """Known from 5 to 40 GHz at 1.8 V; a twentieth beyond counts as near."""
    conditions = np.stack(
        [conditioning.encode_conditions("lna", replace(CONDITIONS, frequency_hz=hertz)) for hertz in (5e9, 40e9)]
    )
    known = Precedents(
        kinds=np.zeros((2, 1), np.int8),
        nets=np.zeros((2, 1, 3), np.int8),
        values=np.zeros((2, 1), np.float16),
        metrics=np.zeros((2, len(conditioning.metrics)), np.float16),
        conditions=conditions,
    )
    sampler = SamplerSettings(steps=3, conditions_size=conditioning.conditions_size)
    backend = GrammarBackend(len(conditioning.metrics))
    designer = Designer(backend, conditioning, sampler, precedents=lambda _: known)

    def said(**changes: float) -> list[str]:
        return designer.beyond_precedents(replace(EASY, conditions=replace(CONDITIONS, **changes)))

    assert said() == said(frequency_hz=41.9e9) == []
    (frequency,) = said(frequency_hz=1.6e9)
    assert frequency.startswith("frequency: 1.6 GHz is outside 5 GHz to 40 GHz, where all circuits of class lna lie")
    assert [sentence.partition(" is ")[0] for sentence in said(supply_v=5.0, load_ohm=75.0)] == [
        "supply: 5 V",
        "load impedance: 75 Ohm",
    ]
    assert Designer(backend, conditioning, sampler).beyond_precedents(EASY) == []


def test_it_spends_exactly_the_calls_it_may_and_accounts_for_each(designer: Designer) -> None:
    result = designer.design(IMPOSSIBLE, calls=20)
    assert result.simulated == 20
    assert len(result.designs) + sum(result.failed.values()) == 20
    assert result.first_met is None
    assert not any(design.met for design in result.designs)


def test_every_reported_metric_is_what_spice_says(designer: Designer) -> None:
    for design in designer.design(EASY, calls=8).designs[:3]:
        assert simulate(design.circuit, CONDITIONS).metrics == design.metrics
        assert design.met == EASY.meets(design.metrics)


def test_no_circuit_is_simulated_twice(designer: Designer) -> None:
    result = designer.design(IMPOSSIBLE, calls=32)
    circuits = [design.circuit for design in result.designs]
    assert len(set(circuits)) == len(circuits)
    assert {design.provenance["source"] for design in result.designs} >= {
        "generator, descended",
        "variation, descended",
    }


def test_designs_come_met_first_then_by_margin(designer: Designer) -> None:
    designs = designer.design(spec_of(Constraint("gain_db", ">=", -20.0)), calls=24).designs
    order = [(not design.met, -design.margin) for design in designs]
    assert order == sorted(order)


def test_the_seed_decides(designer: Designer) -> None:
    first, again, other = (designer.design(EASY, calls=16, seed=seed).designs for seed in (1, 1, 2))
    assert [d.circuit for d in first] == [d.circuit for d in again]
    assert [d.circuit for d in first] != [d.circuit for d in other]


def test_it_stops_in_the_batch_that_meets_the_specification_when_asked_to(designer: Designer) -> None:
    result = designer.design(EASY, calls=64, stop_when_met=True)
    assert result.first_met is not None
    assert result.simulated - SETTINGS.batch < result.first_met <= result.simulated < 64


def test_progress_counts_up_to_the_calls(designer: Designer) -> None:
    seen: list[tuple[int, int]] = []
    designer.design(IMPOSSIBLE, calls=12, progress=lambda spent, allowed, _: seen.append((spent, allowed)))
    assert seen == [(spent, 12) for spent in range(1, 13)]


def test_a_topology_gets_the_values_of_several_draws_that_likeliest_work(conditioning: Conditioning) -> None:
    class FirstValueCounts(GrammarBackend):
        """Works the likelier the larger the first device's value is; remembers what it was asked."""

        def predict(self, values, kinds, nets, conditions):  # type: ignore[no-untyped-def]
            self.rated = values[:, 0]
            mean, deviation, _ = super().predict(values, kinds, nets, conditions)
            return mean, deviation, values[:, 0]

    backend = FirstValueCounts(len(conditioning.metrics))
    rng = np.random.default_rng(4)
    topologies = [classes.get("lna").sample_topology(rng) for _ in range(3)]
    sampler = SamplerSettings(steps=3, conditions_size=conditioning.conditions_size)
    with Designer(backend, conditioning, sampler, settings=SETTINGS, workers=1, seed=3) as designer:
        circuits = designer.size(EASY, topologies, rng, draws=8)
    assert [circuit.topology for circuit in circuits] == topologies
    chosen = [normalised_values(circuit, CONDITIONS.frequency_hz)[0] for circuit in circuits]
    rated = backend.rated.reshape(3, 8)
    assert (rated.max(axis=1) > rated.min(axis=1)).all()
    np.testing.assert_allclose(chosen, rated.max(axis=1), atol=1e-5)


def test_illegal_proposals_are_dropped_not_repaired(designer: Designer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(sources: Sources, count: int) -> list[tuple[Tokens, Topology | None]]:
        return [(Tokens(np.zeros(28, np.int8), np.zeros((28, 3), np.int8)), None)] * count

    monkeypatch.setattr(Sources, "topologies", broken)
    result = designer.design(EASY, calls=8)
    assert result.simulated == 0
    assert result.designs == ()


def test_where_everything_fails_it_goes_on_past_its_first_candidates(
    designer: Designer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are at most 12 topologies of 4 sizings."""
    monkeypatch.setattr(designer, "_settings", replace(designer._settings, descend=False))
    failure = Outcome(metrics=None, failure=Failure("device_limit", "Q1: too much"))
    monkeypatch.setattr(Judge, "run_iter", lambda _, jobs: (failure for _ in jobs))
    result = designer.design(IMPOSSIBLE, calls=80)
    assert result.failed == {"device_limit": 80}
    assert len({circuit for circuit, _ in result.failed_circuits}) == 80


def test_where_nothing_works_the_likeliest_topologies_are_sized_anew(
    designer: Designer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(designer, "_settings", replace(designer._settings, descend=False))
    sized: list[str] = []
    draw = Sources.sized

    def counted(sources: Sources, topologies: list[Topology], source: str) -> Candidates:
        sized.append(source)
        return draw(sources, topologies, source)

    monkeypatch.setattr(Sources, "sized", counted)
    assert designer.design(IMPOSSIBLE, calls=24).designs
    assert sized == ["generator"]
    failure = Outcome(metrics=None, failure=Failure("device_limit", "Q1: too much"))
    monkeypatch.setattr(Judge, "run_iter", lambda _, jobs: (failure for _ in jobs))
    designer.design(IMPOSSIBLE, calls=24)
    assert sized[1:] == ["generator", "variation", "variation"]


def test_the_pareto_front_is_what_nothing_dominates() -> None:
    base = {"gain_db": 10.0, "nf_db": 3.0, "s11_db": -10.0, "s22_db": -10.0, "power_w": 0.01}
    better_gain, better_noise = {**base, "gain_db": 12.0}, {**base, "nf_db": 2.0}
    worse = {**base, "power_w": 0.02}
    front = pareto_front("lna", [Metrics(m) for m in (base, better_gain, better_noise, worse)])
    assert front.tolist() == [False, True, True, False]
