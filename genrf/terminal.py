"""What the commands show: progress, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from genrf.generation.design import DesignResult
    from genrf.generation.record import Progress
    from genrf.resimulate import Resimulated
    from genrf.simulation.outcome import Outcome


@contextmanager
def progress_bar(total: int, what: str = "Simulating") -> Iterator[Progress | None]:
    """A progress bar on the error output, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from genrf import progress

    with progress.progress_bar(transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, allowed, _=None: bar.update(task, completed=done, total=max(total, allowed))


def show_result(result: DesignResult, count: int, folder: Path) -> None:
    """The best designs against the specification, and what the search took."""
    from genrf.report.table import design_table

    met = sum(design.met for design in result.designs)
    failed = sum(result.failed.values())
    output = console()
    explored = f" after {result.explored:,} explored" if result.explored else ""
    title = f"{result.spec.name}: best of {result.simulated} simulated{explored}"
    output.print(design_table(result.designs[:count], result.spec, title=title))
    first = f", the first after {result.first_met}" if result.first_met is not None else ""
    causes = ", ".join(f"{number} {cause}" for cause, number in sorted(result.failed.items()))
    output.print(
        f"{met} of {result.simulated} meet the specification{first}; "
        f"{failed} failed{f' ({causes})' if causes else ''}; {sum(result.seconds.values()):.2f} s"
    )
    if result.refined_from is not None:
        from genrf.report.refinement import refinement_text

        output.print(f"{refinement_text(result)}.", soft_wrap=True)
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in result.seconds.items())
        output.print(f"Seconds by stage: {stages}", soft_wrap=True)
    held = [design.provenance.get("corners") for design in result.designs[:count]]
    texts = [
        f"design {number} {at['met']} of {at['of']}" + (f" (not {' and '.join(at['missed'])})" if at["missed"] else "")
        for number, at in enumerate(held, start=1)
        if at
    ]
    if texts:
        output.print(f"Process corners met: {', '.join(texts)}", soft_wrap=True)
    for number, signed in enumerate(result.signed_off, start=1):
        if signed.second is not None:
            _show_both(f"design {number}", result.spec.circuit_class, signed.first, signed.second)
    output.print(f"Written to {folder}; open {folder / 'report.html'}", soft_wrap=True)


def show_simulated(simulated: Sequence[Resimulated]) -> None:
    """One table a design, one row a simulation; then why simulations failed."""
    from genrf.report.table import simulation_tables

    output = console()
    for table in simulation_tables(simulated):
        output.print(table)
    for one in simulated:
        failure, conditions = one.outcome.failure, one.spec.conditions
        if failure is not None:
            where = f"{conditions.corner}, {conditions.temperature_c:g} °C, {conditions.supply_v:g} V"
            output.print(f"{one.path} ({where}): {failure.cause}: {failure.detail}", soft_wrap=True)
    for one in simulated:
        if one.second is not None:
            conditions = one.spec.conditions
            where = f"{conditions.corner}, {conditions.temperature_c:g} °C, {conditions.supply_v:g} V"
            _show_both(f"{one.path} ({where})", one.spec.circuit_class, one.outcome, one.second)


def _show_both(title: str, circuit_class: str, first: Outcome, second: Outcome) -> None:
    """Two simulators side by side, and what they have to say."""
    from genrf.report.second import comparison_notes, comparison_table

    output = console()
    output.print(comparison_table(f"{title}: sign-off in two simulators", circuit_class, first, second))
    for note in comparison_notes(first, second):
        output.print(note, soft_wrap=True)


def simulated_content(one: Resimulated) -> dict[str, Any]:
    """One simulation as plain data."""
    from genrf.signoff import SignedOff

    conditions, failure = one.spec.conditions, one.outcome.failure
    content: dict[str, Any] = {
        "design": str(one.path),
        "corner": conditions.corner,
        "temperature_c": conditions.temperature_c,
        "supply_v": conditions.supply_v,
    }
    if one.second is not None:
        content |= {"signoff": SignedOff(one.outcome, one.second).content()}
    if one.outcome.metrics is None:
        return content | {"failure": {"cause": failure.cause, "detail": failure.detail} if failure else {}}
    return content | {"metrics": dict(one.outcome.metrics), "met": one.met}


def console() -> Console:
    """A console that wraps at the terminal's width, and does not wrap where the output is no terminal."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(width=200, highlight=False)


def print_json(content: Any) -> None:
    """Plain data as JSON on the output."""
    typer.echo(json.dumps(content, indent=2, allow_nan=False))
