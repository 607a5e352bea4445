"""Periodic steady states of amplifiers by VACASK's harmonic balance: output and consumption as the drive grows.

symbol  variable    meaning                                     unit
P_in    input_dbm   power available from the source             dBm
P_out   output_dbm  power in the load at f0                     dBm
n       order       harmonics that are taken into account       1

Unlike a transient, harmonic balance has neither time steps nor settling: bias networks and junction temperatures follow
the drive however slow they are. Its error is what it leaves out above the order, so a figure is measured again with twice
the order. Levels follow each other in one process, each started from the one before: started from nothing, VACASK loses
itself near compression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.conditions import Conditions
from genrf.simulation.large_signal import PowerSweep
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.transient import available_amplitude_v, dbm
from genrf.simulation.vacask.netlist import PREAMBLE, circuit_lines, instance, name, number, options
from genrf.simulation.vacask.process import attempt
from genrf.simulation.vacask.rawfile import Plot
from genrf.technology.base import Technology

TOLERANCES = {"reltol": 1e-4, "vntol": 1e-9, "abstol": 1e-13}
"""Newton's method ends far below these; tighter ones only keep it from ending."""
TIMEOUT_S = 60.0
_FINER_DB, _FURTHER_DB = 0.1, 4.0
"""Steps where those are too large, and how far they go."""
_BELOW_DB, _FINE_DB, _ABOVE_DB, _STEP_DB = 30.0, 12.0, 8.0, 0.5
"""The gain that compression is counted from is measured so far below the guess; from so far below to so far above it in
steps. With steps of 1 dB an amplifier with 10 harmonics is lost near compression, with these it is followed to saturation."""


@dataclass(frozen=True, slots=True)
class Level:
    """An amplifier at one drive."""

    input_dbm: float
    output_dbm: float
    supply_w: float
    """Drawn from the supply alone."""
    drawn_w: float
    """Drawn from supply and bias sources."""


def amplifier_lines(circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
    """Title, circuit, supply, load, and two sine sources ``v_in`` and ``v_two`` of no amplitude in series at ``in``.

    Raises:
        SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
    """
    return [
        "amplifier",
        *PREAMBLE,
        *circuit_lines(circuit, conditions, technology),
        instance("v_supply", [SUPPLY, GROUND], "vsource", dc=conditions.supply_v),
        sine("v_in", ["source_a", "source_b"], 0.0, conditions.frequency_hz),
        sine("v_two", ["source_b", GROUND], 0.0, conditions.frequency_hz),
        instance("r_in", ["source_a", "in"], "resistor", r=conditions.source_ohm),
        instance("r_out", ["out", GROUND], "resistor", r=conditions.load_ohm),
    ]


def sine(designator: str, nets: Sequence[str], amplitude_v: float, frequency_hz: float) -> str:
    """A sine source without direct voltage."""
    between = " ".join(name(net) for net in nets)
    values = f'type="sine" sinedc=0.0 ampl={number(amplitude_v)} freq={number(frequency_hz)}'
    return f"{name(designator)} ({between}) vsource {values}"


def drive(
    circuit: Circuit,
    conditions: Conditions,
    lines: Sequence[str],
    levels_dbm: Sequence[float],
    order: int,
    *,
    timeout_s: float = TIMEOUT_S,
) -> dict[float, Level]:
    """An amplifier driven at f0 at several levels, each started from the one before; those that do not converge are absent.

    Args:
        circuit: gives the bias sources.
        conditions: f0, impedances, supply.
        lines: of `amplifier_lines`.
        levels_dbm: powers available from the source, ascending.
        order: harmonics taken into account.

    Raises:
        SimulationFailure: if not even the first converges.
    """
    f0 = conditions.frequency_hz
    control = ["control", options(conditions, **TOLERANCES)]
    for index, level in enumerate(levels_dbm):
        amplitude = number(available_amplitude_v(level, conditions.source_ohm))
        start = ' nodeset="last"' if index else ""
        control += [
            f'alter instance("v_in") ampl={amplitude}',
            f'analysis h{index} hb freq=[{number(f0)}] nharm={order} store="last"{start}',
        ]
    found, failure = attempt(
        [*lines, *control, "endc"], [f"h{index}" for index in range(len(levels_dbm))], timeout_s=timeout_s
    )
    if not found and failure is not None:
        raise failure
    bias = {"v_supply": conditions.supply_v} | {
        designator.lower(): value
        for designator, device, value in zip(
            circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
        )
        if device.kind == "bias_voltage"
    }
    levels = {}
    for index, level in enumerate(levels_dbm):
        if f"h{index}" in found:
            spectrum = found[f"h{index}"]
            drawn = {source: -volt * phasor(spectrum, f"{source}:flow(br)", 0.0).real for source, volt in bias.items()}
            output = dbm(abs(phasor(spectrum, "out", f0)), conditions.load_ohm)
            levels[level] = Level(level, output, drawn["v_supply"], sum(drawn.values()))
    return levels


@dataclass(frozen=True, slots=True)
class Driven:
    """An amplifier from far below compression to beyond it."""

    sweep: PowerSweep
    levels: tuple[Level, ...]
    """Of the sweep, ascending."""
    order: int

    def at(self, figure: Callable[[Level], float], input_dbm: float) -> float:
        """A figure of the levels, interpolated over the input power."""
        return self.sweep.at_input([figure(level) for level in self.levels], input_dbm)


def driven(
    circuit: Circuit,
    conditions: Conditions,
    lines: Sequence[str],
    guess_dbm: float,
    order: int,
    *,
    drop_db: float = 1.0,
    highest_dbm: float = 30.0,
    timeout_s: float = TIMEOUT_S,
) -> Driven:
    """Drive an amplifier until its gain has fallen from that at the lowest level.

    Args:
        circuit: gives the bias sources.
        conditions: f0, impedances, supply.
        lines: of `amplifier_lines`.
        guess_dbm: input power at which the gain may have fallen by 1 dB.
        order: harmonics.
        drop_db: fall that is wanted.
        highest_dbm: beyond which nothing is looked for.
        timeout_s: of a process.

    Raises:
        SimulationFailure: ``not_measurable`` if the gain does not fall so far at the levels that converge.
    """
    low, top = min(guess_dbm, highest_dbm) - _BELOW_DB, min(guess_dbm + _ABOVE_DB, highest_dbm)
    while True:
        grid = [low, *np.arange(low + _BELOW_DB - _FINE_DB, top + _STEP_DB, _STEP_DB).tolist()]
        found = drive(circuit, conditions, lines, grid, order, timeout_s=timeout_s)
        last = max(found)
        if len(found) < len(grid) and not _compressed(found, drop_db):
            # Lost before the gain has fallen: once more, with small steps from there.
            finer = np.arange(last + _FINER_DB, min(last + _FURTHER_DB, highest_dbm) + _FINER_DB, _FINER_DB)
            found = drive(circuit, conditions, lines, [*found, *finer.tolist()], order, timeout_s=timeout_s)
        if _compressed(found, drop_db) or top >= highest_dbm or len(found) < len(grid):
            sweep = _sweep(found)
            sweep.input_at(drop_db)
            return Driven(sweep, tuple(found.values()), order)
        top = min(top + _ABOVE_DB, highest_dbm)


def _sweep(levels: Mapping[float, Level]) -> PowerSweep:
    """Compression counts from the lowest level."""
    inputs, outputs = np.array(list(levels)), np.array([level.output_dbm for level in levels.values()])
    return PowerSweep(float(outputs[0] - inputs[0]), inputs, outputs)


def _compressed(levels: Mapping[float, Level], drop_db: float) -> bool:
    return bool((_sweep(levels).compression_db >= drop_db).any())


def phasor(spectrum: Plot | Mapping[str, np.ndarray], vector: str, frequency_hz: float) -> complex:
    """Peak phasor of a vector at one of the spectrum's frequencies.

    Raises:
        SimulationFailure: ``not_measurable`` if there is no such vector or frequency.
    """
    if vector not in spectrum:
        raise SimulationFailure("not_measurable", f"VACASK has no result {vector!r}")
    frequency = np.abs(spectrum["frequency"].real)
    index = int(np.argmin(np.abs(frequency - abs(frequency_hz))))
    if not math.isclose(float(frequency[index]), abs(frequency_hz), rel_tol=1e-6, abs_tol=1.0):
        raise SimulationFailure("not_measurable", f"VACASK's spectrum has no {frequency_hz:.6g} Hz")
    return complex(spectrum[vector][index])
