"""How a filter is measured: S-parameters near f0, and three octaves to either side.

A linear sweep of 21 points from 0.75 to 1.25 f0, and four points an octave from f0/8 to 8 f0, of which those outside
the linear sweep count. f0/2 and 2 f0 are among them. Ports are at 0 V DC. The supply is there, with nothing on it.
"""

from __future__ import annotations

import math

import numpy as np

from genrf.circuit.topology import Circuit
from genrf.classes.filter.control import filter_control
from genrf.classes.filter.metrics import figures
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.band import band_around
from genrf.simulation.testbench import Curve, Deck, Measurement, Plots, SimulationFailure, Simulator
from genrf.simulation.two_port import transmission_sweep, two_port_netlist
from genrf.technology.base import Technology

BAND_POINTS = 21
BAND = (0.75, 1.25)
POINTS_PER_OCTAVE = 4
OCTAVES = 3
SIDE_POINTS = 11
"""Points of the octave sweep on either side of the band."""
CURVE_POINTS = 301
CURVE_SPAN = (0.25, 2.5)

_PARAMETERS = ("S_1_1", "S_2_1", "S_2_2")
_CURVES = ("S_1_1", "S_1_2", "S_2_1", "S_2_2")


class FilterTestbench:
    """Two-port testbench: source at ``in``, load at ``out``."""

    own_cards = False

    def simulate(
        self,
        simulator: Simulator,
        circuit: Circuit,
        conditions: Conditions,
        technology: Technology,
        *,
        curves: bool = False,
        signoff: bool = False,
        thorough: bool = False,
    ) -> Measurement:
        """See `genrf.simulation.testbench.Testbench.simulate`; there are no sign-off metrics."""
        analyses = _sweeps(conditions.frequency_hz)
        if curves:
            low, high = (ratio * conditions.frequency_hz for ratio in CURVE_SPAN)
            analyses.append(f"sp lin {CURVE_POINTS} {low:.12g} {high:.12g}")
        netlist = self.netlist(circuit, conditions, technology)
        # The operating point that comes before a sweep wants a vector of its own to keep.
        saved = (*(_CURVES if curves else _PARAMETERS), "v_supply#branch")
        simulator.run(Deck(tuple(netlist), tuple(analyses), saved))
        return self.measure(simulator, conditions, curves)

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Title, sources and devices."""
        return two_port_netlist("filter", circuit, conditions, technology)

    def measure(self, plots: Simulator, conditions: Conditions, curves: bool = False) -> Measurement:
        """Label metrics from the results of both sweeps, of a deck still loaded; the same with and without `curves`."""
        band = np.array([plots.vector("sp1", name) for name in _PARAMETERS])
        wide = np.array([plots.vector("sp2", name) for name in _PARAMETERS])
        if band.shape[1] != BAND_POINTS or wide.shape[1] != 2 * OCTAVES * POINTS_PER_OCTAVE + 1:
            raise SimulationFailure("not_measurable", "a sweep ended early")
        scattering = np.concatenate([wide[:, :SIDE_POINTS], band, wide[:, -SIDE_POINTS:]], axis=1)  # (3, 43)
        frequency = GRID * conditions.frequency_hz
        found = self._curves(plots, conditions) if curves else {}
        passed = band_around(transmission_sweep(plots), frequency, scattering[1], conditions.frequency_hz)
        values = figures(frequency.tolist(), scattering, conditions.frequency_hz, passed)
        for name, value in values.items():
            if not math.isfinite(value):
                raise SimulationFailure("not_measurable", f"{name} is {value}")
        return Measurement(Metrics(values), found, passed.notes)

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.control`: `measure` again, in ngspice's own language."""
        return filter_control(_sweeps(conditions.frequency_hz), BAND_POINTS, OCTAVES, conditions.frequency_hz)

    def _curves(self, plots: Plots, conditions: Conditions) -> dict[str, Curve]:
        frequency = np.linspace(*CURVE_SPAN, CURVE_POINTS) * conditions.frequency_hz
        return {name.replace("_", "").lower(): Curve(frequency, plots.vector("sp3", name)) for name in _CURVES}


def _sweeps(centre_hz: float) -> list[str]:
    low, high = (ratio * centre_hz for ratio in BAND)
    return [
        f"sp lin {BAND_POINTS} {low:.12g} {high:.12g}",
        f"sp oct {POINTS_PER_OCTAVE} {centre_hz / 2**OCTAVES:.12g} {centre_hz * 2**OCTAVES:.12g}",
    ]


_WIDE = 2.0 ** np.linspace(-OCTAVES, OCTAVES, 2 * OCTAVES * POINTS_PER_OCTAVE + 1)
GRID = np.concatenate([_WIDE[:SIDE_POINTS], np.linspace(*BAND, BAND_POINTS), _WIDE[-SIDE_POINTS:]])
"""Frequencies relative to f0, ascending, (43,)."""
