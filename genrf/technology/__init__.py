"""Fabrication processes by name."""

from __future__ import annotations

from functools import cache

from genrf.errors import InvalidInputError
from genrf.technology.base import Technology

_NAMES = ("sg13g2",)


def names() -> tuple[str, ...]:
    """Names of all technologies."""
    return _NAMES


@cache
def get(name: str = "sg13g2") -> Technology:
    """The technology of that name.

    Raises:
        InvalidInputError: for an unknown name, listing the known ones.
    """
    if name == "sg13g2":
        from genrf.technology.sg13g2 import SG13G2

        return SG13G2()
    raise InvalidInputError(f"technology: unknown process {name!r}; known: {', '.join(_NAMES)}")
