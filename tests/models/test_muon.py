"""The optimizer follows its two definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.fitting.muon import Muon, orthogonalise


def optimizer(hidden: list[nn.Parameter], others: list[nn.Parameter], **settings: float) -> Muon:
    return Muon(
        hidden, others, **{"hidden_learning_rate": 0.01, "learning_rate": 0.01, "weight_decay": 0.1, **settings}
    )


def test_orthogonalised_matrices_keep_their_directions_and_lose_their_scales() -> None:
    matrices = torch.randn(3, 16, 24, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(matrices)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    values = (u.mT @ result @ vh.mT).diagonal(dim1=-2, dim2=-1)
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(u @ torch.diag_embed(values) @ vh, result, atol=1e-4, rtol=0.0)


def test_a_tall_matrix_moves_as_its_transpose_does() -> None:
    gradient = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
    tall, wide = nn.Parameter(torch.zeros(24, 16)), nn.Parameter(torch.zeros(16, 24))
    tall.grad, wide.grad = gradient.clone(), gradient.mT.clone()
    optimizer([tall, wide], []).step()
    torch.testing.assert_close(tall, wide.mT)


def test_updates_are_as_large_as_those_of_adam() -> None:
    """Root mean square 0.2 at a learning rate of 1: Liu et al. (2025)."""
    weight = nn.Parameter(torch.zeros(64, 128))
    weight.grad = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    optimizer([weight], [], hidden_learning_rate=1.0).step()
    assert weight.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.2)


def test_the_others_are_trained_by_adamw() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    first = optimizer([], list(ours.parameters()))
    second = torch.optim.AdamW(
        [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}],
        lr=0.01,
        betas=(0.9, 0.99),
    )
    for _ in range(5):
        inputs = torch.randn(8, 5)
        for model, algorithm in ((ours, first), (theirs, second)):
            algorithm.zero_grad()
            model(inputs).square().sum().backward()
            algorithm.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_it_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 6)
    gradients = [torch.randn(4, 6) for _ in range(4)]

    def run(parameter: nn.Parameter, algorithm: Muon, steps: slice) -> None:
        for gradient in gradients[steps]:
            parameter.grad = gradient.clone()
            algorithm.step()

    whole = nn.Parameter(weight.clone())
    run(whole, optimizer([whole], []), slice(0, 4))
    split = nn.Parameter(weight.clone())
    first = optimizer([split], [])
    run(split, first, slice(0, 2))
    second = optimizer([split], [])
    second.load_state_dict(first.state_dict())
    run(split, second, slice(2, 4))
    assert torch.equal(whole, split)
