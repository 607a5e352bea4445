"""A yield analysis in the terminal and as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genrf import classes
from genrf.files import write_json, written_whole
from genrf.report.table import bound_text
from genrf.report.values import metric_text
from genrf.yield_analysis.histograms import plot_histograms, shown_metrics
from genrf.yield_analysis.result import CONFIDENCE, YieldResult

if TYPE_CHECKING:
    from rich.table import Table

RESULT = "result.json"
RUNS = "runs.jsonl"


def write_report(folder: Path, result: YieldResult) -> None:
    """Write the result as JSON and the histograms as PNG and SVG."""
    with written_whole(folder / "histograms.png") as png, written_whole(folder / "histograms.svg") as svg:
        plot_histograms(result, {"png": png, "svg": svg})
    write_json(folder / RESULT, result.content())


def yield_text(result: YieldResult) -> str:
    """One line: the yield, its interval, and what failed to simulate."""
    low, high = result.interval
    failed = result.failed
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(failed.items()))
    return (
        f"yield {100 * result.share:.1f} % ({result.passed} of {len(result.outcomes)} runs), "
        f"{100 * CONFIDENCE:g} % confidence {100 * low:.1f} to {100 * high:.1f} %; "
        f"{sum(failed.values())} failed to simulate{f' ({causes})' if causes else ''}"
    )


def spread_table(result: YieldResult) -> Table:
    """A row a metric: bound, nominal value, mean, deviation, worst case, and how many runs miss the bound."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    vocabulary = classes.get(result.spec.circuit_class).metrics
    nominal = result.corners.get(result.spec.conditions.corner)
    title = f"{result.spec.name}: {len(result.outcomes)} runs"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for heading in ("bound", "nominal", "mean", "σ", "worst", "runs that miss"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in shown_metrics(result):
        metric, spread = vocabulary[name], result.spread(name)
        own = [constraint for constraint in result.spec.constraints if constraint.metric == name]
        designed = metric_text(metric, nominal.metrics[name]) if nominal and nominal.metrics else "failed"
        figures = ["–"] * 3
        if spread is not None:
            figures = [metric_text(metric, figure) for figure in (spread.mean, spread.deviation, spread.worst)]
        missed = sum(result.misses(constraint) for constraint in own)
        share = f"[{'red' if missed else 'green'}]{missed} ({100 * missed / len(result.outcomes):.1f} %)[/]"
        table.add_row(name, bound_text(result.spec, name), designed, *figures, share if own else "–")
    return table
