"""Numbers as an engineer writes them."""

from __future__ import annotations

from genrf.circuit.devices import KINDS
from genrf.fields import quantity_text
from genrf.metrics import Metric

SYMBOLS = {"Ohm": "Ω", "C": "°C"}


def value_text(kind: str, value: float) -> str:
    """A device's value with its unit, three digits: ``120 pH``, ``×4`` for the emitters of a transistor or junction."""
    if KINDS[kind].value == "emitters":
        return f"×{value:g}"
    if kind == "bias_voltage":
        return f"{value:.3g} V"
    unit = KINDS[kind].unit
    return quantity_text(value, SYMBOLS.get(unit, unit))


def metric_text(metric: Metric, value: float, *, unit: bool = True) -> str:
    """A metric as text: two decimals for decibels, three for pure numbers, an SI prefix and the unit for the rest.

    Args:
        unit: whether decibels carry their unit; in a column headed ``gain_db`` they need not.
    """
    if not metric.unit:
        return f"{value:.3f}"
    if metric.unit in ("dB", "dBm", "%", "dBc/Hz"):
        return f"{value:.2f} {metric.unit}" if unit else f"{value:.2f}"
    return quantity_text(value, metric.unit)
