"""The command ``genrf``.

Exit codes: 0 done, 1 failed, 2 wrong input, 3 something is not installed, 4 unusable model bundle, 5 specification
not met. Errors are one line on the error output; ``--debug`` shows where they came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from genrf import (
    __version__,
    cli_chain,
    cli_export,
    cli_feedback,
    cli_measure,
    cli_objects,
    cli_options,
    cli_yield,
    terminal,
)
from genrf.cli_options import BundleFolder, Feedback, Force, Json, OutputFolder, Seed, Workers
from genrf.errors import GenRFError, MissingToolError, SpecificationNotMetError

if TYPE_CHECKING:
    from genrf.generation.design import DesignResult


class _Commands(TyperGroup):
    """Turns errors that a user can mend into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GenRFError as error:
            message, code = str(error), error.exit_code
            cause: Exception = error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            message, code = f"{where}{error.strerror or error}", 1
            cause = error
        if ctx.params.get("debug"):
            raise cause
        typer.echo(f"genrf: {message}", err=True)
        raise typer.Exit(code)


def _examples(*commands: str) -> str:
    """Lines for the end of a command's help."""
    return "\n\n".join(["Examples:", *(f"genrf {command}" for command in commands)])


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turns a radio-frequency specification into circuits that SPICE has shown to meet it.",
    epilog=_examples("generate examples/lna_28ghz.yaml", "metrics", "spec check my.yaml"),
)
spec_app = typer.Typer(no_args_is_help=True, help="Work with specification files.")
app.add_typer(spec_app, name="spec")
objects_app = typer.Typer(no_args_is_help=True, help=cli_objects.HELP)
app.add_typer(objects_app, name="objects")

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="Specification file.", show_default=False)]


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
) -> None:
    """Turns a radio-frequency specification into circuits that SPICE has shown to meet it."""


@app.command(
    epilog=_examples(
        "generate examples/lna_28ghz.yaml",
        "generate examples/lna_28ghz.yaml --until-met",
        "generate my.yaml --calls 256 --designs 5 --output out",
        "generate examples/lna_28ghz.yaml --refine 64",
        "generate examples/mixer_28ghz.yaml --signoff",
        "generate examples/lna_28ghz.yaml --refine 128 --pareto gain_db,nf_db,power_w",
        "generate my.yaml --feedback s3://feedback/genrf",
    )
)
def generate(
    spec_file: SpecFile,
    bundle: BundleFolder = None,
    output: OutputFolder = None,
    calls: Annotated[int, typer.Option("--calls", "-k", min=1, help="SPICE calls to spend.")] = 64,
    seed: Seed = 0,
    designs: Annotated[int, typer.Option("--designs", "-n", min=1, help="How many of the best designs to write.")] = 3,
    workers: Workers = None,
    refine: Annotated[
        int,
        typer.Option(
            "--refine",
            min=0,
            metavar="N",
            help="Spend N more SPICE calls on the worst margin until the specification is met, then on the Pareto front of "
            "the designs that meet it: by descents for amplifiers in small signal and filters, by Bayesian optimization for "
            "all else.",
        ),
    ] = 0,
    pareto: Annotated[
        str | None,
        typer.Option(
            "--pareto",
            metavar="METRIC,METRIC,...",
            help="Metrics whose trade-off is wanted, 2 to 4: the front is marked in them, and refined in them with "
            "--refine; by default those that designers of the class trade.",
            show_default=False,
        ),
    ] = None,
    robust: Annotated[
        bool, typer.Option("--robust", help="Rank the best eight designs by the process corners that they hold at.")
    ] = False,
    until_met: Annotated[
        bool,
        typer.Option(
            "--until-met",
            help="Stop once the specification is met, instead of spending every call on designs with more margin.",
        ),
    ] = False,
    signoff: Annotated[
        bool,
        typer.Option(
            "--signoff",
            help="Sign the written designs off: sign-off metrics in ngspice, and everything again in VACASK where it is "
            "installed.",
        ),
    ] = False,
    feedback: Feedback = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Design circuits that meet a specification, verified in SPICE.

    Prints the best designs against the specification and writes, for each: values and metrics as JSON, a SPICE
    netlist that reproduces the metrics, a Touchstone file, a plot and a schematic; and a report of the run. Ends with
    exit code 5 if no simulated design meets the specification; the closest ones are written all the same.
    """
    from genrf.export.folder import result_content
    from genrf.feedback.log import chosen_log
    from genrf.generate import Request, generate
    from genrf.spec import DesignSpec

    request = Request(
        calls=calls,
        refine=refine,
        pareto=pareto,
        robust=robust,
        until_met=until_met,
        signoff=signoff,
        seed=seed,
        designs=designs,
    )
    folder = output if output is not None else Path("designs") / spec_file.stem
    result = generate(
        DesignSpec.from_yaml(spec_file),
        request,
        folder,
        open_designer=lambda: cli_options.designer(bundle, workers, seed),
        progress=terminal.progress_bar,
        warn=lambda message: typer.echo(f"genrf: {message}", err=True),
        overwrite=force,
        feedback=chosen_log(feedback),
    )
    if as_json:
        terminal.print_json(result_content(result))
    else:
        terminal.show_result(result, designs, folder)
    _judge(spec_file, result)


@app.command(
    epilog=_examples(
        "simulate designs/lna_28ghz/design_1/design.json",
        "simulate design.json --corner bcs --corner wcs --temperature 85",
        "simulate design_1/design.json design_2/design.json --spec tighter.yaml",
        "simulate design.json --signoff",
    )
)
def simulate(
    design_files: Annotated[
        list[Path],
        typer.Argument(metavar="DESIGN.json...", help="Designs written by genrf generate.", show_default=False),
    ],
    spec_file: Annotated[
        Path | None,
        typer.Option("--spec", metavar="SPEC.yaml", help="Judge by this specification instead of the design's own."),
    ] = None,
    corner: Annotated[list[str] | None, typer.Option("--corner", help="Process corner; may be repeated.")] = None,
    temperature: Annotated[
        list[float] | None, typer.Option("--temperature", help="Temperature in C; may be repeated.")
    ] = None,
    supply: Annotated[
        list[float] | None, typer.Option("--supply", help="Supply voltage in V; may be repeated.")
    ] = None,
    signoff: Annotated[
        bool,
        typer.Option(
            "--signoff",
            help="Measure the sign-off metrics too, and everything again in VACASK where it is installed; takes seconds a "
            "circuit.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate written designs again, also at other corners, temperatures and supplies.

    Every combination of the given conditions is simulated. Ends with exit code 5 if any of them misses the
    specification, and with 1 if any fails to simulate.
    """
    from genrf.resimulate import Sweep, resimulate
    from genrf.signoff import MISSING
    from genrf.simulation.vacask.locate import installed

    sweep = Sweep(corners=corner or (), temperatures_c=temperature or (), supplies_v=supply or ())
    simulated = resimulate(design_files, spec_file, sweep, signoff=signoff)
    if signoff and not installed():
        typer.echo(f"genrf: {MISSING}", err=True)
    if as_json:
        terminal.print_json([terminal.simulated_content(one) for one in simulated])
    else:
        terminal.show_simulated(simulated)
    failed = [one.outcome.failure for one in simulated if one.outcome.failure is not None]
    if failed:
        raise GenRFError(f"{len(failed)} of {len(simulated)} simulations failed: {failed[0].cause}: {failed[0].detail}")
    missed = sum(not one.met for one in simulated)
    if missed:
        raise SpecificationNotMetError(f"the specification is missed in {missed} of {len(simulated)} simulations")


app.command(epilog=_examples(*cli_export.EXAMPLES))(cli_export.export)
app.command("yield", epilog=_examples(*cli_yield.EXAMPLES))(cli_yield.estimate)
app.command(epilog=_examples(*cli_measure.EXAMPLES))(cli_measure.measure)
app.command(epilog=_examples(*cli_chain.EXAMPLES))(cli_chain.chain)
app.command(epilog=_examples(*cli_feedback.EXAMPLES))(cli_feedback.feedback)


for _name, _function, _shown in cli_objects.COMMANDS:
    objects_app.command(_name, epilog=_examples(*_shown))(_function)


@spec_app.command("check", epilog=_examples("spec check examples/lna_28ghz.yaml"))
def spec_check(
    spec_files: Annotated[
        list[Path], typer.Argument(metavar="SPEC.yaml...", help="Specification files.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Read specifications and show what was understood."""
    from genrf.spec import DesignSpec

    specs = [DesignSpec.from_yaml(path) for path in spec_files]
    if as_json:
        terminal.print_json([spec.to_dict() for spec in specs])
        return
    from genrf.report.table import specification_table

    for spec in specs:
        terminal.console().print(specification_table(spec))


@app.command(epilog=_examples("metrics", "metrics lna --json"))
def metrics(
    circuit_class: Annotated[
        str | None, typer.Argument(metavar="CLASS", help="Circuit class; all by default.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the metrics that a specification can bound."""
    from genrf import classes
    from genrf.report.table import vocabulary_table

    chosen = classes.names() if circuit_class is None else (circuit_class,)
    if as_json:
        vocabulary = {name: classes.get(name).metrics.values() for name in chosen}
        terminal.print_json(
            {
                name: [{"name": m.name, "unit": m.unit, "better": m.better, "description": m.description} for m in its]
                for name, its in vocabulary.items()
            }
        )
        return
    for name in chosen:
        terminal.console().print(vocabulary_table(name))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog=_examples("pipeline run", "pipeline compile", "pipeline --help"),
)
def pipeline(context: typer.Context) -> None:
    """Run the training pipeline or a night here, or compile them for a cluster."""
    _hand_over("pipeline", context)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog=_examples("lineage designs/lna_28ghz/design_1/design.json", "lineage --help"),
)
def lineage(context: typer.Context) -> None:
    """Show where a design comes from: model version, run, code, dataset, and the requests behind it."""
    _hand_over("lineage", context)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    epilog=_examples("serve", "serve --no-browser", "serve --help"),
)
def serve(context: typer.Context) -> None:
    """Serve designs, and open the page on which a specification is written, circuits are found and tuned."""
    _hand_over("serve", context)


def _hand_over(name: str, context: typer.Context) -> None:
    """Run a command that another package of the project brings."""
    from importlib.metadata import entry_points

    commands = entry_points(group="genrf.commands", name=name)
    if not commands:
        raise MissingToolError(f"{name}: not installed; run make setup, or pip install -e . in the repository")
    try:
        command = next(iter(commands)).load()
    except ImportError as error:
        raise MissingToolError(f"{name}: {error}; run make setup") from error
    command(args=context.args, prog_name=f"genrf {name}")


@app.command(epilog=_examples("version", "version --json"))
def version(as_json: Json = False) -> None:
    """Show the versions that a design depends on."""
    import platform

    from genrf import technology

    processes = {name: technology.get(name).version for name in technology.names()}
    versions = {"genrf": __version__, **processes, "python": platform.python_version()}
    if as_json:
        terminal.print_json(versions)
    else:
        for name, value in versions.items():
            typer.echo(f"{name} {value}")


def _judge(spec_file: Path, result: DesignResult) -> None:
    """End with an error that says what is missing, unless the specification is met."""
    from genrf.report.table import missed_text

    if result.first_met is not None:
        return
    if not result.designs:
        causes = (
            ", ".join(f"{count} {cause}" for cause, count in result.failed.items()) or "no legal circuit was generated"
        )
        raise SpecificationNotMetError(f"{spec_file}: no circuit could be simulated ({causes})")
    missed = missed_text(result.spec, result.designs[0].metrics)
    raise SpecificationNotMetError(
        f"{spec_file}: not met by any of {result.simulated} simulated circuits; the closest: {missed}"
    )
