"""A transient of a circuit that oscillates by itself: kicked, run on until it is steady, tuned, run on again.

symbol  variable        meaning                                                     unit
f_s     -               frequency of the mode that grows at the operating point     Hz
h       step_s          time step, 1 / (POINTS f_s)                                 s

The period is unknown and is read from upward zero crossings of one net, interpolated; amplitudes come from a
least-squares fit of a few harmonics over whole periods, so that steps may be uneven. The circuit is run on in blocks
until frequency, amplitudes and power are known by Aitken's extrapolation, as in `genrf.simulation.transient`. The
trapezoidal rule keeps the energy of a resonator, and its error in frequency is known (`genrf.classes.vco.metrics.unwarped`).

Junction temperatures are held as in `genrf.simulation.transient`: here by a resistor from every thermal node to a
source, 1 TOhm for the operating point and very little in the transient, so that one deck serves all analyses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.testbench import SimulationFailure, Simulator

OPTIONS = ".options trtol=1e6 reltol=1e-4 vntol=1e-7 chgtol=1e-18 method=trap itl4=40"
"""Equal steps; no distortion is measured, so iterations may end earlier than for driven circuits."""
POINTS = 32
"""Time steps a period. Against ten times as many, a cross-coupled pair that does not saturate agrees within 0.01 % in
frequency and 0.02 dB in power. A pair driven deep into saturation does not converge in frequency, with Gear's rule
either: 0.7 % are added each time the steps are halved, which is a property of ngspice 39's VBIC."""
BLOCK = 4.5
"""Periods between two looks."""
LONGEST_BLOCKS = 18
"""Blocks at one tuning voltage after which a circuit that is not steady is given up."""
KICK_V = 0.3
"""Swing that the kick would give the mode: near the final one, so that growing takes little time."""
LEAST_AMPLITUDE_V = 5e-3
"""A circuit that swings less has died."""
_HARMONICS = 4
_WINDOW_PERIODS = 3
_SLOWEST = 0.95
_LARGEST_EXTRAPOLATION = 20.0
_LEAST_WARMING_K = 0.3
_THERMAL_S = 5e-9
"""About the thermal time constant of every npn13G2."""
_FALLING, _LONGEST_FALL = 0.96, 9
"""A swing that falls to less than this share in so many blocks in a row falls to nothing."""
_UNEVEN_PERIODS = 0.1
_LONGEST_TIME = 1e5
"""Periods: never reached, because every block is stopped."""


@dataclass(frozen=True, slots=True)
class Oscillator:
    """What of a netlist has to do with running it as an oscillator."""

    net: str
    """Net of the resonator that is kicked and watched; the kick is the current source ``i_kick`` into it."""
    output: str
    sources: Mapping[str, float]
    """Voltage of every source of power by its name, in V."""
    thermal_ohm: Mapping[str, float]
    """Thermal resistance at every thermal node, in K/W."""
    watched: Sequence[str] = ()
    """Further vectors to keep."""

    def holding(self) -> list[str]:
        """Netlist lines that can hold the thermal nodes."""
        return [
            line
            for node in self.thermal_ohm
            for line in (f"v_hold_{node} hold_{node} 0 0", f"r_hold_{node} {node} hold_{node} 1e12")
        ]

    def hold_ohm(self, node: str, step_s: float) -> float:
        """Resistance that holds a node in the transient: its time constant is half a step.

        So a change of temperature is over within a few steps; with less the trapezoidal rule would ring on for ever.
        """
        return self.thermal_ohm[node] * step_s / (2.0 * _THERMAL_S)

    def saved(self) -> tuple[str, ...]:
        """Vectors that the figures are made of."""
        return tuple(
            dict.fromkeys(
                (
                    self.net,
                    self.output,
                    *(f"{name}#branch" for name in self.sources),
                    *(f"v_hold_{node}#branch" for node in self.thermal_ohm),
                    *self.watched,
                )
            )
        )


@dataclass(frozen=True, slots=True)
class Steady:
    """A steady oscillation."""

    frequency_hz: float
    """Frequency as simulated, time step's error included."""
    amplitude_v: float
    """Peak fundamental at the watched net."""
    output_v: float
    """Peak fundamental at the output."""
    power_w: float
    """Mean power from all sources."""


class Oscillation:
    """A transient in progress on a simulator; the deck is loaded and has its operating point."""

    def __init__(
        self,
        simulator: Simulator,
        oscillator: Oscillator,
        plot: str,
        step_s: float,
        guess_hz: float,
        longest_blocks: int = LONGEST_BLOCKS,
    ) -> None:
        """
        Args:
            simulator: with the deck loaded.
            oscillator: what to kick and watch.
            plot: name that the transient's plot will have.
            step_s: h, in s.
            guess_hz: about the frequency to expect, in Hz.
            longest_blocks: after which a circuit that is not steady at a tuning voltage is given up.
        """
        self._longest_blocks = longest_blocks
        self._simulator, self._oscillator, self._plot = simulator, oscillator, plot
        self.step_s = step_s
        self._period_s = 1.0 / guess_hz
        self._time = 0.0
        self.kick_v = KICK_V
        """Swing that the kick gives the mode."""
        self._kelvin: dict[str, float] = {}

    def start(self, kick_c: float, kelvin: Mapping[str, float]) -> None:
        """Run the first block, with a kick of that charge, in C, and thermal nodes held at those temperatures."""
        self._kelvin = dict(kelvin)
        width = 0.25 * self._period_s
        kick = f"0 {kick_c / (0.75 * width):.6g} 0 {width / 4.0:.6g} {width / 4.0:.6g} {width / 2.0:.6g} 1"
        hold = [
            command
            for node, rise in self._kelvin.items()
            for command in (
                f"alter r_hold_{node} = {self._oscillator.hold_ohm(node, self.step_s):.6g}",
                f"alter v_hold_{node} {rise:.6g}",
            )
        ]
        self._time = BLOCK * self._period_s
        self._simulator.command(
            *hold,
            f"alter @i_kick[pulse] = [ {kick} ]",
            f"stop when time > {self._time:.12g}",
            f"tran {self.step_s:.12g} {_LONGEST_TIME * self._period_s:.6g} 0 {self.step_s:.12g}",
            "delete all",
        )

    def inject(self, source: str, height: float, duration_s: float) -> tuple[float, float, float]:
        """Give a source a pulse from here on; returns its start, its centre and its area, in s, s and units times s."""
        start = float(self.vector("time")[-1])
        self._time = start + duration_s
        self._simulator.command(
            f"alter {source} dc = {height:.9g}", f"stop when time > {self._time:.12g}", "resume", "delete all"
        )
        end = float(self.vector("time")[-1])
        self._time = end
        self._simulator.command(f"alter {source} dc = 0")
        return start, 0.5 * (start + end), height * (end - start)

    def run_on(self, periods: float) -> None:
        """Run on for some periods."""
        self._time += periods * self._period_s
        self._simulator.command(f"stop when time > {self._time:.12g}", "resume", "delete all")

    def tune(self, volt: float) -> None:
        """Change the tuning voltage, and run on for a block."""
        self._simulator.command(f"alter v_tune {volt:.9g}")
        self.run_on(BLOCK)

    def settle(self, *, frequency_tolerance: float = 3e-4, amplitude_tolerance: float = 2e-2) -> Steady:
        """Run on until the oscillation is steady.

        Raises:
            SimulationFailure: ``no_oscillation`` if it dies, ``no_convergence`` if it never becomes steady.
        """
        relative = np.array([frequency_tolerance, amplitude_tolerance, amplitude_tolerance, 0.5 * amplitude_tolerance])
        before: NDArray[np.float64] | None = None
        change: NDArray[np.float64] | None = None
        expected: NDArray[np.float64] | None = None
        falling = 0
        for _ in range(self._longest_blocks):
            now = self._observe()
            if now is not None and before is not None:
                falling = falling + 1 if now[1] < _FALLING * before[1] else 0
                if falling >= _LONGEST_FALL:
                    raise SimulationFailure(
                        "no_oscillation", f"the oscillation dies away: {now[1] / 1e-3:.3g} mV are left"
                    )
                allowed = relative * np.abs(now)
                allowed[2] = max(allowed[2], 1e-4)
                last, change = change, now - before
                if last is not None:
                    ratio = change / np.where(last == 0.0, 1.0, last)
                    ratio = np.where((np.abs(ratio) < _SLOWEST) & (np.abs(last) > 0.0), ratio, 0.0)
                    rest = change * ratio / (1.0 - ratio)
                    ahead, expected = expected, now + rest
                    near = np.abs(rest) <= _LARGEST_EXTRAPOLATION * allowed
                    if (np.abs(change) <= 0.4 * allowed).all() or (
                        ahead is not None and (near & (np.abs(expected - ahead) <= allowed)).all()
                    ):
                        return Steady(*(float(figure) for figure in expected))
            before = now
            if now is None:
                change = expected = None
            self._warm()
            self.run_on(BLOCK)
        raise SimulationFailure("no_convergence", "the oscillation does not become steady")

    def vector(self, name: str) -> NDArray[np.float64]:
        """A saved vector over all of the transient, (steps,)."""
        return self._simulator.vector(self._plot, name)

    def window(self) -> tuple[NDArray[np.float64], slice] | None:
        """Time of the last upward zero crossings, (periods + 1,), and the samples between first and last."""
        time, wave = self.vector("time"), self.vector(self._oscillator.net)
        start = int(np.searchsorted(time, time[-1] - (_WINDOW_PERIODS + 1.5) * self._period_s))
        crossings = zero_crossings(time[start:], wave[start:])
        if len(crossings) < 3:
            return None
        crossings = crossings[-1 - _WINDOW_PERIODS :]
        first, last = np.searchsorted(time, (crossings[0], crossings[-1]))
        return crossings, slice(int(first), int(last))

    def _observe(self) -> NDArray[np.float64] | None:
        """Frequency, amplitudes and power over the last periods, (4,); None if they are not periodic yet."""
        wave = self.vector(self._oscillator.net)
        tail = wave[-round(2.0 * self._period_s / self.step_s) :]
        if float(np.ptp(tail)) < 2.0 * LEAST_AMPLITUDE_V:
            raise SimulationFailure("no_oscillation", f"the oscillation dies: {np.ptp(tail) / 2e-3:.2g} mV are left")
        found = self.window()
        if found is None:
            return None
        crossings, inside = found
        period = float(crossings[-1] - crossings[0]) / (len(crossings) - 1)
        if np.abs(np.diff(crossings) - period).max() > _UNEVEN_PERIODS * period:
            return None
        # Blocks follow the period within reason, also when it first was far off.
        self._period_s = min(max(period, 0.5 * self._period_s), 2.0 * self._period_s)
        time = self.vector("time")[inside]
        amplitudes = [
            abs(fundamental(time, self.vector(net)[inside], 1.0 / period))
            for net in (self._oscillator.net, self._oscillator.output)
        ]
        power = -sum(
            volt * mean(time, self.vector(f"{name}#branch")[inside]) for name, volt in self._oscillator.sources.items()
        )
        return np.array([1.0 / period, *amplitudes, power])

    def _warm(self) -> None:
        """Move the junction temperatures to where the mean dissipation takes them."""
        found = self.window()
        if found is None:
            return
        time = self.vector("time")[found[1]]
        for node, kelvin in self._kelvin.items():
            rise = self._oscillator.thermal_ohm[node] * mean(time, self.vector(f"v_hold_{node}#branch")[found[1]])
            if abs(rise) > _LEAST_WARMING_K:
                self._kelvin[node] = kelvin + rise
                self._simulator.command(f"alter v_hold_{node} {kelvin + rise:.6g}")


def zero_crossings(time: NDArray[np.float64], wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times at which a wave crosses its middle level upwards, interpolated by a cubic through four samples."""
    middle = 0.5 * (wave.max() + wave.min())
    centred = wave - middle
    level = 0.25 * centred.max()
    at = np.flatnonzero((centred[1:-2] < 0.0) & (centred[2:-1] >= 0.0)) + 1
    crossings: list[float] = []
    low = True
    previous = 0
    for index in at:
        # Between two crossings that count the wave has been well above and well below.
        span = centred[previous : index + 1]
        low = previous == 0 or (span.max() > level and span.min() < -level)
        if not low:
            continue
        previous = int(index)
        t, v = time[index - 1 : index + 3], centred[index - 1 : index + 3]
        if not (np.diff(v) > 0.0).all():
            crossings.append(float(t[1] - v[1] * (t[2] - t[1]) / (v[2] - v[1])))
            continue
        # Inverse interpolation: time as a cubic in the wave, at 0 (Lagrange).
        weights = [np.prod([v[k] / (v[k] - v[j]) for k in range(4) if k != j]) for j in range(4)]
        crossings.append(float(t[1] + np.dot(weights, t - t[1])))
    return np.array(crossings)


def fundamental(time: NDArray[np.float64], wave: NDArray[np.float64], frequency_hz: float) -> complex:
    """Peak phasor of a wave's fundamental, fitted together with its mean and a few harmonics."""
    angle = 2.0 * np.pi * frequency_hz * time
    columns = [np.ones_like(angle)]
    for order in range(1, _HARMONICS + 1):
        columns += [np.cos(order * angle), np.sin(order * angle)]
    basis = np.stack(columns, axis=1)
    normal = basis.T @ basis
    _, cosine, sine, *_ = np.linalg.solve(normal, basis.T @ wave)
    return complex(cosine, -sine)


def mean(time: NDArray[np.float64], wave: NDArray[np.float64]) -> float:
    """Mean of a wave over uneven steps."""
    return float(np.trapezoid(wave, time) / (time[-1] - time[0]))
