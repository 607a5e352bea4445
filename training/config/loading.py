"""`params.yaml`: read, with a named recipe laid over its base values.

An unknown key, a wrong type or a value out of range is one line that names file and key, and says what was given and what was
expected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from genrf.errors import InvalidInputError
from genrf.fields import mapping
from training.config.schema import Config

DEFAULT_PATH = Path("params.yaml")
DEFAULT_RECIPE = "smoke"


def load_config(
    path: Path | str = DEFAULT_PATH, recipe: str = DEFAULT_RECIPE, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration file, lay the recipe over its base values and `overrides` over both.

    Args:
        overrides: nested like the file; a key with dots, such as ``"data.rounds"``, names a field of a section.

    Raises:
        InvalidInputError: naming file, key, value and what was expected.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidInputError(f"{path}{f' (line {mark.line + 1})' if mark else ''}: not valid YAML") from error
    try:
        if not isinstance(content, dict):
            raise InvalidInputError(f"expected a mapping of keys to values, got {content!r}")
        recipes = content.pop("recipes", None) or {}
        if not isinstance(recipes, dict) or recipe not in recipes:
            known = ", ".join(recipes) if isinstance(recipes, dict) else ""
            raise InvalidInputError(f"recipes.{recipe}: unknown recipe; known recipes: {known or 'none'}")
        laid = _lay_over(content, recipes[recipe] or {}, f"recipes.{recipe}")
        laid = _lay_over(laid, _nested(overrides or {}), "overrides")
        return Config.from_dict({**laid, "recipe": recipe})
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def read_recipes(path: Path | str = DEFAULT_PATH) -> tuple[str, ...]:
    """Names of the recipes in a configuration file."""
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return tuple(content.get("recipes", {}))


def read_overrides(text: str) -> dict[str, Any]:
    """Values to lay over a recipe, given as JSON.

    Raises:
        InvalidInputError: if the text is not a JSON object.
    """
    try:
        laid = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"overrides: expected JSON, got {text!r}") from error
    return mapping("overrides", laid)


def _lay_over(base: Mapping[str, Any], over: Any, where: str) -> dict[str, Any]:
    """A copy of `base` with the values of `over`, section by section; keys that `base` lacks are refused."""
    if not isinstance(over, Mapping):
        raise InvalidInputError(f"{where}: expected a mapping of keys to values, got {over!r}")
    laid = dict(base)
    for key, value in over.items():
        if key not in base:
            raise InvalidInputError(f"{where}.{key}: unknown key; known keys: {', '.join(sorted(map(str, base)))}")
        # A section is laid over key by key; a count for all classes may take the place of one for each.
        below = isinstance(base[key], Mapping) and not (isinstance(value, int) and "default" in base[key])
        laid[key] = _lay_over(base[key], value, f"{where}.{key}") if below else value
    return laid


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in overrides.items():
        section, _, field = key.partition(".")
        if field:
            nested.setdefault(section, {})[field] = value
        elif isinstance(value, Mapping):
            nested.setdefault(section, {}).update(value)
        else:
            nested[section] = value
    return nested
