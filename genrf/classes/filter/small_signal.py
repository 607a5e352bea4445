"""How filters are measured, many at once: the sweeps of `genrf.classes.filter.testbench`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from genrf.classes.filter.metrics import figures
from genrf.classes.filter.testbench import CURVE_POINTS, CURVE_SPAN, RATIOS
from genrf.metrics import Metrics
from genrf.simulation.band import Band
from genrf.simulation.batched.bench import SmallSignal, Sweep, ascending
from genrf.simulation.engine import Failure, Outcome, Simulation
from genrf.simulation.testbench import Curve
from genrf.technology.base import Technology

_GRID, _CENTRE = ascending(RATIOS)
_CURVE = np.linspace(*CURVE_SPAN, CURVE_POINTS)


class FilterSmallSignal:
    """Two-port bench of the batched simulator."""

    sweep = Sweep(ratios=RATIOS, grid=_GRID, centre=_CENTRE)
    curve_sweep = Sweep(ratios=_CURVE, grid=np.zeros(0, np.int64))

    def outcomes(
        self, simulations: Sequence[Simulation], found: Sequence[SmallSignal | Failure], technology: Technology
    ) -> list[Outcome]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.outcomes`; passive circuits have no limits."""
        return [
            Outcome(None, item) if isinstance(item, Failure) else _outcome(simulation, item)
            for simulation, item in zip(simulations, found, strict=True)
        ]

    def curves(self, simulation: Simulation, found: SmallSignal) -> dict[str, Curve]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.curves`."""
        frequency = _CURVE * simulation.conditions.frequency_hz
        return {name: Curve(frequency, found.s[:, k]) for k, name in enumerate(("s11", "s12", "s21", "s22"))}


def _outcome(simulation: Simulation, found: SmallSignal) -> Outcome:
    centre_hz = simulation.conditions.frequency_hz
    band = Band.of(found.edges_hz, centre_hz, (RATIOS[0], RATIOS[-1]))
    values = figures((RATIOS * centre_hz).tolist(), found.s[:, [0, 2, 3]].T, centre_hz, band)
    for name, value in values.items():
        if not math.isfinite(value):
            return Outcome(None, Failure("not_measurable", f"{name} is {value}"))
    return Outcome(Metrics(values), notes=band.notes)
