"""Periodic steady state by transient: run on until nothing changes from period to period, then take spectra coherently.

symbol  variable    meaning                                                     unit
T       period_s    common period of everything that drives the circuit         s
N       points      time steps a period; a window of k periods is k N points    1
h       -           time step, T / N                                            s

The time step is held at h: the truncation error that would change it is set out of action, and N says how finely the
period is resolved. Equal steps make every period of samples an exact window, so that a discrete Fourier sum over it has
no leakage and needs no interpolation. ngspice's ``stop when`` and ``resume`` run the same transient on for as long as
it takes, and ``alter`` changes a source's amplitude on the way, so that a power sweep starts each level from the one
before.

Junction temperatures are held between blocks of periods and follow the mean dissipation from block to block. Their time
constants, several nanoseconds, are long against a period, so within one they are constant anyway; left to themselves
they would take hundreds of periods to settle, the more so as ngspice 39 starts a transient with cold VBIC transistors,
whatever the operating point says.

Capacitors that take many periods to charge get the same help (`genrf.simulation.slow_bias`): between blocks, the source
in series with each jumps by what its mean current says is still to come.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.testbench import Deck, SimulationFailure, Simulator

OPTIONS = ".options trtol=1e6 reltol=1e-5 vntol=1e-8 chgtol=1e-18 method=trap itl4=40"
"""Equal steps, and iterations that converge 60 dB below the distortion that is measured."""
_UNEVEN = 1e-3
"""Share of a step by which steps may differ and still count as equal."""

_SLOWEST = 0.95
"""Largest ratio of two changes that is extrapolated."""
_LARGEST_EXTRAPOLATION = 20.0
"""How far a trusted extrapolation may reach, in tolerances."""
_LEAST_WARMING_K = 0.01
_LARGEST_JUMP_V = 0.05
"""Of a slow capacitor's source between two blocks."""
_LEAST_JUMP_V = 2e-5
_CHARGED_V = 3e-4
"""What a slow capacitor may still have to go when a circuit counts as settled: 1 % of a collector current."""
_CHARGED_LOOKS = 4
"""Looks in a row at which that has to hold: where capacitors share a net, what is still to come may pass through nothing."""
_LARGEST_DOUBT = 4.0
"""By what factor a slow capacitor's resistance may change from one jump to the next."""
_SINE = re.compile(r"sin\(.*?\)")

Observation = Callable[["Transient"], NDArray[np.complex128]]
"""What has to settle: figures of the last period, such as phasors and averages."""


class Transient:
    """A transient simulation in progress on a simulator, which it has to itself until its last sample is read."""

    def __init__(
        self,
        simulator: Simulator,
        netlist: Sequence[str],
        saved: Sequence[str],
        *,
        thermal_ohm: Mapping[str, float],
        charging_ohm: Mapping[str, float] = MappingProxyType({}),
        period_s: float,
        points: int,
        longest: int,
    ) -> None:
        """
        Args:
            netlist: title first; sources as they start.
            saved: vectors to keep.
            thermal_ohm: nets of `netlist` whose voltages are temperature rises that are held, and the thermal
                resistance in K/W at each.
            charging_ohm: sources in series with slow capacitors, and the resistance in Ohm that charges each.
            period_s: T, in s.
            points: N.
            longest: periods after which a circuit that has not settled is given up.
        """
        self.period_s, self.points, self.longest = period_s, points, longest
        self.periods = 0.0
        """Simulated so far."""
        self._simulator = simulator
        self._netlist = (*netlist, OPTIONS)
        self._thermal_ohm = thermal_ohm
        self._kelvin: dict[str, float] = {}
        self._slow = {source: _SlowCapacitor(ohm) for source, ohm in charging_ohm.items()}
        self._saved = (
            *saved,
            *(f"v_{node}#branch" for node in self._thermal_ohm),
            *(f"{source}#branch" for source in self._slow),
        )
        self._start = f"tran {period_s / points:.12g} {period_s * longest:.12g} 0 {period_s / points:.12g}"

    def advance(self, periods: float) -> None:
        """Run on for some periods.

        Raises:
            SimulationFailure: ``no_convergence``, also if this goes beyond the longest time allowed.
        """
        until = self.periods + periods
        if until > self.longest - 1:
            raise SimulationFailure("no_convergence", f"not periodic after {self.periods:.0f} periods")
        stop = f"stop when time > {until * self.period_s:.12g}"
        if self.periods == 0.0:
            self._simulator.run(Deck(self._netlist, ("op",), tuple(self._thermal_ohm)))
            self._kelvin = {node: float(self._simulator.vector("op1", node)[0]) for node in self._thermal_ohm}
            held = tuple(f"v_{node} {node} 0 {kelvin:.9g}" for node, kelvin in self._kelvin.items())
            self._simulator.run(Deck((*self._netlist, *held), (stop, self._start, "delete all"), self._saved))
        else:
            self._warm()
            self._charge()
            self._simulator.command(stop, "resume", "delete all")
        self.periods = until

    def drive(self, source: str, amplitude_v: float, frequency_hz: float) -> None:
        """Change the amplitude of a sine source, in V, from here on."""
        if self.periods > 0.0:
            self._simulator.command(f"alter @{source}[sin] [ 0 {amplitude_v:.9g} {frequency_hz:.12g} ]")
            return
        wave = f"sin(0 {amplitude_v:.9g} {frequency_hz:.12g})"
        self._netlist = tuple(
            _SINE.sub(wave, line) if line.startswith(f"{source} ") else line for line in self._netlist
        )

    def settle(
        self, observe: Observation, *, tolerance: float = 1e-3, block: float = 4.0, floor: float = 1e-2
    ) -> NDArray[np.complex128]:
        """Run on in blocks until it is known where what is observed settles; returns those figures.

        A circuit settles as its slowest time constant says, so the change from block to block shrinks by a constant
        factor, and what is still to come is the sum of a geometric series (Aitken's extrapolation). It is trusted when
        it is small and no longer changes from block to block.

        Args:
            observe: figures of the last period.
            tolerance: largest change of any extrapolated figure from one block to the next, relative to it.
            block: periods between two looks.
            floor: figures below this share of the largest one are held to that share.

        Raises:
            SimulationFailure: ``no_convergence`` if it takes longer than allowed.
        """
        before: NDArray[np.complex128] | None = None
        change: NDArray[np.complex128] | None = None
        expected: NDArray[np.complex128] | None = None
        charged = 0
        while True:
            self.advance(block)
            now = observe(self)
            charged = charged + 1 if all(slow.missing_v <= _CHARGED_V for slow in self._slow.values()) else 0
            if before is not None:
                allowed = tolerance * np.maximum(np.abs(now), floor * np.abs(now).max())
                last, change = change, now - before
                if last is not None:
                    ratio = change / np.where(last == 0.0, 1.0, last)
                    ratio = np.where((np.abs(ratio) < _SLOWEST) & (np.abs(last) > 0.0), ratio, 0.0)
                    rest = change * ratio / (1.0 - ratio)
                    ahead, expected = expected, now + rest
                    near = np.abs(rest) <= _LARGEST_EXTRAPOLATION * allowed
                    steady = ahead is not None and (near & (np.abs(expected - ahead) <= allowed)).all()
                    if steady and (not self._slow or charged >= _CHARGED_LOOKS):
                        return expected
            before = now

    def _warm(self) -> None:
        """Move every junction temperature to where the mean dissipation of the last period takes it."""
        for node, kelvin in self._kelvin.items():
            # What flows into the source that holds the temperature is heat that the thermal resistance does not carry.
            change = self._thermal_ohm[node] * self.average(f"v_{node}#branch")
            if abs(change) > _LEAST_WARMING_K:
                self._kelvin[node] = kelvin + change
                self._simulator.command(f"alter v_{node} {kelvin + change:.9g}")

    def _charge(self) -> None:
        """Move the voltage of every slow capacitor to where its mean current over the last period is taking it."""
        for source, slow in self._slow.items():
            jump = slow.jump(self.average(f"{source}#branch"))
            if jump:
                self._simulator.command(f"alter {source} dc={slow.volt:.9g}")

    def window(self, name: str, periods: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Time in s and samples of a vector over the last periods, equally spaced, (periods * N,) each."""
        count = periods * self.points
        time, values = self._simulator.vector("tran1", "time"), self._simulator.vector("tran1", name)
        if len(time) < count:
            raise SimulationFailure("not_measurable", f"{len(time)} time steps where {count} are needed")
        last = time[-count:]
        step = self.period_s / self.points
        if np.abs(np.diff(last) - step).max() <= _UNEVEN * step:
            return last, values[-count:]
        # A step was cut, because the simulator did not converge at once or has just been resumed.
        from scipy.interpolate import CubicSpline

        grid = time[-1] - step * np.arange(count)[::-1]
        near = time > grid[0] - 4.0 * step
        return grid, CubicSpline(time[near], values[near])(grid)

    def phasor(self, name: str, frequency_hz: float, periods: int = 1) -> complex:
        """Peak phasor of a vector at a multiple of 1 / (periods T), relative to cosine at time 0."""
        time, values = self.window(name, periods)
        return complex(2.0 * np.mean(values * np.exp(-2j * math.pi * frequency_hz * time)))

    def average(self, name: str, periods: int = 1) -> float:
        """Mean of a vector over the last periods."""
        return float(np.mean(self.window(name, periods)[1]))


class _SlowCapacitor:
    """The source in series with a slow capacitor: a secant search for the voltage at which no mean current flows."""

    def __init__(self, ohm: float) -> None:
        self.volt = 0.0
        self.missing_v = math.inf
        """What was still to come when it was last looked at, in V."""
        self._ohm = ohm
        self._jumped_v = 0.0
        self._before_a = 0.0

    def jump(self, current_a: float) -> float:
        """The next change of `volt`, which is made; 0 where it is not worth it."""
        if self._jumped_v and current_a != self._before_a:
            found = self._jumped_v / (self._before_a - current_a)
            if found > 0.0:
                self._ohm = min(max(found, self._ohm / _LARGEST_DOUBT), self._ohm * _LARGEST_DOUBT)
        step = self._ohm * current_a
        self.missing_v, self._before_a = abs(step), current_a
        self._jumped_v = min(max(step, -_LARGEST_JUMP_V), _LARGEST_JUMP_V) if abs(step) > _LEAST_JUMP_V else 0.0
        self.volt += self._jumped_v
        return self._jumped_v


def dbm(amplitude_v: float, ohm: float) -> float:
    """Power in dBm of a sine of that peak amplitude across a resistance; -300 dBm for none."""
    return 10.0 * math.log10(max(amplitude_v**2 / (2.0 * ohm), 1e-33) / 1e-3)


def available_amplitude_v(power_dbm: float, ohm: float) -> float:
    """Peak open-circuit voltage of a source of that available power and resistance: P = V^2 / (8 R)."""
    return math.sqrt(8.0 * ohm * 1e-3 * 10.0 ** (power_dbm / 10.0))
