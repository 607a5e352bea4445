"""The registry of circuit classes: a class owns ports, metrics, grammar and testbench, and shared code asks here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from genrf.errors import InvalidInputError
from genrf.metrics import Metric

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.rules import Rule
    from genrf.circuit.topology import Topology
    from genrf.simulation.testbench import Testbench
    from genrf.spec import Conditions, Constraint


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
    ports: tuple[str, ...]
    """Names of the port nets, in the order of the testbench's ports."""
    held_ports: tuple[str, ...] = ()
    """Ports that the testbench holds at a DC voltage, such as a tuning voltage; they are signal grounds."""
    optional_ports: tuple[str, ...] = ()
    """Ports that a topology may leave open, such as the second phase of a differential drive."""
    metrics: dict[str, Metric]
    """All that the testbench measures, by name."""
    specification_metrics: tuple[str, ...]
    """The metrics that a held-out specification bounds with a circuit's own values."""
    trade_off: tuple[str, ...]
    """Of these, the metrics that designers trade for each other: the objectives of refinement if none are named."""
    requirements: tuple[Constraint, ...]
    """Constraints that every specification of the class carries unchanged, such as stability."""
    useful: tuple[Constraint, ...]
    """What a circuit must at least do to be of use, requirements included; specifications are made from such only."""
    sample_topology: Callable[[np.random.Generator], Topology]
    """Draw a legal topology from the class's grammar, in canonical form."""
    first_order_values: Callable[[Topology, Conditions, np.random.Generator], tuple[float, ...]]
    """Draw values around first-order design equations, with wide spread."""
    testbench: Testbench
    """How the class is measured."""
    own_frequency: OwnFrequency | None = None
    """Of circuits that have a frequency of their own, instead of being measured at the one asked for."""
    rules: tuple[Rule, ...] = ()
    """Electrical rules of the class's own, checked after the general ones."""

    @property
    def label_metrics(self) -> tuple[str, ...]:
        """Metrics that every simulation measures, and that training data and models therefore know."""
        return tuple(name for name, metric in self.metrics.items() if not metric.signoff)

    def is_useful(self, metrics: Mapping[str, float]) -> bool:
        """Whether a circuit does what the class at least asks for."""
        return all(constraint.slack(metrics[constraint.metric]) >= 0.0 for constraint in self.useful)


_MODULES = {
    "lna": "genrf.lna",
    "pa": "genrf.pa",
    "mixer": "genrf.mixer",
    "vco": "genrf.vco",
    "filter": "genrf.filter",
}
"""Where each class is defined; the module holds a `CircuitClass` called ``CLASS``."""


def names() -> tuple[str, ...]:
    """Names of all circuit classes."""
    return tuple(_MODULES)


@cache
def get(name: str) -> CircuitClass:
    """The class of that name.

    Raises:
        InvalidInputError: for an unknown name, listing the known ones.
    """
    if name not in _MODULES:
        raise InvalidInputError(f"class: unknown circuit class {name!r}; known: {', '.join(_MODULES)}")
    return import_module(_MODULES[name]).CLASS
