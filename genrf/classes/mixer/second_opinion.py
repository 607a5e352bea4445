"""A mixer's figures by VACASK, and its noise figures, which ngspice does not have.

Local oscillator, source and load are those of `genrf.classes.mixer.testbench`.
"""

from __future__ import annotations

import math

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.classes.mixer.metrics import floored_power_w, isolation_db
from genrf.classes.mixer.testbench import IF, LO, LO_DBM, power_sources
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.testbench import Measurement, SimulationFailure
from genrf.simulation.transient import available_amplitude_v, dbm
from genrf.simulation.vacask.conversion import ORDERS, conversion
from genrf.simulation.vacask.harmonic_balance import phasor, sine
from genrf.simulation.vacask.netlist import PREAMBLE, circuit_lines, instance
from genrf.technology.base import Technology


def measure(circuit: Circuit, conditions: Conditions, technology: Technology) -> Measurement:
    """Conversion gain at small RF, noise figures, isolation and power by harmonic balance of the local oscillator.

    Raises:
        MissingToolError: if VACASK is not installed.
        SimulationFailure: ``no_convergence`` if no steady state is found.
    """
    f0 = conditions.frequency_hz
    lines = _lines(circuit, conditions, technology)
    phase_v = available_amplitude_v(LO_DBM - 10.0 * math.log10(2.0), conditions.source_ohm)
    oscillators = {"v_lop": phase_v, "v_lon": -phase_v}
    once = conversion(conditions, lines, oscillators, LO * f0, IF * f0, ORDERS[0])
    try:
        found = conversion(conditions, lines, oscillators, LO * f0, IF * f0, ORDERS[1])
        said = (
            f"twice the harmonics change gain by {found.gain_db - once.gain_db:+.2f} dB "
            f"and noise figure by {found.nf_ssb_db - once.nf_ssb_db:+.2f} dB"
        )
    except SimulationFailure:
        found, said = once, f"with {ORDERS[0]} harmonics of the LO; twice as many do not converge"
    arriving = {net: abs(phasor(found.spectrum, net, LO * f0)) for net in ("out", "rf")}
    drawn = sum(
        -volt * phasor(found.spectrum, f"{name}:flow(br)", 0.0).real
        for name, volt in power_sources(circuit, conditions).items()
    )
    values = {
        "conversion_gain_db": found.gain_db,
        "lo_rf_isolation_db": isolation_db(LO_DBM, dbm(arriving["rf"], conditions.source_ohm)),
        "lo_if_isolation_db": isolation_db(LO_DBM, dbm(arriving["out"], conditions.load_ohm)),
        "power_w": floored_power_w(drawn),
        "nf_ssb_db": found.nf_ssb_db,
        "nf_dsb_db": found.nf_dsb_db,
    }
    notes = (
        f"conversion_gain_db: {said}",
        f"nf_dsb_db: the gain from the image's sideband is {found.image_gain_db:.2f} dB",
    )
    return Measurement(Metrics(values), {}, notes)


def _lines(circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
    """The netlist, its local oscillator off."""
    ohm, lo_hz = conditions.source_ohm, LO * conditions.frequency_hz
    return [
        "mixer",
        *PREAMBLE,
        *circuit_lines(circuit, conditions, technology),
        instance("v_supply", [SUPPLY, GROUND], "vsource", dc=conditions.supply_v),
        instance("v_rf", ["rf_a", GROUND], "vsource", dc=0.0),
        instance("r_rf", ["rf_a", "rf"], "resistor", r=ohm),
        sine("v_lop", ["lop_a", GROUND], 0.0, lo_hz),
        instance("r_lop", ["lop_a", "lop"], "resistor", r=ohm),
        sine("v_lon", ["lon_a", GROUND], 0.0, lo_hz),
        instance("r_lon", ["lon_a", "lon"], "resistor", r=ohm),
        instance("r_load", ["out", GROUND], "resistor", r=conditions.load_ohm),
    ]
