"""Where a circuit meets its surroundings: the ports of each circuit class, and which classes there are.

A class is a folder of `genrf.classes`; its ``__init__`` says no more than `NUMBER` and `PORTS`, so that what is below the classes
(graphs, tokens, rules) can ask for them without what is above (metrics, testbenches).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from genrf.errors import InvalidInputError

_CLASSES = "genrf.classes"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a circuit class."""

    names: tuple[str, ...]
    """Numbers of the port nets, in the order of the testbench's ports."""
    held: frozenset[str] = frozenset()
    """Ports that the testbench holds at a DC voltage, such as a tuning voltage; they are signal grounds."""
    optional: frozenset[str] = frozenset()
    """Ports that a topology may leave open, such as the second phase of a differential drive."""


@cache
def class_names() -> tuple[str, ...]:
    """Names of all circuit classes, in the order of their ``NUMBER``: seeds of datasets depend on it, so it stays."""
    found = [module.name for module in iter_modules(import_module(_CLASSES).__path__) if module.ispkg]
    return tuple(sorted(found, key=lambda name: import_module(f"{_CLASSES}.{name}").NUMBER))


@cache
def ports_of(circuit_class: str) -> Ports:
    """The ports of a class.

    Raises:
        InvalidInputError: for an unknown name, listing the known ones.
    """
    if circuit_class not in class_names():
        raise InvalidInputError(f"class: unknown circuit class {circuit_class!r}; known: {', '.join(class_names())}")
    ports: Ports = import_module(f"{_CLASSES}.{circuit_class}").PORTS
    return ports
