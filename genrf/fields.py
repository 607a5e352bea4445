"""Fields of a YAML file that a user writes: mappings, quantities with units, and errors that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from quantiphy import InvalidNumber, Quantity

from genrf.errors import InvalidInputError

LONGEST_QUANTITY = 100
"""Characters of a number with its unit."""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InvalidInputError: naming the file, if it is missing, is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise InvalidInputError(f"{path}{line}: not valid YAML") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def mapping(where: str, value: Any) -> dict[str, Any]:
    """The value, if it is a mapping.

    Raises:
        InvalidInputError: naming the field.
    """
    if not isinstance(value, dict):
        raise InvalidInputError(f"{where}: expected a mapping of keys to values, got {value!r}")
    return value


def refuse_unknown(content: Mapping[str, Any], known: set[str], prefix: str) -> None:
    """Refuse keys that are not known.

    Raises:
        InvalidInputError: naming the key and the known ones.
    """
    for key in content:
        if key not in known:
            raise InvalidInputError(f"{prefix}{key}: unknown key; known keys: {', '.join(sorted(known))}")


def quantity(where: str, value: Any, unit: str) -> Any:
    """A number in SI units, from a number or from text such as ``"28 GHz"``; a corner stays text.

    Frequencies may be written in any case (``5 ghz``) and temperatures in kelvin too. What would be read as a million
    times what people mean is refused with both readings (``9 MW``).

    Raises:
        InvalidInputError: naming the field.
    """
    if where == "corner":
        if not isinstance(value, str):
            raise InvalidInputError(f"{where}: expected the name of a corner, got {value!r}")
        return value
    expected = f"a number{f' in {unit}' if unit else ''}"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidInputError(f"{where}: expected {expected}, got {value!r}")
    if isinstance(value, str):
        if len(value) > LONGEST_QUANTITY:
            # quantiphy 2.23 takes a time that grows with the square of what it is given.
            raise InvalidInputError(f"{where}: expected {expected}, got a text of {len(value):,} characters")
        if "," in value:
            raise InvalidInputError(f"{where}: expected {expected} with a decimal point and no comma, got {value!r}")
        written = _written(where, value, unit)
        if written is not None:
            return written
        try:
            found = Quantity(value)
        except InvalidNumber as error:
            raise InvalidInputError(f"{where}: expected {expected}, got {value!r}") from error
        if found.units and found.units.lower() not in {unit.lower(), *_UNIT_SYNONYMS.get(unit, ())}:
            raise InvalidInputError(f"{where}: expected {expected}, got {value!r} in {found.units}")
        value = found.real
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidInputError(f"{where}: expected {expected}, got one beyond 1.8e308") from error


def quantity_text(value: float, unit: str, digits: int = 3) -> str:
    """A quantity with an SI prefix and that many significant digits."""
    return Quantity(value, unit).render(prec=digits - 1, strip_zeros=True)


_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*\Z", re.S)
_HERTZ = {"hz": 0, "khz": 3, "mhz": 6, "ghz": 9, "thz": 12}
_CELSIUS = ("c", "°c", "degc", "celsius")
_KELVIN = ("k", "kelvin")
_ZERO_CELSIUS_K = Decimal("273.15")


def _written(where: str, text: str, unit: str) -> float | None:
    """What people mean where case or unit say something else to a strict reader; none where they do not.

    Raises:
        InvalidInputError: naming the field and both readings, if people might mean either.
    """
    found = _QUANTITY.match(text)
    if found is None:
        return None
    number, rest = Decimal(found[1]), found[2]
    if unit == "Hz" and rest.lower() in _HERTZ:
        if rest == "mHz":
            raise InvalidInputError(
                f"{where}: {text!r} is millihertz; write {found[1]} MHz for megahertz, or {float(number) / 1e3:g}"
            )
        return float(number.scaleb(_HERTZ[rest.lower()]))
    if unit == "C" and rest.casefold() in _CELSIUS:
        return float(number)
    if unit == "C" and rest.casefold() in _KELVIN:
        return float(number - _ZERO_CELSIUS_K)
    if unit in ("W", "V") and rest[:1] == "M" and rest[1:].upper() in ("", unit):
        word = {"W": "watts", "V": "volts"}[unit]
        raise InvalidInputError(
            f"{where}: {text!r} is mega{word}; write {found[1]} m{unit} for milli{word}, or {float(number.scaleb(6)):g}"
        )
    return None


_UNIT_SYNONYMS = {"Ohm": ("ohms", "Ω", "ω"), "C": ("°c", "degc")}


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key that appears twice is an error, not silently the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                line = node.value[position][0].start_mark.line + 1
                raise InvalidInputError(f"{key}: given twice, again on line {line}")
        return super().construct_mapping(node, deep=deep)
