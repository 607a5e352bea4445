"""The mixer: ports, metrics, grammar, first-order sizing and testbench.

A downconverter with the LO below the RF. RF and IF are single-ended; the LO comes in two opposite phases, of which a
circuit may leave the second open.
"""

from __future__ import annotations

from genrf.circuit_class import CircuitClass
from genrf.classes.mixer import PORTS
from genrf.classes.mixer.metrics import METRICS
from genrf.classes.mixer.rules import mixes
from genrf.classes.mixer.testbench import IF, MixerTestbench
from genrf.conditions import Constraint

CLASS = CircuitClass(
    name="mixer",
    title="mixer",
    ports=PORTS,
    metrics=METRICS,
    specification_metrics=("conversion_gain_db", "ip1db_dbm", "lo_rf_isolation_db", "lo_if_isolation_db", "power_w"),
    trade_off=("conversion_gain_db", "ip1db_dbm", "power_w"),
    requirements=(),
    # The load's inductors work at the intermediate frequency.
    inductors_at=IF,
    useful=(
        Constraint("conversion_gain_db", ">=", -8.0),
        Constraint("lo_rf_isolation_db", ">=", 20.0),
        Constraint("lo_if_isolation_db", ">=", 25.0),
        Constraint("ip1db_dbm", ">=", -15.0),
    ),
    testbench=MixerTestbench(),
    rules=(mixes,),
)
