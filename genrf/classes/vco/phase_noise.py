"""Phase noise from the impulse sensitivity of the oscillation to every noise source.

symbol  variable        meaning                                                             unit
gamma   sensitivity     lasting phase shift after a charge (or flux) injected at phase x    rad/C (rad/(V s))
S(x)    -               white spectral density of a source while the wave is at phase x     A^2/Hz (V^2/Hz)
df      offset_hz       offset from the carrier                                             Hz

L(df) = (sum mean(gamma^2 S) + sum mean(gamma m)^2 / df) / (2 (2 pi df)^2), with m^2 / df the density of flicker noise
(Hajimiri and Lee, IEEE JSSC 33(2), 1998, with the noise's variation over the period; the same as projecting on the
phase's perturbation vector, Demir, Mehrotra and Roychowdhury, IEEE T-CAS I 47(5), 2000, for small noise).

A steady oscillation is run on; small charges go into one net after the other, and small voltage pulses into the leads
of transistors, at phases all around the period and with alternating sign; the zero crossings tell by how much the phase
has shifted when the amplitude has recovered. A source between two nets has the difference of their sensitivities.

source                  density
resistors               4 k T / R: the circuit's, the losses of inductors and capacitors, the load
collector current       2 q I_C(x), collector to emitter
base current            2 q I_B(x), and flicker noise KFN I_B(x)^AFN / f, base to emitter
leads of transistors    4 k T R: rbx + rbi, re, rcx + rci of the model card, not modulated; varactors too

The substrate's resistances are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genrf.classes.vco.metrics import BOLTZMANN, CHARGE_C, OFFSET_HZ
from genrf.classes.vco.oscillation import Oscillation, Oscillator, zero_crossings
from genrf.simulation.testbench import Deck, SimulationFailure, Simulator

POINTS = 32
PHASES = 10
"""Injections a site, around the period."""
RECOVERY_PERIODS = 8
"""Periods between injections."""
INJECTED_SHARE = 0.02
"""Step of the resonator's voltage by an injected charge, relative to its amplitude."""
LEAD_V = 0.02
"""Voltage pulse in a lead; as charges, it lasts for a twentieth of a period."""
_PULSE_PERIODS = 0.05
_HARMONICS = 3
_GRID = 96
_CROSSINGS = 3
"""Zero crossings that are averaged before and after an injection."""
_SMALL_OHM = 40.0
_LARGEST_UNEXPLAINED = 0.05
"""Share of the squared phase shifts that the sensitivities may leave over."""
_KELVIN = 273.15


@dataclass(frozen=True, slots=True)
class PhaseNoise:
    """What makes up the phase noise of an oscillator."""

    white: Mapping[str, float]
    """mean(gamma^2 S) of each source, in rad^2/s."""
    flicker: Mapping[str, float]
    """mean(gamma m)^2 of each source, in rad^2/s^2."""

    def dbc_hz(self, offset_hz: float = OFFSET_HZ) -> float:
        """Phase noise in dBc/Hz at an offset, in Hz."""
        total = sum(self.white.values()) + sum(self.flicker.values()) / offset_hz
        return 10.0 * math.log10(max(total, 1e-30) / (2.0 * (2.0 * math.pi * offset_hz) ** 2))


@dataclass(frozen=True, slots=True)
class _Transistor:
    name: str
    nets: tuple[str, str, str]
    """Collector, base, emitter."""
    card: Mapping[str, float]
    multiplier: int

    def lead_ohm(self) -> dict[str, float]:
        """Resistance in each lead."""
        ohm = {
            "c": self.card["rcx"] + self.card["rci"],
            "b": self.card["rbx"] + self.card["rbi"],
            "e": self.card["re"],
        }
        return {lead: value / self.multiplier for lead, value in ohm.items() if value > 0.0}


def signoff_phase_noise(
    simulator: Simulator,
    netlist: Sequence[str],
    oscillator: Oscillator,
    *,
    temperature_c: float,
    kick_c: float,
    guess_hz: float,
    kelvin: Mapping[str, float],
) -> PhaseNoise:
    """Phase noise of an oscillator, every noisy part of its netlist counted.

    Args:
        simulator: to run on.
        netlist: title first, with the kick and the holding of temperatures of `oscillator`.
        oscillator: what to kick and watch.
        temperature_c: of resistors, in degrees Celsius.
        kick_c: charge that starts the oscillation, in C.
        guess_hz: about the frequency, in Hz.
        kelvin: temperature rise of every thermal node.

    Raises:
        SimulationFailure: as for any oscillation.
    """
    noisy = [
        (words[0], words[1], words[2], float(words[3]))
        for line in netlist[1:]
        if (words := line.split()) and words[0][0] == "r" and not words[0].startswith(("rt_", "r_hold_", "rsub_"))
    ]
    # The two ends of a small resistance are alike but for rounding: its noise is taken as a voltage in series.
    resistors = [resistor for resistor in noisy if resistor[3] >= _SMALL_OHM]
    series = [resistor for resistor in noisy if resistor[3] < _SMALL_OHM]
    transistors = _transistors(netlist)
    held = {
        "0",
        *(words[1] for line in netlist[1:] if (words := line.split()) and words[0][0] == "v" and words[2] == "0"),
    }
    nets = list(
        dict.fromkeys(
            net
            for nets in [(a, b) for _, a, b, _ in resistors] + [transistor.nets for transistor in transistors]
            for net in nets
            if net not in held
        )
    )
    sites = [f"i_site{index}" for index in range(len(nets))]
    lines = [
        *_with_leads(netlist, transistors, series),
        *(f"{site} 0 {net} dc 0" for site, net in zip(sites, nets, strict=True)),
    ]
    leads = [f"v_{lead}_{transistor.name}" for transistor in transistors for lead in transistor.lead_ohm()]
    leads += [f"v_{name}" for name, *_ in series]
    currents = tuple(f"@{transistor.name}[{of}]" for transistor in transistors for of in ("ic", "ib"))
    watching = replace(oscillator, watched=currents)
    simulator.run(Deck(tuple(lines), ("op",), watching.saved()))
    step = 1.0 / (POINTS * guess_hz)
    running = Oscillation(simulator, watching, "tran1", step, guess_hz)
    running.start(kick_c, kelvin)
    steady = running.settle(frequency_tolerance=1e-4, amplitude_tolerance=5e-3)
    period = 1.0 / steady.frequency_hz
    # The charge that the kick would need for the wanted step, had it given `amplitude_v`.
    charge = INJECTED_SHARE * steady.amplitude_v * kick_c / running.kick_v
    wave = _one_period(running, currents, period)
    amplitude = dict.fromkeys(sites, charge / (_PULSE_PERIODS * period)) | dict.fromkeys(leads, LEAD_V)
    sensitivity = _sensitivities(running, oscillator.net, amplitude, period)
    at = {net: sensitivity[site] for net, site in zip(nets, sites, strict=True)}
    still = np.zeros(_GRID)

    def between(first: str, second: str) -> NDArray[np.float64]:
        return at.get(first, still) - at.get(second, still)

    thermal = 4.0 * BOLTZMANN * (temperature_c + _KELVIN)
    white = {name: thermal / ohm * float(np.mean(between(a, b) ** 2)) for name, a, b, ohm in resistors}
    for name, _, _, ohm in series:
        white[name] = thermal * ohm * float(np.mean(sensitivity[f"v_{name}"] ** 2))
    flicker: dict[str, float] = {}
    for transistor in transistors:
        name = transistor.name
        collector, base, emitter = transistor.nets
        warmer = 1.0 + kelvin.get(f"{name}_t", 0.0) / (temperature_c + _KELVIN)
        for lead, ohm in transistor.lead_ohm().items():
            white[f"{name} {lead}"] = thermal * warmer * ohm * float(np.mean(sensitivity[f"v_{lead}_{name}"] ** 2))
        collector_a, base_a = _conducted(
            wave[f"@{name}[ic]"], wave[f"@{name}[ib]"], junction=len({*transistor.nets}) < 3
        )
        white[f"{name} ic"] = float(np.mean(between(collector, emitter) ** 2 * 2.0 * CHARGE_C * collector_a))
        white[f"{name} ib"] = float(np.mean(between(base, emitter) ** 2 * 2.0 * CHARGE_C * base_a))
        each = base_a / transistor.multiplier
        modulation = np.sqrt(transistor.multiplier * transistor.card["kfn"] * each ** transistor.card["afn"])
        flicker[f"{name} ib"] = float(np.mean(between(base, emitter) * modulation)) ** 2
    return PhaseNoise(white, flicker)


def _sensitivities(
    running: Oscillation, net: str, amplitude: Mapping[str, float], period: float
) -> dict[str, NDArray[np.float64]]:
    """Sensitivity of the phase to each source over a grid of phases from an upward zero crossing on, (grid,)."""
    running.run_on(2.0 * RECOVERY_PERIODS)
    injections = []
    for source, height in amplitude.items():
        for index in range(PHASES):
            signed = height if index % 2 == 0 else -height
            injections.append((source, running.inject(source, signed, _PULSE_PERIODS * period)))
            running.run_on(RECOVERY_PERIODS + 1.0 / PHASES - _PULSE_PERIODS)
    time = running.vector("time")
    settled = int(np.searchsorted(time, injections[0][1][0] - 1.5 * RECOVERY_PERIODS * period))
    crossings = zero_crossings(time[settled:], running.vector(net)[settled:])
    grid = 2.0 * np.pi * np.arange(_GRID) / _GRID
    found: dict[str, NDArray[np.float64]] = {}
    explained = unexplained = 0.0
    starts = [pulse[0] for _, pulse in injections] + [float(time[-1])]
    for source in amplitude:
        rows, shifts = [], []
        for index, (injected, (start, centre, area)) in enumerate(injections):
            if injected != source:
                continue
            before = int(np.searchsorted(crossings, start))
            after = int(np.searchsorted(crossings, starts[index + 1]))
            if before < _CROSSINGS or after - before < 2 * _CROSSINGS:
                raise SimulationFailure("not_measurable", "the oscillation loses its rhythm under small injections")
            numbers = np.arange(_CROSSINGS)
            early = float(np.mean(crossings[before - _CROSSINGS : before] - period * numbers))
            late = float(np.mean(crossings[after - _CROSSINGS : after] - period * (numbers + after - before)))
            phase = 2.0 * np.pi * (centre - crossings[before - 1]) / period
            # What the period is wrong by adds up between injections: one unknown more.
            rows.append([area * term for term in _terms(phase)] + [float(after - before)])
            shifts.append(-2.0 * np.pi * (late - early) / period)
        scale = abs(np.array(rows)[:, 0]).max()
        design = np.array(rows)
        design[:, :-1] /= scale
        solution = np.linalg.lstsq(design, np.array(shifts), rcond=None)[0]
        unexplained += float(np.sum((design @ solution - shifts) ** 2))
        explained += float(np.sum((design[:, :-1] @ solution[:-1]) ** 2))
        solution = solution[:-1] / scale
        found[source] = np.array([_terms(phase) for phase in grid]) @ solution
    if not unexplained <= _LARGEST_UNEXPLAINED * explained:
        raise SimulationFailure("not_measurable", "the phase wanders for other reasons than the injections")
    return found


def _terms(phase: float) -> list[float]:
    """Constant, cosines and sines of a Fourier series."""
    return [1.0] + [part(order * phase) for order in range(1, _HARMONICS + 1) for part in (math.cos, math.sin)]


def _one_period(running: Oscillation, names: Sequence[str], period: float) -> dict[str, NDArray[np.float64]]:
    """Waves over the same grid of phases, (grid,)."""
    found = running.window()
    if found is None:
        raise SimulationFailure("not_measurable", "no whole period of the steady oscillation")
    crossings, _ = found
    time = running.vector("time")
    grid = crossings[-2] + period * np.arange(_GRID) / _GRID
    return {name: np.interp(grid, time, running.vector(name)) for name in names}


def _conducted(
    collector_a: NDArray[np.float64], base_a: NDArray[np.float64], *, junction: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Currents that carriers make, (grid,) each, of terminal currents that charge junctions too.

    Charging averages to nothing. What flows into the collector is taken for transport, and the base's mean current to
    follow it. A transistor that is used as a junction has mean currents only.
    """
    if junction:
        return np.full_like(collector_a, abs(np.mean(collector_a))), np.full_like(base_a, abs(np.mean(base_a)))
    transport = np.maximum(collector_a, 0.0)
    return transport, abs(np.mean(base_a)) * transport / max(float(np.mean(transport)), 1e-15)


def _transistors(netlist: Sequence[str]) -> list[_Transistor]:
    cards = {
        words[1]: {
            key: float(value)
            for word in words[3:]
            if (key := word.partition("=")[0]) and (value := word.partition("=")[2])
        }
        for line in netlist[1:]
        if line.startswith(".model") and (words := line.split())
    }
    found = []
    for line in netlist[1:]:
        if line[0] == "q":
            name, collector, base, emitter, _, _, card, *rest = line.split()
            multiplier = int(rest[0].removeprefix("m=")) if rest else 1
            found.append(_Transistor(name, (collector, base, emitter), cards[card], multiplier))
    return found


def _with_leads(
    netlist: Sequence[str], transistors: Sequence[_Transistor], series: Sequence[tuple[str, str, str, float]]
) -> list[str]:
    """The netlist with a voltage source of 0 V in every resistive lead and small resistance."""
    small = {name for name, *_ in series}
    of = {transistor.name: transistor for transistor in transistors}
    lines = [netlist[0]]
    for line in netlist[1:]:
        name, *rest = line.split() or [""]
        if name in small:
            lines += [f"v_{name} {rest[0]} {name}_n dc 0", f"{name} {name}_n {rest[1]} {rest[2]}"]
            continue
        if name not in of:
            lines.append(line)
            continue
        terminals = list(of[name].nets)
        for index, lead in enumerate("cbe"):
            if lead in of[name].lead_ohm():
                lines.append(f"v_{lead}_{name} {terminals[index]} {name}_{lead} dc 0")
                terminals[index] = f"{name}_{lead}"
        lines.append(" ".join([name, *terminals, *rest[3:]]))
    return lines
