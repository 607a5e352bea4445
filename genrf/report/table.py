"""Designs as a table in the terminal: a row a design, a column a metric, coloured against the bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from genrf import classes
from genrf.conditions import Constraint
from genrf.fields import quantity_text
from genrf.metrics import Metrics
from genrf.report.values import metric_text
from genrf.spec import DesignSpec

if TYPE_CHECKING:
    from rich.table import Table

    from genrf.generation.design import Design
    from genrf.resimulate import Resimulated


NOT_MEASURED = "–"
"""What stands for a sign-off metric that was not measured."""


def metric_columns(spec: DesignSpec, measured: Iterable[Mapping[str, float]] = ()) -> list[str]:
    """Metrics worth a column: those that describe the class, then others that the specification bounds, then sign-off
    metrics that any of the designs was measured for."""
    definition = classes.get(spec.circuit_class)
    bounded = [constraint.metric for constraint in spec.constraints]
    required = [constraint.metric for constraint in definition.requirements]
    signed_off = [
        name
        for name, metric in definition.metrics.items()
        if metric.signoff and any(name in metrics for metrics in measured)
    ]
    return list(dict.fromkeys([*definition.specification_metrics, *bounded, *required, *signed_off]))


def constraints_on(spec: DesignSpec, metric: str) -> list[Constraint]:
    """The specification's bounds on one metric."""
    return [constraint for constraint in spec.constraints if constraint.metric == metric]


def bound_text(spec: DesignSpec, metric: str, *, unit: bool = True) -> str:
    """The bounds on a metric as text, such as ``≥ 15.00 dB``; a dash without any."""
    definition = classes.get(spec.circuit_class).metrics[metric]
    signs = {">=": "≥", "<=": "≤"}
    bounds = [f"{signs[c.sense]} {metric_text(definition, c.bound, unit=unit)}" for c in constraints_on(spec, metric)]
    return ", ".join(bounds) or "–"


def design_table(designs: Sequence[Design], spec: DesignSpec, title: str = "") -> Table:
    """A table of designs, the specification in its first row; narrow enough for a terminal of 80 columns."""
    columns = metric_columns(spec, [design.metrics for design in designs])
    table = _table([""], [*columns, "met", "Pareto"], title)
    table.add_row("bound", *_bounds(spec, columns), "", "", style="cyan", end_section=True)
    for number, design in enumerate(designs, start=1):
        cells = [_coloured(spec, name, design.metrics) for name in columns]
        table.add_row(str(number), *cells, _verdict(design.met), "●" if design.pareto else "")
    return table


def simulation_tables(simulated: Sequence[Resimulated]) -> list[Table]:
    """One table a design, one row a simulation: conditions, and metrics against the specification."""
    tables: dict[Path, Table] = {}
    measured: dict[Path, list[Mapping[str, float]]] = {}
    for one in simulated:
        measured.setdefault(one.path, []).append(one.outcome.metrics or {})
    columns_of = {one.path: metric_columns(one.spec, measured[one.path]) for one in simulated}
    for one in simulated:
        path, spec, metrics = one.path, one.spec, one.outcome.metrics
        columns = columns_of[path]
        if path not in tables:
            tables[path] = _table(["corner", "°C", "V"], [*columns, "met"], str(path))
            tables[path].add_row("bound", "", "", *_bounds(spec, columns), "", style="cyan", end_section=True)
        conditions = spec.conditions
        where = (conditions.corner, f"{conditions.temperature_c:g}", f"{conditions.supply_v:g}")
        if metrics is None:
            tables[path].add_row(*where, *[""] * len(columns), "[red]failed[/]")
        else:
            cells = [_coloured(spec, name, metrics) for name in columns]
            tables[path].add_row(*where, *cells, _verdict(one.met))
    return list(tables.values())


def specification_table(spec: DesignSpec) -> Table:
    """What a specification asks for."""
    from rich.table import Table

    definition = classes.get(spec.circuit_class)
    conditions = spec.conditions
    table = Table(title=f"{spec.name}: {definition.title}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("frequency", quantity_text(conditions.frequency_hz, "Hz", 6))
    table.add_row("supply", f"{conditions.supply_v:g} V")
    table.add_row("source, load", f"{conditions.source_ohm:g} Ω, {conditions.load_ohm:g} Ω")
    table.add_row("temperature, corner", f"{conditions.temperature_c:g} °C, {conditions.corner}", end_section=True)
    for name in dict.fromkeys(constraint.metric for constraint in spec.constraints):
        table.add_row(name, bound_text(spec, name))
    return table


def vocabulary_table(circuit_class: str) -> Table:
    """The metrics of a circuit class."""
    from rich.table import Table

    definition = classes.get(circuit_class)
    table = Table(title=f"{circuit_class}: {definition.title}", title_justify="left", header_style="bold")
    for heading in ("metric", "unit", "better", "meaning"):
        table.add_column(heading)
    for metric in definition.metrics.values():
        table.add_row(metric.name, metric.unit, metric.better, metric.description)
    return table


def missed_text(spec: DesignSpec, metrics: Mapping[str, float]) -> str:
    """Which constraints are missed and by how much: ``nf_db <= 0.5 missed by 1.02 dB (1.52 dB)``."""
    vocabulary = classes.get(spec.circuit_class).metrics
    missed = []
    for constraint in spec.constraints:
        if constraint.metric not in metrics:
            # Estimated, it is signed off only where everything else is met.
            constraint = replace(constraint, metric=vocabulary[constraint.metric].estimate or constraint.metric)
        if constraint.metric not in metrics:
            missed.append(f"{constraint.metric} has not been measured")
            continue
        value = metrics[constraint.metric]
        slack = constraint.slack(value)
        if slack < 0.0:
            metric = vocabulary[constraint.metric]
            # Levels in dBm or dBc/Hz differ by decibels.
            distance = replace(metric, unit="dB") if metric.unit.startswith("dB") else metric
            missed.append(
                f"{constraint.metric} {constraint.sense} {metric_text(metric, constraint.bound)} is missed by "
                f"{metric_text(distance, -slack)} (reached {metric_text(metric, value)})"
            )
    return "; ".join(missed)


def _table(left: Sequence[str], right: Sequence[str], title: str) -> Table:
    """A table without vertical rules, some columns flush left and the others flush right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _bounds(spec: DesignSpec, columns: Sequence[str]) -> list[str]:
    return [bound_text(spec, name, unit=False) for name in columns]


def _verdict(met: bool) -> str:
    return "[green]yes[/]" if met else "[red]no[/]"


def _coloured(spec: DesignSpec, name: str, metrics: Metrics) -> str:
    if name not in metrics:
        return NOT_MEASURED
    text = metric_text(classes.get(spec.circuit_class).metrics[name], metrics[name], unit=False)
    bounds = constraints_on(spec, name)
    if not bounds:
        return text
    met = all(constraint.slack(metrics[name]) >= 0.0 for constraint in bounds)
    return f"[{'green' if met else 'red'}]{text}[/]"
