"""The band around a frequency, its edges simulated and not guessed from a coarse grid.

From the centre outwards, a step of the grid is looked into where its far end is below the band's level, or where the
transmission turns by so much that a notch may lie within; what is found there is looked into again, until the gain
falls by little from one point to the next. A notch and a resonance that are both narrower than a step and undo each
other's turn are not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.scattering import all_decibels

POINTS = 9
"""Of a sweep within a step, its ends included."""
DEEPEST = 5
"""Levels that a step is looked into."""
LARGEST_FALL_DB = 1.0
"""Fall across a step in which the edge is interpolated."""
HALVINGS = 24
"""Of the interpolated step."""
LARGEST_TURN = math.radians(45.0)
"""Turn of the transmission across a step, in rad, above which a notch may lie within."""

Sweep = Callable[[float, float], tuple[NDArray[np.float64], NDArray[np.complex128]]]
"""Frequencies from one to another, in Hz, ascending, and the transmission at each."""


@dataclass(frozen=True, slots=True)
class Band:
    """A contiguous band around a centre."""

    low_hz: float
    high_hz: float
    reaches_low: bool
    """Whether it goes on below `low_hz`, where the sweep starts."""
    reaches_high: bool

    @classmethod
    def of(cls, edges_hz: tuple[float, float], centre_hz: float, span: tuple[float, float]) -> Band:
        """A band between edges, which are 0 where it goes on beyond a sweep over a span relative to its centre."""
        low, high = edges_hz
        return cls(low or span[0] * centre_hz, high or span[1] * centre_hz, low == 0.0, high == 0.0)

    @property
    def width_hz(self) -> float:
        """Width, in Hz; of a band that goes on, what was swept of it."""
        return self.high_hz - self.low_hz

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the width must know."""
        ends = [
            f"{side} {hertz / 1e9:.4g} GHz"
            for reaches, side, hertz in (
                (self.reaches_low, "below", self.low_hz),
                (self.reaches_high, "above", self.high_hz),
            )
            if reaches
        ]
        return (f"bandwidth_hz: the band goes on {' and '.join(ends)}, where the sweep ends",) if ends else ()


def band_around(
    sweep: Sweep,
    frequency_hz: NDArray[np.float64],
    transmission: NDArray[np.complex128],
    centre_hz: float,
    drop_db: float = 3.0,
) -> Band:
    """The band in which the transmission is no more than ``drop_db`` below that at the centre.

    Args:
        sweep: simulates the transmission between two frequencies.
        frequency_hz: coarse grid, ascending, (points,); must contain the centre.
        transmission: as many, such as S21.
        centre_hz: centre frequency.
        drop_db: in dB.
    """
    centre = int(np.argmin(np.abs(frequency_hz - centre_hz)))
    level = all_decibels(transmission[centre : centre + 1])[0] - drop_db
    low = _edge(sweep, frequency_hz[centre::-1], transmission[centre::-1], level, 0)
    high = _edge(sweep, frequency_hz[centre:], transmission[centre:], level, 0)
    return Band(
        float(frequency_hz[0]) if low is None else low,
        float(frequency_hz[-1]) if high is None else high,
        low is None,
        high is None,
    )


def _edge(
    sweep: Sweep, frequency_hz: NDArray[np.float64], transmission: NDArray[np.complex128], level: float, depth: int
) -> float | None:
    """Where the transmission first falls below a level; the first point is not below it."""
    gain = all_decibels(transmission)
    turn = np.abs(np.angle(transmission[1:] * transmission[:-1].conj()))
    for index in range(len(gain) - 1):
        below = gain[index + 1] < level
        fall = float(gain[index] - gain[index + 1])
        if below and ((depth > 0 and fall <= LARGEST_FALL_DB) or depth == DEEPEST):
            return _crossing(np.log(frequency_hz), gain, index, level)
        if below or (turn[index] > LARGEST_TURN and depth < DEEPEST):
            ends = frequency_hz[index], frequency_hz[index + 1]
            fine, values = sweep(float(min(ends)), float(max(ends)))
            order = slice(None) if ends[0] < ends[1] else slice(None, None, -1)
            found = _edge(sweep, fine[order], values[order], level, depth + 1)
            if found is not None:
                return found
    return None


def _crossing(log_hz: NDArray[np.float64], gain: NDArray[np.float64], index: int, level: float) -> float:
    """Frequency at which the gain is at a level, between a point and the next: by a cubic through four points."""
    first = min(max(index - 1, 0), max(len(gain) - 4, 0))
    x, y = log_hz[first : first + 4].tolist(), (gain[first : first + 4] - level).tolist()
    inside, outside = float(log_hz[index]), float(log_hz[index + 1])

    def above(at: float) -> float:
        """Height above the level (Lagrange)."""
        return sum(
            own * math.prod((at - x[j]) / (x[k] - x[j]) for j in range(len(x)) if j != k) for k, own in enumerate(y)
        )

    for _ in range(HALVINGS):
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if above(middle) >= 0.0 else (inside, middle)
    return math.exp(0.5 * (inside + outside))
