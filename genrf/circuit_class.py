"""What a circuit class is: ports, metrics, what is useful of it, its testbench, and its grammar and sizing beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from genrf.circuit.canonical import canonical
from genrf.circuit.merging import merged
from genrf.circuit.ports import Ports
from genrf.circuit.topology import Topology
from genrf.circuit.violation import Rule
from genrf.conditions import Conditions, Constraint
from genrf.metrics import Metric
from genrf.simulation.testbench import Measurement, Testbench

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.topology import Circuit
    from genrf.simulation.batched.bench import SmallSignalBench
    from genrf.technology.base import Technology


class OwnFrequency(NamedTuple):
    """The metrics that tell of a circuit's own frequency."""

    metric: str
    """That frequency, in Hz."""
    error_percent: str
    """Its distance from the frequency asked for, of the latter."""


@dataclass(frozen=True, kw_only=True)
class CircuitClass:
    """Everything that is particular to one class of circuit."""

    name: str
    title: str
    """Name for people, for example "low-noise amplifier"."""
    ports: Ports
    metrics: dict[str, Metric]
    """All that the testbench measures, by name."""
    specification_metrics: tuple[str, ...]
    """The metrics that a held-out specification bounds with a circuit's own values."""
    trade_off: tuple[str, ...]
    """Metrics among these that designers trade for each other: the objectives of refinement if none are named."""
    requirements: tuple[Constraint, ...]
    """Constraints that every specification of the class carries unchanged, such as stability."""
    paid_by: Mapping[str, str] = field(default_factory=dict)
    """Sign-off metrics, each with the metric in dB whose excess costs it: linearity is lost to gain that nobody asked for."""
    implied: Mapping[str, tuple[Constraint, ...]] = field(default_factory=dict)
    """Metric -> constraints that a specification which bounds it carries too: without them its value means nothing."""
    useful: tuple[Constraint, ...]
    """What a circuit must at least do to be of use, requirements included; specifications are made from such only."""
    testbench: Testbench
    """How the class is measured."""
    small_signal: SmallSignalBench | None = None
    """How the class's label metrics are measured, many circuits at once, if they need small-signal analyses alone."""
    own_frequency: OwnFrequency | None = None
    """Metric that is the frequency of circuits that have their own, instead of being measured at the one asked for."""
    inductors_at: float = 1.0
    """Frequency that inductors have to work at, relative to that of the conditions."""
    rules: tuple[Rule, ...] = ()
    """Electrical rules of the class's own, checked after the general ones."""

    @property
    def label_metrics(self) -> tuple[str, ...]:
        """Metrics that every simulation measures, and that training data and models therefore know."""
        return tuple(name for name, metric in self.metrics.items() if not metric.signoff)

    def sample_topology(self, rng: np.random.Generator) -> Topology:
        """Draw a legal topology from the class's grammar, in canonical form."""
        topology: Topology = self._module("grammar").sample_topology(rng)
        plain = merged(topology)
        return topology if plain is topology else canonical(plain)[0]

    def first_order_values(
        self, topology: Topology, conditions: Conditions, rng: np.random.Generator
    ) -> tuple[float, ...]:
        """Draw values around first-order design equations, with wide spread; in SI units, in the order of the devices."""
        values: tuple[float, ...] = self._module("sizing").first_order_values(topology, conditions, rng)
        return values

    @property
    def has_second_opinion(self) -> bool:
        """Whether a second simulator can measure the class."""
        return find_spec(f"genrf.classes.{self.name}.second_opinion") is not None

    def second_opinion(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> Measurement:
        """What the second simulator, VACASK, says of a circuit: as many of `metrics` as it can measure.

        Raises:
            MissingToolError: if it is not installed.
            SimulationFailure: if the circuit does not simulate there.
        """
        measured: Measurement = self._module("second_opinion").measure(circuit, conditions, technology)
        return measured

    def _module(self, name: str) -> Any:
        """A module of the class's folder that is imported when first needed: simulation workers never need it."""
        return import_module(f"genrf.classes.{self.name}.{name}")

    def is_useful(self, metrics: Mapping[str, float]) -> bool:
        """Whether a circuit does what the class at least asks for."""
        return all(constraint.slack(metrics[constraint.metric]) >= 0.0 for constraint in self.useful)
