"""Fabrication processes, one a folder: its module ``process`` has a `Process` called ``TECHNOLOGY``."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from genrf.errors import InvalidInputError
from genrf.technology.base import Process

DEFAULT = "sg13g2"
"""What a design that does not name its process was made for: the released weights know this one."""


def names() -> tuple[str, ...]:
    """Names of all technologies."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.ispkg))


@cache
def get(name: str = DEFAULT) -> Process:
    """The technology of that name.

    Raises:
        InvalidInputError: for an unknown name, listing the known ones.
    """
    if name not in names():
        raise InvalidInputError(f"technology: unknown process {name!r}; known: {', '.join(names())}")
    technology: Process = import_module(f"{__name__}.{name}.process").TECHNOLOGY
    return technology
