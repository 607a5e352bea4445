"""How a voltage-controlled oscillator is measured: can it start, what does it settle to, where does tuning take it.

Port ``tune`` is held at a voltage from 0 to the supply, ``out`` drives the load. One deck: operating point, then the
impedance of the resonator at both ends and in the middle of tuning, whose natural modes (`genrf.classes.vco.modes`) tell whether
an oscillation grows; only then the transient (`genrf.classes.vco.oscillation`), steady at the middle, at 0 and at the supply.
Noise and impedance at the frequency found give the estimate of phase noise. The load's resistance makes noise as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from genrf.circuit.graph import net_graph
from genrf.circuit.topology import SUPPLY, Circuit
from genrf.classes.vco.control import vco_control
from genrf.classes.vco.metrics import OFFSET_HZ, figure_of_merit_dbc_hz, phase_noise_dbc_hz, unwarped
from genrf.classes.vco.modes import Mode, modes
from genrf.classes.vco.oscillation import KICK_V, LONGEST_BLOCKS, OPTIONS, POINTS, Oscillation, Oscillator, Steady
from genrf.classes.vco.phase_noise import signoff_phase_noise
from genrf.classes.vco.rules import resonator_net
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.device_lines import device_lines, thermal_ohm
from genrf.simulation.testbench import Curve, Deck, Measurement, SimulationFailure, Simulator, Trace
from genrf.simulation.transient import dbm
from genrf.simulation.two_port import operating_point_vectors, operating_power_w
from genrf.simulation.vbic_noise import EVERY_SOURCE, noise_vectors, rightly_placed
from genrf.technology.base import Technology

START_SPAN = (0.3, 3.0)
"""Frequencies relative to f0 that are searched for growing modes."""
START_POINTS_PER_DECADE = 50
LEAST_GROWTH = 2e-3
"""Growth in a period, of the amplitude's logarithm over 2 pi, below which an oscillator is not relied upon to start."""
SLOPE_SPAN = 0.01
"""Distance, relative to the frequency, over which the slope of the impedance is taken."""
LARGEST_PEAK_VCE_V = 3.2
"""Peak abs(V_CE) allowed while oscillating. The cards say vce_max = 1.6 V, which is held to at DC, and vbc_max = 5.1 V;
twice the DC limit is what an oscillator swings to about a collector at it. The model was measured up to 2.0 V only."""
CURVE_POINTS = 9
_PATIENCE = 20
"""How many times as long a thorough measurement waits for an oscillation to become steady."""
NOISE_OFFSETS_HZ = (1e4, 1e8)

# ngspice counts plots of all sorts together; every sweep keeps its operating point under the same number.
_START_PLOTS = ("ac2", "ac3", "ac4")
_TRANSIENT_PLOT = "tran4"
_SLOPE_PLOTS = ("ac5", "noise5")


class VcoTestbench:
    """One-port testbench: load at ``out``, tuning voltage at ``tune``, supply at ``vdd``."""

    own_cards = False

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.netlist`."""
        devices, models = device_lines(circuit, conditions, technology)
        lines = [
            "voltage-controlled oscillator",
            f"v_supply {SUPPLY} 0 {conditions.supply_v:.7g}",
            f"v_tune tune 0 {0.5 * conditions.supply_v:.7g}",
            f"r_load out 0 {conditions.load_ohm:.7g}",
            f"i_kick 0 {probe(circuit)} dc 0 ac 1 pulse(0 0 0 1p 1p 1p 1)",
            *devices,
            *models,
            f".options temp={conditions.temperature_c:.7g}",
            OPTIONS,
        ]
        return [*lines, *self.oscillator(circuit, conditions, technology).holding()]

    def oscillator(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> Oscillator:
        """What to kick, watch and hold in a netlist of this testbench."""
        biases = {
            designator.lower(): value
            for designator, device, value in zip(
                circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
            )
            if device.kind == "bias_voltage"
        }
        return Oscillator(
            net=probe(circuit),
            output="out",
            sources={"v_supply": conditions.supply_v} | biases,
            thermal_ohm=thermal_ohm(circuit, conditions, technology),
            watched=tuple(
                dict.fromkeys(
                    net
                    for device in circuit.topology.devices
                    if device.kind == "hbt"
                    for net in (device.nets[0], device.nets[2])
                    if net != "0"
                )
            ),
        )

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
        oscillator = self.oscillator(circuit, conditions, technology)
        middle, ends = 0.5 * conditions.supply_v, (0.0, conditions.supply_v)
        transistors = technology.transistors(circuit)
        saved = (
            *oscillator.saved(),
            *operating_point_vectors(circuit),
            *oscillator.thermal_ohm,
            *noise_vectors(transistors),
        )
        simulator.run(Deck(tuple(netlist), ("op", _start_sweep(conditions)), saved))
        operating_power_w(simulator, circuit, conditions, technology)
        kelvin = {node: float(simulator.vector("op1", node)[0]) for node in oscillator.thermal_ohm}
        mode = growing_mode(simulator, _START_PLOTS[0], oscillator.net, middle)
        for volt, plot in zip(ends, _START_PLOTS[1:], strict=True):
            simulator.command(f"alter v_tune {volt:.9g}", _start_sweep(conditions))
            growing_mode(simulator, plot, oscillator.net, volt)
        simulator.command(f"alter v_tune {middle:.9g}")
        step, kick_c = 1.0 / (POINTS * mode.frequency_hz), KICK_V / (2.0 * mode.residue_ohm_hz)
        blocks = _PATIENCE * LONGEST_BLOCKS if thorough else LONGEST_BLOCKS
        running = Oscillation(simulator, oscillator, _TRANSIENT_PLOT, step, mode.frequency_hz, blocks)
        running.start(kick_c, kelvin)
        steady = running.settle()
        _check_peaks(running, circuit)
        wave = _waveform(running)
        tuned = {middle: unwarped(steady.frequency_hz, step)}
        for volt in ends:
            running.tune(volt)
            found = running.settle()
            _check_peaks(running, circuit)
            tuned[volt] = unwarped(found.frequency_hz, step)
        frequency = tuned[middle]
        span = [tuned[volt] for volt in (ends[0], middle, ends[1])]
        simulator.command(f"alter v_tune {middle:.9g}")
        estimate = estimated_noise(simulator, oscillator.net, steady, frequency, transistors)
        if not steady.power_w > 0.0:
            raise SimulationFailure("not_measurable", "no power is drawn")
        values = {
            "frequency_hz": frequency,
            "frequency_error_percent": 100.0 * abs(frequency / conditions.frequency_hz - 1.0),
            "tuning_range_percent": 100.0 * (max(span) - min(span)) / frequency,
            "output_power_dbm": dbm(steady.output_v, conditions.load_ohm),
            "power_w": steady.power_w,
            "phase_noise_estimate_dbc_hz": estimate,
            "fom_estimate_dbc_hz": figure_of_merit_dbc_hz(estimate, frequency, steady.power_w),
        }
        traces: dict[str, Curve | Trace] = {}
        if signoff:
            noise = signoff_phase_noise(
                simulator,
                netlist,
                oscillator,
                temperature_c=conditions.temperature_c,
                kick_c=kick_c,
                guess_hz=mode.frequency_hz,
                kelvin=kelvin,
            )
            values["phase_noise_dbc_hz"] = noise.dbc_hz()
            values["fom_dbc_hz"] = figure_of_merit_dbc_hz(noise.dbc_hz(), frequency, steady.power_w)
        if curves:
            # Further voltages would lead to the ends by another way: they are for a transient of their own, afterwards.
            simulator.run(Deck(tuple(netlist), ("op",), oscillator.saved()))
            again = Oscillation(simulator, oscillator, "tran1", step, mode.frequency_hz)
            tuned |= _tuned_between(again, kick_c, kelvin, conditions.supply_v)
            traces = {"waveform": wave, "tuning": _tuning_curve(tuned)}
            offsets = np.geomspace(*NOISE_OFFSETS_HZ, 41)
            levels = (
                np.array([noise.dbc_hz(offset) for offset in offsets])
                if signoff
                else estimate - 20.0 * np.log10(offsets / OFFSET_HZ)
            )
            said = "phase noise (dBc/Hz)" if signoff else "estimated phase noise (dBc/Hz)"
            traces["phase_noise"] = Trace(offsets, levels, "offset from the carrier (Hz)", said, log_x=True)
        for name, value in values.items():
            if not math.isfinite(value):
                raise SimulationFailure("not_measurable", f"{name} is {value}")
        return Measurement(Metrics(values), traces)

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.control`: the same figures in ngspice's own language."""
        return vco_control(
            self.oscillator(circuit, conditions, technology), conditions, technology.transistors(circuit)
        )


def probe(circuit: Circuit) -> str:
    """Name of the net that is kicked and watched."""
    graph = net_graph(circuit.topology)
    return graph.names[resonator_net(graph)]


def growing_mode(simulator: Simulator, plot: str, net: str, tune_v: float) -> Mode:
    """The fastest growing mode in a small-signal sweep.

    Raises:
        SimulationFailure: ``no_oscillation`` if none grows.
    """
    frequency = simulator.vector(plot, "frequency").real
    found = modes(frequency, simulator.vector(plot, net))
    if not found or found[0].growth < LEAST_GROWTH * 2.0 * math.pi * found[0].frequency_hz:
        raise SimulationFailure(
            "no_oscillation",
            f"with tune at {tune_v:.3g} V no oscillation grows from {frequency[0]:.3g} to {frequency[-1]:.3g} Hz",
        )
    return found[0]


def estimated_noise(
    simulator: Simulator, net: str, steady: Steady, frequency_hz: float, transistors: Sequence[str]
) -> float:
    """Phase noise at 1 MHz in dBc/Hz from the small signal at the frequency of oscillation."""
    low, high = ((1.0 + side * SLOPE_SPAN) * frequency_hz for side in (-1.0, 1.0))
    simulator.command(
        f"ac lin 3 {low:.12g} {high:.12g}",
        f"noise v({net}) i_kick lin 1 {frequency_hz:.12g} {frequency_hz:.12g} {EVERY_SOURCE}",
    )
    impedance = simulator.vector(_SLOPE_PLOTS[0], net)
    slope = abs((1.0 / impedance[2] - 1.0 / impedance[0]) * impedance[1]) / (2.0 * math.pi * (high - low))
    share = float(rightly_placed(simulator, _SLOPE_PLOTS[1], transistors)[0])
    density = share * float(simulator.vector(_SLOPE_PLOTS[1], "onoise_spectrum")[0]) ** 2
    if not (density > 0.0 and slope > 0.0):
        raise SimulationFailure("not_measurable", "no noise at the resonator")
    return phase_noise_dbc_hz(density, steady.amplitude_v, float(slope))


def _start_sweep(conditions: Conditions) -> str:
    low, high = (share * conditions.frequency_hz for share in START_SPAN)
    return f"ac dec {START_POINTS_PER_DECADE} {low:.12g} {high:.12g}"


def _check_peaks(running: Oscillation, circuit: Circuit) -> None:
    """No transistor's V_CE goes beyond its limit in the last periods."""
    found = running.window()
    if found is None:
        return
    inside = found[1]
    for designator, device in zip(circuit.topology.designators, circuit.topology.devices, strict=True):
        if device.kind != "hbt":
            continue
        collector, emitter = (
            running.vector(net)[inside] if net != "0" else np.zeros(1) for net in (device.nets[0], device.nets[2])
        )
        peak = float(np.abs(collector - emitter).max())
        if not peak <= LARGEST_PEAK_VCE_V:
            raise SimulationFailure(
                "device_limit",
                f"{designator}: peak |V_CE| = {peak:.2f} V while oscillating above {LARGEST_PEAK_VCE_V:g} V",
            )


def _waveform(running: Oscillation) -> Trace:
    found = running.window()
    if found is None:
        raise SimulationFailure("not_measurable", "no whole period to show")
    time = running.vector("time")[found[1]]
    wave = running.vector("out")[found[1]]
    return Trace((time - time[0]) * 1e12, wave, "time (ps)", "output voltage (V)")


def _tuned_between(
    running: Oscillation, kick_c: float, kelvin: Mapping[str, float], supply_v: float
) -> dict[float, float]:
    """Frequency, in Hz, at the tuning voltages between ends and middle, in V, of an oscillation that is to be started."""
    found: dict[float, float] = {}
    volts = np.linspace(0.0, supply_v, CURVE_POINTS)
    # A plot does without the points after one at which the oscillation is lost: none of the figures is among them.
    with suppress(SimulationFailure):
        running.start(kick_c, kelvin)
        running.settle()
        for index in range(1, CURVE_POINTS - 1):
            if 2 * index != CURVE_POINTS - 1:
                running.tune(float(volts[index]))
                found[float(volts[index])] = unwarped(running.settle().frequency_hz, running.step_s)
    return found


def _tuning_curve(tuned: Mapping[float, float]) -> Trace:
    volts = np.array(sorted(tuned))
    return Trace(volts, np.array([tuned[volt] for volt in volts]), "tuning voltage (V)", "frequency (Hz)")
