"""A power amplifier's figures by VACASK."""

from __future__ import annotations

import numpy as np

from genrf.circuit.topology import Circuit
from genrf.classes.pa.drive import first_guess_dbm, watts
from genrf.classes.pa.metrics import efficiency_percent
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.testbench import Measurement, SimulationFailure
from genrf.simulation.vacask.harmonic_balance import Driven, amplifier_lines, driven
from genrf.simulation.vacask.small_signal import cautions, small_signal, two_port_metrics
from genrf.technology.base import Technology

_ORDER = 8
_CHECKS = (16, 12)
"""Twice the harmonics where they converge, else fewer. With 16 and with 20 a design has the same output within 0.03 dB."""
_TOLD = ("op1db_dbm", "psat_dbm", "pae_percent")
_DROP_DB = 3.0


def measure(circuit: Circuit, conditions: Conditions, technology: Technology) -> Measurement:
    """Small signal, then output power and efficiency by harmonic balance with a drive that grows until the gain is 3 dB down.

    Raises:
        MissingToolError: if VACASK is not installed.
        SimulationFailure: if the small signal fails; of what is missing under drive, notes say why.
    """
    small = small_signal(circuit, conditions, technology)
    values = two_port_metrics(small, conditions)
    notes = [*cautions(small, circuit, technology)]
    lines = amplifier_lines(circuit, conditions, technology)
    guess = first_guess_dbm(values["gain_db"], max(small.power_w, 1e-6))
    try:
        found = driven(circuit, conditions, lines, guess, _ORDER, drop_db=_DROP_DB)
        values |= _figures(found)
    except SimulationFailure as failure:
        notes.append(f"op1db_dbm, psat_dbm, pae_percent: not given by VACASK, {failure}")
    else:
        notes.append(f"psat_dbm: with {_ORDER} harmonics; more do not converge")
        for order in _CHECKS:
            try:
                again = _figures(driven(circuit, conditions, lines, guess, order, drop_db=_DROP_DB))
            except SimulationFailure:
                continue
            moved = ", ".join(f"{name} {again[name] - values[name]:+.3g}" for name in _TOLD)
            notes[-1] = f"psat_dbm: {order} harmonics instead of {_ORDER} change {moved}"
            values |= again
            break
    return Measurement(Metrics({name: value for name, value in values.items() if np.isfinite(value)}), {}, tuple(notes))


def _figures(found: Driven) -> dict[str, float]:
    """The metrics under drive, as `genrf.classes.pa.drive.Drive.large_signal_metrics` has them."""
    sweep = found.sweep
    compressed, end = sweep.input_at(1.0), sweep.input_at(_DROP_DB)
    op1db = sweep.output_at(1.0)
    inputs = [*sweep.input_dbm[sweep.input_dbm < end].tolist(), end]
    outputs = [*sweep.output_dbm[sweep.input_dbm < end].tolist(), sweep.output_at(_DROP_DB)]
    best = int(np.argmax(outputs))
    saturated, psat = (inputs[best], outputs[best]) if outputs[best] >= op1db else (compressed, op1db)

    def efficiency(input_dbm: float, output_dbm: float) -> float:
        drawn = found.at(lambda level: level.drawn_w, input_dbm)
        return efficiency_percent(watts(output_dbm), drawn, watts(input_dbm))

    return {
        "op1db_dbm": op1db,
        "psat_dbm": psat,
        "pae_percent": efficiency(saturated, psat),
        "pae_p1db_percent": efficiency(compressed, op1db),
        "collector_efficiency_percent": efficiency_percent(
            watts(psat), found.at(lambda level: level.supply_w, saturated)
        ),
    }
