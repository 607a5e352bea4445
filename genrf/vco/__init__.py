"""The voltage-controlled oscillator: ports, metrics, grammar, first-order sizing and testbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf.classes import CircuitClass, OwnFrequency
from genrf.spec import Conditions, Constraint
from genrf.vco.metrics import METRICS
from genrf.vco.rules import can_oscillate, is_tuned
from genrf.vco.testbench import VcoTestbench

if TYPE_CHECKING:
    import numpy as np

    from genrf.circuit.topology import Topology


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a topology from the grammar; imported when first called, because simulation workers never need it."""
    from genrf.vco import grammar

    return grammar.sample_topology(rng)


def first_order_values(topology: Topology, conditions: Conditions, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw values around first-order design equations; imported when first called, as above."""
    from genrf.vco import sizing

    return sizing.first_order_values(topology, conditions, rng)


CLASS = CircuitClass(
    name="vco",
    title="voltage-controlled oscillator",
    ports=("out", "tune"),
    held_ports=("tune",),
    metrics=METRICS,
    specification_metrics=(
        "frequency_error_percent",
        "tuning_range_percent",
        "output_power_dbm",
        "power_w",
        "phase_noise_dbc_hz",
    ),
    trade_off=("tuning_range_percent", "power_w", "phase_noise_dbc_hz"),
    own_frequency=OwnFrequency("frequency_hz", "frequency_error_percent"),
    requirements=(),
    useful=(
        Constraint("frequency_error_percent", "<=", 5.0),
        Constraint("tuning_range_percent", ">=", 2.0),
        Constraint("output_power_dbm", ">=", -20.0),
    ),
    sample_topology=sample_topology,
    first_order_values=first_order_values,
    testbench=VcoTestbench(),
    rules=(can_oscillate, is_tuned),
)
