"""How a circuit class that needs small-signal analyses alone is measured, many circuits at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.outcome import Failure, Simulation
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


@dataclass(frozen=True, kw_only=True)
class SmallSignal:
    """What the analyses of B circuits with an operating point have found."""

    simulations: Sequence[Simulation]
    s: NDArray[np.complex128]
    """S11, S12, S21, S22 at the sweep's frequencies, (B, F, 4)."""
    noise: NDArray[np.float64]
    """Density of the circuit's own noise referred to the source's voltage, in V^2/Hz, (B, N)."""
    edges_hz: NDArray[np.float64]
    """Of the band, (B, 2); 0 where it goes on beyond the grid."""
    power_w: NDArray[np.float64]
    """Drawn from the sources, (B,)."""
    transistors: Sequence[tuple[int, ...]]
    """Devices of each circuit that are made of transistors."""
    collector_a: NDArray[np.float64]
    """Of all of a device's transistors together, (B, Q)."""
    vce_v: NDArray[np.float64]
    """(B, Q)."""

    @property
    def centre_hz(self) -> NDArray[np.float64]:
        """f0 of each circuit, (B,)."""
        return np.array([simulation.conditions.frequency_hz for simulation in self.simulations])

    @property
    def source_ohm(self) -> NDArray[np.float64]:
        """Of each circuit, (B,)."""
        return np.array([simulation.conditions.source_ohm for simulation in self.simulations])


Parts = Mapping[str, NDArray[np.float64]]
"""Label metrics of B circuits, (B, K) each: a metric is the least favourable of its K values."""


class SmallSignalBench(Protocol):
    """A class's sweep, and its metrics from what that finds."""

    sweep: Sweep
    curve_sweep: Sweep
    """For plots."""
    span: tuple[float, float]
    """The ends of the grid, relative to f0."""

    def parts(self, found: SmallSignal) -> Parts:
        """The label metrics, in the class's order."""
        ...

    def failures(self, found: SmallSignal, technology: Technology) -> list[Failure | None]:
        """Why circuits have no metrics, where they have none."""
        ...

    def curves(self, found: SmallSignal, row: int) -> dict[str, Curve]:
        """Curves of one circuit by name, from the `curve_sweep`."""
        ...


def ascending(ratios: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Places of the ratios in ascending order, and the place of f0 in it."""
    order = np.argsort(ratios, kind="stable").astype(np.int64)
    return order, int(np.argmin(np.abs(ratios[order] - 1.0)))


def band_hz(found: SmallSignal, span: tuple[float, float]) -> NDArray[np.float64]:
    """Both edges of each circuit's band, (B, 2), or the grid's ends where it goes on."""
    return np.where(found.edges_hz > 0.0, found.edges_hz, found.centre_hz[:, None] * np.array(span))
