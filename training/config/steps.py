"""Which part of the configuration each step of the pipeline depends on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from genrf.generation.released import released_identity
from training.config.loading import DEFAULT_PATH, load_config, read_overrides


class StepConfigs(NamedTuple):
    """JSON of the sections that each step uses."""

    simulate: str
    prepare: str
    topology_gan: str
    sizing_diffusion: str
    surrogate: str
    evaluate: str
    export: str
    quantise: str
    whole: str
    """Everything, for the steps that sum the run up."""
    released: str
    """Identity of the weights that come with the code, which may become the first champion; empty if there are none."""


SECTIONS: dict[str, tuple[str, ...]] = {
    "simulate": ("data",),
    "prepare": ("preparation",),
    "topology_gan": ("topology_gan",),
    "sizing_diffusion": ("sizing_diffusion",),
    "surrogate": ("surrogate",),
    "evaluate": ("evaluation",),
    "export": ("export",),
    "quantise": ("quantisation", "evaluation"),
}
"""Sections of each step, besides ``tracking``, which all of them have."""


def step_configs(recipe: str, overrides: str = "{}", path: Path = DEFAULT_PATH) -> StepConfigs:
    """Read the configuration and select the sections of each step.

    Args:
        overrides: JSON of values that are laid over the recipe's, keys such as ``"data.rounds"``.

    Raises:
        InvalidInputError: for anything wrong in the file or the overrides.
    """
    config = load_config(path, recipe, read_overrides(overrides))
    selected = {step: config.select(*sections, "tracking") for step, sections in SECTIONS.items()}
    whole = json.dumps(config.to_dict(), sort_keys=True)
    return StepConfigs(**selected, whole=whole, released=released_identity())
