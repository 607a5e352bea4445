"""Third-order intercept points of amplifiers by VACASK's harmonic balance, from both sidebands.

symbol  variable    meaning                                             unit
df      spacing_hz  distance of the two tones                           Hz
n       order       largest order of the products taken into account    1

Both products are measured: with tones close together the bias network and the junction's temperature answer at df, and the
sidebands differ by up to some dB. Two tones are started from the solution with one of them: from nothing VACASK often does
not converge. The level is so low that products are 80 dB below the tones, where what is left out above the order hardly
counts; a higher order, or the same order sampled at other times, must give the same. Matrices are dense in the spectrum: an
analysis takes 0.4 s at order 4 and 1.6 s at order 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genrf.conditions import Conditions
from genrf.simulation.large_signal import ToneSpacing
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.transient import available_amplitude_v, dbm
from genrf.simulation.vacask.harmonic_balance import TIMEOUT_S, TOLERANCES, phasor
from genrf.simulation.vacask.netlist import number, options
from genrf.simulation.vacask.process import attempt

_START_DBM = -60.0
_PRODUCT_DBC, _RANGE_DBC = -80.0, (-100.0, -70.0)
"""Wanted and accepted size of the larger product."""
_LOOKS = 3
_AGREE_DB = 0.05
_CHECKS = ((5, 3), (4, 7), (5, 7))
"""Order and periods that samples are spread over, of what may confirm a result; that has order 4 and 3 periods."""
_MOVED = (1.0, 1.0 + 1.0 / 128.0, 1.0 - 1.0 / 90.0)
"""Factors on the spacing: at some, the samples of a spectrum fall so badly that nothing converges."""


@dataclass(frozen=True, slots=True)
class Intercept:
    """Third-order intercept points, referred to the power available from each of two tones, in dBm."""

    lower_dbm: float
    """From the product 2 f1 - f2."""
    upper_dbm: float
    """From the product 2 f2 - f1."""
    spacing_hz: float
    change_db: float
    """By how much the confirming analysis differs."""

    @property
    def worse_dbm(self) -> float:
        """The lower of both."""
        return min(self.lower_dbm, self.upper_dbm)

    @property
    def note(self) -> str:
        """What a reader of the figure must know."""
        return (
            f"iip3_dbm: {self.lower_dbm:.2f} dBm from the lower and {self.upper_dbm:.2f} dBm from the upper sideband, "
            f"tones {self.spacing_hz / 1e6:.4g} MHz apart; another order or sampling changes it by {self.change_db:.3f} dB"
        )


def ngspice_spacing_hz(conditions: Conditions) -> float:
    """Spacing of the tones of ngspice's sign-off, f0 / 20.5, which has to make whole cycles in a period."""
    low, high = ToneSpacing(conditions.frequency_hz).tones_hz
    return high - low


def intercept(conditions: Conditions, lines: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Intercept:
    """Third-order intercept points of an amplifier from two tones about f0.

    Args:
        conditions: f0, impedances and spacing of the tones.
        lines: of `genrf.simulation.vacask.harmonic_balance.amplifier_lines`.
        timeout_s: of one process.

    Raises:
        SimulationFailure: ``no_convergence`` if nothing confirms the result, ``not_measurable`` if there is no product.
    """
    spacing = conditions.tone_spacing_hz or ngspice_spacing_hz(conditions)
    level = _START_DBM
    for _ in range(_LOOKS):
        lower, upper, product_dbc = _two_tones(conditions, lines, spacing, level, 4, 3, timeout_s)
        if _RANGE_DBC[0] <= product_dbc <= _RANGE_DBC[1]:
            break
        level += 0.5 * (_PRODUCT_DBC - product_dbc)
    last = SimulationFailure("no_convergence", "harmonic balance with two tones")
    for order, periods in _CHECKS:
        try:
            other = _two_tones(conditions, lines, spacing, level, order, periods, timeout_s)
        except SimulationFailure as failure:
            last = failure
            continue
        change = max(abs(other[0] - lower), abs(other[1] - upper))
        if change <= _AGREE_DB:
            return Intercept(other[0], other[1], spacing, change)
        last = SimulationFailure("no_convergence", f"order {order} changes the intercept point by {change:.2f} dB")
    raise last


def _two_tones(
    conditions: Conditions,
    lines: Sequence[str],
    spacing_hz: float,
    level_dbm: float,
    order: int,
    periods: int,
    timeout_s: float,
) -> tuple[float, float, float]:
    """Intercept points from the lower and the upper product in dBm, and the larger product in dBc."""
    amplitude = number(available_amplitude_v(level_dbm, conditions.source_ohm))
    last = SimulationFailure("no_convergence", "harmonic balance with two tones")
    for factor in _MOVED:
        half = 0.5 * spacing_hz * factor
        low, high = conditions.frequency_hz - half, conditions.frequency_hz + half
        control = [
            "control",
            "abort always",
            options(conditions, **TOLERANCES),
            f'alter instance("v_in") ampl={amplitude} freq={number(low)}',
            f'alter instance("v_two") ampl={number(0.0)} freq={number(high)}',
            f'analysis one hb freq=[{number(low)}] nharm=1 store="one"',
            f'alter instance("v_two") ampl={amplitude}',
            f'analysis two hb freq=[{number(low)}, {number(high)}] nharm={order} immax={order} truncate="diamond"'
            f' nper={number(periods)} nodeset="one"',
            "endc",
        ]
        found, failure = attempt([*lines, *control], ["two"], timeout_s=timeout_s)
        if failure is not None:
            last = failure
            continue
        powers = [
            dbm(abs(phasor(found["two"], "out", frequency)), conditions.load_ohm)
            for frequency in (low, high, 2.0 * low - high, 2.0 * high - low)
        ]
        wanted = 0.5 * (powers[0] + powers[1])
        products = [power - wanted for power in powers[2:]]
        return level_dbm - 0.5 * products[0], level_dbm - 0.5 * products[1], max(products)
    raise last
