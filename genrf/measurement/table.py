"""The metrics of one measured circuit as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf import classes
from genrf.metrics import Metrics
from genrf.report.values import metric_text

if TYPE_CHECKING:
    from rich.table import Table


def measurement_table(circuit_class: str, metrics: Metrics, title: str) -> Table:
    """One row a metric, with its meaning."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    vocabulary = classes.get(circuit_class).metrics
    table = Table(
        title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")
    for name, value in metrics.items():
        table.add_row(name, metric_text(vocabulary[name], value), vocabulary[name].description)
    return table
