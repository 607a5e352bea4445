"""Rows of the shape of prepared data with nothing in them to learn, for timing what reads them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from genrf import classes
from genrf.circuit.devices import KINDS
from genrf.circuit.tokens import FIRST_PORT_TOKEN, MAX_DEVICES, MAX_NETS, TERMINAL_COUNTS
from genrf.conditioning import Conditioning
from training.data.rows import CircuitRows, Rows, failed_file


def write_prepared(folder: Path, class_names: tuple[str, ...], rows: int) -> Path:
    """A folder with the files of `training.data.prepare.prepare_data` that training reads; returns it."""
    metrics = tuple(dict.fromkeys(name for c in class_names for name in classes.get(c).label_metrics))
    per_class = ((0.0,) * len(metrics),) * len(class_names), ((1.0,) * len(metrics),) * len(class_names)
    conditioning = Conditioning(classes=class_names, metrics=metrics, mean=per_class[0], deviation=per_class[1])
    conditioning.save(folder)
    for seed, (name, count) in enumerate({"train": rows, "validation": 2048, "test": 2048}.items()):
        split = _random_rows(conditioning, count, seed)
        split.save(folder / f"{name}.npz")
        failed = {field.name: getattr(split, field.name)[: count // 10] for field in fields(CircuitRows)}
        CircuitRows(**failed).save(folder / failed_file(name))
    return folder


def _random_rows(conditioning: Conditioning, count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    # Five to 28 devices, half of the circuits with at most 14.
    lengths = np.clip(rng.normal(14.0, 5.0, count).round(), 5, MAX_DEVICES).astype(int)
    kinds = rng.integers(1, len(KINDS) + 1, (count, MAX_DEVICES), dtype=np.int8)
    kinds[np.arange(MAX_DEVICES) >= lengths[:, None]] = 0
    nets = rng.integers(1, min(MAX_NETS, FIRST_PORT_TOKEN + 12), (count, MAX_DEVICES, 3), dtype=np.int8)
    nets[np.arange(3) >= np.array(TERMINAL_COUNTS)[kinds][..., None]] = 0
    position = rng.integers(0, len(conditioning.classes), count)
    conditions = rng.standard_normal((count, conditioning.conditions_size)).astype(np.float32)
    conditions[:, : len(conditioning.classes)] = np.eye(len(conditioning.classes), dtype=np.float32)[position]
    metrics = rng.standard_normal((count, len(conditioning.metrics))).astype(np.float32)
    ones = np.ones(count, dtype=np.float32)
    return Rows(
        kinds=kinds,
        nets=nets,
        values=(rng.standard_normal((count, MAX_DEVICES)) * (kinds > 0)).astype(np.float32),
        metrics=metrics,
        conditions=conditions,
        weight=rng.uniform(0.1, 1.0, count).astype(np.float32),
        balance=ones,
        values_si=np.ones((count, MAX_DEVICES)),
        measured=metrics.astype(np.float64),
        frequency_hz=np.full(count, 1e10),
        supply_v=np.full(count, 2.5),
        useful=ones > 0,
        circuit_class=np.array(conditioning.classes)[position],
        fingerprint=np.array([f"{number:016x}" for number in rng.integers(0, count, count)]),
        row=np.arange(count),
    )
