"""What a filter is measured by, and how the figures follow from S-parameters.

symbol  meaning                                                                     unit
f0      the conditions' frequency, which the filter passes                          Hz
inner pass band     0.95 to 1.05 f0                                                 -
pass band           around f0, contiguous, |S21| no more than 3 dB below that at f0     -
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrf.metrics import Metric
from genrf.simulation.band import Band
from genrf.simulation.scattering import all_decibels

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "insertion_loss_db", "dB", "lower", "Loss of transmission, -20 log10 |S21|, at the centre frequency f0."
        ),
        Metric(
            "return_loss_db",
            "dB",
            "higher",
            "Return loss, -20 log10 of the larger of |S11| and |S22|, at its worst from 0.95 to 1.05 f0.",
        ),
        Metric("ripple_db", "dB", "lower", "Largest less smallest |S21| in dB from 0.95 to 1.05 f0."),
        Metric(
            "centre_hz",
            "Hz",
            "higher",
            "Geometric mean of the edges of the 3 dB band around f0; wanted at a place, so bound it from both sides. A "
            "specification that bounds it asks for 3 dB of rejection at half and at twice f0 too: other bands have no centre.",
            scale="log",
        ),
        Metric(
            "bandwidth_hz",
            "Hz",
            "higher",
            "Width of the band around f0 in which |S21| is within 3 dB of that at f0; bounded by f0/8 and 8 f0.",
            scale="log",
        ),
        Metric("rejection_low_db", "dB", "higher", "How far |S21| at half the centre frequency is below that at f0."),
        Metric("rejection_high_db", "dB", "higher", "How far |S21| at twice the centre frequency is below that at f0."),
        Metric(
            "rejection_db", "dB", "higher", "The larger of the rejections at half and at twice the centre frequency."
        ),
    )
}

INNER_BAND = (0.95, 1.05)
"""The inner pass band's ends relative to f0."""


def figures(
    frequency_hz: Sequence[float], scattering: NDArray[np.complex128], centre_hz: float, band: Band
) -> dict[str, float]:
    """All metrics of a filter.

    Args:
        frequency_hz: ascending, (points,); contains f0/2, f0 and 2 f0.
        scattering: S11, S21 and S22, (3, points).
        centre_hz: f0, in Hz.
        band: around f0.
    """
    ratio = np.asarray(frequency_hz) / centre_hz
    parts = all_figures(ratio, scattering.T[None], np.array([[band.low_hz, band.high_hz]]))
    return {
        name: float(values.min() if METRICS[name].better == "higher" else values.max())
        for name, values in parts.items()
    }


def all_figures(
    ratio: NDArray[np.float64], scattering: NDArray[np.complex128], edges_hz: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """All metrics of B filters, (B, K) each; where K is more than 1 the least favourable counts.

    Args:
        ratio: frequencies relative to f0, ascending, (points,); contains 1/2, 1 and 2.
        scattering: S11, S21 and S22, (B, points, 3).
        edges_hz: of the band around f0, (B, 2).
    """
    s11_db, s21_db, s22_db = np.moveaxis(all_decibels(scattering), -1, 0)
    half, centre, twice = (int(np.argmin(np.abs(np.log(ratio / at)))) for at in (0.5, 1.0, 2.0))
    inner = slice(*np.searchsorted(ratio, (INNER_BAND[0] - 1e-6, INNER_BAND[1] + 1e-6)))
    rejection_low, rejection_high = (s21_db[:, centre] - s21_db[:, at] for at in (half, twice))
    found = {
        "insertion_loss_db": -s21_db[:, centre],
        "return_loss_db": -np.concatenate([s11_db[:, inner], s22_db[:, inner]], axis=1),
        "ripple_db": np.ptp(s21_db[:, inner], axis=1),
        "centre_hz": np.sqrt(edges_hz[:, 0] * edges_hz[:, 1]),
        "bandwidth_hz": edges_hz[:, 1] - edges_hz[:, 0],
        "rejection_low_db": rejection_low,
        "rejection_high_db": rejection_high,
        "rejection_db": np.maximum(rejection_low, rejection_high),
    }
    return {name: value.reshape(len(scattering), -1) for name, value in found.items()}
