"""Checks of a record's fields: each gives the value, or an `InvalidInputError` that names the field."""

from __future__ import annotations

import math
import re
from typing import Any

from genrf.errors import InvalidInputError

LONGEST_TEXT = 256
LARGEST_COUNT = 10**9
WORD = re.compile(r"[a-z][a-z0-9_-]{0,39}")
WORDS = re.compile(r"[a-z][a-z0-9, _-]{0,79}")


def mapping(where: str, value: Any) -> dict[str, Any]:
    """A mapping."""
    if not isinstance(value, dict):
        raise InvalidInputError(f"{where}: expected a mapping, got {shown(value)}")
    return value


def text(where: str, value: Any, pattern: re.Pattern[str], expected: str) -> str:
    """Text of a pattern, which `expected` puts into words."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidInputError(f"{where}: expected {expected}, got {shown(value)}")
    return value


def optional_text(where: str, value: Any) -> str | None:
    """Text that is not long, or none."""
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
        raise InvalidInputError(f"{where}: expected text of at most {LONGEST_TEXT} characters, got {shown(value)}")
    return value


def one_of(where: str, value: Any, known: tuple[Any, ...]) -> Any:
    """One of the known values."""
    if value not in known:
        raise InvalidInputError(f"{where}: expected one of {', '.join(known)}, got {shown(value)}")
    return value


def flag(where: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"{where}: expected true or false, got {shown(value)}")
    return value


def count(where: str, value: Any, least: int = 0) -> int:
    """A whole number that can be believed."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST_COUNT:
        raise InvalidInputError(f"{where}: expected a whole number from {least}, got {shown(value)}")
    return value


def number(where: str, value: Any, least: float = -math.inf) -> float:
    """A finite number."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not known or not math.isfinite(number := _as_float(value)) or number < least:
        limit = "" if least == -math.inf else f" from {least:g}"
        raise InvalidInputError(f"{where}: expected a finite number{limit}, got {shown(value)}")
    return number


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def shown(value: Any) -> str:
    """A value for a message, which need not show all of it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
