"""The low-noise amplifier: ports, metrics, grammar, first-order sizing and testbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf.circuit.amplifier_rules import amplifies
from genrf.classes import CircuitClass
from genrf.lna.metrics import METRICS
from genrf.lna.testbench import LnaTestbench
from genrf.spec import Conditions, Constraint

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.topology import Topology


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a topology from the grammar; imported when first called, because simulation workers never need it."""
    from genrf.lna import grammar

    return grammar.sample_topology(rng)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values around first-order design equations; imported when first called, as above."""
    from genrf.lna import sizing

    return sizing.first_order_values(topology, conditions, rng)


CLASS = CircuitClass(
    name="lna",
    title="low-noise amplifier",
    ports=("in", "out"),
    metrics=METRICS,
    specification_metrics=("gain_db", "nf_db", "s11_db", "s22_db", "power_w"),
    trade_off=("gain_db", "nf_db", "power_w"),
    requirements=(Constraint("mu_min", ">=", 1.0),),
    useful=(
        Constraint("gain_db", ">=", 8.0),
        Constraint("nf_db", "<=", 6.0),
        Constraint("s11_db", "<=", -8.0),
        Constraint("s22_db", "<=", -6.0),
        Constraint("mu_min", ">=", 1.0),
    ),
    sample_topology=sample_topology,
    first_order_values=first_order_values,
    testbench=LnaTestbench(),
    rules=(amplifies,),
)
