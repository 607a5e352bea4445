"""What a circuit's performance is called, in which unit, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-30
"""Least value on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of merit of a circuit class."""

    name: str
    """Name with its unit, for example ``gain_db``."""
    unit: str
    """Unit as written on a plot's axis; empty for a pure number."""
    better: Literal["higher", "lower"]
    """Which direction a designer wants."""
    description: str
    """One sentence: what is measured, and where."""
    scale: Literal["linear", "log"] = "linear"
    """``log`` for positive quantities that span decades, such as power and bandwidth."""
    signoff: bool = False
    """Too slow for training data: measured for chosen designs, and where a specification bounds it."""
    estimate: str | None = None
    """Of a sign-off metric: the label metric that tells beforehand about where it will be."""
    second: bool = False
    """Measured by the second simulator, VACASK, only."""
    limit: float | None = None
    """The best value that is ever measured, where simulation or its testbench ends before a circuit does."""

    @property
    def sign(self) -> float:
        """What a value is multiplied by so that larger is better."""
        return 1.0 if self.better == "higher" else -1.0

    @property
    def sense(self) -> Literal[">=", "<="]:
        """Side of a bound that a designer sets."""
        return ">=" if self.better == "higher" else "<="

    def normalise(self, value: float) -> float:
        """Map a value to the scale on which differences are comparable (decades for a ``log`` metric)."""
        if self.scale == "log":
            return math.log10(max(value, SMALLEST))
        return value

    def normalise_all(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values of any shape as `normalise` does one."""
        return np.log10(np.maximum(values, SMALLEST)) if self.scale == "log" else values


_FORMER_NAMES = {"p1db_dbm": "ip1db_dbm", "phase_noise_signoff_dbc_hz": "phase_noise_dbc_hz"}
"""Metrics that files of earlier versions know by another name."""
_FORMER_LABELS = {
    "p1db_dbm": "ip1db_dbm",
    "phase_noise_dbc_hz": "phase_noise_estimate_dbc_hz",
    "fom_dbc_hz": "fom_estimate_dbc_hz",
}
"""The same where only label metrics are spoken of: estimates had the names of what is signed off today."""


def current_name(name: str) -> str:
    """What a metric that a specification bounds is called today."""
    return _FORMER_NAMES.get(name, name)


def current_label(name: str) -> str:
    """What a label metric of a dataset or a model is called today."""
    return _FORMER_LABELS.get(name, name)


def current_measured(metrics: Mapping[str, float]) -> dict[str, float]:
    """A circuit's measured metrics by what they are called today; which names were meant, the others tell."""
    former = not any(name.endswith("_estimate_dbc_hz") for name in metrics)
    return {
        (current_label(name) if former and name in _FORMER_LABELS else current_name(name)): value
        for name, value in metrics.items()
    }


class Metrics(Mapping[str, float]):
    """Measured performance of one circuit: an immutable mapping from metric name to value in its unit."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise ValueError(f"metric {name} is not finite: {value}")
        self._values = {name: float(value) for name, value in values.items()}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value:.6g}" for name, value in self._values.items())
        return f"Metrics({inner})"


GAIN_DB = Metric("gain_db", "dB", "higher", "Transducer gain |S21| at the centre frequency.")
S11_DB = Metric("s11_db", "dB", "lower", "Input reflection |S11| at the centre frequency.")
S22_DB = Metric("s22_db", "dB", "lower", "Output reflection |S22| at the centre frequency.")
MU_MIN = Metric(
    "mu_min", "", "higher", "Smallest Edwards-Sinsky mu of both ports from a tenth to ten times the centre frequency."
)
POWER_W = Metric("power_w", "W", "lower", "Power drawn from the supply and the bias sources.", scale="log")
"""Metrics that amplifiers share."""
