"""Precedents: known circuits come back whole, nearest first, and a search begins with one that meets the specification."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrf import classes, technology
from genrf.circuit.biasing import fits_supply
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning, fit
from genrf.conditions import Conditions, Constraint
from genrf.errors import CheckpointError
from genrf.generation.candidates import normalised_values, slots
from genrf.generation.designer import Designer
from genrf.generation.precedents import Precedents, file_name, precedents_in
from genrf.generation.sampler import SamplerSettings
from genrf.generation.settings import SearchSettings
from genrf.simulation.judge import simulate
from genrf.spec import DesignSpec
from tests.amplifiers import MATCHED_28GHZ

CONDITIONS = Conditions(frequency_hz=28e9, supply_v=1.8)


class IgnorantBackend:
    """Proposes nothing legal, keeps values as they are and predicts an average circuit with much doubt."""

    latent_size = 4

    def __init__(self, n_metrics: int) -> None:
        self._n_metrics = n_metrics

    def propose(self, specification: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(latent), 28, 9)), np.zeros((len(latent), 28, 3, 28))

    def denoise(self, noisy_values, sigma, kinds, nets, specification):  # type: ignore[no-untyped-def]
        return (noisy_values * (kinds > 0)).astype(np.float32)

    def predict(self, values, kinds, nets, conditions):  # type: ignore[no-untyped-def]
        mean = np.zeros((len(values), self._n_metrics), dtype=np.float32)
        return mean, mean + 2.0, np.full(len(values), 9.0, dtype=np.float32)


@pytest.fixture(scope="module")
def conditioning() -> Conditioning:
    return fit(("lna",), {"lna": {name: np.linspace(1.0, 20.0, 20) for name in classes.get("lna").metrics}})


def precedents_of(conditioning: Conditioning, circuit: Circuit, frequencies: list[float]) -> Precedents:
    """One circuit, rescaled to several frequencies and taken to perform the same at each."""
    outcome = simulate(circuit, CONDITIONS)
    assert outcome.metrics is not None
    kinds, nets = slots([circuit.topology])
    count = len(frequencies)
    conditions = [conditioning.encode_conditions("lna", Conditions(frequency_hz=f, supply_v=1.8)) for f in frequencies]
    return Precedents(
        kinds=np.repeat(kinds, count, axis=0).astype(np.int8),
        nets=np.repeat(nets, count, axis=0).astype(np.int8),
        values=np.repeat(normalised_values(circuit, 28e9)[None], count, axis=0).astype(np.float16),
        metrics=np.repeat(conditioning.encode_metrics("lna", outcome.metrics)[None], count, axis=0).astype(np.float16),
        conditions=np.stack(conditions),
    )


def spec_at(frequency_hz: float, gain_db: float) -> DesignSpec:
    return DesignSpec(
        circuit_class="lna",
        conditions=Conditions(frequency_hz=frequency_hz, supply_v=1.8),
        constraints=(Constraint("gain_db", ">=", gain_db),),
    )


def test_what_is_saved_is_read_back(conditioning: Conditioning, tmp_path: Path) -> None:
    saved = precedents_of(conditioning, MATCHED_28GHZ, [10e9, 28e9])
    saved.save(tmp_path / file_name("lna"), compressed=True)
    read = precedents_in(tmp_path)("lna")
    assert read is not None
    assert read.topologies("lna") == [MATCHED_28GHZ.topology] * 2
    for name in ("kinds", "nets", "values", "metrics", "conditions"):
        np.testing.assert_array_equal(getattr(read, name), getattr(saved, name))


def test_a_class_without_a_file_has_none(tmp_path: Path) -> None:
    assert precedents_in(tmp_path)("lna") is None


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / file_name("lna")).write_bytes(b"PK but not an archive")
    with pytest.raises(CheckpointError, match=r"precedents-lna\.npz: not a file of precedents"):
        precedents_in(tmp_path)("lna")


def test_of_equally_good_circuits_the_one_at_the_nearest_frequency_comes_first(conditioning: Conditioning) -> None:
    known = precedents_of(conditioning, MATCHED_28GHZ, [5e9, 40e9, 27e9])
    nearest = known.nearest(conditioning, spec_at(28e9, 5.0), 2)
    frequencies = 10e9 * 10 ** nearest.conditions[:, -4]
    np.testing.assert_allclose(frequencies, [27e9, 40e9], rtol=1e-5)


def test_circuits_that_cannot_bear_the_supply_are_left_out(conditioning: Conditioning) -> None:
    known = precedents_of(conditioning, MATCHED_28GHZ, [28e9])
    assert fits_supply(MATCHED_28GHZ.topology, 1.5)
    assert not fits_supply(MATCHED_28GHZ.topology, 0.5)
    spec = spec_at(28e9, 5.0)
    bearable, unbearable = (replace(spec, conditions=replace(spec.conditions, supply_v=v)) for v in (1.5, 0.5))
    assert len(known.nearest(conditioning, bearable, 1)) == 1
    assert len(known.nearest(conditioning, unbearable, 1)) == 0


def test_the_first_call_goes_to_a_precedent_that_meets_the_specification(conditioning: Conditioning) -> None:
    """Within the design rules, as precedents are."""
    one = DesignRules("lna", CONDITIONS, technology.get("sg13g2")).kept(MATCHED_28GHZ)
    metrics = simulate(one, CONDITIONS).metrics
    assert metrics is not None
    known = precedents_of(conditioning, one, [28e9])
    sampler = SamplerSettings(steps=3, conditions_size=conditioning.conditions_size)
    settings = SearchSettings(latents=4, variations=4, children=4)
    backend = IgnorantBackend(len(conditioning.metrics))
    with Designer(backend, conditioning, sampler, settings=settings, precedents=lambda _: known, workers=1) as designer:
        result = designer.design(spec_at(28e9, metrics["gain_db"] - 0.5), calls=8)
    assert result.first_met == 1
    first = next(design for design in result.designs if design.provenance["order"] == 1)
    assert first.provenance["source"] == "precedent"
    assert first.metrics["gain_db"] == pytest.approx(metrics["gain_db"], abs=0.2)
