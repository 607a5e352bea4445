"""The circuit classes, one a folder: a class owns ports, metrics, grammar and testbench, and shared code asks here.

A folder holds, besides ``NUMBER`` and ``PORTS`` in its ``__init__`` (see `genrf.circuit.ports`), the modules ``definition``
with a `CircuitClass` called ``CLASS``, ``grammar`` with ``sample_topology`` and ``sizing`` with ``first_order_values``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from genrf.circuit.ports import class_names, ports_of

if TYPE_CHECKING:
    from genrf.circuit_class import CircuitClass


def names() -> tuple[str, ...]:
    """Names of all circuit classes."""
    return class_names()


@cache
def get(name: str) -> CircuitClass:
    """The class of that name.

    Raises:
        InvalidInputError: for an unknown name, listing the known ones.
    """
    ports_of(name)
    definition: CircuitClass = import_module(f"genrf.classes.{name}.definition").CLASS
    return definition
