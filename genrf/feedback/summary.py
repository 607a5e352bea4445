"""What a feedback log says of each circuit class: how much was asked, how often it was met, how long it took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from genrf.feedback.record import SearchRecord

if TYPE_CHECKING:
    from rich.table import Table

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The searches of one class."""

    circuit_class: str
    requests: int
    met: int
    met_interval: tuple[float, float]
    """Share that is met in the long run, Wilson's interval of `CONFIDENCE` (Wilson 1927)."""
    median_seconds: float

    @property
    def met_share(self) -> float:
        """Share of the requests that was met."""
        return self.met / self.requests

    def content(self) -> dict[str, Any]:
        """Plain data."""
        plain = asdict(self)
        return {**plain, "met_share": self.met_share, "met_interval": list(self.met_interval), "confidence": CONFIDENCE}


def wilson(met: int, of: int) -> tuple[float, float]:
    """Wilson's interval of `CONFIDENCE` for a share (Wilson 1927); all that is possible of none."""
    from scipy.stats import binomtest

    if not of:
        return 0.0, 1.0
    interval = binomtest(met, of).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def summaries(records: Sequence[SearchRecord]) -> list[Summary]:
    """One of each class that was asked for, in the order of their names."""
    found = []
    for name in sorted({record.circuit_class for record in records}):
        own = [record for record in records if record.circuit_class == name]
        met = sum(record.met for record in own)
        found.append(
            Summary(
                circuit_class=name,
                requests=len(own),
                met=met,
                met_interval=wilson(met, len(own)),
                median_seconds=statistics.median(record.seconds for record in own),
            )
        )
    return found


def summary_table(found: Sequence[Summary], title: str) -> Table:
    """A row a class."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("class")
    for heading in ("requests", "met", f"met in the long run, {CONFIDENCE:.0%} confidence", "median seconds"):
        table.add_column(heading, justify="right")
    for summary in found:
        low, high = (100.0 * bound for bound in summary.met_interval)
        table.add_row(
            summary.circuit_class,
            str(summary.requests),
            f"{100.0 * summary.met_share:.1f} %",
            f"{low:.1f} to {high:.1f} %",
            f"{summary.median_seconds:.2f}",
        )
    if not found:
        table.add_row("none", "0", "–", "–", "–")
    return table
