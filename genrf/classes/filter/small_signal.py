"""How filters are measured, many at once: the sweeps of `genrf.classes.filter.testbench`."""

from __future__ import annotations

import numpy as np

from genrf.classes.filter.metrics import all_figures
from genrf.classes.filter.testbench import CURVE_POINTS, CURVE_SPAN, GRID
from genrf.simulation.batched.bench import Parts, SmallSignal, Sweep, ascending, band_hz
from genrf.simulation.outcome import Failure
from genrf.simulation.testbench import Curve
from genrf.technology.base import Technology

_ORDER, _CENTRE = ascending(GRID)
_CURVE = np.linspace(*CURVE_SPAN, CURVE_POINTS)


class FilterSmallSignal:
    """Two-port bench of the batched simulator."""

    sweep = Sweep(ratios=GRID, grid=_ORDER, centre=_CENTRE)
    curve_sweep = Sweep(ratios=_CURVE, grid=np.zeros(0, np.int64))
    span = (float(GRID[0]), float(GRID[-1]))

    def parts(self, found: SmallSignal) -> Parts:
        """See `genrf.simulation.batched.bench.SmallSignalBench.parts`; return loss at each frequency and port."""
        return all_figures(GRID, found.s[:, :, [0, 2, 3]], band_hz(found, self.span))

    def failures(self, found: SmallSignal, technology: Technology) -> list[Failure | None]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.failures`: passive circuits have no limits."""
        return [None] * len(found.simulations)

    def curves(self, found: SmallSignal, row: int) -> dict[str, Curve]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.curves`."""
        frequency = _CURVE * found.simulations[row].conditions.frequency_hz
        return {name: Curve(frequency, found.s[row, :, k]) for k, name in enumerate(("s11", "s12", "s21", "s22"))}
