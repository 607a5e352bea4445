"""A power amplifier under a one-tone drive: output power, power drawn, and what its transistors stand.

The sine runs at a frequency that the trapezoidal rule turns into f0 (`genrf.simulation.large_signal.warped`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.small_signal import THERMAL_V
from genrf.circuit.topology import GROUND, Circuit
from genrf.classes.pa.metrics import efficiency_percent
from genrf.conditions import Conditions
from genrf.simulation.large_signal import WATCHED_PERIODS, PowerSweep, check_settled, warped
from genrf.simulation.slow_bias import resistances_at_rest
from genrf.simulation.testbench import SimulationFailure, Simulator
from genrf.simulation.transient import Transient, available_amplitude_v, dbm
from genrf.technology.base import Technology

POINTS = 20
"""Time steps a period."""
LARGEST_PEAK_VCE_V = 3.2
"""Peak V_CE allowed under drive. The model cards say vce_max = 1.6 V, which is held to at DC, and vbc_max = 5.1 V. With
a driven base a transistor stands more than with an open one; 3.2 V is what class A swings to at the DC limit. The
model was measured up to 2.0 V only."""
LARGEST_AVALANCHE_GAIN = 1.0
"""Largest gain of the loop in which holes of impact ionisation leave through the base, raise its voltage and with it the
collector current: at 1 a transistor breaks down. With an open base that is BV_CEO (M - 1 = 1 / beta); a base of low
resistance stands more (Rickelt, Rein and Rose, IEEE Trans. Electron Devices 48(4), 2001). M - 1 is the mean over a period,
weighted with the current, since a bias network is slower than the drive; the transconductance is I_C / V_T, its most."""
_LONGEST, _LONGEST_HELD = 180, 400
"""Periods for all levels of a sweep, without and with slow capacitors that are moved between blocks."""
_TOLERANCE = 4e-3
_BLOCK = 3.0
"""Periods between two looks at whether a level has settled."""


@dataclass(frozen=True, slots=True)
class Level:
    """The steady state at one drive."""

    input_dbm: float
    output_dbm: float
    collector_w: float
    """Drawn from the supply."""
    drawn_w: float
    """Drawn from supply and bias sources."""
    peak_vce_v: NDArray[np.float64]
    """Largest V_CE of each transistor, (transistors,)."""
    multiplied: NDArray[np.float64]
    """Mean current that impact ionisation adds in each transistor, relative to its mean current, (transistors,)."""
    current_a: NDArray[np.float64]
    """Mean collector current of each transistor, (transistors,)."""


class Drive:
    """Measures levels of a circuit one after the other, each starting from the one before.

    A patient one has time to `check` at the end whether the circuit had settled.
    """

    def __init__(
        self,
        simulator: Simulator,
        netlist: Sequence[str],
        thermal_ohm: Mapping[str, float],
        charging_ohm: Mapping[str, float],
        circuit: Circuit,
        conditions: Conditions,
        technology: Technology,
        points: int = POINTS,
        patient: bool = False,
    ) -> None:
        topology = circuit.topology
        devices = list(zip(topology.designators, topology.devices, circuit.values, strict=True))
        self.levels: dict[float, Level] = {}
        """Measured so far, by input power in dBm."""
        self._transistors = [entry for entry in devices if entry[1].kind == "hbt"]
        self._bias = [
            (f"{name.lower()}#branch", value) for name, device, value in devices if device.kind == "bias_voltage"
        ]
        self._conditions, self._technology = conditions, technology
        self._base_ohm = resistances_at_rest(
            simulator, netlist, [(device.nets[1], GROUND) for _, device, _ in self._transistors]
        )
        self._frequency_hz = warped(conditions.frequency_hz, points)
        nets = dict.fromkeys(net for _, device, _ in self._transistors for net in device.nets if net != GROUND)
        currents = [f"@{name.lower()}[ic]" for name, _, _ in self._transistors]
        self._transient = Transient(
            simulator,
            netlist,
            [*dict.fromkeys(["out", *nets]), "v_supply#branch", *(name for name, _ in self._bias), *currents],
            thermal_ohm=thermal_ohm,
            charging_ohm=charging_ohm,
            period_s=1.0 / self._frequency_hz,
            points=points,
            longest=(_LONGEST_HELD if charging_ohm else _LONGEST) + WATCHED_PERIODS * patient,
        )

    def output_dbm(self, input_dbm: float) -> float:
        """Output power in dBm at f0 at an available input power in dBm, settled.

        Raises:
            SimulationFailure: ``no_convergence``.
        """
        conditions = self._conditions
        amplitude = available_amplitude_v(input_dbm, conditions.source_ohm)
        self._transient.drive("v_in", amplitude, self._frequency_hz)
        settled = self._transient.settle(self._observe, tolerance=_TOLERANCE, block=_BLOCK)
        # The currents are scaled to be voltages across the load; see `_observe`.
        supply, *bias = -settled[1:].real / conditions.load_ohm
        collector = conditions.supply_v * float(supply)
        drawn = collector + sum(value * float(current) for (_, value), current in zip(self._bias, bias, strict=True))
        level = Level(
            input_dbm,
            dbm(abs(settled[0]), conditions.load_ohm),
            collector,
            drawn,
            np.array([self._peak_vce(device.nets) for _, device, _ in self._transistors]),
            np.array([self._multiplied(name, device.nets) for name, device, _ in self._transistors]),
            np.array([self._transient.average(f"@{name.lower()}[ic]") for name, _, _ in self._transistors]),
        )
        self.levels[input_dbm] = level
        return level.output_dbm

    def check(self, input_dbm: float) -> None:
        """See that the output stays at a drive, see `genrf.simulation.large_signal.check_settled`.

        Raises:
            UnsettledError: if it does not.
        """
        self.output_dbm(input_dbm)
        check_settled(self._transient, self._frequency_hz)

    def _observe(self, running: Transient) -> NDArray[np.complex128]:
        scale = self._conditions.load_ohm
        currents = [scale * running.average(name) for name in ("v_supply#branch", *(name for name, _ in self._bias))]
        return np.array([running.phasor("out", self._frequency_hz), *currents])

    def _between(self, net: str, other: str) -> NDArray[np.float64]:
        """Voltage between two nets over the last period, (N,)."""
        one, minus = (
            np.zeros(self._transient.points) if name == GROUND else self._transient.window(name)[1]
            for name in (net, other)
        )
        return one - minus

    def _peak_vce(self, nets: tuple[str, ...]) -> float:
        return float(np.max(self._between(nets[0], nets[2])))

    def _multiplied(self, name: str, nets: tuple[str, ...]) -> float:
        current = np.maximum(self._transient.window(f"@{name.lower()}[ic]")[1], 0.0)
        added = self._technology.impact_ionisation(self._between(nets[0], nets[1])) * current
        return float(np.mean(added)) / max(float(np.mean(current)), 1e-12)

    def large_signal_metrics(self, sweep: PowerSweep) -> dict[str, float]:
        """Metrics under drive from the levels of a sweep.

        Raises:
            SimulationFailure: ``device_limit`` if a transistor is beyond its limits at saturated output power.
        """
        end = sweep.input_at(3.0)
        inputs = [*sweep.input_dbm[sweep.input_dbm < end], end]
        outputs = [*sweep.output_dbm[sweep.input_dbm < end], sweep.output_at(3.0)]
        best = int(np.argmax(outputs))
        saturated, compressed = inputs[best], sweep.input_at(1.0)
        if sweep.output_at(1.0) > outputs[best]:
            saturated = compressed
        self._check(sweep, saturated)
        psat, op1db = max(outputs[best], sweep.output_at(1.0)), sweep.output_at(1.0)
        return {
            "op1db_dbm": op1db,
            "psat_dbm": psat,
            "pae_percent": self._efficiency(sweep, saturated, psat, added=True),
            "pae_p1db_percent": self._efficiency(sweep, compressed, op1db, added=True),
            "collector_efficiency_percent": self._efficiency(sweep, saturated, psat, added=False),
        }

    def _efficiency(self, sweep: PowerSweep, input_dbm: float, output_dbm: float, *, added: bool) -> float:
        levels = [self.levels[level] for level in sweep.input_dbm]
        power = sweep.at_input([level.drawn_w if added else level.collector_w for level in levels], input_dbm)
        if not power > 0.0:
            raise SimulationFailure("not_measurable", "no power is drawn under drive")
        return efficiency_percent(watts(output_dbm), power, watts(input_dbm) if added else 0.0)

    def _check(self, sweep: PowerSweep, input_dbm: float) -> None:
        levels = [self.levels[level] for level in sweep.input_dbm]
        broken = []
        for index, (name, device, value) in enumerate(self._transistors):
            peak = sweep.at_input([level.peak_vce_v[index] for level in levels], input_dbm)
            current = sweep.at_input([level.current_a[index] for level in levels], input_dbm)
            if not peak <= LARGEST_PEAK_VCE_V:
                broken.append(f"{name}: peak V_CE = {peak:.2f} V under drive above {LARGEST_PEAK_VCE_V:g} V")
            added = sweep.at_input([level.multiplied[index] for level in levels], input_dbm)
            gain = added * current * self._base_ohm[index] / THERMAL_V
            if not gain <= LARGEST_AVALANCHE_GAIN:
                broken.append(
                    f"{name}: breaks down under drive: with a peak V_CE of {peak:.2f} V impact ionisation drives its base of "
                    f"{self._base_ohm[index]:.3g} Ohm further up, {gain:.1f} times over"
                )
            broken += [
                f"{name}: mean {text} under drive"
                for text in self._technology.violations(device, value, {"ic": current})
            ]
        if broken:
            raise SimulationFailure("device_limit", "; ".join(broken))


def watts(power_dbm: float) -> float:
    """Power in W."""
    return 1e-3 * 10.0 ** (power_dbm / 10.0)


def first_guess_dbm(gain_db: float, power_w: float) -> float:
    """Input power in dBm near which an amplifier of that gain and power consumption compresses by 1 dB."""
    return 10.0 * math.log10(TYPICAL_EFFICIENCY * power_w / 1e-3) - gain_db


TYPICAL_EFFICIENCY = 0.18
"""Output power at 1 dB compression over quiescent power, the middle of many drawn circuits."""
