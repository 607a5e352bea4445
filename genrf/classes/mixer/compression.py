"""Where a gain has fallen by 1 dB: a search that simulates few levels.

Far below compression the gain falls in proportion to the input power (a third-order nonlinearity), so the logarithm of
the fall is a straight line over the power in dB, and one level foretells where the fall is 1 dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from genrf.classes.mixer.metrics import LARGEST_P1DB_DBM

DROP_DB = 1.0
_START_DBM = -14.0
_LOWEST_DBM = -38.0
_LARGEST_STEP_DB = 10.0
_LEAST_DROP_DB = 0.03
"""A fall below this, or a rise, foretells nothing."""
_NEAR = (0.7, 1.4)
"""Falls in dB that are near enough to 1 dB to interpolate from."""
_MOST_LEVELS = 7


def compression_point(gain_db: Callable[[float], float], small_gain_db: float) -> float:
    """Input power in dBm at which the gain is 1 dB below the small-signal gain; `LARGEST_P1DB_DBM` at most.

    Args:
        gain_db: gain in dB at an input power in dBm.
        small_gain_db: gain at small power.
    """
    level = _START_DBM
    below: tuple[float, float] | None = None
    above: tuple[float, float] | None = None
    for _ in range(_MOST_LEVELS):
        fall = small_gain_db - gain_db(level)
        if fall < DROP_DB:
            if level >= LARGEST_P1DB_DBM:
                return LARGEST_P1DB_DBM
            below = (level, fall)
        else:
            above = (level, fall)
        guess = _foretold(level, fall, below, above)
        if _NEAR[0] <= fall <= _NEAR[1] or (above is not None and level <= _LOWEST_DBM):
            break
        level = guess
    return guess


def _foretold(level: float, fall: float, below: tuple[float, float] | None, above: tuple[float, float] | None) -> float:
    """Level at which the fall should be 1 dB."""
    slope = 10.0  # dB of power for a factor 10 in the fall
    if below is not None and above is not None and below[1] > _LEAST_DROP_DB:
        slope = min(max((above[0] - below[0]) / math.log10(above[1] / below[1]), 2.0), 20.0)
    if fall > _LEAST_DROP_DB:
        step = -slope * math.log10(fall / DROP_DB)
        step = min(max(step, -_LARGEST_STEP_DB), _LARGEST_STEP_DB)
    else:
        step = 8.0
    guess = level + step
    if below is not None and above is not None and not below[0] < guess < above[0]:
        guess = 0.5 * (below[0] + above[0])
    return min(max(guess, _LOWEST_DBM), LARGEST_P1DB_DBM)
