"""How a power amplifier is measured: small signal first, then a drive that grows until the gain is 3 dB down.

A circuit that breaks a limit, may oscillate or does not amplify is given up before it is driven, which is what takes
time. Levels are chosen as the gain falls (`genrf.simulation.large_signal.compress`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from genrf.circuit.topology import Circuit
from genrf.classes.pa.control import pa_control
from genrf.classes.pa.drive import Drive, first_guess_dbm, watts
from genrf.classes.pa.metrics import efficiency_percent
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.device_lines import thermal_ohm
from genrf.simulation.held_junctions import run_held
from genrf.simulation.large_signal import PowerSweep, ToneSpacing, UnsettledError, compress, two_tones
from genrf.simulation.scattering import decibels, mu_minimum
from genrf.simulation.slow_bias import with_slow_capacitors_held
from genrf.simulation.testbench import Curve, Deck, Measurement, SimulationFailure, Simulator, Trace
from genrf.simulation.transient import Transient
from genrf.simulation.two_port import (
    PARAMETERS,
    curve_sweep,
    operating_point_vectors,
    operating_power_w,
    read_scattering,
    scattering_curves,
    sweeps,
    two_port_netlist,
    two_tone_netlist,
)
from genrf.technology.base import Technology

LEAST_GAIN_DB = 0.0
"""Below this small-signal gain a circuit is not driven."""
LOW_DRIVE_DB = 14.0
"""So far below the expected compression the gain is measured that compression is counted from."""
BACK_OFF_DB = 6.0
"""Two tones each so far below the input 1 dB compression point have their peak envelope power at it."""
_CURVE_STEPS_DB = (-18.0, -14.0, -10.0, -7.0, -4.0, -2.0)
"""Further drives for plots, relative to 1 dB compression."""
_SLOWEST_PERIODS = 60.0
"""A capacitor that takes more periods to charge is held while the amplifier is driven."""
_TONE_POINTS = 32
_LONGEST_BEATS = 60


class PaTestbench:
    """Two-port testbench: source at ``in``, load at ``out``, supply at ``vdd``. Ports are at 0 V DC."""

    own_cards = True

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.netlist`."""
        return two_port_netlist("power amplifier", circuit, conditions, technology)

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
        netlist = self.netlist(circuit, conditions, technology)
        analyses = sweeps(conditions.frequency_hz) + [curve_sweep(conditions.frequency_hz)] * curves
        saved = (*PARAMETERS, "v_supply#branch", *operating_point_vectors(circuit))
        run_held(simulator, Deck(tuple(netlist), tuple(analyses), saved), circuit, conditions, technology)
        power = operating_power_w(simulator, circuit, conditions, technology)
        scattering = read_scattering(simulator, conditions.frequency_hz, unstable=thorough)
        s11, _, s21, s22 = scattering.centre
        values = {
            "gain_db": decibels(s21),
            "s11_db": decibels(s11),
            "s22_db": decibels(s22),
            "mu_min": mu_minimum(*scattering.values),
            "power_w": power,
        }
        found: dict[str, Curve | Trace] = {}
        if curves:
            found |= scattering_curves(simulator, conditions.frequency_hz)
        gain = values["gain_db"]
        if not gain >= LEAST_GAIN_DB:
            raise SimulationFailure("not_measurable", f"no gain to compress: {gain:.1f} dB")
        if not power > 0.0:
            raise SimulationFailure("not_measurable", "no power is drawn")
        heat = thermal_ohm(circuit, conditions, technology)
        driven, slow = with_slow_capacitors_held(
            simulator,
            lambda held: self.netlist(held, conditions, technology),
            circuit,
            _SLOWEST_PERIODS / conditions.frequency_hz,
        )
        drive = Drive(simulator, driven, heat, slow, circuit, conditions, technology, patient=thorough)
        # The gain that compression is counted from is the transient's own: it is the one that falls.
        low = first_guess_dbm(gain, power) - LOW_DRIVE_DB
        reference = drive.output_dbm(low) - low
        sweep = compress(drive.output_dbm, reference, first_guess_dbm(reference, power))
        notes = scattering.notes
        driven_values = drive.large_signal_metrics(sweep)
        if curves:
            # A plot does without the levels that the transient has no time left to settle at.
            with suppress(SimulationFailure):
                for step in _CURVE_STEPS_DB:
                    drive.output_dbm(sweep.input_at(1.0) + step)
            found |= _traces(drive)
        if thorough:
            try:
                drive.check(sweep.input_at(1.0))
            except UnsettledError as unsettled:
                notes += (f"{', '.join(driven_values)}: not given, {unsettled}",)
                driven_values = {}
        values |= driven_values
        if signoff and driven_values:
            values["im3_dbc"] = _intermodulation(simulator, driven, heat, slow, conditions, sweep)
        for name, value in values.items():
            if not math.isfinite(value):
                raise SimulationFailure("not_measurable", f"{name} is {value}")
        return Measurement(Metrics(values), found, notes)

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.control`: `simulate` again, in ngspice's own language."""
        hold = technology.hold_commands(circuit, conditions.corner, conditions.temperature_c)
        return pa_control(circuit, conditions, hold)


def _intermodulation(
    simulator: Simulator,
    netlist: list[str],
    heat: Mapping[str, float],
    slow: Mapping[str, float],
    conditions: Conditions,
    sweep: PowerSweep,
) -> float:
    spacing = ToneSpacing(conditions.frequency_hz)
    transient = Transient(
        simulator,
        two_tone_netlist(netlist, conditions.source_ohm),
        ["out"],
        thermal_ohm=heat,
        charging_ohm=slow,
        period_s=spacing.period_s,
        points=_TONE_POINTS * spacing.cycles,
        longest=_LONGEST_BEATS,
    )
    result = two_tones(
        transient,
        spacing,
        sources=("v_in", "v_tone"),
        output="out",
        input_dbm=sweep.input_at(1.0) - BACK_OFF_DB,
        source_ohm=conditions.source_ohm,
        load_ohm=conditions.load_ohm,
    )
    return result.im3_dbc


def _traces(drive: Drive) -> Mapping[str, Trace]:
    levels = [drive.levels[level] for level in sorted(drive.levels)]
    inputs = np.array([level.input_dbm for level in levels])
    outputs = np.array([level.output_dbm for level in levels])
    pae = [efficiency_percent(watts(level.output_dbm), level.drawn_w, watts(level.input_dbm)) for level in levels]
    axis = "input power (dBm)"
    return {
        "output_power_dbm": Trace(inputs, outputs, axis, "output power (dBm)"),
        "power_gain_db": Trace(inputs, outputs - inputs, axis, "gain (dB)"),
        "pae_percent": Trace(inputs, np.array(pae), axis, "power-added efficiency (%)"),
    }
