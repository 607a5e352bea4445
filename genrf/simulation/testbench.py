"""What a testbench hands to the simulator, what it gets back, and how a simulation can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from genrf.metrics import Metrics

if TYPE_CHECKING:
    from genrf.circuit.topology import Circuit
    from genrf.conditions import Conditions
    from genrf.technology.base import Technology

MEASUREMENTS_VERSION = 4
"""Counts what is made of a simulation: rows measured with another are not comparable. 2: noise figures without the noise of
``rbp``, which ngspice misplaces; band edges found within the steps of the grid. 3: transistors that saturate at rest or break
down under drive are refused; capacitors that charge slowly are moved to where they end. 4: amplifiers' and filters' small-signal
metrics from the batched simulator, power amplifiers' from ngspice with junctions held: charges and noise at the temperature of
the junctions."""

Cause = Literal[
    "invalid_value",
    "netlist_error",
    "singular_matrix",
    "no_convergence",
    "device_limit",
    "oscillation",
    "no_oscillation",
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
no_oscillation   an oscillator that does not start, or dies somewhere in its tuning range
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

        Plots are named as ngspice names them, operating points of sweeps included (``op1``); an empty name is that of
        the latest analysis.

        Raises:
            SimulationFailure: ``not_measurable`` if there is no such vector.
        """
        ...

    def device(self, designator: str, quantity: str) -> float:
        """A quantity of a device at the operating point, for example ``("q1", "ic")``, in SI units."""
        ...


class Simulator(Plots, Protocol):
    """What a testbench drives."""

    def run(self, deck: Deck) -> None:
        """Load a deck and run its analyses; results of a deck before it are gone.

        Raises:
            SimulationFailure: with its cause, if the deck is refused or an analysis fails.
        """
        ...

    def command(self, *commands: str) -> None:
        """Run further interactive commands, in lower case, on the deck that is loaded.

        Raises:
            SimulationFailure: ``no_convergence``, or another cause that ngspice names.
        """
        ...


@dataclass(frozen=True, slots=True)
class Curve:
    """A measured quantity over frequency, for plots and Touchstone files."""

    frequency_hz: np.ndarray
    """Shape (points,)."""
    values: np.ndarray
    """Shape (points,), complex for S-parameters."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A measured quantity over something else than frequency, for plots: output power over input power, say."""

    x: np.ndarray
    """Shape (points,)."""
    values: np.ndarray
    """Shape (points,)."""
    x_label: str
    """Quantity and unit of the horizontal axis, such as ``input power (dBm)``."""
    y_label: str
    """Quantity and unit of the vertical axis."""
    log_x: bool = False


@dataclass(frozen=True)
class Measurement:
    """Everything a testbench returns for a circuit that works."""

    metrics: Metrics
    curves: Mapping[str, Curve | Trace] = field(default_factory=dict)
    """Curves by name (``s11`` ... ``s22``, ``nf_db``, ``output_power_dbm``); empty unless asked for."""
    notes: tuple[str, ...] = ()
    """What a reader of the metrics must know, each with the metric's name first."""


class Testbench(Protocol):
    """How a circuit class is measured."""

    own_cards: bool
    """Whether the commands of `control` need every transistor to have a card of its own."""

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Title, sources, devices and models: what every analysis of the testbench is run on.

        Raises:
            SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
        """
        ...

    def simulate(
        self,
        simulator: Simulator,
        circuit: Circuit,
        conditions: Conditions,
        technology: Technology,
        *,
        curves: bool = False,
        signoff: bool = False,
        thorough: bool = False,
    ) -> Measurement:
        """Run the analyses and compute the class's label metrics; with `signoff` its sign-off metrics too.

        The label metrics are the same with and without `curves` and `signoff`. With `thorough` a circuit is waited for
        that settles slowly, and one that may oscillate with some terminations is measured, with a note.

        Raises:
            SimulationFailure: if the circuit does not simulate, breaks a device limit, oscillates where it must not
                (or does not where it must), or cannot be measured.
        """
        ...

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Commands for a ngspice ``.control`` block that run the analyses and print each label metric as
        ``NAME = VALUE``."""
        ...
