"""Many two-ports by VACASK: several in a process, and as many processes at a time as there are cores.

Starting the program costs more than analysing an amplifier (11 of 14 ms of processor time). So a netlist has several
circuits, each a subcircuit without terminals that is made the top level for its own analyses. What has no whole result
afterwards is simulated once more in a process of its own, which tells the cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from genrf import technology
from genrf.cores import cores
from genrf.simulation.outcome import Failure, Simulation
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.two_port import frequencies
from genrf.simulation.vacask.locate import program
from genrf.simulation.vacask.netlist import PREAMBLE
from genrf.simulation.vacask.process import TIMEOUT_S, attempt
from genrf.simulation.vacask.small_signal import (
    ANALYSES,
    SmallSignal,
    analyses,
    checked,
    read,
    small_signal,
    two_port_lines,
)
from genrf.technology.base import Technology
from genrf.technology.varied import VariedTechnology

TOGETHER = 20
"""Circuits in a process."""


def small_signals(
    simulations: Sequence[Simulation],
    technology_name: str = technology.DEFAULT,
    frequency_hz: NDArray[np.float64] | None = None,
    noise_hz: NDArray[np.float64] | None = None,
    *,
    workers: int | None = None,
    excess_phase: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> list[SmallSignal | Failure]:
    """`genrf.simulation.vacask.small_signal.small_signal` of each circuit, in order; a failure costs its circuit alone.

    Args:
        simulations: circuits, conditions and variations; whether sign-off is asked for is ignored.
        technology_name: the process that they are made in.
        frequency_hz: the same for all, (points,); by default each around its own f0.
        noise_hz: the same for all, (noise points,); by default each at its own f0.
        workers: processes at a time; `genrf.cores.cores` by default.
        excess_phase: see `genrf.simulation.vacask.netlist.circuit_lines`.
        timeout_s: after which a process is killed.

    Raises:
        MissingToolError: if VACASK is not installed.
        InvalidInputError: for an unknown technology.
    """
    program()
    process = technology.get(technology_name)
    if frequency_hz is not None:
        frequency_hz = checked("frequency_hz", frequency_hz)
    if noise_hz is not None:
        noise_hz = checked("noise_hz", noise_hz)
    jobs = [_Job(simulation, process, frequency_hz, noise_hz, excess_phase, timeout_s) for simulation in simulations]
    parts = [jobs[start : start + TOGETHER] for start in range(0, len(jobs), TOGETHER)]
    # Threads: each waits for its process, and what Python does meanwhile is less than half of it.
    with ThreadPoolExecutor(max_workers=workers or cores()) as threads:
        return [one for part in threads.map(_together, parts) for one in part]


class _Job:
    """One circuit under its conditions."""

    def __init__(
        self,
        simulation: Simulation,
        process: Technology,
        frequency_hz: NDArray[np.float64] | None,
        noise_hz: NDArray[np.float64] | None,
        excess_phase: bool,
        timeout_s: float,
    ) -> None:
        self.circuit, self.conditions = simulation.circuit, simulation.conditions
        varied = simulation.variation
        self.technology: Technology = process if varied is None else VariedTechnology(process, varied)
        f0 = simulation.conditions.frequency_hz
        self.frequency_hz = frequencies(f0) if frequency_hz is None else frequency_hz
        self.noise_hz = np.array([f0]) if noise_hz is None else noise_hz
        self.excess_phase, self.timeout_s = excess_phase, timeout_s

    def lines(self) -> list[str]:
        return two_port_lines(self.circuit, self.conditions, self.technology, excess_phase=self.excess_phase)

    def alone(self) -> SmallSignal:
        return small_signal(
            self.circuit,
            self.conditions,
            self.technology,
            self.frequency_hz,
            self.noise_hz,
            excess_phase=self.excess_phase,
            timeout_s=self.timeout_s,
        )


def _together(jobs: Sequence[_Job]) -> list[SmallSignal | Failure]:
    answers: list[SmallSignal | Failure | None] = [None] * len(jobs)
    netlist, control, wanted = ["two-ports", *PREAMBLE], [], []
    for number, job in enumerate(jobs):
        try:
            lines = job.lines()
        except SimulationFailure as failure:
            answers[number] = Failure(failure.cause, failure.detail)
            continue
        netlist += [f"subckt circuit{number} ()", *lines, "ends"]
        control += [f'elaborate circuit("circuit{number}")']
        control += analyses(job.conditions, job.frequency_hz, job.noise_hz, str(number))
        wanted += [_tagged(name, number) for name in ANALYSES]
    # An analysis that fails leaves no result and does not end the others.
    found, _ = attempt([*netlist, "control", *control, "endc"], wanted, timeout_s=jobs[0].timeout_s)
    for number, job in enumerate(jobs):
        if answers[number] is not None:
            continue
        own = {name: found[_tagged(name, number)] for name in ANALYSES if _tagged(name, number) in found}
        try:
            if len(own) == len(ANALYSES):
                answers[number] = read(own, job.circuit, job.conditions, job.technology, job.frequency_hz, job.noise_hz)
            else:
                answers[number] = job.alone()
        except SimulationFailure as failure:
            answers[number] = Failure(failure.cause, failure.detail)
    return [answer for answer in answers if answer is not None]


def _tagged(name: str, number: int) -> str:
    analysis, dot, rest = name.partition(".")
    return f"{analysis}{number}{dot}{rest}"
