"""Training of the Cycle-GAN: reproducible, resumable, and on topologies worth imitating."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genrf.circuit.canonical import fingerprint
from genrf.circuit.tokens import encode
from genrf.circuit.topology import Device, Topology
from tests.models.circuits import lasting
from training.config.loading import load_config
from training.config.schema import Config
from training.data.rows import Rows
from training.fitting.topology_gan import (
    LEAST_WEIGHT,
    TopologyGANTraining,
    fingerprint_of_legal,
    topology_rows,
    train_topology_gan,
)
from training.models.topology_gan import TopologyGAN

TINY = {
    "topology_gan": {
        "width": 24,
        "critic_width": 16,
        "code_size": 4,
        "batch_size": 16,
        "max_steps": 12,
        "validate_every": 4,
    }
}


class Killed(Exception):
    """Stands for a process that dies."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr("training.fitting.topology_gan.GAN_VALIDATION_ROWS", 24)
    return load_config(overrides=TINY)


@pytest.mark.slow
def test_a_killed_training_ends_in_the_same_weights(
    tiny: Config, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_topology_gan(tiny, prepared, tmp_path / "whole")
    step = TopologyGANTraining.training_step

    def dies(self: TopologyGANTraining, batch: object, index: int) -> None:
        if self.global_step // 2 == 6:
            raise Killed
        step(self, batch, index)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(TopologyGANTraining, "training_step", dies)
        with pytest.raises(Killed):
            train_topology_gan(tiny, prepared, tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.pt").exists()
    resumed = train_topology_gan(tiny, prepared, tmp_path / "killed")
    assert lasting(resumed) == lasting(whole)
    first, second = (TopologyGAN.load_checkpoint(tmp_path / n / "model.pt").state_dict() for n in ("whole", "killed"))
    for name, weights in first.items():
        assert torch.equal(weights, second[name]), name


def test_it_imitates_useful_topologies_and_rare_ones_count_for_more_than_their_rows(prepared: Path) -> None:
    rows, data = Rows.load(prepared / "train.npz"), topology_rows(prepared)
    chosen = rows.weight > LEAST_WEIGHT
    assert len(data) == chosen.sum()
    _, inverse, counts = np.unique(rows.fingerprint, return_inverse=True, return_counts=True)
    total = np.bincount(inverse[chosen], weights=data.weight.numpy(), minlength=len(counts))
    by_rows = np.bincount(inverse[chosen], weights=rows.weight[chosen], minlength=len(counts))
    imitated = by_rows > 0
    common, rare = int(np.argmax(counts * imitated)), int(np.argmin(np.where(imitated, counts, np.inf)))
    assert counts[common] > counts[rare]
    assert total[common] / total[rare] < by_rows[common] / by_rows[rare]


def test_a_written_topology_counts_only_if_the_electrical_rules_pass() -> None:
    stage = (
        Device("capacitor", ("in", "n1")),
        Device("bias_voltage", ("n2",)),
        Device("resistor", ("n2", "n1")),
        Device("hbt", ("n3", "n1", "0")),
        Device("inductor", ("vdd", "n3")),
        Device("capacitor", ("n3", "out")),
    )
    legal = encode(Topology("lna", stage))
    assert fingerprint_of_legal(legal.kinds, legal.nets, "lna") == fingerprint(Topology("lna", stage))
    broken = encode(Topology("lna", stage[:-1]))
    assert fingerprint_of_legal(broken.kinds, broken.nets, "lna") is None
    unknown_net = legal.nets.copy()
    unknown_net[0, 0] = 0
    assert fingerprint_of_legal(legal.kinds, unknown_net, "lna") is None
