"""What a night is made of, settled before its first step: everyone's configuration."""

from __future__ import annotations

from genrf.errors import InvalidInputError
from training.config.loading import DEFAULT_PATH, load_config, read_overrides
from training.config.night_steps import NIGHT_STEPS, REPORT
from training.running.step import failing_in_one_line
from training.running.store import NOWHERE, require_store, store_uri


def resolve(recipe: str, overrides: str) -> dict[str, str]:
    """The configuration of every step of a night but its report, by name; a store that cannot be used is told of now."""
    with failing_in_one_line(DEFAULT_PATH):
        config = load_config(DEFAULT_PATH, recipe, read_overrides(overrides))
        if store_uri(config) == NOWHERE:
            raise InvalidInputError(
                f"tracking.tracking_uri: {NOWHERE}, but a night needs a model registry; name a store"
            )
        require_store(config)
        return {step.name: step.select(config) for step in NIGHT_STEPS.values() if step is not REPORT}


def report_config(recipe: str, overrides: str) -> str:
    """The configuration of the report, which no step before it can hand on."""
    with failing_in_one_line(DEFAULT_PATH):
        return REPORT.select(load_config(DEFAULT_PATH, recipe, read_overrides(overrides)))
