"""What the topology Cycle-GAN minimises, and its training from the prepared data.

Specifications are drawn independently of topologies, as two unpaired domains. Cycles in both directions and both adversarial
losses are those of Augmented CycleGAN. Because every simulated row is also a pair, the topology critic sees a topology together
with a specification, and the generator rebuilds a row's topology for the row's own specification: the semi-supervised variant
of the same paper (section 3.3), without which nothing would tie a specification to the topologies that suit it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genrf.circuit.canonical import fingerprint
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES, Tokens, decode
from genrf.conditioning import Conditioning
from training.config.schema import Config, TrainingConfig, per_class
from training.data.row_conditions import RowConditions
from training.data.rows import Rows
from training.data.tensors import Batch, PreparedData, TrainingBatches, ValidationBatches
from training.fitting.modules import CircuitTraining, Condition
from training.fitting.training import Training, run_training
from training.models.topology_gan import TopologyGAN, TopologyGANConfig, one_hot, reconstruction_loss, validity_loss

ADVERSARIAL_EVERY = 16
"""Steps between two in which circuits are written freely, which costs more than following known ones."""
STYLE_NOISE = 0.7
"""Noise added to the encoder's style, so that the generator is trained on all of the latent space and not on points in it."""
CYCLE_WEIGHT = 1.0
ADVERSARIAL_WEIGHT = 0.2
STYLE_ADVERSARIAL_WEIGHT = 1.0
STYLE_MOMENTS_WEIGHT = 5.0
SPECIFICATION_WEIGHT = 0.5
VALIDITY_WEIGHT = 0.1
GRADIENT_PENALTY = 0.05
"""Of the critics on real data: R1 of Mescheder et al., "Which Training Methods for GANs do actually Converge?" (2018), eq. 9."""
CRITIC_LEARNING_RATE = 5e-4
LEAST_LEARNING_RATE = 0.01
"""In multiples of its peak, when training ends."""
LEAST_WEIGHT = 0.05
"""Of the rows that are imitated: those far from useful teach what is legal, but also what is useless."""
REPETITION_WEIGHT = 0.3
"""Cost of repeating a topology against writing an illegal one, when the best weights are picked."""


class TopologyGANTraining(CircuitTraining):
    """Two optimizers: generator and encoder against both critics."""

    model: TopologyGAN
    _pool_metrics: Tensor
    _pool_conditions: Tensor

    def __init__(
        self,
        model: TopologyGAN,
        settings: TrainingConfig,
        seed: int,
        *,
        condition: Condition,
        pool: PreparedData,
        class_names: Sequence[str],
    ) -> None:
        super().__init__(model, settings, seed)
        self.automatic_optimization = False
        self._condition = condition
        self._class_names = tuple(class_names)
        self.register_buffer("_pool_metrics", pool.metrics, persistent=False)
        self.register_buffer("_pool_conditions", pool.conditions, persistent=False)

    def configure_optimizers(self) -> Any:
        """Adam with little momentum, as adversarial training wants it."""
        settings = self.settings
        builders = [*self.model.generator.parameters(), *self.model.encoder.parameters()]
        critics = [*self.model.topology_critic.parameters(), *self.model.specification_critic.parameters()]

        scale = partial(self.schedule, least=LEAST_LEARNING_RATE)
        optimizers = [
            torch.optim.AdamW(
                builders, lr=settings.learning_rate, betas=(0.5, 0.99), weight_decay=settings.weight_decay, fused=True
            ),
            torch.optim.AdamW(
                critics,
                lr=CRITIC_LEARNING_RATE,
                betas=(0.5, 0.99),
                weight_decay=settings.weight_decay,
                fused=self.device.type == "cuda",
            ),
        ]
        return optimizers, [torch.optim.lr_scheduler.LambdaLR(optimizer, scale) for optimizer in optimizers]

    def objective(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """None of a single step: two optimizers have one each."""
        raise NotImplementedError("a step of the GAN has two objectives")

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One step of generator and encoder, then one of the critics."""
        model, draws = self.model, self.step_generator()
        optimizers: Any = self.optimizers()
        build_optimizer, critic_optimizer = optimizers
        adversarial = (self.global_step // 2) % ADVERSARIAL_EVERY == 0
        count = len(batch.kinds)
        slots = one_hot(batch.kinds, batch.nets)  # (B, M, K + 3 N), with a slot to spare for the end
        topology = F.pad(slots, (0, 0, 0, MAX_DEVICES - slots.shape[1]))
        topology[:, slots.shape[1] :] = one_hot(batch.kinds[:1, :1] * 0, batch.nets[:1, :1] * 0)
        length = min(MAX_DEVICES, slots.shape[1] + 1)
        kinds = F.pad(batch.kinds, (0, length - batch.kinds.shape[1]))
        nets = F.pad(batch.nets, (0, 0, 0, length - batch.nets.shape[1]))
        own = self._condition(batch.metrics, batch.conditions, draws)
        index = torch.randint(len(self._pool_metrics), (count,), generator=draws, device=self.device)
        other = self._condition(self._pool_metrics[index], self._pool_conditions[index], draws)
        latent = torch.randn(count, model.config.latent_size, generator=draws, device=self.device)
        style = latent[:, : model.config.style_size]

        self.toggle_optimizer(build_optimizer)
        guessed, encoded = model.encoder(topology)
        noisy = encoded + STYLE_NOISE * torch.randn(encoded.shape, generator=draws, device=self.device)
        rebuilt = reconstruction_loss(model.generator.follow(own, noisy, topology[:, :length]), kinds, nets)
        moments = encoded.mean(0).square().mean() + (encoded.var(0) - (1.0 - STYLE_NOISE**2)).square().mean()
        fake_pair = torch.cat([own, noisy], dim=1)
        loss = (
            rebuilt
            + SPECIFICATION_WEIGHT * _bound_error(guessed, own)
            + STYLE_MOMENTS_WEIGHT * moments
            - STYLE_ADVERSARIAL_WEIGHT * model.specification_critic(fake_pair).mean()
        )
        written = None
        if adversarial:
            written = model.generator.write(other, latent)
            guessed, returned = model.encoder(written)
            loss = (
                loss
                + CYCLE_WEIGHT * ((returned - style).square().mean() + _bound_error(guessed, other))
                - ADVERSARIAL_WEIGHT * model.topology_critic(_pair(written, other)).mean()
                + VALIDITY_WEIGHT * validity_loss(written)
            )
        self._step(build_optimizer, loss)
        self.untoggle_optimizer(build_optimizer)

        self.toggle_optimizer(critic_optimizer)
        real = torch.cat([other, style], dim=1)
        critic_loss = _hinge(model.specification_critic, real, fake_pair.detach())
        if adversarial:
            assert written is not None
            critic_loss = (
                critic_loss
                + _gradient_penalty(model.specification_critic, real)
                + _hinge(model.topology_critic, _pair(topology, own), _pair(written.detach(), other))
                + _gradient_penalty(model.topology_critic, _pair(topology, own))
            )
        self._step(critic_optimizer, critic_loss)
        self.untoggle_optimizer(critic_optimizer)
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()
        self.log("train_loss", rebuilt, batch_size=count)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Share of written topologies that break an electrical rule, and, at less weight, that repeat another."""
        draws = self.validation_generator(batch_index)
        specification = self._condition(batch.metrics, batch.conditions, draws)
        kinds, nets = self.model.generate(specification, generator=draws)
        position = batch.conditions[:, : len(self._class_names)].argmax(dim=1).tolist()
        legal = [
            fingerprint_of_legal(kind, net, self._class_names[index])
            for kind, net, index in zip(kinds.cpu().numpy(), nets.cpu().numpy(), position, strict=True)
        ]
        found = [entry for entry in legal if entry is not None]
        loss = 1.0 - len(found) / len(legal) + REPETITION_WEIGHT * (1.0 - len(set(found)) / len(legal))
        self.log("validation_loss", loss, on_epoch=True, sync_dist=True, batch_size=len(batch.kinds))

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizer, self.settings.gradient_clip or None, "norm")
        optimizer.step()


def fingerprint_of_legal(kinds: np.ndarray, nets: np.ndarray, circuit_class: str) -> str | None:
    """Fingerprint of the topology that tokens (M,) and (M, 3) stand for; none if it is not legal."""
    try:
        topology = decode(Tokens(kinds.astype(np.int8), nets.astype(np.int8)), circuit_class)
    except ValueError:
        return None
    return fingerprint(topology) if is_legal(topology) else None


def topology_rows(prepared: Path) -> PreparedData:
    """Training rows worth imitating, weighted so that common topologies do not crowd out rare ones."""
    rows = Rows.load(prepared / "train.npz")
    _, inverse, counts = np.unique(rows.fingerprint, return_inverse=True, return_counts=True)
    # A topology counts by how good its rows are, not by how often it was bred: what is drawn should not repeat itself.
    weight = rows.balance * np.where(rows.weight > LEAST_WEIGHT, rows.weight, 0.0) / counts[inverse]
    chosen = torch.from_numpy(np.flatnonzero(weight > 0))
    return replace(PreparedData.of(rows), weight=torch.from_numpy(weight.astype(np.float32))).take(chosen)


def _bound_error(guessed: Tensor, specification: Tensor) -> Tensor:
    """Mean squared error of a guessed specification where the true one says something."""
    return ((guessed - specification).square() * (specification != 0)).sum(dim=1).mean() / specification.shape[1]


def _pair(topology: Tensor, specification: Tensor) -> Tensor:
    return torch.cat([topology.flatten(1), specification], dim=1)


def _hinge(critic: torch.nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1.0 - critic(real)).mean() + F.relu(1.0 + critic(fake)).mean()


def _gradient_penalty(critic: torch.nn.Module, real: Tensor) -> Tensor:
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
    return GRADIENT_PENALTY * gradient.square().sum(dim=1).mean()


GAN_VALIDATION_ROWS = 500
"""Topologies written at a validation of the GAN."""


def train_topology_gan(
    config: Config, prepared: Path, output: Path, initialize_from: Path | None = None
) -> dict[str, Any]:
    """Train the topology Cycle-GAN; writes ``model.pt``, ``losses.csv`` and ``report.json``.

    Args:
        prepared: folder written by `training.data.prepare.prepare_data`.
        output: folder to write; a killed training goes on there.
        initialize_from: checkpoint of a model of the same configuration, or the folder of one or of a bundle, whose weights
            training starts from, such as the champion's; none for random weights.
    """
    training = topology_gan_training(config, prepared)
    return run_training(
        training, config, "topology_gan", prepared, output, initialize_from, "training the topology GAN"
    )


def topology_gan_training(config: Config, prepared: Path) -> Training:
    """The topology GAN with its rows, before the first step."""
    section = config.topology_gan
    conditioning = Conditioning.load(prepared)
    seed = config.seed + 2
    torch.manual_seed(seed)
    model = TopologyGAN(
        TopologyGANConfig(
            specification_size=conditioning.specification_size,
            style_size=section.style_size,
            temperatures=tuple(per_class(section.temperature, name) for name in conditioning.classes),
            circuit_classes=conditioning.classes,
            width=section.width,
            critic_width=section.critic_width,
        )
    )
    rows = topology_rows(prepared)
    module = TopologyGANTraining(
        model, section, seed, condition=RowConditions(conditioning), pool=rows, class_names=conditioning.classes
    )
    train = TrainingBatches(
        rows, batch_size=section.batch_size, batches=section.validate_every, seed=seed, weighted=True
    )
    validation = ValidationBatches(
        rows.sample(GAN_VALIDATION_ROWS, seed, weighted=True), batch_size=GAN_VALIDATION_ROWS
    )
    return Training(module, train, validation, conditioning)
