"""Training rows of one class, mapped into memory: many processes share one copy of a million rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from training.data.rows import Rows


def split_rows(path: Path, folder: Path, class_names: Sequence[str]) -> None:
    """Write the arrays of `Rows` at ``path`` once more, a folder for each class and a plain file for each array."""
    with np.load(path, allow_pickle=False) as archive:
        of_class = archive["circuit_class"]
        own = {name: np.flatnonzero(of_class == name) for name in class_names}
        for name in class_names:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for field in fields(Rows):
            array = archive[field.name]
            for name, index in own.items():
                np.save(folder / name / f"{field.name}.npy", array[index])


def mapped_rows(folder: Path, circuit_class: str) -> Rows:
    """The rows of a class that `split_rows` wrote, read where they are used."""
    return Rows(
        **{
            field.name: np.load(folder / circuit_class / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)
            for field in fields(Rows)
        }
    )
