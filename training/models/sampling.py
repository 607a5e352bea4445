"""Sampling of the sizing diffusion model with the scheduler of ``diffusers``: the reference for
`genrf.generation.sampler`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import EDMDPMSolverMultistepScheduler
from torch import Tensor

from genrf.generation.sampler import SamplerSettings

SAMPLER = "sampler.json"
"""File of the sampler's settings in the folder of a trained sizing model."""
Denoise = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""D(x; sigma): noisy values (B, M), noise levels (B,), kinds (B, M), nets (B, M, 3) and specifications (B, D) to clean values."""


@torch.no_grad()
def sample(
    denoise: Denoise,
    noisy_values: Tensor,
    kinds: Tensor,
    nets: Tensor,
    specification: Tensor,
    settings: SamplerSettings,
    *,
    sigma_data: float,
    sigma_start: float | None = None,
) -> Tensor:
    """Draw normalised values (B, M); arguments as in `genrf.generation.sampler.sample`.

    Args:
        sigma_data: standard deviation of the normalised values that the denoiser was preconditioned for.
    """
    sigmas = settings.schedule(sigma_start)
    scheduler: Any = EDMDPMSolverMultistepScheduler(
        sigma_min=float(sigmas[-1]),
        sigma_max=float(sigmas[0]),
        rho=settings.rho,
        sigma_data=sigma_data,
        sigma_schedule="karras",
        solver_order=2,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(len(sigmas), device=noisy_values.device)
    unbounded = specification.clone()
    unbounded[:, settings.conditions_size :] = 0.0
    x = noisy_values * (kinds > 0)
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas[:-1], strict=True):
        level = sigma.to(x.device).expand(len(x))
        denoised = denoise(x, level, kinds, nets, specification)
        if settings.guidance != 1.0:
            free = denoise(x, level, kinds, nets, unbounded)
            denoised = free + settings.guidance * (denoised - free)
        # The scheduler preconditions by itself: it wants the raw network F, not D = c_skip x + c_out F.
        zero = torch.zeros_like(x)
        c_out = scheduler.precondition_outputs(zero, torch.ones_like(x), sigma)
        raw = (denoised - scheduler.precondition_outputs(x, zero, sigma)) / c_out
        x = scheduler.step(raw, timestep, x).prev_sample
    return x
