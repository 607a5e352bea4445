"""Options of benchmarks that differ from class to class."""

from __future__ import annotations

from collections.abc import Iterable

from genrf import classes
from genrf.errors import InvalidInputError


def numbers_by_class(option: str, given: Iterable[str], default: int) -> dict[str, int]:
    """A number of every class, from ``number`` for all and ``class=number`` for some.

    Raises:
        InvalidInputError: for anything else.
    """
    numbers = dict.fromkeys(classes.names(), default)
    for text in sorted(given, key=lambda text: "=" in text):
        name, _, number = text.rpartition("=")
        if not number.isdecimal() or int(number) < 1 or (name and name not in numbers):
            raise InvalidInputError(f"{option}: expected a number above 0 or class=number, got {text!r}")
        numbers.update(dict.fromkeys([name] if name else numbers, int(number)))
    return numbers
