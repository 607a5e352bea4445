"""The command ``genrf export``: all files of a design, from its JSON alone, such as a design server answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrf.cli_options import Force
from genrf.errors import GenRFError

EXAMPLES = (
    "export design.json --output handover",
    "export answer/design_1.json --output designs/lna --force",
)


def export(
    design_file: Annotated[
        Path, typer.Argument(metavar="DESIGN.json", help="Design, from a folder or a server.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
    force: Force = False,
) -> None:
    """Write a design's netlist, Touchstone file, schematic, curves and report.

    The design is simulated again on the process that it was made for; its metrics are those of that simulation.
    """
    from genrf.export.design_file import read_design
    from genrf.export.folder import PlotWorker, check_free, write_result
    from genrf.generation.design import Design, DesignResult
    from genrf.simulation.judge import Judge, Simulation

    design, spec = read_design(design_file)
    check_free(output, overwrite=force)
    with PlotWorker() as plots, Judge(workers=1, technology=design.technology) as judge:
        (outcome,) = judge.run([Simulation(design.circuit, spec.conditions, spec.needs_signoff)], curves=True)
        if outcome.metrics is None:
            assert outcome.failure is not None
            raise GenRFError(f"{design_file}: does not simulate, {outcome.failure.cause}: {outcome.failure.detail}")
        measured = Design.judged(design.circuit, outcome.metrics, spec, design.provenance, pareto=True)
        write_result(output, DesignResult.of_one(spec, measured), [outcome.curves], plots, overwrite=force)
    typer.echo(f"{output}: {'meets' if measured.met else 'misses'} its specification; see {output / 'report.html'}")
