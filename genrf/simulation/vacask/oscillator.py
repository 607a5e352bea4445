"""Periodic steady states of oscillators by VACASK: shooting with the period as an unknown.

A kick starts the circuit, a transient takes it near its steady state, and Newton's method closes the period with at least
1,000 steps. Between both the kick is taken out: the analysis applies a pulse anew in every period that it tries, and then
closes periods of a circuit that is hit each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.conditions import Conditions
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.netlist import number, options
from genrf.simulation.vacask.process import run
from genrf.simulation.vacask.rawfile import Plot

TOLERANCES = {"reltol": 1e-4, "vntol": 1e-7, "abstol": 1e-12}
TIMEOUT_S = 120.0
_STARTS = ((60.0, 1.0), (200.0, 1.0), (60.0, 0.9), (60.0, 1.1), (60.0, 0.8), (60.0, 1.2))
"""Periods of the transient, and factor on the guess of the frequency, in the order in which they are tried: shooting with a
wrong period may end at a negative one."""
_POINTS = 100
"""Largest steps of the transient, a period."""
_STABILISED = 12.0
"""Periods of the analysis's own transient, which it wants to be ten at least."""
_LEAST_SWING_V = 5e-3
"""A period of a circuit that swings less is that of its numerical noise."""


@dataclass(frozen=True, slots=True)
class Period:
    """One period of an oscillation."""

    time_s: NDArray[np.float64]
    """From 0 to the period, uneven, (points,)."""
    waves: Plot

    @property
    def frequency_hz(self) -> float:
        """Of the oscillation."""
        return float(1.0 / self.time_s[-1])

    def harmonic(self, vector: str, order: int) -> complex:
        """Peak phasor of a vector's harmonic; its mean for order 0. By the trapezoidal rule over the period."""
        if vector not in self.waves:
            raise SimulationFailure("not_measurable", f"VACASK has no result {vector!r}")
        turned = self.waves[vector] * np.exp(-2j * np.pi * order * self.frequency_hz * self.time_s)
        mean = complex(np.trapezoid(turned, self.time_s)) * self.frequency_hz
        return mean if order == 0 else 2.0 * mean


def period(
    conditions: Conditions,
    lines: Sequence[str],
    guess_hz: float,
    swinging: str,
    kick: str,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Period:
    """The steady state of an oscillator.

    Args:
        conditions: give the temperature.
        lines: the netlist.
        guess_hz: about its frequency.
        swinging: net of the resonator, which must swing.
        kick: the pulsed current source that starts it.
        timeout_s: of one process.

    Raises:
        SimulationFailure: ``no_oscillation`` if it does not swing, ``no_convergence`` if no period closes.
    """
    last = SimulationFailure("no_convergence", "no period closes")
    for periods, factor in _STARTS:
        cycle_s = 1.0 / (factor * guess_hz)
        control = [
            "control",
            "abort always",
            options(conditions, **TOLERANCES),
            f"analysis start tran stop={number(periods * cycle_s)} step={number(cycle_s / _POINTS)}"
            f' maxstep={number(cycle_s / _POINTS)} store="running" write=0',
            f'alter instance("{kick}") val1={number(0.0)}',
            f'analysis p pss tper={number(cycle_s)} tstab={number(_STABILISED * cycle_s)} driven=0 ic="running"',
            "endc",
        ]
        try:
            waves = run([*lines, *control], ("p",), timeout_s=timeout_s)["p"]
        except SimulationFailure as failure:
            last = failure
            continue
        time = waves["time"].real
        found = Period(time - time[0], waves)
        if not np.ptp(waves[swinging].real) > _LEAST_SWING_V:
            last = SimulationFailure("no_oscillation", "the resonator does not swing")
            continue
        return found
    raise last
