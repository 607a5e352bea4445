"""The low-noise amplifier: ports, metrics, grammar, first-order sizing and testbench."""

from __future__ import annotations

from genrf.circuit.amplifier_rules import amplifies
from genrf.circuit_class import CircuitClass
from genrf.classes.lna import PORTS
from genrf.classes.lna.metrics import METRICS
from genrf.classes.lna.small_signal import LnaSmallSignal
from genrf.classes.lna.testbench import LnaTestbench
from genrf.conditions import Constraint

CLASS = CircuitClass(
    name="lna",
    title="low-noise amplifier",
    ports=PORTS,
    metrics=METRICS,
    specification_metrics=("gain_db", "nf_db", "s11_db", "s22_db", "power_w"),
    trade_off=("gain_db", "nf_db", "power_w"),
    requirements=(Constraint("mu_min", ">=", 1.0),),
    paid_by={"ip1db_dbm": "gain_db", "iip3_dbm": "gain_db"},
    useful=(
        Constraint("gain_db", ">=", 8.0),
        Constraint("nf_db", "<=", 6.0),
        Constraint("s11_db", "<=", -8.0),
        Constraint("s22_db", "<=", -6.0),
        Constraint("mu_min", ">=", 1.0),
    ),
    testbench=LnaTestbench(),
    small_signal=LnaSmallSignal(),
    rules=(amplifies,),
)
