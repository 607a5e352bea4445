"""Result files: whole ones are read, anything else is a failure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.rawfile import read_raw


def _write(path: Path, names: list[str], values: np.ndarray, points: int | None = None) -> Path:
    """A file of values, (points, names)."""
    flags = "complex" if np.iscomplexobj(values) else "real"
    variables = "".join(f"\t{index}\t{name}\tnotype\n" for index, name in enumerate(names))
    header = (
        f"Title: t\nPlotname: p\nFlags: {flags}\nNo. Variables: {len(names)}\n"
        f"No. Points: {len(values) if points is None else points}\nVariables:\n{variables}Binary:\n"
    )
    path.write_bytes(header.encode() + values.tobytes())
    return path


@pytest.mark.parametrize("kind", [np.float64, np.complex128])
def test_vectors_come_back_by_name(tmp_path: Path, kind: type) -> None:
    values = np.arange(6.0).reshape(3, 2).astype(kind) * (1.0 + 0.5j if kind is np.complex128 else 1.0)
    plot = read_raw(_write(tmp_path / "a.raw", ["frequency", "s(1,1)"], values))
    assert list(plot) == ["frequency", "s(1,1)"]
    np.testing.assert_array_equal(plot["s(1,1)"], values[:, 1])


@pytest.mark.parametrize("points", [2, 4])
def test_other_length_than_announced_is_refused(tmp_path: Path, points: int) -> None:
    with pytest.raises(SimulationFailure, match="ended early"):
        read_raw(_write(tmp_path / "a.raw", ["x"], np.zeros((3, 1)), points))


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationFailure, match=r"no result absent\.raw") as caught:
        read_raw(tmp_path / "absent.raw")
    assert caught.value.cause == "not_measurable"


@pytest.mark.parametrize("content", [b"", b"Title: x\n", b"Title: x\nFlags: real\nVariables:\nBinary:\n"])
def test_broken_header_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.raw").write_bytes(content)
    with pytest.raises(SimulationFailure):
        read_raw(tmp_path / "a.raw")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationFailure, match="not finite"):
        read_raw(_write(tmp_path / "a.raw", ["x"], np.array([[1.0], [np.nan]])))
