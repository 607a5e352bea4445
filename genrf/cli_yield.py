"""The command ``genrf yield``; `genrf.cli` adds it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from genrf import terminal
from genrf.cli_options import Json, Seed, Workers
from genrf.errors import InvalidInputError, SpecificationNotMetError

EXAMPLES = (
    "yield designs/lna_28ghz/design_1/design.json",
    "yield design.json --runs 5000 --seed 1 --target 90",
    "yield design.json --supply-tolerance 5 --temperature 0:85 --output hot",
)


def estimate(
    design_file: Annotated[
        Path,
        typer.Argument(metavar="DESIGN.json", help="A design written by genrf generate.", show_default=False),
    ],
    runs: Annotated[int, typer.Option("--runs", "-n", min=1, help="Monte Carlo runs.")] = 1000,
    seed: Seed = 0,
    spec_file: Annotated[
        Path | None,
        typer.Option("--spec", metavar="SPEC.yaml", help="Judge by this specification instead of the design's own."),
    ] = None,
    process: Annotated[bool, typer.Option(help="Vary all devices of a kind together.")] = True,
    mismatch: Annotated[bool, typer.Option(help="Vary every device on its own.")] = True,
    temperature: Annotated[
        str | None,
        typer.Option(
            "--temperature",
            metavar="LOW:HIGH",
            help="Uniform temperature in C; by default the specification's.",
            show_default=False,
        ),
    ] = None,
    supply_tolerance: Annotated[
        float,
        typer.Option(metavar="PERCENT", min=0.0, max=99.0, help="Uniform supply, within this on either side."),
    ] = 0.0,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            min=0.0,
            max=100.0,
            help="End with exit code 5 if the yield is below.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write; by default yield beside the design.", show_default=False),
    ] = None,
    workers: Workers = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Forget runs that the output folder holds.")] = False,
    as_json: Json = False,
) -> None:
    """Estimate which share of a design's manufactured copies meets its specification.

    Monte Carlo with the process's own statistics: process variation moves all devices of a kind together, mismatch
    each on its own. A run that fails to simulate counts against the yield. Runs are kept as they end: the same command
    goes on after an interruption, and a larger --runs adds to them. Also simulates the design at every process corner.
    """
    from dataclasses import replace

    from genrf.export.design_file import read_design
    from genrf.resimulate import Resimulated
    from genrf.simulation.judge import Judge
    from genrf.spec import DesignSpec
    from genrf.yield_analysis.analysis import analyse
    from genrf.yield_analysis.report import RUNS, spread_table, write_report, yield_text
    from genrf.yield_analysis.run_log import RunLog
    from genrf.yield_analysis.study import YieldStudy

    design, spec = read_design(design_file)
    if spec_file is not None:
        spec = DesignSpec.from_yaml(spec_file)
    if spec.circuit_class != design.circuit.topology.circuit_class:
        raise InvalidInputError(
            f"{spec_file}: a specification of class {spec.circuit_class}, but the design is of class "
            f"{design.circuit.topology.circuit_class}"
        )
    study = YieldStudy(
        circuit=design.circuit,
        spec=spec,
        seed=seed,
        process=process,
        mismatch=mismatch,
        temperature_c=None if temperature is None else _range(temperature),
        supply_tolerance=supply_tolerance / 100.0,
        technology_name=design.technology,
    )
    folder = output if output is not None else design_file.parent / "yield"
    log = RunLog(folder / RUNS, study.identity(), overwrite=force)
    with Judge(workers=workers, technology=design.technology) as pool, terminal.progress_bar(runs) as advance:
        result = analyse(study, runs, log, pool, advance)
    write_report(folder, result)
    if as_json:
        terminal.print_json(result.content())
    else:
        console = terminal.console()
        console.print(spread_table(result))
        terminal.show_simulated(
            [
                Resimulated(Path("corners"), replace(spec, conditions=simulation.conditions), result.corners[name])
                for name, simulation in study.corners().items()
            ]
        )
        console.print(yield_text(result), soft_wrap=True)
        for assumption in result.assumptions:
            console.print(f"  {assumption}", style="dim", soft_wrap=True)
        console.print(f"Written to {folder}; see {folder / 'histograms.png'}", soft_wrap=True)
    if target is not None and 100.0 * result.share < target:
        raise SpecificationNotMetError(f"{design_file}: yield {100 * result.share:.1f} % is below {target:g} %")


def _range(text: str) -> tuple[float, float]:
    number = r"([+-]?\d+(?:\.\d*)?)"
    found = re.fullmatch(rf"{number}:{number}", text.strip())
    if not found:
        raise InvalidInputError(f"--temperature: expected LOW:HIGH in C, such as -40:85, got {text!r}")
    return float(found[1]), float(found[2])
