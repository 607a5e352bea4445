"""The passive filter: ports, metrics, grammar, first-order sizing and testbench.

Low-, high-, band-pass and band-stop share one vocabulary: a filter passes the conditions' frequency f0 and rejects
somewhere else. A band-stop passes f0 and has its notch at 2 f0 or f0/2. The supply is not used: no device may be on it.
"""

from __future__ import annotations

from genrf.circuit_class import CircuitClass
from genrf.classes.filter import PORTS
from genrf.classes.filter.metrics import METRICS
from genrf.classes.filter.rules import is_passive
from genrf.classes.filter.small_signal import FilterSmallSignal
from genrf.classes.filter.testbench import FilterTestbench
from genrf.conditions import Constraint

CLASS = CircuitClass(
    name="filter",
    title="passive filter",
    ports=PORTS,
    metrics=METRICS,
    specification_metrics=("insertion_loss_db", "return_loss_db", "ripple_db", "rejection_low_db", "rejection_high_db"),
    trade_off=("insertion_loss_db", "rejection_low_db", "rejection_high_db"),
    requirements=(),
    # A band that is open to one side, or to both, has no centre.
    implied={"centre_hz": (Constraint("rejection_low_db", ">=", 3.0), Constraint("rejection_high_db", ">=", 3.0))},
    useful=(
        Constraint("insertion_loss_db", "<=", 3.0),
        Constraint("return_loss_db", ">=", 12.0),
        Constraint("ripple_db", "<=", 1.0),
        Constraint("rejection_db", ">=", 30.0),
    ),
    testbench=FilterTestbench(),
    small_signal=FilterSmallSignal(),
    rules=(is_passive,),
)
