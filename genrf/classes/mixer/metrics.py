"""What a mixer is measured by, and how the figures follow from phasors at ports.

symbol  meaning                                                                 unit
f0      RF, the conditions' frequency                                           Hz
f_LO    local oscillator, 0.9 f0                                                Hz
f_IF    intermediate frequency, f0 - f_LO = 0.1 f0                              Hz
T       common period of all of them, 10 / f0                                   s
"""

from __future__ import annotations

import math

from genrf.metrics import Metric

LARGEST_ISOLATION_DB = 80.0
"""Devices are simulated without mismatch, so balance is perfect, and what is left is the simulator's rounding."""
LEAST_POWER_W = 1e-6
"""A diode mixer without bias draws nothing: a floor, so that a power on a logarithmic scale has a value."""
LARGEST_P1DB_DBM = 10.0
"""The RF source is not driven harder."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "conversion_gain_db",
            "dB",
            "higher",
            "Power at the IF in the load over the power available from the RF source, at -40 dBm.",
        ),
        Metric(
            "ip1db_dbm",
            "dBm",
            "higher",
            "RF power available from the source at which the conversion gain is 1 dB below its value at -40 dBm;"
            " from -38 dBm to 10 dBm.",
            limit=LARGEST_P1DB_DBM,
        ),
        Metric(
            "lo_rf_isolation_db",
            "dB",
            "higher",
            "LO power available from its sources over the LO power that reaches the RF source's resistance;"
            " 80 dB at most.",
            limit=LARGEST_ISOLATION_DB,
        ),
        Metric(
            "lo_if_isolation_db",
            "dB",
            "higher",
            "LO power available from its sources over the power at the LO frequency in the IF load; 80 dB at most.",
            limit=LARGEST_ISOLATION_DB,
        ),
        Metric(
            "power_w",
            "W",
            "lower",
            "Power drawn from the supply and the bias sources with the LO on, without the LO's own; 1 uW at least.",
            scale="log",
            limit=LEAST_POWER_W,
        ),
        Metric(
            "iip3_dbm",
            "dBm",
            "higher",
            "Third-order intercept at the input: power available from each of two RF tones, at f0 and 31/30 f0.",
            signoff=True,
        ),
        Metric(
            "nf_ssb_db",
            "dB",
            "lower",
            "Single-sideband noise figure at the IF, source at 290 K in all sidebands; measured by VACASK.",
            signoff=True,
            second=True,
        ),
        Metric(
            "nf_dsb_db",
            "dB",
            "lower",
            "Double-sideband noise figure at the IF, the image counted as signal; measured by VACASK.",
            signoff=True,
            second=True,
        ),
    )
}


def isolation_db(available_dbm: float, arriving_dbm: float) -> float:
    """Power available at one port over the power that arrives at another."""
    return min(available_dbm - arriving_dbm, LARGEST_ISOLATION_DB)


def intercept_dbm(tone_dbm: float, wanted_dbm: float, distortion_dbm: float) -> float:
    """Input-referred third-order intercept: P + (P_1 - P_3) / 2 (Razavi, RF Microelectronics, 2nd ed., 2.2).

    Args:
        tone_dbm: power available from each tone.
        wanted_dbm: power of a wanted product at the output.
        distortion_dbm: power of a third-order product at the output.
    """
    return tone_dbm + (wanted_dbm - distortion_dbm) / 2.0


def floored_power_w(power_w: float) -> float:
    """A power that a logarithmic scale can show."""
    return max(power_w, LEAST_POWER_W) if math.isfinite(power_w) else power_w
