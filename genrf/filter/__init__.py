"""The passive filter: ports, metrics, grammar, first-order sizing and testbench.

Low-, high-, band-pass and band-stop share one vocabulary: a filter passes the conditions' frequency f0 and rejects
somewhere else. A band-stop passes f0 and has its notch at 2 f0 or f0/2. The supply is not used: no device may be on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf.classes import CircuitClass
from genrf.filter.metrics import METRICS
from genrf.filter.rules import is_passive
from genrf.filter.testbench import FilterTestbench
from genrf.spec import Conditions, Constraint

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.topology import Topology


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a topology from the grammar; imported when first called, because simulation workers never need it."""
    from genrf.filter import grammar

    return grammar.sample_topology(rng)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values around first-order design equations; imported when first called, as above."""
    from genrf.filter import sizing

    return sizing.first_order_values(topology, conditions, rng)


CLASS = CircuitClass(
    name="filter",
    title="passive filter",
    ports=("in", "out"),
    metrics=METRICS,
    specification_metrics=("insertion_loss_db", "return_loss_db", "ripple_db", "rejection_low_db", "rejection_high_db"),
    trade_off=("insertion_loss_db", "rejection_low_db", "rejection_high_db"),
    requirements=(),
    useful=(
        Constraint("insertion_loss_db", "<=", 3.0),
        Constraint("return_loss_db", ">=", 12.0),
        Constraint("ripple_db", "<=", 1.0),
        Constraint("rejection_db", ">=", 30.0),
    ),
    sample_topology=sample_topology,
    first_order_values=first_order_values,
    testbench=FilterTestbench(),
    rules=(is_passive,),
)
