"""The trained PyTorch models behind the interface of `genrf.generation.backend.Backend`, and sampling with `diffusers`.

Used in evaluation and to prove that the exported models and the numpy sampler do the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import EDMDPMSolverMultistepScheduler
from numpy.typing import NDArray
from torch import Tensor

from genrf.generation.sampler import SamplerSettings

if TYPE_CHECKING:
    from training.models.base import BaseCircuitModel
    from training.models.sizing_diffusion import SizingDiffusion
    from training.models.surrogate import Surrogate

Array = NDArray[np.float32]


class TorchBackend:
    """Numpy arrays in and out of PyTorch models, on one device."""

    def __init__(
        self,
        topology_gan: BaseCircuitModel | None,
        sizing_diffusion: SizingDiffusion,
        surrogate: Surrogate,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._topology_gan = topology_gan.to(self._device).eval() if topology_gan is not None else None
        self._sizing_diffusion = sizing_diffusion.to(self._device).eval()
        self._surrogate = surrogate.to(self._device).eval()

    @property
    def latent_size(self) -> int:
        """Z, the length of the topology generator's latent vector."""
        if self._topology_gan is None:
            raise ValueError("this backend was made without a topology generator")
        return int(self._topology_gan.config.latent_size)

    def propose(self, specification: Array, latent: Array) -> tuple[Array, Array]:
        """Logits of kinds (B, M, kinds) and nets (B, M, 3, nets)."""
        if self._topology_gan is None:
            raise ValueError("this backend was made without a topology generator")
        with torch.inference_mode():
            kind_logits, net_logits = self._topology_gan(self._tensor(specification), self._tensor(latent))
        return kind_logits.float().cpu().numpy(), net_logits.float().cpu().numpy()

    def denoise(
        self, noisy_values: Array, sigma: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], specification: Array
    ) -> Array:
        """Denoised values (B, M)."""
        with torch.inference_mode():
            return (
                self._sizing_diffusion(*map(self._tensor, (noisy_values, sigma, kinds, nets, specification))).float().cpu().numpy()
            )

    def predict(
        self, values: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], conditions: Array
    ) -> tuple[Array, Array]:
        """Mean and log-variance of the standardised metrics, (B, n_metrics) each."""
        with torch.inference_mode():
            mean, log_variance = self._surrogate(*map(self._tensor, (values, kinds, nets, conditions)))
        return mean.float().cpu().numpy(), log_variance.float().cpu().numpy()

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


@torch.no_grad()
def sample(
    model: SizingDiffusion,
    noisy_values: Tensor,
    kinds: Tensor,
    nets: Tensor,
    specification: Tensor,
    settings: SamplerSettings,
    *,
    sigma_start: float | None = None,
) -> Tensor:
    """Draw normalised values (B, M) with the scheduler of ``diffusers``; arguments as in `genrf.generation.sampler.sample`."""
    sigmas = settings.schedule(sigma_start)
    scheduler = EDMDPMSolverMultistepScheduler(
        sigma_min=float(sigmas[-1]),
        sigma_max=float(sigmas[0]),
        rho=settings.rho,
        sigma_data=model.config.sigma_data,
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
        denoised = model(x, level, kinds, nets, specification)
        if settings.guidance != 1.0:
            free = model(x, level, kinds, nets, unbounded)
            denoised = free + settings.guidance * (denoised - free)
        # The scheduler preconditions by itself: it wants the raw network F, not D = c_skip x + c_out F.
        zero = torch.zeros_like(x)
        c_out = scheduler.precondition_outputs(zero, torch.ones_like(x), sigma)
        raw = (denoised - scheduler.precondition_outputs(x, zero, sigma)) / c_out
        x = scheduler.step(raw, timestep, x).prev_sample
    return x
