"""Sampling of the sizing diffusion model in numpy.

The second-order multistep DPM-Solver++ (Lu et al. 2022, eq. 15 "midpoint") on the schedule of Karras et al. (2022, eq.
5): the algorithm of `EDMDPMSolverMultistepScheduler` in ``diffusers``, which training uses, so that the same noise
gives the same values in both.

Symbols: x noisy values (B, M), sigma noise level, D(x; sigma) the denoiser, lambda = -ln(sigma), h a step of lambda.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Denoise = Callable[[Array, float], Array]
"""D(x; sigma): the clean values estimated from noisy ones (B, M) at one noise level."""


class Denoiser(Protocol):
    """What the sampler needs of a backend."""

    def denoise(
        self, noisy_values: Array, sigma: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], specification: Array
    ) -> Array:
        """Denoised values (B, M) of noisy ones (B, M) at levels (B,), for kinds (B, M), nets (B, M, 3), specification
        (B, D)."""
        ...


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """How values are drawn; stored with the model."""

    steps: int = 10
    """Evaluations of the denoiser from pure noise (each of twice the batch with guidance other than 1)."""
    guidance: float = 1.0
    """How far to go from "any circuit for these conditions" to "one that meets the bounds"; 1 is plain conditioning."""
    sigma_min: float = 0.01
    sigma_max: float = 20.0
    rho: float = 7.0
    """Curvature of the schedule: higher means more of the steps at low noise."""
    conditions_size: int
    """How many leading numbers of a specification vector are conditions, which stay when the bounds are dropped."""

    def schedule(self, sigma_start: float | None = None) -> NDArray[np.float64]:
        """Noise levels from ``sigma_start`` (by default ``sigma_max``) down to ``sigma_min``; fewer steps from a lower
        start."""
        full = karras_sigmas(self.steps, self.sigma_min, self.sigma_max, self.rho)
        if sigma_start is None or sigma_start >= self.sigma_max:
            return full
        steps = max(2, 1 + int((full < sigma_start).sum()))
        return karras_sigmas(steps, min(self.sigma_min, 0.5 * sigma_start), sigma_start, self.rho)


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> NDArray[np.float64]:
    """Noise levels (steps,), highest first, by eq. 5 of Karras et al. (2022), without the final zero."""
    ramp = np.linspace(0.0, 1.0, steps)
    low, high = sigma_min ** (1.0 / rho), sigma_max ** (1.0 / rho)
    return (high + ramp * (low - high)) ** rho


def dpm_solver_multistep(denoise: Denoise, x: Array, sigmas: NDArray[np.float64]) -> Array:
    """Integrate from noisy values at ``sigmas[0]`` to clean ones, by DPM-Solver++(2M).

    Args:
        denoise: the denoiser.
        x: noisy values (B, M) at noise level ``sigmas[0]``.
        sigmas: decreasing noise levels (steps,); a step to 0 follows the last.
    """
    previous: Array | None = None
    for index, sigma in enumerate(sigmas):
        denoised = denoise(x, float(sigma))
        if index + 1 == len(sigmas):
            return denoised  # the step to sigma = 0, where first order is exact
        h = np.log(sigma / sigmas[index + 1])
        direction = denoised
        if previous is not None:
            r = np.log(sigmas[index - 1] / sigma) / h
            direction = denoised + (denoised - previous) * np.float32(0.5 / r)
        x = np.float32(np.exp(-h)) * x + np.float32(-np.expm1(-h)) * direction
        previous = denoised
    return x


def sample(
    denoiser: Denoiser,
    noisy_values: Array,
    kinds: NDArray[np.int64],
    nets: NDArray[np.int64],
    specification: Array,
    settings: SamplerSettings,
    *,
    sigma_start: float | None = None,
) -> Array:
    """Draw normalised values for topologies under specifications.

    Args:
        denoiser: the trained model.
        noisy_values: (B, M). Unit normal noise times ``settings.sigma_max`` for fresh values; known values plus unit
            normal noise times ``sigma_start`` to vary them.
        kinds: (B, M), 0 for an empty slot.
        nets: (B, M, 3).
        specification: (B, D).
        settings: schedule and guidance.
        sigma_start: noise level of ``noisy_values``, by default ``settings.sigma_max``.

    Returns:
        Normalised values (B, M), 0 in empty slots.
    """
    if len(kinds) == 0:
        return noisy_values
    batch = len(noisy_values)
    guided = settings.guidance != 1.0
    if guided:
        # Classifier-free guidance (Ho and Salimans 2022): with and without bounds, in one pass of twice the batch.
        unbounded = specification.copy()
        unbounded[:, settings.conditions_size :] = 0.0
        kinds, nets = np.concatenate([kinds, kinds]), np.concatenate([nets, nets])
        specification = np.concatenate([specification, unbounded])

    def denoise(x: Array, sigma: float) -> Array:
        if not guided:
            return denoiser.denoise(x, np.full(batch, sigma, np.float32), kinds, nets, specification)
        both = denoiser.denoise(
            np.concatenate([x, x]), np.full(2 * batch, sigma, np.float32), kinds, nets, specification
        )
        return both[batch:] + np.float32(settings.guidance) * (both[:batch] - both[batch:])

    present = (kinds[:batch] > 0).astype(np.float32)
    return dpm_solver_multistep(denoise, noisy_values.astype(np.float32) * present, settings.schedule(sigma_start))
