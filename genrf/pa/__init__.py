"""The power amplifier: ports, metrics, grammar, first-order sizing and testbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf.circuit.amplifier_rules import amplifies
from genrf.classes import CircuitClass
from genrf.pa.metrics import METRICS
from genrf.pa.testbench import PaTestbench
from genrf.spec import Conditions, Constraint

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.topology import Topology


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a topology from the grammar; imported when first called, because simulation workers never need it."""
    from genrf.pa import grammar

    return grammar.sample_topology(rng)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values around first-order design equations; imported when first called, as above."""
    from genrf.pa import sizing

    return sizing.first_order_values(topology, conditions, rng)


CLASS = CircuitClass(
    name="pa",
    title="power amplifier",
    ports=("in", "out"),
    metrics=METRICS,
    specification_metrics=("gain_db", "psat_dbm", "pae_percent", "op1db_dbm", "s11_db"),
    trade_off=("gain_db", "psat_dbm", "pae_percent"),
    requirements=(Constraint("mu_min", ">=", 1.0),),
    useful=(
        Constraint("gain_db", ">=", 6.0),
        Constraint("psat_dbm", ">=", 3.0),
        Constraint("pae_percent", ">=", 8.0),
        Constraint("s11_db", "<=", -6.0),
        Constraint("mu_min", ">=", 1.0),
    ),
    sample_topology=sample_topology,
    first_order_values=first_order_values,
    testbench=PaTestbench(),
    rules=(amplifies,),
)
