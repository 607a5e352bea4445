"""Preparation and training as a night does them: with the champion's normalisation, on from the champion's weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrf.conditioning import Conditioning
from genrf.errors import CheckpointError
from training.config.schema import Config
from training.data.prepare import prepare_data
from training.nights.decide import held_out_beside
from training.nights.records import CHAMPION_FOLDER, ROWS_FOLDER, Need

Train = Callable[..., dict[str, Any]]


def prepare_grown(config: Config, need: Path, grown: Path, output: Path) -> dict[str, Any]:
    """See `training.data.prepare.prepare_data`; of a champion that knows all the classes the normalisation is kept."""
    champion = need / CHAMPION_FOLDER
    config = held_out_beside(config, Need.read(need))
    kept = set(config.classes) <= set(Conditioning.load(champion).classes)
    return prepare_data(config, [grown / ROWS_FOLDER], output, champion if kept else None)


def retrain_topology_gan(config: Config, need: Path, prepared: Path, output: Path) -> dict[str, Any]:
    """See `training.fitting.topology_gan.train_topology_gan`."""
    from training.fitting.topology_gan import train_topology_gan

    return _retrain(train_topology_gan, config, need, prepared, output)


def retrain_sizing_diffusion(config: Config, need: Path, prepared: Path, output: Path) -> dict[str, Any]:
    """See `training.fitting.sizing_diffusion.train_sizing_diffusion`."""
    from training.fitting.sizing_diffusion import train_sizing_diffusion

    return _retrain(train_sizing_diffusion, config, need, prepared, output)


def retrain_surrogate(config: Config, need: Path, prepared: Path, output: Path) -> dict[str, Any]:
    """See `training.fitting.surrogate.train_surrogate`."""
    from training.fitting.surrogate import train_surrogate

    return _retrain(train_surrogate, config, need, prepared, output)


def _retrain(train: Train, config: Config, need: Path, prepared: Path, output: Path) -> dict[str, Any]:
    """Go on from the champion's weights, or start anew where the recipe's models have another shape."""
    try:
        return {**train(config, prepared, output, need / CHAMPION_FOLDER), "continued": True}
    except CheckpointError as error:
        print(f"trained from the start, for the champion's weights do not fit: {error}", file=sys.stderr, flush=True)
        return {**train(config, prepared, output), "continued": False}
