"""The power amplifier: ports, metrics, grammar, first-order sizing and testbench."""

from __future__ import annotations

from genrf.circuit.amplifier_rules import amplifies
from genrf.circuit_class import CircuitClass
from genrf.classes.pa import PORTS
from genrf.classes.pa.metrics import METRICS
from genrf.classes.pa.testbench import PaTestbench
from genrf.conditions import Constraint

CLASS = CircuitClass(
    name="pa",
    title="power amplifier",
    ports=PORTS,
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
    testbench=PaTestbench(),
    rules=(amplifies,),
)
