"""The input-referred 1 dB compression point of an amplifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genrf.conditions import Conditions
from genrf.simulation.large_signal import WATCHED_PERIODS, check_settled, compress, warped
from genrf.simulation.testbench import SimulationFailure, Simulator
from genrf.simulation.transient import Transient, available_amplitude_v, dbm

POINTS = 24
"""Time steps a period."""
LARGEST_P1DB_DBM = 20.0
"""What reads more, or does not compress at all, reads this."""
_LOW_DBM = -50.0
"""Where the gain is measured that compression is counted from; `_BELOW_DB` below the intercept point at most."""
_BELOW_DB = 30.0
_INTERCEPT_TO_P1DB_DB = 9.6
"""Distance from IP1dB to IIP3 of a cubic nonlinearity (Razavi, RF Microelectronics, 2.2)."""
_LONGEST = 1500


def compression_dbm(
    simulator: Simulator,
    netlist: Sequence[str],
    heat: Mapping[str, float],
    slow: Mapping[str, float],
    conditions: Conditions,
    intercept_dbm: float,
    *,
    patient: bool = False,
) -> float:
    """Available input power in dBm at which the gain is 1 dB below its value at low drive.

    Args:
        netlist: of `genrf.simulation.two_port.two_port_netlist`.
        heat: of `genrf.simulation.device_lines.thermal_ohm`.
        slow: sources of `genrf.simulation.slow_bias.with_slow_capacitors_held`.
        intercept_dbm: input-referred third-order intercept point, from which the search starts.
        patient: whether to run on and see that the output stays, as it has to be with a netlist whose slow capacitors
            are not known.

    Raises:
        UnsettledError: if it does not stay.
        SimulationFailure: ``no_convergence`` if the circuit does not settle.
    """
    frequency = warped(conditions.frequency_hz, POINTS)
    transient = Transient(
        simulator,
        netlist,
        ("out",),
        thermal_ohm=heat,
        charging_ohm=slow,
        period_s=1.0 / frequency,
        points=POINTS,
        longest=_LONGEST + WATCHED_PERIODS * patient,
    )

    def output_dbm(level: float) -> float:
        transient.drive("v_in", available_amplitude_v(level, conditions.source_ohm), frequency)
        (out,) = transient.settle(lambda running: np.array([running.phasor("out", frequency)]))
        return dbm(abs(out), conditions.load_ohm)

    start = intercept_dbm - _INTERCEPT_TO_P1DB_DB
    if start > LARGEST_P1DB_DBM:
        return LARGEST_P1DB_DBM
    low = min(_LOW_DBM, intercept_dbm - _BELOW_DB)
    try:
        sweep = compress(output_dbm, output_dbm(low) - low, start, drops_db=(1.0,))
    except SimulationFailure as failure:
        if failure.cause != "not_measurable":
            raise
        return LARGEST_P1DB_DBM
    found = min(sweep.input_at(1.0), LARGEST_P1DB_DBM)
    if patient:
        output_dbm(found)
        check_settled(transient, frequency)
    return found
