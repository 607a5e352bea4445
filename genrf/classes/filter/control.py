"""The filter's metrics in ngspice's own language, for netlists that are run by hand.

The same formulas as `genrf.classes.filter.metrics`; a test compares both.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrf.classes.filter.metrics import METRICS
from genrf.simulation.two_port_control import band_commands

FINE_POINTS = 1200
"""Points an octave of the sweep in which band edges are interpolated."""


def filter_control(analyses: Sequence[str], band_points: int, octaves: int, f0: float) -> list[str]:
    """Commands that run the analyses and print each metric.

    Args:
        analyses: band sweep and octave sweep, as in the testbench.
        band_points: points of the band sweep; f0 is the middle one, and a fifth of them to either side of it are in
            the inner pass band.
        octaves: of the octave sweep, on either side of f0.
        f0: in Hz.
    """
    middle = band_points // 2
    inner = f"{middle - middle // 5},{middle + middle // 5}"
    return [
        *analyses,
        f"sp oct {FINE_POINTS} {f0 / 2**octaves:.12g} {f0 * 2**octaves:.12g}",
        "setplot new",
        "set numdgt=10",
        f"let insertion_loss_db = -db(sp1.S_2_1[{middle}])",
        f"let worst_in = vecmax(mag(sp1.S_1_1[{inner}]))",
        f"let worst_out = vecmax(mag(sp1.S_2_2[{inner}]))",
        "let return_loss_db = -db(max(worst_in, worst_out))",
        f"let passed = db(sp1.S_2_1[{inner}])",
        "let ripple_db = vecmax(passed) - vecmin(passed)",
        *band_commands("sp3", octaves * FINE_POINTS, 2 * octaves * FINE_POINTS),
        "let centre_hz = sqrt(low*high)",
        "let bandwidth_hz = high - low",
        "let rejection_low_db = -insertion_loss_db - db(sp2.S_2_1[8])",
        "let rejection_high_db = -insertion_loss_db - db(sp2.S_2_1[16])",
        "let rejection_db = max(rejection_low_db, rejection_high_db)",
        *(f"print {name}" for name in METRICS),
    ]
