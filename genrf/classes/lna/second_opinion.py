"""A low-noise amplifier's figures by VACASK."""

from __future__ import annotations

import numpy as np

from genrf.circuit.topology import Circuit
from genrf.classes.lna.compression import LARGEST_P1DB_DBM
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.testbench import Measurement, SimulationFailure
from genrf.simulation.vacask.harmonic_balance import amplifier_lines, driven
from genrf.simulation.vacask.intermodulation import intercept, ngspice_spacing_hz
from genrf.simulation.vacask.small_signal import cautions, small_signal, two_port_metrics
from genrf.technology.base import Technology

_ORDERS = (5, 10)
"""Harmonics of the drive: the compression point is that of the second."""
_INTERCEPT_TO_P1DB_DB = 9.6
"""Distance from IP1dB to IIP3 of a cubic nonlinearity (Razavi, RF Microelectronics, 2.2)."""


def measure(circuit: Circuit, conditions: Conditions, technology: Technology) -> Measurement:
    """Small signal with noise, then intercept and compression point by harmonic balance.

    Raises:
        MissingToolError: if VACASK is not installed.
        SimulationFailure: if the small signal fails; of the others, notes say which is missing and why.
    """
    small = small_signal(circuit, conditions, technology)
    values = two_port_metrics(small, conditions)
    values |= {
        "nf_db": float(small.nf_db[0]),
        "s12_db": small.decibels_at(conditions.frequency_hz, 1, 2),
    }
    notes = [*cautions(small, circuit, technology)]
    lines = amplifier_lines(circuit, conditions, technology)
    guess = -30.0
    try:
        found = intercept(conditions, lines)
        values["iip3_dbm"] = found.worse_dbm
        notes.append(found.note)
        if conditions.tone_spacing_hz is not None:
            notes.append(f"iip3_dbm: ngspice's tones are {ngspice_spacing_hz(conditions) / 1e6:.4g} MHz apart")
        guess = found.worse_dbm - _INTERCEPT_TO_P1DB_DB
    except SimulationFailure as failure:
        notes.append(f"iip3_dbm: not given by VACASK, {failure}")
    found_dbm: list[float] = []
    failed = ""
    for order in _ORDERS:
        try:
            sweep = driven(circuit, conditions, lines, guess, order, highest_dbm=LARGEST_P1DB_DBM).sweep
        except SimulationFailure as failure:
            failed = str(failure)
            continue
        found_dbm.append(sweep.input_at(1.0))
        guess = found_dbm[-1]
    if found_dbm:
        values["ip1db_dbm"] = found_dbm[-1]
    if len(found_dbm) == len(_ORDERS):
        notes.append(f"ip1db_dbm: twice the harmonics change it by {found_dbm[1] - found_dbm[0]:+.3f} dB")
    else:
        notes.append(f"ip1db_dbm: {'not confirmed' if found_dbm else 'not given'} by VACASK, {failed}")
    return Measurement(Metrics({name: value for name, value in values.items() if np.isfinite(value)}), {}, tuple(notes))
