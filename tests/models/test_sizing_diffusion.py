"""The denoiser is preconditioned as in Karras et al. (2022), learns to obey its conditioning, and samples by
`diffusers`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genrf.generation.sampler import SamplerSettings
from tests.models.circuits import TINY, random_batch, tiny_settings
from training.data.tensors import Batch
from training.fitting.sizing_diffusion import SizingDiffusionTraining
from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig


@pytest.fixture
def model() -> SizingDiffusion:
    torch.manual_seed(0)
    model = SizingDiffusion(SizingDiffusionConfig(specification_size=6, backbone=TINY))
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.normal_()
    return model.eval()


def test_nothing_is_changed_where_there_is_no_noise(model: SizingDiffusion) -> None:
    batch = random_batch(5)
    specification = torch.randn(5, 6)
    denoised = model(batch.values, torch.full((5,), 1e-4), batch.kinds, batch.nets, specification)
    torch.testing.assert_close(denoised, batch.values, atol=2e-3, rtol=0.0)


def test_empty_slots_stay_empty(model: SizingDiffusion) -> None:
    batch = random_batch(5)
    noisy = torch.randn(batch.values.shape)
    denoised = model(noisy, torch.full((5,), 1.0), batch.kinds, batch.nets, torch.randn(5, 6))
    assert (denoised[batch.kinds == 0] == 0).all()
    assert (denoised[batch.kinds > 0] != 0).all()


def test_an_untrained_network_has_a_loss_of_one_at_every_noise_level() -> None:
    """What the loss weight is for: Karras et al. (2022), Appendix B.6."""
    model = SizingDiffusion(SizingDiffusionConfig(specification_size=6, backbone=TINY))
    batch = random_batch(512)
    present = batch.kinds > 0
    for level in (0.02, 0.3, 1.0, 5.0, 15.0):
        sigma = torch.full((512,), level)
        noisy = batch.values + level * torch.randn(batch.values.shape)
        denoised = model(noisy, sigma, batch.kinds, batch.nets, torch.zeros(512, 6))
        weighted = model.loss_weight(sigma)[:, None] * (denoised - batch.values) ** 2
        assert weighted[present].mean().item() == pytest.approx(1.0, abs=0.1)


def test_noise_levels_of_training_are_log_normal() -> None:
    model = SizingDiffusion(SizingDiffusionConfig(specification_size=6, backbone=TINY))
    sigma = model.sample_sigma(torch.linspace(0.0005, 0.9995, 1000)).log()
    assert sigma.mean().exp().item() == pytest.approx(model.config.sigma_median, rel=1e-3)
    assert sigma.std().item() == pytest.approx(model.config.sigma_spread, rel=0.01)


def test_the_specification_is_dropped_but_the_conditions_stay() -> None:
    """For guidance the model must know what circuits look like under the conditions when nothing is asked of them."""
    seen: list[Tensor] = []

    class Spy(SizingDiffusion):
        def forward(self, *inputs: Tensor) -> Tensor:
            seen.append(inputs[4])
            return super().forward(*inputs)

    def condition(metrics: Tensor, conditions: Tensor, generator: torch.Generator) -> Tensor:
        return torch.cat([conditions, torch.ones(len(metrics), 3)], dim=1)

    model = Spy(SizingDiffusionConfig(specification_size=8, backbone=TINY))
    module = SizingDiffusionTraining(model, tiny_settings(), 0, condition=condition, conditions_size=5, drop=0.3)
    batch = random_batch(400)
    module._loss(batch, torch.Generator().manual_seed(0), module._drop)
    dropped = (seen[0][:, 5:] == 0).all(dim=1)
    assert torch.equal(seen[0][:, :5], batch.conditions)
    assert 0.2 < dropped.float().mean().item() < 0.4
    assert (seen[0][~dropped, 5:] == 1).all()


def test_it_learns_to_give_what_is_asked_for() -> None:
    """Every value of a circuit equals a number in its specification: drawn values must follow that number."""
    torch.manual_seed(0)
    model = SizingDiffusion(SizingDiffusionConfig(specification_size=6, backbone=TINY))
    module = SizingDiffusionTraining(
        model,
        tiny_settings(),
        0,
        condition=lambda metrics, conditions, _: torch.cat([conditions, metrics[:, :1]], 1),
        conditions_size=5,
    )

    def asked(seed: int) -> Batch:
        batch = random_batch(64, seed, slots=6)
        number = torch.randn(64, 1, generator=torch.Generator().manual_seed(seed))
        return batch._replace(values=number * (batch.kinds > 0), metrics=number.expand(-1, 8))

    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(150):
        optimizer.zero_grad()
        module._loss(asked(step), torch.Generator().manual_seed(step), 0.1).backward()
        optimizer.step()
    batch = asked(1000)
    drawn = model.eval().generate(
        torch.cat([batch.conditions, batch.metrics[:, :1]], dim=1),
        kinds=batch.kinds,
        nets=batch.nets,
        sampler=SamplerSettings(steps=8, conditions_size=5),
        generator=torch.Generator().manual_seed(0),
    )
    present = batch.kinds > 0
    correlation = torch.corrcoef(torch.stack([drawn[present], batch.values[present]]))[0, 1].item()
    assert correlation > 0.9
