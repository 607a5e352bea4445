"""The transformer sees the circuit's graph, and nothing that is not in the graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.circuits import TINY, random_batch
from training.data.tensors import Batch
from training.models.backbone import FIRST_INTERNAL_NET, CircuitTransformer


@pytest.fixture(scope="module")
def backbone() -> CircuitTransformer:
    torch.manual_seed(0)
    return CircuitTransformer(TINY, condition_size=5).eval()


def encode(backbone: CircuitTransformer, batch: Batch) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        return backbone(batch.values, batch.kinds, batch.nets, batch.conditions)


def assert_close(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> None:
    for ours, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_permuting_the_devices_permutes_their_tokens(backbone: CircuitTransformer) -> None:
    batch = random_batch(6)
    order = torch.randperm(14, generator=torch.Generator().manual_seed(1))
    whole, devices = encode(backbone, batch)
    moved = batch._replace(kinds=batch.kinds[:, order], nets=batch.nets[:, order], values=batch.values[:, order])
    assert_close((whole, devices[:, order]), encode(backbone, moved))


def test_the_numbers_of_internal_nets_mean_nothing(backbone: CircuitTransformer) -> None:
    batch = random_batch(6)
    internal = torch.arange(FIRST_INTERNAL_NET, 28)
    renamed = torch.arange(28)
    renamed[internal] = internal[torch.randperm(len(internal), generator=torch.Generator().manual_seed(2))]
    assert_close(encode(backbone, batch), encode(backbone, batch._replace(nets=renamed[batch.nets])))


def test_ground_supply_and_ports_are_told_apart(backbone: CircuitTransformer) -> None:
    batch = random_batch(1)
    tokens = []
    for net in (1, 2, 3, 4):
        nets = batch.nets.clone()
        nets[0, 0, 0] = net
        tokens.append(encode(backbone, batch._replace(nets=nets))[0])
    for i, first in enumerate(tokens):
        for second in tokens[i + 1 :]:
            assert not torch.allclose(first, second, atol=1e-4)


def test_the_two_terminals_of_a_passive_are_interchangeable(backbone: CircuitTransformer) -> None:
    batch = random_batch(6)
    nets = batch.nets.clone()
    passive = (batch.kinds >= 1) & (batch.kinds <= 3)
    nets[passive] = nets[passive][:, [1, 0, 2]]
    assert_close(encode(backbone, batch), encode(backbone, batch._replace(nets=nets)))


def test_base_and_emitter_of_a_transistor_are_not(backbone: CircuitTransformer) -> None:
    batch = random_batch(1)
    kinds, nets = batch.kinds.clone(), batch.nets.clone()
    kinds[0, 0] = 4
    nets[0, 0] = torch.tensor([7, 8, 9])
    nets[0, 1, :2] = torch.tensor([8, 9])
    first = encode(backbone, batch._replace(kinds=kinds, nets=nets))[0]
    swapped = nets.clone()
    swapped[0, 0] = torch.tensor([7, 9, 8])
    assert not torch.allclose(first, encode(backbone, batch._replace(kinds=kinds, nets=swapped))[0], atol=1e-4)


def test_what_is_connected_to_what_matters(backbone: CircuitTransformer) -> None:
    """Moving one terminal from one internal net to another changes the graph, though no net gains or loses its kind."""
    batch = random_batch(1)
    kinds, nets = torch.zeros_like(batch.kinds), torch.zeros_like(batch.nets)
    kinds[0, :4] = torch.tensor([1, 2, 3, 1])
    nets[0, :4, :2] = torch.tensor([[7, 1], [7, 8], [8, 1], [8, 1]])
    first = encode(backbone, batch._replace(kinds=kinds, nets=nets))[0]
    nets[0, 3, 0] = 7
    assert not torch.allclose(first, encode(backbone, batch._replace(kinds=kinds, nets=nets))[0], atol=1e-4)


def test_empty_slots_change_nothing(backbone: CircuitTransformer) -> None:
    wide = random_batch(6, slots=28)
    used = int((wide.kinds > 0).sum(dim=1).max())
    narrow = wide._replace(kinds=wide.kinds[:, :used], nets=wide.nets[:, :used], values=wide.values[:, :used])
    whole, devices = encode(backbone, wide)
    assert_close((whole, devices[:, :used]), encode(backbone, narrow))
    filled = wide._replace(values=wide.values + 3.0 * (wide.kinds == 0))
    assert_close((whole,), encode(backbone, filled)[:1])
