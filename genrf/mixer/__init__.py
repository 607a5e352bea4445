"""The mixer: ports, metrics, grammar, first-order sizing and testbench.

A downconverter with the LO below the RF. RF and IF are single-ended; the LO comes in two opposite phases, of which a
circuit may leave the second open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf.classes import CircuitClass
from genrf.mixer.metrics import METRICS
from genrf.mixer.rules import mixes
from genrf.mixer.testbench import MixerTestbench
from genrf.spec import Conditions, Constraint

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.topology import Topology


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a topology from the grammar; imported when first called, because simulation workers never need it."""
    from genrf.mixer import grammar

    return grammar.sample_topology(rng)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values around first-order design equations; imported when first called, as above."""
    from genrf.mixer import sizing

    return sizing.first_order_values(topology, conditions, rng)


CLASS = CircuitClass(
    name="mixer",
    title="mixer",
    ports=("rf", "lop", "lon", "out"),
    optional_ports=("lon",),
    metrics=METRICS,
    specification_metrics=("conversion_gain_db", "p1db_dbm", "lo_rf_isolation_db", "lo_if_isolation_db", "power_w"),
    trade_off=("conversion_gain_db", "p1db_dbm", "power_w"),
    requirements=(),
    useful=(
        Constraint("conversion_gain_db", ">=", -8.0),
        Constraint("lo_rf_isolation_db", ">=", 20.0),
        Constraint("lo_if_isolation_db", ">=", 25.0),
        Constraint("p1db_dbm", ">=", -15.0),
    ),
    sample_topology=sample_topology,
    first_order_values=first_order_values,
    testbench=MixerTestbench(),
    rules=(mixes,),
)
