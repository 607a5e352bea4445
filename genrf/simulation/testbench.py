"""What a testbench hands to the simulator, what it gets back, and how a simulation can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from genrf.metrics import Metrics

if TYPE_CHECKING:
    from genrf.circuit.topology import Circuit
    from genrf.spec import Conditions
    from genrf.technology.base import Technology

Cause = Literal[
    "invalid_value",
    "netlist_error",
    "singular_matrix",
    "no_convergence",
    "device_limit",
    "oscillation",
    "not_measurable",
    "timeout",
    "crash",
]
"""Why a circuit has no metrics.

cause            meaning
invalid_value    a value, net or condition that the technology refuses; never reaches the simulator
netlist_error    the simulator refuses the netlist
singular_matrix  a net without a DC path, or a loop of voltage sources
no_convergence   no operating point found within the iteration limits
device_limit     the operating point is outside what the device or its model can stand
oscillation      negative resistance at a port, so the circuit would oscillate with some passive termination of it
not_measurable   simulated, but a metric is not a finite number
timeout          more processor time than a circuit may take
crash            the simulator's process died
"""
CAUSES: tuple[Cause, ...] = get_args(Cause)


class SimulationFailure(Exception):
    """A circuit could not be measured; costs that circuit and nothing else."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause: Cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Deck:
    """What to load and run."""

    netlist: tuple[str, ...]
    """SPICE lines, title first, without ``.end``."""
    analyses: tuple[str, ...]
    """Interactive ngspice commands, in lower case, run in this order."""
    saved: tuple[str, ...]
    """Vectors to keep, spelt as ngspice spells them (``S_2_1``, ``v_supply#branch``, ``n4``): keeping all takes as long
    as simulating."""


class Plots(Protocol):
    """The simulator's results."""

    def vector(self, plot: str, name: str) -> np.ndarray:
        """A saved vector of one analysis, for example ``("sp1", "S_2_1")``: shape (points,), real or complex, copied.

        Plots are named as ngspice names them, operating points of sweeps included (``op1``).

        Raises:
            SimulationFailure: ``not_measurable`` if there is no such vector.
        """
        ...

    def device(self, designator: str, quantity: str) -> float:
        """A quantity of a device at the operating point, for example ``("q1", "ic")``, in SI units."""
        ...


@dataclass(frozen=True, slots=True)
class Curve:
    """A measured quantity over frequency, for plots and Touchstone files."""

    frequency_hz: np.ndarray
    """Shape (points,)."""
    values: np.ndarray
    """Shape (points,), complex for S-parameters."""


@dataclass(frozen=True)
class Measurement:
    """Everything a testbench returns for a circuit that works."""

    metrics: Metrics
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By name (``s11`` ... ``s22``, ``nf_db``); empty unless asked for."""


class Testbench(Protocol):
    """How a circuit class is measured."""

    def deck(self, circuit: Circuit, conditions: Conditions, technology: Technology, curves: bool = False) -> Deck:
        """The circuit with its ports, sources and models, and the analyses to run.

        Raises:
            SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
        """
        ...

    def measure(
        self, plots: Plots, circuit: Circuit, conditions: Conditions, technology: Technology, curves: bool = False
    ) -> Measurement:
        """Metrics from the analyses' results; the same with and without ``curves``.

        Raises:
            SimulationFailure: if the circuit breaks a device limit, would oscillate or cannot be measured.
        """
        ...

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Commands for a ngspice ``.control`` block that run the analyses and print each metric as ``NAME = VALUE``."""
        ...
