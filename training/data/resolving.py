"""What a pipeline run is made of, settled before its first step: everyone's configuration, and the version of the dataset."""

from __future__ import annotations

from training.config.loading import DEFAULT_PATH, load_config, read_overrides
from training.config.steps import step_configs
from training.data.versions import chosen_hash
from training.running.step import failing_in_one_line
from training.running.store import require_store


def resolve(recipe: str, overrides: str, data_hash: str) -> dict[str, str]:
    """Read the recipe; a store that cannot be used is told of now, before hours of work.

    Args:
        recipe: name of the recipe.
        overrides: JSON of values that are laid over the recipe's.
        data_hash: version of the dataset, see `training.data.versions.chosen_hash`.

    Returns:
        The configuration of every step by its name, and the dataset's hash as ``data_hash``.
    """
    with failing_in_one_line(DEFAULT_PATH):
        config = load_config(DEFAULT_PATH, recipe, read_overrides(overrides))
        require_store(config)
        return {**step_configs(recipe, overrides), "data_hash": chosen_hash(config, data_hash)}
