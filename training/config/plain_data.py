"""Dataclasses from plain data such as YAML gives: by type annotation, with one line for whatever does not fit."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from genrf.errors import InvalidInputError


class Absent:
    """Stands for a section that a step was not given."""

    def __init__(self, section: str) -> None:
        self._section = section

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(f"{self._section}.{name}: this step was not given section {self._section}")


def build(cls: type[Any], content: Any, prefix: str = "") -> Any:
    """An instance of the dataclass from plain data.

    Args:
        prefix: how messages name the mapping that holds the keys, with a dot at its end.

    Raises:
        InvalidInputError: naming the key, for one that is unknown, missing or of another type.
    """
    where = prefix.rstrip(".") or "the configuration"
    if not isinstance(content, Mapping):
        raise InvalidInputError(f"{where}: expected a mapping of keys to values, got {content!r}")
    annotations = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    for key in content:
        if key not in names:
            raise InvalidInputError(f"{prefix}{key}: unknown key; known keys: {', '.join(sorted(names))}")
    values = {}
    for name in names:
        if name not in content:
            raise InvalidInputError(f"{prefix}{name}: missing")
        values[name] = _convert(f"{prefix}{name}", annotations[name], content[name])
    return cls(**values)


def _convert(where: str, annotation: Any, value: Any) -> Any:
    """The value as the annotated type, or an error; whole numbers pass for floats, ``1e9`` in quotes too."""
    if isinstance(value, Absent):
        return value
    if dataclasses.is_dataclass(annotation):
        return build(typing.cast(type, annotation), value, f"{where}.")
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise InvalidInputError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(f"{where}[{index}]", arguments[0], item) for index, item in enumerate(value))
    if origin is Literal:
        # YAML reads a bare `off` as false.
        value = "off" if value is False and "off" in arguments else value
        if value not in arguments:
            raise InvalidInputError(f"{where}: expected one of {', '.join(map(str, arguments))}, got {value!r}")
        return value
    if origin is dict:
        if not isinstance(value, Mapping):
            raise InvalidInputError(f"{where}: expected a mapping of keys to values, got {value!r}")
        return {str(key): _convert(f"{where}.{key}", arguments[1], item) for key, item in value.items()}
    if origin in (typing.Union, types.UnionType):
        mapping = next((a for a in arguments if typing.get_origin(a) is dict), None)
        if mapping is not None and isinstance(value, Mapping):
            return _convert(where, mapping, value)
        if value is None and type(None) in arguments:
            return None
        return _convert(where, next(a for a in arguments if a is not type(None)), value)
    if annotation is float and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError):
            pass
        else:
            if number == number and abs(number) != float("inf"):
                return number
    elif annotation is int and isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0:
        return int(value)
    elif annotation in (str, bool) and isinstance(value, annotation):
        return value
    expected = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}[annotation]
    raise InvalidInputError(f"{where}: expected {expected}, got {value!r}")
