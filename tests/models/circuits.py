"""Random circuits as model inputs, a prepared folder made of them, and small training settings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genrf import classes
from genrf.circuit.canonical import fingerprint
from genrf.circuit.tokens import encode
from genrf.conditioning import Conditioning
from training.config.loading import load_config
from training.config.schema import Config, SizingDiffusionConfig
from training.data.rows import CircuitRows, Rows, failed_file
from training.data.tensors import Batch
from training.models.backbone import BackboneConfig

TINY = BackboneConfig(width=16, layers=2, heads=2, message_width=8)
TERMINALS = np.array([0, 2, 2, 2, 3, 1, 2, 2])
"""Terminals of each kind, the empty slot first."""


def random_rows(count: int, seed: int = 0, slots: int = 28) -> dict[str, np.ndarray]:
    """Circuits with five to fourteen devices; the metrics are smooth functions of the values, so there is something to
    learn."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 15, count)
    kinds = rng.integers(1, 8, (count, slots))
    kinds[np.arange(slots) >= lengths[:, None]] = 0
    nets = rng.integers(1, 14, (count, slots, 3))
    nets[np.arange(3) >= TERMINALS[kinds][..., None]] = 0
    values = rng.standard_normal((count, slots)) * (kinds > 0)
    metrics = np.stack([np.tanh(values * (kinds == 1 + i % 5)).sum(axis=1) * 0.5 for i in range(8)], axis=1)
    conditions = np.concatenate([np.ones((count, 1)), rng.standard_normal((count, 4))], axis=1)
    return {
        "kinds": kinds.astype(np.int8),
        "nets": nets.astype(np.int8),
        "values": values.astype(np.float32),
        "metrics": metrics.astype(np.float32),
        "conditions": conditions.astype(np.float32),
        "weight": rng.uniform(0.1, 1.0, count).astype(np.float32),
        "balance": np.ones(count, dtype=np.float32),
    }


def random_batch(count: int, seed: int = 0, slots: int = 14) -> Batch:
    """The same as a batch of tensors."""
    rows = random_rows(count, seed, slots)
    return Batch(
        kinds=torch.from_numpy(rows["kinds"]).long(),
        nets=torch.from_numpy(rows["nets"]).long(),
        values=torch.from_numpy(rows["values"]),
        metrics=torch.from_numpy(rows["metrics"]),
        conditions=torch.from_numpy(rows["conditions"]),
    )


def conditioning() -> Conditioning:
    """How the random circuits' metrics are standardised: not at all."""
    names = ("gain_db", "nf_db", "s11_db", "s22_db", "s12_db", "bandwidth_hz", "mu_min", "power_w")
    return Conditioning(classes=("lna",), metrics=names, mean=((0.0,) * 8,), deviation=((1.0,) * 8,))


def prepared_folder(folder: Path, rows: int = 400) -> Path:
    """A folder as `prepare_data` leaves it, less what only evaluation reads."""
    folder.mkdir(parents=True, exist_ok=True)
    conditioning().save(folder)
    for seed, (name, count) in enumerate({"train": rows, "validation": 60, "test": 60}.items()):
        np.savez(folder / f"{name}.npz", **random_rows(count, seed))  # type: ignore[arg-type]
        failed = random_rows(count // 10, seed + 10)
        np.savez(folder / failed_file(name), **{field.name: failed[field.name] for field in fields(CircuitRows)})  # type: ignore[arg-type]
    return folder


def grammar_folder(folder: Path, count: int = 200) -> Path:
    """A `prepared_folder` whose training rows are topologies of the grammar, with random values and figures."""
    prepared_folder(folder)
    rng = np.random.default_rng(5)
    topologies = [classes.get("lna").sample_topology(rng) for _ in range(count // 2)] * 2
    tokens = [encode(topology) for topology in topologies]
    drawn = random_rows(count, seed=6)
    Rows(
        **{name: drawn[name] for name in ("values", "metrics", "conditions", "weight", "balance")},
        kinds=np.stack([each.kinds for each in tokens]),
        nets=np.stack([each.nets for each in tokens]),
        values_si=drawn["values"].astype(np.float64),
        measured=drawn["metrics"].astype(np.float64),
        frequency_hz=np.full(count, 28e9),
        supply_v=np.full(count, 1.8),
        useful=np.ones(count, dtype=np.bool_),
        circuit_class=np.full(count, "lna"),
        fingerprint=np.array([fingerprint(topology) for topology in topologies]),
        row=np.arange(count),
    ).save(folder / "train.npz")
    return folder


def tiny_config(**training: object) -> Config:
    """The shipped configuration with networks and trainings of a few seconds."""
    small = {"width": 16, "layers": 1, "heads": 2, "batch_size": 16, "max_steps": 12, "validate_every": 4, **training}
    return load_config(overrides={"sizing_diffusion": small, "surrogate": small})


def tiny_settings(**training: object) -> SizingDiffusionConfig:
    """Settings of a training of a few steps."""
    return tiny_config(**training).sizing_diffusion


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """What a training's report says of the model, not of the machine."""
    return {name: value for name, value in report.items() if not name.endswith(("_seconds", "_per_second"))}
