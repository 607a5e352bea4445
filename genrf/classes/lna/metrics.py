"""What a low-noise amplifier is measured by, and how its noise figure follows from noise.

symbol  variable        meaning                                     unit
F       factor          noise factor, source at T0 = 290 K          1
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genrf.metrics import GAIN_DB, MU_MIN, POWER_W, S11_DB, S22_DB, Metric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        GAIN_DB,
        Metric("nf_db", "dB", "lower", "Noise figure at the centre frequency, source at 290 K."),
        S11_DB,
        S22_DB,
        Metric("s12_db", "dB", "lower", "Reverse transmission |S12| at the centre frequency."),
        Metric(
            "bandwidth_hz",
            "Hz",
            "higher",
            "Width of the band around the centre frequency in which the gain is within 3 dB of the centre's.",
            scale="log",
        ),
        MU_MIN,
        POWER_W,
        Metric(
            "iip3_dbm",
            "dBm",
            "higher",
            "Third-order intercept, referred to the power available from each of two tones about the centre frequency.",
            signoff=True,
        ),
        Metric(
            "ip1db_dbm",
            "dBm",
            "higher",
            "Input power at the centre frequency where the gain is 1 dB below its value at low drive; 20 at most.",
            signoff=True,
        ),
    )
}

BOLTZMANN = 1.380649e-23
REFERENCE_TEMPERATURE_K = 290.0


def noise_figure_db(input_noise: float, source_ohm: float) -> float:
    """Noise figure from the circuit's own noise referred to the source's open-circuit voltage.

    F = 1 + e_n^2 / (4 k T0 R_s), with T0 = 290 K (IEEE definition; Gonzalez, Microwave Transistor Amplifiers, 4.2).

    Args:
        input_noise: spectral density e_n of the circuit's noise without source and load, in V/sqrt(Hz).
        source_ohm: source resistance R_s, in Ohm.
    """
    factor = 1.0 + input_noise**2 / (4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * source_ohm)
    return 10.0 * math.log10(factor)


def noise_figures_db(density: NDArray[np.float64], source_ohm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of many, from densities in V^2/Hz and source resistances that broadcast."""
    factor = 1.0 + density / (4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * source_ohm)
    found: NDArray[np.float64] = 10.0 * np.log10(factor)
    return found
