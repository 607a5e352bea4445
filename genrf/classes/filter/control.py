"""The filter's metrics in ngspice's own language, for netlists that are run by hand.

The same formulas as `genrf.classes.filter.metrics`; a test compares both.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrf.classes.filter.metrics import METRICS
from genrf.simulation.two_port_control import edge_commands


def filter_control(analyses: Sequence[str], band_points: int, side_points: int) -> list[str]:
    """Commands that run the analyses and print each metric.

    Args:
        analyses: band sweep and octave sweep, as in the testbench.
        band_points: points of the band sweep; f0 is the middle one, and a fifth of them to either side of it are in
            the inner pass band.
        side_points: points of the octave sweep that count on either side of the band.
    """
    middle = band_points // 2
    inner = f"{middle - middle // 5},{middle + middle // 5}"
    return [
        *analyses,
        "setplot new",
        "set numdgt=10",
        "* Both sweeps in order of frequency.",
        *_join("f", "frequency", "real", band_points, side_points),
        *_join("g", "S_2_1", "db", band_points, side_points),
        f"let insertion_loss_db = -db(sp1.S_2_1[{middle}])",
        f"let worst_in = vecmax(mag(sp1.S_1_1[{inner}]))",
        f"let worst_out = vecmax(mag(sp1.S_2_2[{inner}]))",
        "let return_loss_db = -db(max(worst_in, worst_out))",
        f"let passed = db(sp1.S_2_1[{inner}])",
        "let ripple_db = vecmax(passed) - vecmin(passed)",
        "* 3 dB band: from the centre outwards to the first point below, interpolated in dB over log frequency.",
        "let level = -insertion_loss_db - 3",
        *edge_commands("low", side_points + middle, "k > 0", "k - 1"),
        *edge_commands("high", side_points + middle, f"k < {band_points + 2 * side_points - 1}", "k + 1"),
        "let centre_hz = sqrt(low*high)",
        "let bandwidth_hz = high - low",
        "let rejection_low_db = -insertion_loss_db - db(sp2.S_2_1[8])",
        "let rejection_high_db = -insertion_loss_db - db(sp2.S_2_1[16])",
        "let rejection_db = max(rejection_low_db, rejection_high_db)",
        *(f"print {name}" for name in METRICS),
    ]


def _join(target: str, vector: str, function: str, band_points: int, side_points: int) -> list[str]:
    after = band_points + side_points
    return [
        f"let {target} = vector({after + side_points})",
        "let k = 0",
        f"while k < {side_points}",
        f"  let {target}[k] = {function}(sp2.{vector}[k])",
        f"  let {target}[k+{after}] = {function}(sp2.{vector}[k+{side_points + 3}])",
        "  let k = k + 1",
        "end",
        "let k = 0",
        f"while k < {band_points}",
        f"  let {target}[k+{side_points}] = {function}(sp1.{vector}[k])",
        "  let k = k + 1",
        "end",
    ]
