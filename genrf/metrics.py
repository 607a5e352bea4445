"""What a circuit's performance is called, in which unit, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal


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
    limit: float | None = None
    """The best value that is ever measured, where simulation or its testbench ends before a circuit does."""

    @property
    def sign(self) -> float:
        """What a value is multiplied by so that larger is better."""
        return 1.0 if self.better == "higher" else -1.0

    @property
    def sense(self) -> Literal[">=", "<="]:
        """Of a bound that a designer sets."""
        return ">=" if self.better == "higher" else "<="

    def normalise(self, value: float) -> float:
        """Map a value to the scale on which differences are comparable (decades for a ``log`` metric)."""
        if self.scale == "log":
            return math.log10(max(value, 1e-30))
        return value


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
