"""What a voltage-controlled oscillator is measured by, and the formulas behind the figures.

symbol  variable        meaning                                                     unit
f       frequency_hz    frequency of oscillation with tune at half the supply       Hz
df      OFFSET_HZ       offset at which phase noise is quoted                       Hz
L       noise_dbc_hz    single-sideband phase noise, S_phi / 2                      dBc/Hz
h       step_s          time step of the trapezoidal rule                           s
Z       -               impedance at a net of the resonator                         Ohm
S_v     density         spectral density of that net's noise voltage, squared       V^2/Hz
V       amplitude_v     peak voltage of the oscillation at that net                 V
"""

from __future__ import annotations

import math

from genrf.metrics import Metric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("frequency_hz", "Hz", "higher", "Frequency of oscillation with tune at half the supply.", scale="log"),
        Metric(
            "frequency_error_percent",
            "%",
            "lower",
            "Distance of the frequency at the middle of tuning from the wanted one, of the latter.",
        ),
        Metric(
            "tuning_range_percent",
            "%",
            "higher",
            "Highest less lowest frequency with tune at 0, half the supply and the supply, of the middle frequency.",
        ),
        Metric("output_power_dbm", "dBm", "higher", "Power of the fundamental in the load."),
        Metric(
            "power_w",
            "W",
            "lower",
            "Power drawn from the supply and the bias sources, on average while oscillating.",
            scale="log",
        ),
        Metric(
            "phase_noise_estimate_dbc_hz",
            "dBc/Hz",
            "lower",
            "Phase noise at 1 MHz from the carrier frequency_hz, estimated from noise at the operating point and swing.",
        ),
        Metric(
            "fom_estimate_dbc_hz",
            "dBc/Hz",
            "lower",
            "Estimated phase noise at 1 MHz from the carrier, normalised to carrier over offset and to 1 mW of power.",
        ),
        Metric(
            "phase_noise_dbc_hz",
            "dBc/Hz",
            "lower",
            "Phase noise at 1 MHz from the carrier frequency_hz, by the impulse sensitivity of every noise source.",
            signoff=True,
            estimate="phase_noise_estimate_dbc_hz",
        ),
        Metric(
            "fom_dbc_hz",
            "dBc/Hz",
            "lower",
            "Phase noise at 1 MHz from the carrier, normalised to carrier over offset and to 1 mW of power.",
            signoff=True,
            estimate="fom_estimate_dbc_hz",
        ),
    )
}

OFFSET_HZ = 1e6
BOLTZMANN = 1.380649e-23
CHARGE_C = 1.602176634e-19


def unwarped(frequency_hz: float, step_s: float) -> float:
    """Frequency of a resonator that the trapezoidal rule lets oscillate at a frequency.

    The bilinear transform puts tan(pi f h) / (pi h) at f (Oppenheim and Schafer, Discrete-Time Signal Processing,
    7.1.2): 0.2 % at 40 steps a period.
    """
    return math.tan(math.pi * frequency_hz * step_s) / (math.pi * step_s)


def phase_noise_dbc_hz(density: float, amplitude_v: float, slope_s: float, offset_hz: float = OFFSET_HZ) -> float:
    """Phase noise of a resonator with one dominant mode, from the noise of its net as the small-signal analysis has it.

    Near the mode Z(s) = 1 / (dY/ds (s - p)), so the noise currents of the whole circuit come to S_v / abs(Z)^2 at the
    net, a charge q there turns the phase by at most q / abs(V dY/ds / 2), and half of the white noise is phase noise:
    L = S_v / (V df' abs(d ln Z / ds))^2 with df' = 2 pi df. For a parallel R, L, C that is k T / (R (C V df')^2),
    Leeson's formula (Proc. IEEE 54(2), 1966) and Hajimiri and Lee's with a cosine as sensitivity (IEEE JSSC 33(2),
    1998).

    It knows nothing of how noise varies over the period, of saturation, or of 1/f noise. Against
    `genrf.classes.vco.phase_noise` on 11 random oscillators of 3 to 42 GHz it was 3.8 dB too high in the median, from -6.6 to
    +16.2 dB, and within 5 dB for 6 of them; the worst were weak or deeply saturated. Treat it as a ranking.

    Args:
        density: S_v, in V^2/Hz.
        amplitude_v: V, in V.
        slope_s: abs(d ln Z / d omega), in s.
        offset_hz: df, in Hz.
    """
    return 10.0 * math.log10(density / (amplitude_v * 2.0 * math.pi * offset_hz * slope_s) ** 2)


def figure_of_merit_dbc_hz(noise_dbc_hz: float, frequency_hz: float, power_w: float) -> float:
    """L(df) - 20 log10(f / df) + 10 log10(P / 1 mW) at an offset of 1 MHz (Kinget, 1999)."""
    return noise_dbc_hz - 20.0 * math.log10(frequency_hz / OFFSET_HZ) + 10.0 * math.log10(power_w / 1e-3)
