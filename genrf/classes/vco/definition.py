"""The voltage-controlled oscillator: ports, metrics, grammar, first-order sizing and testbench."""

from __future__ import annotations

from genrf.circuit_class import CircuitClass, OwnFrequency
from genrf.classes.vco import PORTS
from genrf.classes.vco.metrics import METRICS
from genrf.classes.vco.rules import can_oscillate, is_tuned
from genrf.classes.vco.testbench import VcoTestbench
from genrf.conditions import Constraint

CLASS = CircuitClass(
    name="vco",
    title="voltage-controlled oscillator",
    ports=PORTS,
    metrics=METRICS,
    specification_metrics=(
        "frequency_error_percent",
        "tuning_range_percent",
        "output_power_dbm",
        "power_w",
        "phase_noise_estimate_dbc_hz",
    ),
    trade_off=("tuning_range_percent", "power_w", "phase_noise_estimate_dbc_hz"),
    own_frequency=OwnFrequency("frequency_hz", "frequency_error_percent"),
    requirements=(),
    useful=(
        Constraint("frequency_error_percent", "<=", 5.0),
        Constraint("tuning_range_percent", ">=", 2.0),
        Constraint("output_power_dbm", ">=", -20.0),
    ),
    testbench=VcoTestbench(),
    rules=(can_oscillate, is_tuned),
)
