"""An oscillator's frequency, tuning, output and consumption by VACASK's periodic steady state.

Phase noise is not among them: VACASK has none for oscillators.
"""

from __future__ import annotations

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.classes.vco.testbench import probe
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.testbench import Measurement, SimulationFailure
from genrf.simulation.transient import dbm
from genrf.simulation.vacask.netlist import PREAMBLE, circuit_lines, instance, name, number
from genrf.simulation.vacask.oscillator import Period, period
from genrf.technology.base import Technology

_KICK_A, _KICK_S = 2e-3, 2e-11


def measure(circuit: Circuit, conditions: Conditions, technology: Technology) -> Measurement:
    """The steady state with tune at half the supply, at 0 and at the supply.

    Raises:
        MissingToolError: if VACASK is not installed.
        SimulationFailure: ``no_oscillation`` or ``no_convergence`` in the middle of tuning; of the ends a note says.
    """
    net = probe(circuit)
    fixed = [
        "voltage-controlled oscillator",
        *PREAMBLE,
        "model isource isource",
        *circuit_lines(circuit, conditions, technology),
        instance("v_supply", [SUPPLY, GROUND], "vsource", dc=conditions.supply_v),
        instance("r_load", ["out", GROUND], "resistor", r=conditions.load_ohm),
        f'i_kick ({GROUND} {name(net)}) isource type="pulse" val0=0.0 val1={number(_KICK_A)} rise=1e-12 fall=1e-12'
        f" width={number(_KICK_S)}",
    ]

    def tuned(volt: float, guess_hz: float) -> Period:
        lines = [*fixed, instance("v_tune", ["tune", GROUND], "vsource", dc=volt)]
        return period(conditions, lines, guess_hz, net, "i_kick")

    middle = tuned(0.5 * conditions.supply_v, conditions.frequency_hz)
    frequency = middle.frequency_hz
    sources = {"v_supply": conditions.supply_v} | {
        designator.lower(): value
        for designator, device, value in zip(
            circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
        )
        if device.kind == "bias_voltage"
    }
    values = {
        "frequency_hz": frequency,
        "frequency_error_percent": 100.0 * abs(frequency / conditions.frequency_hz - 1.0),
        "output_power_dbm": dbm(abs(middle.harmonic("out", 1)), conditions.load_ohm),
        "power_w": -sum(volt * middle.harmonic(f"{source}:flow(br)", 0).real for source, volt in sources.items()),
    }
    try:
        span = [frequency, *(tuned(volt, frequency).frequency_hz for volt in (0.0, conditions.supply_v))]
    except SimulationFailure as failure:
        return Measurement(Metrics(values), {}, (f"tuning_range_percent: not given by VACASK, {failure}",))
    values["tuning_range_percent"] = 100.0 * (max(span) - min(span)) / frequency
    return Measurement(Metrics(values))
