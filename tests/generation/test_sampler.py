"""The numpy sampler is the algorithm of `diffusers`: the same noise gives the same values, and so the same circuits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from genrf import technology
from genrf.circuit.normalise import denormalise
from genrf.generation.sampler import SamplerSettings, dpm_solver_multistep, karras_sigmas, sample
from tests.models.circuits import TINY, random_batch
from training.models import sampling as torch_sampler
from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig

CONDITIONS = 5


class Denoiser:
    """A model with random weights as the sampler's backend; counts how often and how many rows it denoises."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = SizingDiffusion(SizingDiffusionConfig(specification_size=9, backbone=TINY)).eval()
        with torch.no_grad():
            self.model.head.weight.normal_(std=0.3)
        self.rows: list[int] = []

    def denoise(self, *inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        self.rows.append(len(inputs[0]))
        with torch.inference_mode():
            return self.model(*(torch.from_numpy(array) for array in inputs)).numpy()


@pytest.fixture
def denoiser() -> Denoiser:
    return Denoiser()


def settings(**changes: float) -> SamplerSettings:
    return SamplerSettings(**{"steps": 10, "conditions_size": CONDITIONS, **changes})


@pytest.mark.parametrize(
    ("changes", "sigma_start"),
    [
        ({}, None),
        ({"steps": 6}, None),
        ({"steps": 18}, None),
        ({"guidance": 2.0}, None),
        ({"guidance": 0.0}, None),
        ({"sigma_min": 0.002, "sigma_max": 80.0, "rho": 5.0}, None),
        ({}, 0.5),
        ({"guidance": 1.5}, 0.1),
    ],
)
def test_the_same_noise_gives_the_same_circuits(
    denoiser: Denoiser, changes: dict[str, float], sigma_start: float | None
) -> None:
    batch, chosen = random_batch(16), settings(**changes)
    generator = torch.Generator().manual_seed(1)
    specification = torch.cat([batch.conditions, torch.randn(16, 4, generator=generator)], dim=1)
    noise = torch.randn(batch.values.shape, generator=generator)
    noisy = noise * chosen.sigma_max if sigma_start is None else batch.values + sigma_start * noise
    theirs = torch_sampler.sample(
        denoiser.model,
        noisy,
        batch.kinds,
        batch.nets,
        specification,
        chosen,
        sigma_data=denoiser.model.config.sigma_data,
        sigma_start=sigma_start,
    ).numpy()
    inputs = (tensor.numpy() for tensor in (noisy, batch.kinds, batch.nets, specification))
    ours = sample(denoiser, *inputs, chosen, sigma_start=sigma_start)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.std(ours[batch.kinds.numpy() > 0]) > 0.1
    process = technology.get("sg13g2")
    built, expected = (denormalise(batch.kinds.numpy(), values, 28e9, process) for values in (ours, theirs))
    np.testing.assert_allclose(built, expected, rtol=1e-3)


def test_values_have_the_distribution_that_the_denoiser_knows() -> None:
    """With the exact denoiser of a normal distribution, samples must have its mean and deviation."""
    mean, deviation = 0.7, 0.4

    def denoise(x: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        return ((deviation**2 * x + sigma**2 * mean) / (deviation**2 + sigma**2)).astype(np.float32)

    noise = np.random.default_rng(0).standard_normal((20_000, 1)).astype(np.float32)
    for steps, tolerance in ((10, 0.05), (20, 0.02)):
        chosen = settings(steps=steps)
        drawn = dpm_solver_multistep(denoise, noise * np.float32(chosen.sigma_max), chosen.schedule())
        assert drawn.mean() == pytest.approx(mean, abs=tolerance)
        assert drawn.std() == pytest.approx(deviation, abs=tolerance)


def test_without_guidance_the_denoiser_is_asked_once_a_step(denoiser: Denoiser) -> None:
    batch = random_batch(4)
    specification = np.zeros((4, 9), dtype=np.float32)
    noisy = 20.0 * np.ones((4, 14), dtype=np.float32)
    sample(denoiser, noisy, batch.kinds.numpy(), batch.nets.numpy(), specification, settings(steps=7))
    assert denoiser.rows == [4] * 7
    denoiser.rows.clear()
    sample(denoiser, noisy, batch.kinds.numpy(), batch.nets.numpy(), specification, settings(steps=7, guidance=2.0))
    assert denoiser.rows == [8] * 7


def test_guidance_leaves_the_conditions_and_drops_the_bounds() -> None:
    seen: list[NDArray[np.float32]] = []

    class Spy:
        def denoise(self, noisy: NDArray[np.float32], *rest: NDArray[np.float32]) -> NDArray[np.float32]:
            seen.append(rest[3])
            return noisy

    batch = random_batch(3)
    specification = np.arange(1.0, 28.0, dtype=np.float32).reshape(3, 9)
    noisy = np.ones((3, 14), dtype=np.float32)
    sample(Spy(), noisy, batch.kinds.numpy(), batch.nets.numpy(), specification, settings(guidance=3.0))
    np.testing.assert_array_equal(seen[0][:3], specification)
    np.testing.assert_array_equal(seen[0][3:, :CONDITIONS], specification[:, :CONDITIONS])
    assert (seen[0][3:, CONDITIONS:] == 0).all()


def test_empty_slots_stay_empty_and_nothing_comes_of_nothing(denoiser: Denoiser) -> None:
    batch = random_batch(4)
    noisy = 20.0 * np.ones((4, 14), dtype=np.float32)
    specification = np.zeros((4, 9), dtype=np.float32)
    drawn = sample(denoiser, noisy, batch.kinds.numpy(), batch.nets.numpy(), specification, settings())
    assert (drawn[batch.kinds.numpy() == 0] == 0).all()
    none = slice(0, 0)
    assert sample(
        denoiser, noisy[none], batch.kinds.numpy()[none], batch.nets.numpy()[none], specification[none], settings()
    ).shape == (0, 14)


def test_the_schedule_falls_from_the_start_to_the_smallest_level() -> None:
    sigmas = karras_sigmas(10, 0.01, 20.0, 7.0)
    assert sigmas[0] == pytest.approx(20.0)
    assert sigmas[-1] == pytest.approx(0.01)
    assert (np.diff(sigmas) < 0).all()
    assert np.array_equal(settings().schedule(), sigmas)
    for start in (5.0, 0.3, 0.02, 0.005):
        lower = settings().schedule(start)
        assert lower[0] == pytest.approx(start)
        assert (np.diff(lower) < 0).all()
        assert 2 <= len(lower) < 10


def test_little_noise_leaves_known_values_nearly_as_they_were(denoiser: Denoiser) -> None:
    batch = random_batch(8)
    values = batch.values.numpy()
    noise = np.random.default_rng(0).standard_normal(values.shape).astype(np.float32)
    specification = np.zeros((8, 9), dtype=np.float32)

    def change(sigma: float) -> float:
        noisy = values + np.float32(sigma) * noise
        drawn = sample(
            denoiser, noisy, batch.kinds.numpy(), batch.nets.numpy(), specification, settings(), sigma_start=sigma
        )
        return float(np.abs(drawn - values)[batch.kinds.numpy() > 0].mean())

    assert change(0.02) < 0.05
    assert change(0.02) < change(0.2) < change(2.0)
