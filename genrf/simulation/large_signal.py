"""Compression and intermodulation: what a circuit puts out as its drive grows.

symbol  variable        meaning                                                         unit
P_in    input_dbm       available power of the source                                   dBm
P_out   output_dbm      power in the load at the frequency that counts                  dBm
G       gain_db         small-signal transducer gain                                    dB
c       compression     G - (P_out - P_in)                                              dB
N       points          time steps a period of the carrier                              1

`compress` looks for the drives at which a circuit's gain has dropped by given amounts; it asks a function for one level
after the other and knows nothing of simulation. `two_tones` measures third-order intermodulation on a transient.

The trapezoidal rule makes a circuit that is driven at f behave as it does at tan(pi/N)/(pi/N) f (bilinear transform;
Oppenheim and Schafer, Discrete-Time Signal Processing, 7.1.2). Driven at `warped` f0 it behaves at its fundamental
exactly as at f0, so that a low drive gives the gain of an S-parameter analysis even with few points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.fields import quantity_text
from genrf.simulation.scattering import decibels
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.transient import Transient, available_amplitude_v, dbm

DROPS_DB = (1.0, 3.0)
"""Compression that defines P1dB, and at which the drive ends."""
_STEP_DB = 4.0
"""Step where nothing foretells the compression."""
_STEPS_DB = (0.8, 4.0)
"""Smallest and largest step towards a compression that is foretold."""
_FAR_DB = 0.1
"""Below this compression foretells nothing."""
_BEYOND = 1.05
"""How far beyond a wanted compression a step aims, so that it is bracketed."""
_LARGEST_DOUBT_DB = 0.04
"""Most that two interpolations of a compression point may differ by; else a level is measured there."""
_REFINEMENTS = 3
_LOWEST_DBM, _HIGHEST_DBM = -60.0, 30.0
WATCHED_PERIODS = 4000
"""Periods of the carrier that `check_settled` takes."""
_WATCHED_BLOCK = 50.0
_LARGEST_DRIFT_DB = 3e-3
_LEAST_LOG_DB = 0.05
"""Compression below this is interpolated linearly, above logarithmically."""


@dataclass(frozen=True, slots=True)
class PowerSweep:
    """Output over input power, ascending in input power."""

    gain_db: float
    """Small-signal gain, in dB: what compression is counted from."""
    input_dbm: NDArray[np.float64]
    """Shape (levels,)."""
    output_dbm: NDArray[np.float64]
    """Shape (levels,)."""

    @property
    def compression_db(self) -> NDArray[np.float64]:
        """Shape (levels,); negative where the gain expands."""
        return self.gain_db - (self.output_dbm - self.input_dbm)

    def input_at(self, drop_db: float) -> float:
        """Input-referred compression point in dBm: the lowest drive with that compression, interpolated.

        Raises:
            SimulationFailure: ``not_measurable`` if the sweep does not contain it.
        """
        crossing, _ = _crossing(self.input_dbm, self.compression_db, drop_db)
        return crossing

    def output_at(self, drop_db: float) -> float:
        """Output-referred compression point in dBm: P_out = P_in + G - c."""
        return self.input_at(drop_db) + self.gain_db - drop_db

    def at_input(self, figure: Sequence[float] | NDArray[np.float64], input_dbm: float) -> float:
        """A figure that was measured at every level, (levels,), interpolated linearly over the input power in dBm."""
        return float(np.interp(input_dbm, self.input_dbm, np.asarray(figure, dtype=float)))


def _crossing(drive_dbm: NDArray[np.float64], found_db: NDArray[np.float64], wanted_db: float) -> tuple[float, float]:
    """The lowest drive in dBm at which compression reaches a value, and by how much two interpolations differ, in dB.

    Compression grows in proportion to power while it is weak, so that its logarithm is a straight line over the power
    in dB; as the gain expands first, or saturates, a parabola through three levels is nearer.
    """
    above = np.flatnonzero(found_db >= wanted_db)
    if not len(above) or above[0] == 0:
        raise SimulationFailure("not_measurable", f"no drive with {wanted_db:g} dB of compression in the sweep")
    low, high = int(above[0]) - 1, int(above[0])
    outer = [index for index in (low - 1, high + 1) if 0 <= index < len(drive_dbm)]
    start, width = float(drive_dbm[low]), float(drive_dbm[high] - drive_dbm[low])
    estimates = [start + width * _between(found_db[low], found_db[high], wanted_db)]
    if outer:
        third = min(outer, key=lambda index: min(abs(drive_dbm[index] - drive_dbm[[low, high]])))
        points = [low, high, third]
        parabola = _parabola_at(drive_dbm[points], found_db[points], wanted_db)
        estimates += [] if parabola is None else [parabola]
    if len(estimates) == 1:
        estimates.append(start + width * float((wanted_db - found_db[low]) / (found_db[high] - found_db[low])))
    return 0.5 * sum(estimates), abs(estimates[0] - estimates[1])


def _parabola_at(drive_db: NDArray[np.float64], found_db: NDArray[np.float64], wanted_db: float) -> float | None:
    """Where between the first two of three levels a parabola through all has a value, if it only rises there."""
    start, width = float(drive_db[0]), float(drive_db[1] - drive_db[0])
    slope = float(found_db[1] - found_db[0]) / width
    bend = (float(found_db[2] - found_db[1]) / float(drive_db[2] - drive_db[1]) - slope) / float(drive_db[2] - start)
    # c(x) = c_0 + (slope - bend width) x + bend x^2, with x from 0 to the width.
    linear, missing = slope - bend * width, wanted_db - float(found_db[0])
    if min(linear, linear + 2.0 * bend * width) <= 0.0:
        return None
    return start + 2.0 * missing / (linear + math.sqrt(linear**2 + 4.0 * bend * missing))


def compress(
    output_dbm: Callable[[float], float], gain_db: float, start_dbm: float, *, drops_db: Sequence[float] = DROPS_DB
) -> PowerSweep:
    """Find the drives at which a circuit compresses, with few levels.

    Args:
        output_dbm: measures the output power in dBm at an input power in dBm; called once a level, first with
            `start_dbm`, then with neighbouring ones.
        gain_db: small-signal gain in dB.
        start_dbm: guess of the input-referred 1 dB compression point.
        drops_db: compressions wanted, ascending.

    Raises:
        SimulationFailure: ``not_measurable`` if the gain does not drop that far, or is lower at low drive already.
    """
    found: dict[float, float] = {}

    def compression(level: float) -> float:
        if not _LOWEST_DBM <= level <= _HIGHEST_DBM:
            raise SimulationFailure("not_measurable", f"no {drops_db[0]:g} dB compression within the range of drive")
        found[level] = gain_db - (output_dbm(level) - level)
        return found[level]

    compression(min(max(start_dbm, _LOWEST_DBM), _HIGHEST_DBM))
    while found[min(found)] >= drops_db[0]:
        compression(min(found) - _STEP_DB)
    while found[max(found)] < drops_db[-1]:
        compression(max(found) + _step_up(found, drops_db))
    for drop in drops_db:
        for _ in range(_REFINEMENTS):
            levels = sorted(found)
            crossing, doubt = _crossing(np.array(levels), np.array([found[at] for at in levels]), drop)
            if doubt <= _LARGEST_DOUBT_DB:
                break
            compression(crossing)
    levels = sorted(found)
    drives = np.array(levels)
    return PowerSweep(gain_db, drives, np.array([level + gain_db - found[level] for level in levels]))


def _step_up(found: dict[float, float], drops_db: Sequence[float]) -> float:
    """Step in dB from the highest level to where the next wanted compression should be reached.

    While it is weak, compression grows in proportion to power; in saturation it grows as the power in dB does. What
    the last two levels say is in between.
    """
    levels = sorted(found)
    last = found[levels[-1]]
    if last < _FAR_DB:
        return _STEP_DB
    wanted = _BEYOND * next(drop for drop in drops_db if drop > last)
    step = 10.0 * math.log10(wanted / last)
    if len(levels) > 1 and found[levels[-2]] > 0.0 and last > found[levels[-2]]:
        growth = (last - found[levels[-2]]) / (levels[-1] - levels[-2])
        step = min(step, (wanted - last) / growth)
    return min(max(step, _STEPS_DB[0]), _STEPS_DB[1])


def _between(low_db: float, high_db: float, wanted_db: float) -> float:
    """Where between two levels a compression is reached, from 0 to 1; logarithmic unless the gain expands below."""
    if low_db < _LEAST_LOG_DB:
        return (wanted_db - low_db) / (high_db - low_db)
    return math.log(wanted_db / low_db) / math.log(high_db / low_db)


def warped(frequency_hz: float, points: int) -> float:
    """The frequency in Hz to drive at, for the trapezoidal rule with that many points a period to act as at another."""
    return frequency_hz * (math.pi / points) / math.tan(math.pi / points)


class UnsettledError(Exception):
    """A circuit settles in more time than it is watched for."""


def check_settled(transient: Transient, frequency_hz: float) -> None:
    """Run a driven circuit on and see that its output stays, where slow capacitors of its bias may not be known.

    Raises:
        UnsettledError: if it does not.
    """
    blocks, levels = round(WATCHED_PERIODS / _WATCHED_BLOCK), []
    for block in range(blocks):
        transient.advance(_WATCHED_BLOCK)
        # In the first half ends what settling may have left.
        if block in (blocks // 2 - 1, blocks - 1):
            levels.append(abs(transient.phasor("out", frequency_hz)))
    drift = decibels(levels[1] / levels[0])
    if abs(drift) > _LARGEST_DRIFT_DB:
        span = quantity_text(0.5 * WATCHED_PERIODS / frequency_hz, "s")
        raise UnsettledError(
            f"the bias is still charging: the output changes by {drift:+.2g} dB in {span}, and where it ends is not known"
        )


@dataclass(frozen=True, slots=True)
class TwoTones:
    """Result of a two-tone test."""

    input_dbm: float
    """Available power of each tone."""
    output_dbm: float
    """Power of each tone in the load, the mean of both in dB."""
    im3_dbm: float
    """Power of the larger third-order product in the load."""

    @property
    def im3_dbc(self) -> float:
        """Larger third-order product relative to a tone, in dB."""
        return self.im3_dbm - self.output_dbm

    @property
    def iip3_dbm(self) -> float:
        """Input-referred third-order intercept point: P_in + (P_out - P_IM3) / 2 (Razavi, RF Microelectronics, 2.2)."""
        return self.input_dbm - 0.5 * self.im3_dbc


@dataclass(frozen=True, slots=True)
class ToneSpacing:
    """Two tones with a common period, even about a centre: they make n and n + 1 cycles in it."""

    centre_hz: float
    cycles: int = 20
    """n: the tones are 1 / (n + 1/2) of the centre frequency apart."""

    @property
    def period_s(self) -> float:
        """Common period, in s."""
        return (self.cycles + 0.5) / self.centre_hz

    def frequency_hz(self, cycles: int) -> float:
        """The frequency that makes so many cycles in the common period."""
        return cycles / self.period_s

    @property
    def tones_hz(self) -> tuple[float, float]:
        """Both tones."""
        return self.frequency_hz(self.cycles), self.frequency_hz(self.cycles + 1)

    @property
    def products_hz(self) -> tuple[float, float]:
        """2 f1 - f2 and 2 f2 - f1."""
        return self.frequency_hz(self.cycles - 1), self.frequency_hz(self.cycles + 2)


def two_tones(
    transient: Transient,
    spacing: ToneSpacing,
    *,
    sources: tuple[str, str],
    output: str,
    input_dbm: float,
    source_ohm: float,
    load_ohm: float,
    output_offset_hz: float = 0.0,
    tolerance: float = 1e-3,
) -> TwoTones:
    """Drive a circuit with two equal tones and measure third-order intermodulation.

    Args:
        transient: its ``period_s`` must be the spacing's (or, for a mixer, a multiple of all periods), in which tones
            and products make whole numbers of cycles.
        spacing: the tones.
        sources: two sine sources in series with each other and with one resistance `source_ohm`.
        output: vector across `load_ohm`.
        input_dbm: available power of each tone.
        source_ohm: in Ohm.
        load_ohm: in Ohm.
        output_offset_hz: what a mixer adds to every frequency between input and output; negative downwards. A
            frequency that comes out negative is counted as its absolute value.
        tolerance: of settling, see `Transient.settle`.

    Raises:
        SimulationFailure: ``no_convergence`` if it does not settle.
    """
    amplitude = available_amplitude_v(input_dbm, source_ohm)
    for source, frequency in zip(sources, spacing.tones_hz, strict=True):
        transient.drive(source, amplitude, frequency)
    if transient.periods == 0.0:
        # Heat capacities are charged at the very start; the first period that is looked at must not see it.
        transient.advance(1.25)
    wanted = [abs(frequency + output_offset_hz) for frequency in (*spacing.tones_hz, *spacing.products_hz)]

    def observe(running: Transient) -> NDArray[np.complex128]:
        return np.array([running.phasor(output, frequency) for frequency in wanted])

    levels = [dbm(abs(value), load_ohm) for value in transient.settle(observe, tolerance=tolerance, block=1.0)]
    return TwoTones(input_dbm, 0.5 * (levels[0] + levels[1]), max(levels[2:]))
