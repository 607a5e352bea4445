"""How a low-noise amplifier is measured: ports, sources, analyses, and metrics from their results.

One deck, three analyses. S-parameters at 11 linear points from 0.75 to 1.25 f0 and at 15 logarithmic points from 0.1 to
10 f0; noise at f0 with ``.noise``. ngspice's ``.sp`` noise figure is wrong for active circuits and is not used. Port
impedances make no noise in ``.noise``, so its input-referred density is the circuit's own noise alone, at the circuit's
temperature, referred to the source's open-circuit voltage. The operating point comes first, because junctions are held at
their temperatures (`genrf.simulation.held_junctions`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from genrf.circuit.topology import Circuit
from genrf.classes.lna.compression import compression_dbm
from genrf.classes.lna.control import lna_control
from genrf.classes.lna.intercept import intercept_dbm
from genrf.classes.lna.metrics import noise_figure_db
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.band import band_around
from genrf.simulation.device_lines import thermal_ohm
from genrf.simulation.held_junctions import heat_expressions, run_held
from genrf.simulation.large_signal import UnsettledError
from genrf.simulation.scattering import decibels, mu_minimum
from genrf.simulation.slow_bias import with_slow_capacitors_held
from genrf.simulation.testbench import Curve, Deck, Measurement, Plots, SimulationFailure, Simulator
from genrf.simulation.two_port import (
    CURVE_POINTS,
    CURVE_SPAN,
    PARAMETERS,
    curve_sweep,
    operating_point_vectors,
    operating_power_w,
    read_scattering,
    scattering_curves,
    sweeps,
    transmission_sweep,
    two_port_netlist,
)
from genrf.simulation.vbic_noise import EVERY_SOURCE, noise_vectors, rightly_placed, rightly_placed_expression
from genrf.technology.base import Technology

# ngspice counts on where a plot of the same name exists, so the noise after two sweeps is noise2; with curves sp3 and
# noise3 follow.

_SLOWEST_PERIODS = 40.0
"""A capacitor that takes more periods to charge is held while the amplifier is driven."""


class LnaTestbench:
    """Two-port testbench: source at ``in``, load at ``out``, supply at ``vdd``. Ports are at 0 V DC."""

    own_cards = True

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
        """See `genrf.simulation.testbench.Testbench.simulate`."""
        deck = self.deck(circuit, conditions, technology, curves)
        hot = run_held(simulator, deck, circuit, conditions, technology)
        measured = self.measure(simulator, circuit, conditions, technology, hot, curves, thorough)
        if not signoff:
            return measured
        netlist, slow = with_slow_capacitors_held(
            simulator,
            lambda held: self.netlist(held, conditions, technology),
            circuit,
            _SLOWEST_PERIODS / conditions.frequency_hz,
        )
        thermal = thermal_ohm(circuit, conditions, technology)
        large: dict[str, float] = {}
        notes = measured.notes
        try:
            large["iip3_dbm"] = intercept_dbm(simulator, netlist, thermal, slow, conditions)
            large["ip1db_dbm"] = compression_dbm(
                simulator, netlist, thermal, slow, conditions, large["iip3_dbm"], patient=thorough
            )
        except UnsettledError as unsettled:
            notes += (f"ip1db_dbm: not given, {unsettled}",)
        except SimulationFailure as failure:
            if not thorough or failure.cause != "no_convergence":
                raise
            missing = ", ".join(name for name in ("iip3_dbm", "ip1db_dbm") if name not in large)
            notes += (f"{missing}: not given, {failure.detail}",)
        return Measurement(Metrics({**measured.metrics, **large}), measured.curves, notes)

    def deck(self, circuit: Circuit, conditions: Conditions, technology: Technology, curves: bool = False) -> Deck:
        """The netlist, the small-signal analyses, and what `measure` reads of them."""
        analyses = [
            *sweeps(conditions.frequency_hz),
            f"noise v(out) v_in lin 1 {conditions.frequency_hz:.12g} {conditions.frequency_hz:.12g} {EVERY_SOURCE}",
        ]
        if curves:
            analyses.append(curve_sweep(conditions.frequency_hz))
            low, high = (ratio * conditions.frequency_hz for ratio in CURVE_SPAN)
            analyses.append(f"noise v(out) v_in lin {CURVE_POINTS} {low:.12g} {high:.12g} {EVERY_SOURCE}")
        return Deck(
            netlist=tuple(self.netlist(circuit, conditions, technology)),
            analyses=tuple(analyses),
            saved=(
                *PARAMETERS,
                "inoise_spectrum",
                "inoise_total",
                "v_supply#branch",
                *noise_vectors(technology.transistors(circuit), held=True),
                *operating_point_vectors(circuit),
            ),
        )

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Title, sources, devices and models."""
        return two_port_netlist("low-noise amplifier", circuit, conditions, technology)

    def measure(
        self,
        plots: Simulator,
        circuit: Circuit,
        conditions: Conditions,
        technology: Technology,
        hot: Mapping[str, float],
        curves: bool = False,
        thorough: bool = False,
    ) -> Measurement:
        """Label metrics from the results of `deck`, which is still loaded; the same with and without `curves`.

        Args:
            hot: of `genrf.simulation.held_junctions.run_held`.
        """
        power = operating_power_w(plots, circuit, conditions, technology)
        scattering = read_scattering(plots, conditions.frequency_hz, unstable=thorough)
        transistors = technology.transistors(circuit)
        (noise,) = _input_noise(plots, "noise2", transistors, hot)
        s11, s12, s21, s22 = scattering.centre
        found = self._curves(plots, conditions, transistors, hot) if curves else {}
        band = band_around(
            transmission_sweep(plots),
            np.array(scattering.frequency_hz),
            scattering.values[2][scattering.order],
            conditions.frequency_hz,
        )
        values = {
            "gain_db": decibels(s21),
            "nf_db": noise_figure_db(noise, conditions.source_ohm),
            "s11_db": decibels(s11),
            "s22_db": decibels(s22),
            "s12_db": decibels(s12),
            "bandwidth_hz": band.width_hz,
            "mu_min": mu_minimum(*scattering.values),
            "power_w": power,
        }
        for name, value in values.items():
            if not math.isfinite(value):
                raise SimulationFailure("not_measurable", f"{name} is {value}")
        return Measurement(Metrics(values), found, (*scattering.notes, *band.notes))

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.control`: `measure` again, in ngspice's own language."""
        hot = heat_expressions(circuit, technology)
        return lna_control(
            circuit,
            conditions,
            [
                *technology.hold_commands(circuit, conditions.corner, conditions.temperature_c),
                *self.deck(circuit, conditions, technology).analyses,
            ],
            rightly_placed_expression("noise2", list(hot), hot),
        )

    def _curves(
        self, plots: Plots, conditions: Conditions, transistors: Sequence[str], hot: Mapping[str, float]
    ) -> dict[str, Curve]:
        densities = _input_noise(plots, "noise3", transistors, hot)
        noise = np.array([noise_figure_db(density, conditions.source_ohm) for density in densities])
        curves = scattering_curves(plots, conditions.frequency_hz)
        return {**curves, "nf_db": Curve(curves["s11"].frequency_hz, noise)}


def _input_noise(plots: Plots, plot: str, transistors: Sequence[str], hot: Mapping[str, float]) -> list[float]:
    """Density of the circuit's noise as a voltage of the source, in V/sqrt(Hz), at each frequency."""
    density = plots.vector(plot, "inoise_spectrum").real * np.sqrt(rightly_placed(plots, plot, transistors, hot))
    found: list[float] = density.tolist()
    return found
