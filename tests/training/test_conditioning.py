"""What models are told of a specification."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch

from genrf import classes
from genrf.conditioning import BOUND_FEATURES, Conditioning, fit
from genrf.conditions import Conditions, Constraint
from genrf.errors import CheckpointError, InvalidInputError
from genrf.spec import DesignSpec
from training.data.row_conditions import RowConditions
from training.data.rows import Rows

CONDITIONS = Conditions(frequency_hz=10e9, supply_v=2.0)


@pytest.fixture(scope="module")
def conditioning(prepared: Path) -> Conditioning:
    return Conditioning.load(prepared)


def statistics(conditioning: Conditioning) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the amplifiers' metrics."""
    position = conditioning.classes.index("lna")
    return conditioning.mean[position], conditioning.deviation[position]


def bounds_of(conditioning: Conditioning, vector: np.ndarray) -> np.ndarray:
    return vector[..., conditioning.conditions_size :].reshape(*vector.shape[:-1], -1, BOUND_FEATURES)


def test_a_bound_is_told_on_its_side_and_nothing_else_is(conditioning: Conditioning) -> None:
    spec = DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=(Constraint("gain_db", ">=", 12.0),))
    vector = conditioning.encode_specification(spec)
    assert vector.shape == (conditioning.specification_size,)
    bounds = bounds_of(conditioning, vector)
    gain = conditioning.metrics.index("gain_db")
    mean, deviation = statistics(conditioning)
    expected = (12.0 - mean[gain]) / deviation[gain]
    assert bounds[gain] == pytest.approx([expected, 1, 0, 0], abs=1e-5)
    assert not np.delete(bounds, gain, axis=0).any()


def test_rows_are_conditioned_on_bounds_that_they_meet(conditioning: Conditioning, prepared: Path) -> None:
    rows = Rows.load(prepared / "train.npz")
    metrics = torch.from_numpy(rows.metrics)
    generator = torch.Generator().manual_seed(1)
    vectors = RowConditions(conditioning)(metrics, torch.from_numpy(rows.conditions), generator).numpy()
    bounds = bounds_of(conditioning, vectors)
    lower, has_lower, upper, has_upper = (bounds[..., index] for index in range(BOUND_FEATURES))
    assert (rows.metrics >= lower - 1e-5)[has_lower > 0].all()
    assert (rows.metrics <= upper + 1e-5)[has_upper > 0].all()
    shown = has_lower + has_upper
    assert 0.2 < shown.mean() < 0.9
    assert (shown.sum(axis=1) == 0).any()


def test_the_predicted_margin_is_the_worst_slack(conditioning: Conditioning) -> None:
    constraints = (Constraint("gain_db", ">=", 12.0), Constraint("nf_db", "<=", 3.0))
    spec = DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=constraints)
    metrics = np.zeros((1, len(conditioning.metrics)), dtype=np.float32)
    gain, noise = (conditioning.metrics.index(name) for name in ("gain_db", "nf_db"))
    mean, deviation = statistics(conditioning)
    metrics[0, gain] = (14.0 - mean[gain]) / deviation[gain]
    metrics[0, noise] = (3.5 - mean[noise]) / deviation[noise]
    margin = conditioning.predicted_margin(spec, metrics)
    assert margin == pytest.approx(-0.5 / deviation[noise], rel=1e-4)


def test_the_chance_of_meeting_a_bound_follows_the_normal_distribution(conditioning: Conditioning) -> None:
    mean, _ = statistics(conditioning)
    spec = DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=(Constraint("gain_db", ">=", mean[0]),))
    assert conditioning.metrics[0] == "gain_db"
    deviations = np.linspace(-3.0, 3.0, 13)
    metrics = np.zeros((len(deviations), len(conditioning.metrics)), dtype=np.float32)
    metrics[:, 0] = 0.5 * deviations
    chance = np.exp(conditioning.log_probability_met(spec, metrics, np.full_like(metrics, 0.5)))
    normal = [NormalDist().cdf(value) for value in deviations]
    np.testing.assert_allclose(chance, normal, atol=0.01)


def test_bounds_that_are_all_likely_beat_one_that_is_not(conditioning: Conditioning) -> None:
    constraints = (Constraint("gain_db", ">=", 12.0), Constraint("nf_db", "<=", 3.0))
    spec = DesignSpec(circuit_class="lna", conditions=CONDITIONS, constraints=constraints)
    gain, noise = (conditioning.metrics.index(name) for name in ("gain_db", "nf_db"))
    metrics = np.zeros((2, len(conditioning.metrics)), dtype=np.float32)
    metrics[:, gain] = conditioning.standardise("lna", "gain_db", 12.0) + np.array([0.2, 2.0])
    metrics[:, noise] = conditioning.standardise("lna", "nf_db", 3.0) - np.array([0.2, -0.3])
    balanced, lopsided = conditioning.log_probability_met(spec, metrics, np.full_like(metrics, 0.2))
    assert lopsided < balanced < 0.0


def test_a_bound_on_an_oscillators_frequency_error_is_judged_by_its_frequency() -> None:
    """Within 3 % of 10 GHz means from 9.7 to 10.3 GHz; what is predicted of the error itself has no say."""
    names = classes.get("vco").label_metrics
    rows = {name: np.linspace(1.0, 20.0, 20) * (1e9 if name == "frequency_hz" else 1.0) for name in names}
    conditioning = fit(("vco",), {"vco": rows})
    spec = DesignSpec(
        circuit_class="vco", conditions=CONDITIONS, constraints=(Constraint("frequency_error_percent", "<=", 3.0),)
    )
    frequencies = (9.0e9, 9.8e9, 10.0e9, 10.2e9, 11.0e9)
    metrics = np.random.default_rng(0).normal(size=(len(frequencies), len(conditioning.metrics))).astype(np.float32)
    column = conditioning.metrics.index("frequency_hz")
    metrics[:, column] = [conditioning.standardise("vco", "frequency_hz", value) for value in frequencies]
    deviation = 0.05
    chance = np.exp(conditioning.log_probability_met(spec, metrics, np.full_like(metrics, deviation)))
    low, high = (conditioning.standardise("vco", "frequency_hz", bound) for bound in (9.7e9, 10.3e9))
    normal = NormalDist(sigma=deviation)
    expected = [normal.cdf(value - low) * normal.cdf(high - value) for value in metrics[:, column].tolist()]
    np.testing.assert_allclose(chance, expected, atol=0.02)
    assert chance.argmax() == 2


def test_saved_and_loaded_it_is_the_same(conditioning: Conditioning, tmp_path: Path) -> None:
    conditioning.save(tmp_path)
    assert Conditioning.load(tmp_path) == conditioning


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "normalisation.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"normalisation\.json"):
        Conditioning.load(tmp_path)


def test_a_class_that_was_not_trained_on_is_refused(conditioning: Conditioning) -> None:
    with pytest.raises(InvalidInputError, match="trained on lna, not on pa"):
        conditioning.encode_conditions("pa", CONDITIONS)
