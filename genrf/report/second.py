"""Two simulators side by side: a row a figure, differences beyond the tolerance marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrf.report.table import NOT_MEASURED
from genrf.report.values import metric_text
from genrf.signoff import Compared, compared
from genrf.simulation.outcome import Outcome

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("figure", "judge", "VACASK", "difference", "tolerance", "")


def comparison_cells(row: Compared) -> tuple[str, ...]:
    """Texts of one row, by `HEADINGS`; the last says whether the simulators differ."""

    def text(value: float | None) -> str:
        return NOT_MEASURED if value is None else metric_text(row.metric, value)

    known = row.difference is not None
    return (
        row.metric.name,
        text(row.first),
        text(row.second),
        f"{row.difference:+.3g}" if known else NOT_MEASURED,
        f"±{row.tolerance:.2g}" if known else NOT_MEASURED,
        "differs" if row.differs else "",
    )


def comparison_notes(first: Outcome, second: Outcome) -> list[str]:
    """Failures and notes of both, each with the simulator's name."""
    said = []
    for name, outcome in (("judge", first), ("VACASK", second)):
        if outcome.failure is not None:
            said.append(f"{name}: {outcome.failure.cause}: {outcome.failure.detail}")
        said += [f"{name}: {note}" for note in outcome.notes]
    return said


def comparison_table(title: str, circuit_class: str, first: Outcome, second: Outcome) -> Table:
    """A table for the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("figure", "") else "right", no_wrap=True)
    for row in compared(circuit_class, first, second):
        table.add_row(*comparison_cells(row), style="red" if row.differs else None)
    return table
