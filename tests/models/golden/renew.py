"""Train the three models shortly on made-up rows and write their losses: ``python -m tests.models.golden.renew``.

Only where a change of the numbers is meant; the difference in the files is what to review.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from unittest import mock

import torch

from tests.models.circuits import grammar_folder
from training.config.loading import load_config
from training.config.steps import STEPS

FOLDER = Path(__file__).parent
MODELS = ("topology_gan", "sizing_diffusion", "surrogate")
_TRAINING = {"batch_size": 16, "max_steps": 40, "validate_every": 10, "early_stopping_patience": 100, "width": 16}
_TRANSFORMER = {**_TRAINING, "layers": 2, "heads": 2}
_OVERRIDES = {
    "topology_gan": {**_TRAINING, "critic_width": 16, "code_size": 4},
    "sizing_diffusion": _TRANSFORMER,
    "surrogate": _TRANSFORMER,
}

Losses = list[dict[str, float]]
"""Step, training loss and validation loss at every validation."""


def train(model: str, folder: Path) -> Losses:
    """Losses of a training of 40 steps, on one thread: sums in another order are other sums."""
    prepared = grammar_folder(folder / "prepared")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with mock.patch("training.fitting.topology_gan.GAN_VALIDATION_ROWS", 32):
            STEPS[f"train_{model}"].load()(load_config(overrides=_OVERRIDES), prepared, folder / model)
    finally:
        torch.set_num_threads(threads)
    with (folder / model / "losses.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def golden(model: str) -> Losses:
    """The losses that were last written."""
    losses: Losses = json.loads((FOLDER / f"{model}.json").read_text(encoding="utf-8"))
    return losses


if __name__ == "__main__":
    for name in MODELS:
        with tempfile.TemporaryDirectory() as temporary:
            content = json.dumps(train(name, Path(temporary)), indent=1)
        (FOLDER / f"{name}.json").write_text(content + "\n", encoding="utf-8")
