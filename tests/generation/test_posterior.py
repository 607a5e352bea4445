"""The surrogate corrected by what was simulated: sure where it knows, unchanged where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from genrf.generation.posterior import Feasibility, Kernel, Posterior

VALUES = np.array([0.5, -1.0, 0.25], dtype=np.float32)
MEAN, DEVIATION = np.array([1.0, 2.0], dtype=np.float32), np.array([0.5, 0.1], dtype=np.float32)
MEASURED = np.array([1.6, 1.9], dtype=np.float32)
SURE = 1e9
"""So much trust in the surrogate's deviations that no error changes them."""


def corrected(posterior: Posterior, topology: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = posterior.correct([topology], values[None], MEAN[None], DEVIATION[None])
    return mean[0], deviation[0]


def of_length(length: float, *, common: float = 0.0) -> Posterior:
    return Posterior(kernels=(Kernel(length=length, common=common),), noise=1e-6, trust=SURE)


@pytest.fixture
def posterior() -> Posterior:
    posterior = of_length(0.45)
    posterior.observe("a", VALUES, MEAN, DEVIATION, MEASURED)
    return posterior


def test_without_simulations_it_is_the_surrogate() -> None:
    mean, deviation = corrected(Posterior(), "a", VALUES)
    np.testing.assert_array_equal(mean, MEAN)
    np.testing.assert_array_equal(deviation, DEVIATION)


def test_a_simulated_circuit_is_known(posterior: Posterior) -> None:
    mean, deviation = corrected(posterior, "a", VALUES)
    np.testing.assert_allclose(mean, MEASURED, rtol=1e-4)
    assert (deviation < 0.01 * DEVIATION).all()


def test_the_correction_fades_with_distance(posterior: Posterior) -> None:
    distances = (0.0, 0.2, 1.0, 100.0)
    means, deviations = zip(
        *(corrected(posterior, "a", VALUES + np.float32(d / np.sqrt(3.0))) for d in distances), strict=True
    )
    assert np.all(np.diff([mean[0] for mean in means]) < 0)
    assert np.all(np.diff([deviation[0] for deviation in deviations]) > 0)
    np.testing.assert_allclose(means[-1], MEAN, rtol=1e-5)
    np.testing.assert_allclose(deviations[-1], DEVIATION, rtol=1e-5)


def test_the_error_follows_the_kernel(posterior: Posterior) -> None:
    """One observation at distance d: the mean moves by the correlation k(d), the variance shrinks by its square."""
    mean, deviation = corrected(posterior, "a", VALUES + np.array([0.7, 0.0, 0.0], dtype=np.float32))
    reduced = np.sqrt(5.0) * 0.7 / 0.45
    correlation = (1 + reduced + reduced**2 / 3) * np.exp(-reduced)
    np.testing.assert_allclose(mean, MEAN + correlation * (MEASURED - MEAN), rtol=1e-4)
    np.testing.assert_allclose(deviation, DEVIATION * np.sqrt(1.0 - correlation**2), rtol=1e-4)


def test_three_circuits_along_a_line_show_where_a_smooth_error_goes() -> None:
    """A quadratic error, known at three near places, is also known between them."""
    posterior = of_length(0.45)
    step = np.array([0.1, 0.0, 0.0], dtype=np.float32)
    for place in (-1.0, 0.0, 1.0):
        error = np.array([1.0 + 0.2 * place, 0.5 - 0.3 * place**2], dtype=np.float32)
        posterior.observe("a", VALUES + np.float32(place) * step, MEAN, DEVIATION, MEAN + DEVIATION * error)
    mean, _ = corrected(posterior, "a", VALUES + np.float32(0.5) * step)
    np.testing.assert_allclose((mean - MEAN) / DEVIATION, [1.1, 0.425], atol=0.03)


def test_another_topology_learns_only_the_common_share(posterior: Posterior) -> None:
    np.testing.assert_allclose(corrected(posterior, "b", VALUES)[0], MEAN)
    shared = of_length(0.45, common=0.25)
    shared.observe("a", VALUES, MEAN, DEVIATION, MEASURED)
    np.testing.assert_allclose(corrected(shared, "b", VALUES)[0], MEAN + 0.25 * (MEASURED - MEAN), rtol=1e-4)


def test_a_metric_that_was_not_measured_corrects_nothing() -> None:
    posterior = Posterior()
    posterior.observe("a", VALUES, MEAN, DEVIATION, np.array([np.nan, 1.9], dtype=np.float32))
    mean, _ = corrected(posterior, "a", VALUES)
    assert mean[0] == pytest.approx(MEAN[0])
    assert mean[1] < MEAN[1]


def along_a_line(posterior: Posterior, errors: np.ndarray) -> None:
    """Circuits a tenth apart, each metric wrong by so many deviations: errors (S, 2)."""
    for place, error in enumerate(errors):
        values = VALUES + np.array([0.1 * place, 0.0, 0.0], dtype=np.float32)
        posterior.observe("a", values, MEAN, DEVIATION, (MEAN + DEVIATION * error).astype(np.float32))


def test_each_metric_takes_the_length_that_explains_its_errors() -> None:
    """What is learnt from the end of a row reaches far if errors changed slowly along it, and not if they jumped about."""
    places = np.arange(12)
    errors = np.stack([np.sin(0.2 * places), np.random.default_rng(0).standard_normal(12)], axis=1)
    lengths = (0.02, 1.0)
    posterior, smooth, rough = (
        Posterior(kernels=tuple(Kernel(length=length, common=0.0) for length in own), noise=1e-6)
        for own in (lengths, lengths[1:], lengths[:1])
    )
    for each in (posterior, smooth, rough):
        along_a_line(each, errors)
    beyond = VALUES + np.array([1.15, 0.0, 0.0], dtype=np.float32)
    for got, one, other in zip(
        corrected(posterior, "a", beyond), corrected(smooth, "a", beyond), corrected(rough, "a", beyond), strict=True
    ):
        np.testing.assert_allclose(got, [one[0], other[1]], rtol=1e-5)
        assert one[0] != pytest.approx(other[0], rel=1e-2)
        assert one[1] != pytest.approx(other[1], rel=1e-2)


def test_deviations_grow_where_the_surrogate_was_surer_than_right() -> None:
    """Of S errors e of unrelated circuits the size is sqrt((trust + sum e^2) / (trust + S)), as in Shah et al. (2014)."""
    posterior = Posterior(kernels=(Kernel(length=1e-3, common=0.0),), noise=1e-9, trust=4.0)
    along_a_line(posterior, np.tile([3.0, 1.0], (6, 1)))
    _, deviation = corrected(posterior, "b", VALUES)
    np.testing.assert_allclose(deviation, DEVIATION * np.sqrt([(4 + 6 * 9) / (4 + 6), 1.0]), rtol=1e-5)


def chance(feasibility: Feasibility, topology: str, values: np.ndarray, logit: float = 0.0) -> float:
    return float(np.exp(feasibility.log_probability([topology], values[None], np.array([logit], np.float32))[0]))


def test_whether_a_circuit_works_is_the_surrogates_opinion_at_first() -> None:
    assert chance(Feasibility(), "a", VALUES, logit=np.log(3.0)) == pytest.approx(0.75)


def test_circuits_like_those_that_failed_are_less_likely_to_work() -> None:
    feasibility = Feasibility()
    for _ in range(3):
        feasibility.observe("a", VALUES, feasible=False)
    # Even odds from the surrogate count as one circuit, beside three that failed.
    assert chance(feasibility, "a", VALUES) == pytest.approx(0.5 / 4)
    assert chance(feasibility, "a", VALUES) < chance(feasibility, "a", VALUES + 0.5) < 0.5
    assert chance(feasibility, "b", VALUES) == pytest.approx(0.5)
    feasibility.observe("b", VALUES, feasible=True)
    assert chance(feasibility, "b", VALUES) == pytest.approx(0.75)
