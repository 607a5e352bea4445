"""How a circuit class that needs small-signal analyses alone is measured, many circuits at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.engine import Failure, Outcome, Simulation
from genrf.technology.base import Technology

if TYPE_CHECKING:
    from genrf.simulation.testbench import Curve


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The frequencies of an analysis."""

    ratios: NDArray[np.float64]
    """Relative to f0, (F,); the first ones are those where noise is wanted."""
    noise_points: int = 0
    grid: NDArray[np.int64]
    """Frequencies in ascending order by their places, (G,), where the band around f0 is looked for."""
    centre: int = 0
    """Place of f0 in the grid."""


@dataclass(frozen=True)
class SmallSignal:
    """What one circuit's analysis has found."""

    s: NDArray[np.complex128]
    """S11, S12, S21, S22 at the sweep's frequencies, (F, 4)."""
    noise: NDArray[np.float64]
    """Density of the circuit's own noise referred to the source's voltage, in V^2/Hz, (N,)."""
    edges_hz: tuple[float, float]
    """Of the band; 0 where it goes on beyond the grid."""
    power_w: float
    points: dict[int, dict[str, float]]
    """Collector current ``ic`` in A of all transistors in parallel, and ``vce`` in V, by the device's index."""


class SmallSignalBench(Protocol):
    """A class's sweep, and its metrics from what that finds."""

    sweep: Sweep
    curve_sweep: Sweep
    """For plots."""

    def outcomes(
        self, simulations: Sequence[Simulation], found: Sequence[SmallSignal | Failure], technology: Technology
    ) -> list[Outcome]:
        """Metrics of each circuit, or why it has none."""
        ...

    def curves(self, simulation: Simulation, found: SmallSignal) -> dict[str, Curve]:
        """Curves by name from the `curve_sweep`."""
        ...


def ascending(ratios: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Places of the ratios in ascending order, and the place of f0 in it."""
    order = np.argsort(ratios, kind="stable").astype(np.int64)
    return order, int(np.argmin(np.abs(ratios[order] - 1.0)))
