"""What a power amplifier is measured by.

symbol  variable            meaning                                             unit
P_out   -                   power in the load at f0                             W
P_in    -                   available power of the source                       W
P_C     -                   power from the supply, which feeds the collectors   W
P_DC    -                   power from supply and bias sources                  W
eta     efficiency_percent  100 P_out / P_C                                     %
PAE     pae_percent         100 (P_out - P_in) / P_DC                           %
"""

from __future__ import annotations

from genrf.metrics import GAIN_DB, MU_MIN, POWER_W, S11_DB, S22_DB, Metric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        GAIN_DB,
        S11_DB,
        S22_DB,
        MU_MIN,
        POWER_W,
        Metric(
            "op1db_dbm",
            "dBm",
            "higher",
            "Output power at the centre frequency where the gain is 1 dB below its small-signal value.",
        ),
        Metric(
            "psat_dbm",
            "dBm",
            "higher",
            "Largest output power at the centre frequency up to the drive that lowers the gain by 3 dB.",
        ),
        Metric(
            "pae_percent",
            "%",
            "higher",
            "Power-added efficiency at saturated output power, of the source's available power.",
        ),
        Metric(
            "pae_p1db_percent",
            "%",
            "higher",
            "Power-added efficiency at 1 dB compression, of the source's available power.",
        ),
        Metric(
            "collector_efficiency_percent",
            "%",
            "higher",
            "Saturated output power over the power drawn from the supply, without the bias sources.",
        ),
        Metric(
            "im3_dbc",
            "dBc",
            "lower",
            "Larger third-order product relative to a tone, with two tones each 6 dB below 1 dB compression.",
            signoff=True,
        ),
    )
}


def efficiency_percent(output_w: float, supply_w: float, input_w: float = 0.0) -> float:
    """Power gained over power drawn, in percent: collector efficiency without `input_w`, PAE with it (Cripps, RF Power
    Amplifiers for Wireless Communications, 2nd ed., 1.3)."""
    return 100.0 * (output_w - input_w) / supply_w
