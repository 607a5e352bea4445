"""VACASK's result files: SPICE's binary raw format, a text header and then all values as doubles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.testbench import SimulationFailure

Plot = Mapping[str, NDArray[np.complex128]]
"""Vectors of one analysis by name, each of shape (points,); those that are real have no imaginary part."""

_DATA = b"\nBinary:\n"


def read_raw(path: Path) -> Plot:
    """The vectors of a result file.

    Raises:
        SimulationFailure: ``not_measurable`` if the file is absent, ends early or has a value that is not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SimulationFailure("not_measurable", f"VACASK left no result {path.name}") from error
    header, found, data = content.partition(_DATA)
    if not found:
        raise SimulationFailure("not_measurable", f"VACASK's result {path.name} has no data")
    try:
        fields = _fields(header.decode("ascii"))
        names = [line.split()[1] for line in fields["variables"].splitlines() if line.strip()]
        points = int(fields["no. points"])
        kind = np.dtype(np.complex128 if "complex" in fields["flags"] else np.float64)
        complete = int(fields["no. variables"]) == len(names) and len(data) == points * len(names) * kind.itemsize
    except (KeyError, ValueError, IndexError) as error:
        raise SimulationFailure("not_measurable", f"VACASK's result {path.name} cannot be read: {error}") from error
    if not complete or points < 1:
        raise SimulationFailure("not_measurable", f"VACASK's result {path.name} ended early")
    values = np.frombuffer(data, kind).reshape(points, len(names)).astype(np.complex128)
    if not np.isfinite(values).all():
        raise SimulationFailure("not_measurable", f"VACASK's result {path.name} has values that are not finite")
    return MappingProxyType({name: values[:, index].copy() for index, name in enumerate(names)})


def _fields(header: str) -> dict[str, str]:
    """Entries of a header; that of the variables has a line for each."""
    text, _, variables = header.partition("\nVariables:")
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs} | {"variables": variables}
