"""The topology generator: what it can write, and that following a circuit is the same as writing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genrf import classes
from genrf.circuit.tokens import FIRST_INTERNAL_TOKEN, TERMINAL_COUNTS, encode
from training.models.legal_moves import LegalMoves, Outlook, Surroundings
from training.models.topology_gan import (
    FORBIDDEN,
    N_KINDS,
    TopologyGAN,
    TopologyGANConfig,
    one_hot,
    reconstruction_loss,
    validity_loss,
)

SIZE = 9


class NoRules(LegalMoves):
    """Nothing is wrong and nothing lacking, and every class has all ports."""

    def surroundings(self, specification: torch.Tensor) -> Surroundings:
        return Surroundings(*map(torch.zeros_like, super().surroundings(specification)))

    def outlook(self, *so_far: Any) -> Outlook:
        return Outlook(*map(torch.zeros_like, super().outlook(*so_far)))


@pytest.fixture(scope="module")
def model() -> TopologyGAN:
    torch.manual_seed(0)
    return TopologyGAN(TopologyGANConfig(specification_size=SIZE, code_size=6, width=32, embedding=16)).eval()


@pytest.fixture(scope="module")
def circuits() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    tokens = [encode(classes.get("lna").sample_topology(rng)) for _ in range(60)]
    kinds = torch.from_numpy(np.stack([t.kinds for t in tokens])).long()
    return kinds, torch.from_numpy(np.stack([t.nets for t in tokens])).long()


def specifications(count: int) -> torch.Tensor:
    """Of the only class, whose one-hot comes first, and otherwise of zeros."""
    return torch.eye(1, SIZE).repeat(count, 1)


def written(model: TopologyGAN, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return model.generate(specifications(count), generator=torch.Generator().manual_seed(seed))


def test_the_same_latent_writes_the_same_topologies_and_another_others(model: TopologyGAN) -> None:
    first, again, other = written(model, 20), written(model, 20), written(model, 20, seed=1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_an_untrained_generator_writes_only_what_canonical_tokens_can_hold(model: TopologyGAN) -> None:
    kinds, nets = (tensor.numpy() for tensor in written(model, 200))
    for kind_row, net_row in zip(kinds, nets, strict=True):
        ended, seen = False, FIRST_INTERNAL_TOKEN - 1
        for kind, terminals in zip(kind_row, net_row, strict=True):
            assert not (ended and kind)
            ended = ended or kind == 0
            used = terminals[: TERMINAL_COUNTS[kind]]
            assert (used > 0).all()
            assert not terminals[TERMINAL_COUNTS[kind] :].any()
            assert len(set(used.tolist())) == len(used)
            for net in used:
                assert net <= seen + 1 or net < FIRST_INTERNAL_TOKEN
                seen = max(seen, int(net))
        if ended:
            counts = np.bincount(net_row.ravel(), minlength=28)[FIRST_INTERNAL_TOKEN:]
            assert not (counts == 1).any()


def test_no_real_circuit_is_ruled_out(model: TopologyGAN, circuits: tuple[torch.Tensor, torch.Tensor]) -> None:
    kinds, nets = circuits
    kind_logits, net_logits = model.generator.follow(
        specifications(len(kinds)), torch.zeros(len(kinds), 6), one_hot(kinds, nets)
    )
    assert (kind_logits.gather(-1, kinds.unsqueeze(-1)) > FORBIDDEN / 2).all()
    assert (net_logits.gather(-1, nets.unsqueeze(-1)) > FORBIDDEN / 2).all()


def test_following_what_was_written_finds_each_choice_where_it_was_drawn(model: TopologyGAN) -> None:
    # At a low temperature a choice is the likeliest one, so following must rank it first, where no rule speaks against it.
    cold = TopologyGAN(
        TopologyGANConfig(specification_size=SIZE, code_size=6, width=32, embedding=16, temperatures=(1e-6,))
    )
    cold.load_state_dict(model.state_dict())
    cold.generator.moves = NoRules(cold.config.circuit_classes)
    generator = torch.Generator().manual_seed(2)
    specification, latent = specifications(20), torch.randn(20, cold.config.latent_size, generator=generator)
    specification[:, 1:] = torch.randn(20, SIZE - 1, generator=generator)
    with torch.no_grad():
        kinds, nets = (logits.argmax(-1) for logits in cold(specification, latent))
        kind_logits, net_logits = cold.generator.follow(specification, latent[:, :6], one_hot(kinds, nets))
    assert torch.equal(kind_logits.argmax(-1), kinds)
    assert torch.equal(net_logits.argmax(-1), nets)


def test_gradients_reach_the_latent_through_every_choice(model: TopologyGAN) -> None:
    latent = torch.randn(4, model.config.latent_size, requires_grad=True)
    written_slots = model.generator.write(specifications(4), latent)
    (gradient,) = torch.autograd.grad(written_slots[:, -1].square().sum() + written_slots[:, 0].square().sum(), latent)
    assert gradient[:, :6].abs().sum() > 0


def test_a_certain_reconstruction_costs_nothing(circuits: tuple[torch.Tensor, torch.Tensor]) -> None:
    kinds, nets = circuits
    certain = (
        100.0 * torch.nn.functional.one_hot(kinds, N_KINDS).float(),
        100.0 * torch.nn.functional.one_hot(nets, 28).float(),
    )
    assert reconstruction_loss(certain, kinds, nets) == pytest.approx(0.0, abs=1e-4)


def test_legal_circuits_cost_no_validity_and_broken_ones_do(circuits: tuple[torch.Tensor, torch.Tensor]) -> None:
    kinds, nets = circuits
    assert validity_loss(one_hot(kinds, nets)) == 0.0
    dangling, shorted = nets.clone(), nets.clone()
    dangling[:, 0, 0] = 27
    shorted[:, 0, 1] = shorted[:, 0, 0]
    assert validity_loss(one_hot(kinds, dangling)) >= 1.0
    assert validity_loss(one_hot(kinds, shorted)) >= 1.0
