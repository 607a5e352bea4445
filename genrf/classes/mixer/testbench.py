"""How a mixer is measured: sources, periodic steady state, and metrics from coherent spectra.

The RF source has the conditions' frequency f0 and source resistance; the LO is at 0.9 f0, so the IF is at f0/10 and
everything repeats after 10/f0. The LO comes as two sources of opposite phase, ``lop`` and ``lon``, each with the source
resistance; 0 dBm are available from both together. A circuit that leaves ``lon`` open gets -3 dBm. The IF is taken at
``out``, where the load resistance is. All ports are at 0 V DC.

The operating point comes first, with the device limits: a circuit that breaks them is given up. Limits hold at direct
current only; peaks under the LO are not checked. Then the LO and a small RF tone run until they are periodic. That run
gives gain, isolation and power; the RF level is then raised for compression. For the intercept point, a sign-off
metric, two RF tones are at f0 and 31/30 f0. Their IF products are at 3 and 4 units of f0/30, third-order products at 2
and 5, second-order ones at 1, 6, 7 and 8: apart from each other, which tones at 10 and 11 units of f0/10 would not be
(10 + 11 - 2 * 9 = 2 * 11 - 10 - 9).

The noise figures are VACASK's (`genrf.classes.mixer.second_opinion`): ngspice's ``.noise`` is for a constant operating point,
and a mixer's changes with the LO.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.classes.mixer.compression import compression_point
from genrf.classes.mixer.control import mixer_control
from genrf.classes.mixer.metrics import LARGEST_P1DB_DBM, floored_power_w, intercept_dbm, isolation_db
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.device_lines import device_lines, thermal_ohm
from genrf.simulation.slow_bias import with_slow_capacitors_held
from genrf.simulation.testbench import Deck, Measurement, SimulationFailure, Simulator, Trace
from genrf.simulation.transient import Transient, available_amplitude_v, dbm
from genrf.technology.base import Technology

LO = 0.9
IF = 0.1
"""Frequencies of LO and IF relative to f0."""
COMMON = 10.0
"""Common period of RF, LO and IF, in periods of f0."""
POINTS = 200
"""Time steps a common period, 20 an RF period. Against 36, gains of 36 random circuits above -15 dB differed by 0.04 dB
in the median and by 0.14 dB in nine of ten; the trapezoidal rule makes a tuned circuit act as at a frequency 0.8 %
higher."""
LO_DBM = 0.0
"""Power available from both phases together."""
SMALL_DBM = -40.0
"""RF power at which a mixer counts as linear."""
_SMALL = 10.0 ** ((SMALL_DBM - LO_DBM) / 20.0)
"""The small RF's voltage in relation to the LO's: what the IF is divided by to settle as accurately as the LO."""
SECOND_TONE = 31.0 / 30.0
"""Relative to f0; the common period is three times as long with it."""
BACK_OFF_DB = 15.0
"""How far below the compression point each of the two tones is."""
LEAST_GAIN_DB = -45.0
"""Below, the IF is lost in what is left of the settling."""
SWEEP_DBM = np.arange(-40.0, LARGEST_P1DB_DBM + 0.1, 2.5)
"""RF levels of the curves."""

TOLERANCE = 7e-3
"""Tolerance of amplitudes and power at small RF, relative: 0.06 dB."""

_FIRST = 1.25
"""Common periods before the first look: the transistors' heat capacities are charged at the very start, and the mean of
the last period must not see it."""
_SLOWEST_PERIODS = 15.0
"""A capacitor that takes more common periods to charge is held."""
_MOST_LOOKS = 12
_MOST_PERIODS = 7
_SWING_V = 1e-3
_LASTING = 0.8
"""A swing that is this large and falls no faster from one common period to the next is an oscillation."""
_STEADY, _NEARLY_STEADY = 0.01, 0.05
"""Change of the IF's amplitude from one common period to the next at which a level counts as settled; what is left
is several times smaller."""
_NEAR = (0.3, 2.5)
"""Falls of the gain, in dB, between which it has to be known well."""
_PLACES = ("out", "rf")


class MixerTestbench:
    """RF source at ``rf``, LO at ``lop`` and ``lon``, load at ``out``, supply at ``vdd``."""

    own_cards = False

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Title, sources, devices and models; LO on, RF at its small level, second tone off."""
        devices, models = device_lines(circuit, conditions, technology)
        f0, ohm = conditions.frequency_hz, f"{conditions.source_ohm:.7g}"
        phase_v = available_amplitude_v(LO_DBM - 10.0 * math.log10(2.0), conditions.source_ohm)
        small_v = available_amplitude_v(SMALL_DBM, conditions.source_ohm)
        return [
            "mixer",
            f"v_supply {SUPPLY} 0 {conditions.supply_v:.7g}",
            f"v_rf rf_a 0 dc 0 sin(0 {small_v:.9g} {f0:.12g})",
            f"v_two rf_b rf_a dc 0 sin(0 0 {SECOND_TONE * f0:.12g})",
            f"r_rf rf_b rf {ohm}",
            f"v_lop lop_a 0 dc 0 sin(0 {phase_v:.9g} {LO * f0:.12g})",
            f"r_lop lop_a lop {ohm}",
            f"v_lon lon_a 0 dc 0 sin(0 {-phase_v:.9g} {LO * f0:.12g})",
            f"r_lon lon_a lon {ohm}",
            f"r_load out 0 {conditions.load_ohm:.7g}",
            *devices,
            *models,
            f".options temp={conditions.temperature_c:.7g}",
        ]

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
        sources = power_sources(circuit, conditions)
        _check_operating_point(simulator, netlist, circuit, technology)
        heat = thermal_ohm(circuit, conditions, technology)
        netlist, slow = with_slow_capacitors_held(
            simulator,
            lambda held: self.netlist(held, conditions, technology),
            circuit,
            _SLOWEST_PERIODS * COMMON / conditions.frequency_hz,
        )
        run = _Run(simulator, netlist, heat, slow, conditions, [f"{name}#branch" for name in sources])
        gain, values = run.small_signal(sources)
        if gain < LEAST_GAIN_DB:
            raise SimulationFailure("not_measurable", f"conversion gain of {gain:.1f} dB")
        values["ip1db_dbm"] = compression_point(lambda level: run.gain_db(level, gain), gain)
        traces = run.traces(gain) if curves else {}
        if signoff:
            values["iip3_dbm"] = _intercept(
                simulator, netlist, heat, slow, conditions, values["ip1db_dbm"] - BACK_OFF_DB
            )
        for name, value in values.items():
            if not math.isfinite(value):
                raise SimulationFailure("not_measurable", f"{name} is {value}")
        return Measurement(Metrics(values), traces)

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.control`."""
        return mixer_control(
            conditions,
            power_sources(circuit, conditions),
            lo_dbm=LO_DBM,
            small_dbm=SMALL_DBM,
            period_s=COMMON / conditions.frequency_hz,
            points=POINTS,
            harmonics=(round(IF * COMMON), round(LO * COMMON)),
        )


class _Run:
    """The one transient from which all label metrics come."""

    def __init__(
        self,
        simulator: Simulator,
        netlist: list[str],
        heat: Mapping[str, float],
        slow: Mapping[str, float],
        conditions: Conditions,
        currents: list[str],
    ) -> None:
        self.conditions = conditions
        self.f0 = conditions.frequency_hz
        self.transient = Transient(
            simulator,
            netlist,
            (*_PLACES, *currents),
            thermal_ohm=heat,
            charging_ohm=slow,
            period_s=COMMON / self.f0,
            points=POINTS,
            longest=400,
        )
        self._looks = 0

    def small_signal(self, sources: dict[str, float]) -> tuple[float, dict[str, float]]:
        """Gain, and the metrics that belong to the small RF level."""
        self.transient.advance(_FIRST)
        wanted, leak_out, leak_rf, power = self.transient.settle(
            lambda transient: self._observe(transient, sources), tolerance=TOLERANCE, block=1.0
        )
        source, load = self.conditions.source_ohm, self.conditions.load_ohm
        gain = dbm(abs(wanted) * _SMALL, load) - SMALL_DBM
        return gain, {
            "conversion_gain_db": gain,
            "lo_rf_isolation_db": isolation_db(LO_DBM, dbm(abs(leak_rf), source)),
            "lo_if_isolation_db": isolation_db(LO_DBM, dbm(abs(leak_out), load)),
            "power_w": floored_power_w(float(power.real)),
        }

    def _observe(self, transient: Transient, sources: dict[str, float]) -> NDArray[np.complex128]:
        """Amplitudes of IF and LO, the IF in proportion to its source as the LO is, and the mean power."""
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            raise self._unsettled()
        return np.array(
            [
                abs(transient.phasor("out", IF * self.f0)) / _SMALL,
                abs(transient.phasor("out", LO * self.f0)),
                abs(transient.phasor("rf", LO * self.f0)),
                -sum(volt * transient.average(f"{name}#branch") for name, volt in sources.items()),
            ],
            dtype=complex,
        )

    def _unsettled(self) -> SimulationFailure:
        """What a circuit does that is not periodic in time: it still settles, or swings at a frequency of its own."""
        periods = self.transient.window("out", 3)[1].reshape(3, POINTS)
        changes = np.diff(periods, axis=0)
        changes -= np.linspace(changes[:, 0], changes[:, -1], POINTS, axis=1)  # slow charging is no swing
        before, swing = np.std(changes, axis=1).tolist()
        if swing > max(_SWING_V, _LASTING * before):
            return SimulationFailure("oscillation", f"not periodic: {swing * 1e3:.3g} mV at other frequencies")
        return SimulationFailure("no_convergence", f"not settled after {self.transient.periods:.0f} common periods")

    def gain_db(self, level_dbm: float, small_gain_db: float | None = None) -> float:
        """Conversion gain at an RF level, once the IF is steady; with a small-signal gain only as steady as it takes to tell
        where the compression point is.

        Raises:
            SimulationFailure: ``no_convergence`` if it never is.
        """
        amplitude = available_amplitude_v(level_dbm, self.conditions.source_ohm)
        self.transient.drive("v_rf", amplitude, self.f0)
        before, change = math.inf, math.inf
        for _ in range(_MOST_PERIODS):
            self.transient.advance(1.0)
            now = abs(self.transient.phasor("out", IF * self.f0))
            change, before = abs(now - before), now
            gain = dbm(now, self.conditions.load_ohm) - level_dbm
            near = small_gain_db is None or _NEAR[0] < small_gain_db - gain < _NEAR[1]
            if change <= (_STEADY if near else _NEARLY_STEADY) * now:
                return gain
        if change <= _NEARLY_STEADY * before:
            return gain
        raise SimulationFailure("no_convergence", f"the IF is not steady at an RF power of {level_dbm:.1f} dBm")

    def traces(self, small_gain_db: float) -> dict[str, Trace]:
        """Gain and IF power over RF power."""
        found = [small_gain_db]
        # A plot does without the levels from one on at which the IF is not steady.
        with suppress(SimulationFailure):
            for level in SWEEP_DBM[1:]:
                found.append(self.gain_db(float(level)))
        gain, levels, label = np.array(found), SWEEP_DBM[: len(found)], "RF power (dBm)"
        return {
            "conversion_gain_db": Trace(levels, gain, label, "conversion gain (dB)"),
            "if_power_dbm": Trace(levels, levels + gain, label, "IF power (dBm)"),
        }


def _intercept(
    simulator: Simulator,
    netlist: list[str],
    heat: Mapping[str, float],
    slow: Mapping[str, float],
    conditions: Conditions,
    tone_dbm: float,
) -> float:
    """Third-order intercept from two tones of equal power, by the larger third-order product."""
    f0 = conditions.frequency_hz
    amplitude = available_amplitude_v(tone_dbm, conditions.source_ohm)
    with_tones = [
        f"v_rf rf_a 0 dc 0 sin(0 {amplitude:.9g} {f0:.12g})"
        if line.startswith("v_rf ")
        else f"v_two rf_b rf_a dc 0 sin(0 {amplitude:.9g} {SECOND_TONE * f0:.12g})"
        if line.startswith("v_two ")
        else line
        for line in netlist
    ]
    transient = Transient(
        simulator,
        with_tones,
        ("out",),
        thermal_ohm=heat,
        charging_ohm=slow,
        period_s=3.0 * COMMON / f0,
        points=3 * POINTS,
        longest=40,
    )
    first, second = IF * f0, (SECOND_TONE - LO) * f0
    frequencies = (first, second, 2.0 * first - second, 2.0 * second - first)

    def observe(transient: Transient) -> NDArray[np.complex128]:
        wanted, other, lower, upper = (transient.phasor("out", frequency) for frequency in frequencies)
        return np.array([wanted, other, 100.0 * lower, 100.0 * upper])

    transient.advance(_FIRST)
    wanted, other, lower, upper = np.abs(transient.settle(observe, tolerance=2e-2, block=1.0)).tolist()
    load = conditions.load_ohm
    return intercept_dbm(
        tone_dbm,
        0.5 * (dbm(wanted, load) + dbm(other, load)),
        dbm(max(lower, upper) / 100.0, load),
    )


def power_sources(circuit: Circuit, conditions: Conditions) -> dict[str, float]:
    """SPICE names and voltages of the sources whose power counts: supply and bias."""
    topology = circuit.topology
    return {"v_supply": conditions.supply_v} | {
        designator.lower(): value
        for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True)
        if device.kind == "bias_voltage"
    }


def _check_operating_point(simulator: Simulator, netlist: list[str], circuit: Circuit, technology: Technology) -> None:
    """Refuse a circuit that breaks a device limit without LO and RF."""
    topology = circuit.topology
    nonlinear = [
        (designator, device, value)
        for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True)
        if device.kind in ("hbt", "diode", "varactor")
    ]
    nets = dict.fromkeys(net for _, device, _ in nonlinear for net in device.nets if net != GROUND)
    simulator.run(Deck(tuple(netlist), ("op",), tuple(nets)))
    voltage = {net: float(simulator.vector("op1", net)[0]) for net in nets} | {GROUND: 0.0}
    broken = []
    for designator, device, value in nonlinear:
        current = simulator.device(technology.transistor_name(designator.lower(), device.kind), "ic")
        point = {"vce": voltage[device.nets[0]] - voltage[device.nets[-1]], "ic": current}
        broken += [f"{designator}: {text}" for text in technology.violations(device, value, point)]
    if broken:
        raise SimulationFailure("device_limit", "; ".join(broken))
