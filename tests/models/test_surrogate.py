"""The surrogate learns metrics with an honest uncertainty, from what was measured only."""

from __future__ import annotations

import pytest
import torch

from tests.models.circuits import TINY, conditioning, random_batch, random_rows, tiny_settings
from training.data.tensors import PreparedData
from training.fitting.surrogate import SurrogateTraining
from training.fitting.surrogate_accuracy import accuracy
from training.models.surrogate import Surrogate, SurrogateConfig

NAMES = conditioning().metrics


def surrogate() -> Surrogate:
    torch.manual_seed(0)
    return Surrogate(SurrogateConfig(conditions_size=5, metrics=NAMES, backbone=TINY))


def test_a_metric_that_was_not_measured_has_no_say() -> None:
    module = SurrogateTraining(surrogate(), tiny_settings(), 0)
    batch = random_batch(32)
    missing = batch.metrics.clone()
    missing[:, 2] = float("nan")
    module._losses(batch._replace(metrics=missing))[0].backward()
    head = module.model.head[-1].bias.grad
    assert head[2] == 0
    assert head[len(NAMES) + 2] == 0
    assert torch.isfinite(head).all()
    assert (head[[0, 1, 3]] != 0).all()


def test_of_a_circuit_that_failed_only_that_it_did_has_a_say() -> None:
    module = SurrogateTraining(surrogate(), tiny_settings(), 0)
    batch = random_batch(32)
    module._losses(batch._replace(metrics=torch.full_like(batch.metrics, torch.nan)))[0].backward()
    head = module.model.head[-1].bias.grad
    assert (head[:-1] == 0).all()
    assert head[-1] > 0


def test_it_learns_the_metrics_and_how_sure_it_is() -> None:
    """The metrics are known functions of the values plus noise of a known size: that size is what it must report."""
    model = surrogate()
    module = SurrogateTraining(model, tiny_settings(), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    noise = 0.3

    def noisy(seed: int) -> torch.Tensor:
        return noise * torch.randn(64, 8, generator=torch.Generator().manual_seed(seed))

    for step in range(300):
        batch = random_batch(64, step)
        optimizer.zero_grad()
        module._losses(batch._replace(metrics=batch.metrics + noisy(step)))[0].backward()
        optimizer.step()
    batch = random_batch(64, 1000)
    mean, log_variance, _ = model.eval()(batch.values, batch.kinds, batch.nets, batch.conditions)
    assert (mean - batch.metrics).std().item() < 0.5 * batch.metrics.std().item()
    deviation = torch.exp(0.5 * log_variance).median().item()
    assert noise * 0.8 < deviation < noise * 2.0


def test_one_circuit_that_it_is_wrong_about_does_not_outweigh_the_others() -> None:
    """A normal distribution's likelihood grows with the square of an error, this one's with its logarithm."""
    module = SurrogateTraining(surrogate(), tiny_settings(), 0)
    batch = random_batch(32)
    worst = []
    for error in (1e2, 1e4):
        metrics = batch.metrics.clone()
        metrics[0] = error
        worst.append(module._losses(batch._replace(metrics=metrics))[1].item())
    assert 0 < worst[1] - worst[0] < 1.0


def test_accuracy_is_reported_in_the_metrics_own_units() -> None:
    rows = random_rows(50)
    rows["metrics"][:, 1] = float("nan")
    data = PreparedData(*(torch.from_numpy(rows[name]) for name in PreparedData.__dataclass_fields__))
    scaled = conditioning()
    object.__setattr__(scaled, "deviation", ((3.0, *scaled.deviation[0][1:]),))
    model = surrogate()
    once, thrice = accuracy(model, data, conditioning()), accuracy(model, data, scaled)
    assert thrice["lna/gain_db_mae"] == pytest.approx(3 * once["lna/gain_db_mae"], rel=1e-3)
    assert thrice["lna/s11_db_mae"] == once["lna/s11_db_mae"]
    assert not any(key.startswith("lna/nf_db") for key in once)
    assert "lna/works_auroc" not in once
    assert 0 <= once["lna/gain_db_within_1"] <= once["lna/gain_db_within_2"] <= 1


def test_it_learns_which_circuits_work_and_its_accuracy_says_so() -> None:
    """Those whose first metric would be above zero do."""
    model = surrogate()
    module = SurrogateTraining(model, tiny_settings(), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(250):
        batch = random_batch(64, step)
        works = batch.metrics[:, :1] > 0
        optimizer.zero_grad()
        module._losses(batch._replace(metrics=batch.metrics.masked_fill(~works, torch.nan)))[0].backward()
        optimizer.step()
    rows = random_rows(400, seed=9)
    rows["metrics"][rows["metrics"][:, 0] <= 0] = float("nan")
    data = PreparedData(*(torch.from_numpy(rows[name]) for name in PreparedData.__dataclass_fields__))
    assert accuracy(model, data, conditioning())["lna/works_auroc"] > 0.9


def test_drawn_metrics_have_the_predicted_spread() -> None:
    model, batch = surrogate().eval(), random_batch(1)
    repeat = {"values": batch.values, "kinds": batch.kinds, "nets": batch.nets}
    many = {name: tensor.expand(4000, *tensor.shape[1:]) for name, tensor in repeat.items()}
    mean, log_variance, _ = model(*repeat.values(), batch.conditions)
    drawn = model.generate(batch.conditions.expand(4000, -1), **many, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(dim=0), mean[0], atol=0.1, rtol=0.0)
    torch.testing.assert_close(drawn.std(dim=0), torch.exp(0.5 * log_variance[0]), rtol=0.1, atol=0.0)
