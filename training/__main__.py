"""The steps one by one, for DVC and for people: ``python -m training STEP --recipe smoke``.

They call the same functions as the pipeline's components and read and write below ``artifacts/``; ``data`` simulates
the dataset into ``data/`` and records its hash, ``pull`` and ``push`` fetch and send the recorded one.
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from genrf.errors import GenRFError, InvalidInputError
from genrf.files import replace_folder
from training import stages as stages_here
from training.config.loading import DEFAULT_PATH, DEFAULT_RECIPE, load_config, read_overrides
from training.config.steps import STEPS, StepDefinition, stages
from training.data.split import Topologies
from training.running.step import REPORT
from training.stages import ARTIFACTS, DATA, SIMULATE_DATA

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Recipe = Annotated[str, typer.Option(help="Recipe in params.yaml.")]
Overrides = Annotated[str, typer.Option(help='JSON of values laid over the recipe, such as {"data.rounds": 2}.')]

RESULTS = Path("benchmarks") / "results"


@app.command()
def data(
    recipe: Recipe = DEFAULT_RECIPE,
    accept: Annotated[bool, typer.Option(help="Record a hash that differs without failing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace rows in data/ that are not recorded.")] = False,
) -> None:
    """Simulate the dataset into data/ and say whether its hash is the recorded one."""
    from training.data.versions import add, recorded, require_recorded, simulation_digest

    try:
        config = load_config(DEFAULT_PATH, recipe)
        before = recorded()
        if not force:
            require_recorded(DATA)
        rows = stages_here.simulate_data(config)
        placed = rows.with_name("rows-placed")
        shutil.rmtree(placed, ignore_errors=True)
        shutil.copytree(rows, placed)
        replace_folder(placed, DATA)
        after = add(DATA, config)
    except GenRFError as error:
        _fail(str(error), error.exit_code)
    if before is None:
        typer.echo(f"data.dvc: recorded {after.hash}")
    elif before.hash == after.hash:
        typer.echo(f"data.dvc: the same as recorded, {after.hash}")
    else:
        same = before.config == simulation_digest(config)
        reason = "though the configuration is the same" if same else "as the configuration is another"
        if other := same and before.processor != after.processor:
            reason = (
                f"as the processor is another kind ({after.processor}, was {before.processor or 'not recorded'}): "
                "last digits may differ"
            )
        message = f"data.dvc: was {before.hash}, is {after.hash}, {reason}"
        if not accept and same and not other:
            _fail(f"{message}; if simulator or code changed, keep it with --accept", 1)
        typer.echo(message)


@app.command(epilog="Example: GENRF_DVC_REMOTE=s3://datasets/genrf python -m training pull")
def pull(
    force: Annotated[bool, typer.Option("--force", help="Replace rows in data/ that are not recorded.")] = False,
) -> None:
    """Put the dataset that data.dvc records into data/, from DVC's cache or remote; or say how to simulate it again."""
    from training.data import versions

    def run() -> dict[str, Any]:
        known = versions.recorded()
        if known is None:
            raise InvalidInputError(
                "data.dvc: not there, so no dataset is recorded; make data simulates and records one"
            )
        if not force:
            versions.require_recorded(DATA)
        fetched = ARTIFACTS / "data-pulled"
        shutil.rmtree(fetched, ignore_errors=True)
        try:
            versions.pull(known.hash, fetched)
        except GenRFError as error:
            raise type(error)(f"{error}; make data simulates it again from its seed") from error
        replace_folder(fetched, DATA)
        return {"data_hash": known.hash}

    _print(run)


@app.command(epilog="Example: GENRF_DVC_REMOTE=s3://datasets/genrf python -m training push")
def push() -> None:
    """Send the dataset that data.dvc records from DVC's cache to the remote, where pipelines on a cluster pull it."""
    from training.data import versions

    _print(lambda: {"data_hash": versions.push().hash})


@app.command(SIMULATE_DATA, epilog="Example: python -m training simulate_data --recipe smoke")
def simulate_data(recipe: Recipe = DEFAULT_RECIPE) -> None:
    """Simulate the dataset into artifacts/rows and record nothing; stopped and run again, it goes on."""
    _print(lambda: {"rows": str(stages_here.simulate_data(load_config(DEFAULT_PATH, recipe)))})


@app.command()
def simulate(
    shard: Annotated[int, typer.Option(help="Number of the island; unused in the dataset so far.")],
    output: Annotated[Path, typer.Option(help="Dataset folder to write into.")] = DATA,
    earlier: Annotated[Path | None, typer.Option(help="Dataset whose best circuits the island starts from.")] = None,
    topologies: Annotated[Topologies, typer.Option(help="Which to simulate: all, or one side of the split.")] = "all",
    recipe: Recipe = DEFAULT_RECIPE,
    overrides: Overrides = "{}",
) -> None:
    """Simulate one island; a dataset grows by further ones."""
    from training.data.simulate import simulate_shard

    def run() -> dict[str, Any]:
        config = load_config(DEFAULT_PATH, recipe, read_overrides(overrides))
        return simulate_shard(config, shard, output, earlier, topologies=topologies)

    _print(run)


@app.command()
def recall(
    bundle: Annotated[Path, typer.Option(help="Bundle with precedents, such as genrf/pretrained.")],
    shard: Annotated[int, typer.Option(help="Number of the rows' shard; unused in the dataset so far.")],
    output: Annotated[Path, typer.Option(help="Dataset folder to write into.")] = DATA,
    recipe: Recipe = DEFAULT_RECIPE,
) -> None:
    """Write a bundle's precedents as rows, for `simulate --earlier` and for training on from its weights."""
    from genrf.generation.bundle import Bundle
    from training.data.recall import recall as write

    _print(lambda: write(load_config(DEFAULT_PATH, recipe), Bundle.load(bundle).folder, shard, output))


@app.command()
def weak_spots(
    bundle: Annotated[Path, typer.Option(help="Bundle of the generator that is to be improved.")],
    prepared: Annotated[Path, typer.Option(help="Prepared data, from whose training rows the targets come.")],
    shard: Annotated[int, typer.Option(help="Number of the new rows' shard; unused in the dataset so far.")],
    targets: Annotated[int, typer.Option(min=1, help="Specifications of each class to search for.")],
    output: Annotated[Path, typer.Option(help="Dataset folder to write into.")] = DATA,
    recipe: Recipe = DEFAULT_RECIPE,
    overrides: Overrides = "{}",
) -> None:
    """Simulate where the generator is weak: its proposals for hard specifications."""
    from genrf.generation.bundle import Bundle
    from training.data.weak_spots import simulate_weak_spots
    from training.evaluation.trials import bundle_designer

    def run() -> dict[str, Any]:
        config = load_config(DEFAULT_PATH, recipe, read_overrides(overrides))
        open_designer = partial(bundle_designer, config, Bundle.load(bundle))
        return simulate_weak_spots(config, open_designer, prepared, shard, targets, output)

    _print(run)


@app.command()
def publish(
    bundle: Annotated[Path, typer.Option(help="Exported bundle.")] = ARTIFACTS / "bundle",
    quantized: Annotated[
        Path | None, typer.Option(help="Its smaller variants and their gate; the empty path for none.")
    ] = ARTIFACTS / "quantized",
    evaluation: Annotated[
        Path, typer.Option(help="evaluation.json, or a benchmark's result of the same form.")
    ] = ARTIFACTS / "evaluation" / "evaluation.json",
    data_report: Annotated[Path, typer.Option("--data", help="report.json of the prepared data.")] = ARTIFACTS
    / "prepared"
    / "report.json",
    training: Annotated[
        list[Path] | None,
        typer.Option(
            help="step.json of a training step, one for each model; by default those below artifacts.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32, fp16 or int8, in place of the smallest that passed.", show_default=False),
    ] = None,
    remark: Annotated[
        list[str] | None,
        typer.Option(help="What else the model card must say of the training; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Put a trained bundle into the package as the released weights, with card.json and a model card of its figures."""
    from training.release.publish import TRAINED_AS, Sources
    from training.release.publish import publish as release

    def run() -> dict[str, Any]:
        card = release(
            Sources(
                bundle=bundle,
                quantized=quantized if quantized and quantized.name else None,
                evaluation=evaluation,
                data=data_report,
                training=training or [ARTIFACTS / STEPS[name].output / REPORT for name in TRAINED_AS],
                remarks=remark or [],
            ),
            precision=precision,
        )
        return {name: card[name] for name in ("identity", "precision", "bytes")}

    _print(run)


@app.command(epilog="Example: python -m training export-torchscript --bundle runs/latest/bundle")
def export_torchscript(
    bundle: Annotated[Path, typer.Option(help="Exported bundle, in fp32.")] = ARTIFACTS / "bundle",
    output: Annotated[Path, typer.Option(help="Folder to write.")] = ARTIFACTS / "torchscript",
    recipe: Recipe = DEFAULT_RECIPE,
) -> None:
    """Write a bundle's models as TorchScript for TorchServe, which is archived upstream; see python -m serving.torchserve."""
    from training.export.export_torchscript import export_torchscript as export

    _print(lambda: export(load_config(DEFAULT_PATH, recipe), bundle, output))


@app.command()
def renew_card(
    design_quality: Annotated[Path, typer.Option(help="Result of benchmarks/design_quality.py.")] = RESULTS
    / "design_quality.json",
    topologies: Annotated[
        Path | None, typer.Option(help="Result of benchmarks/topologies.py; the empty path to keep what the card says.")
    ] = RESULTS / "topologies.json",
) -> None:
    """Put what benchmarks say of the released weights into their card."""
    from training.release.renew_card import renew_card as renew

    def run() -> dict[str, Any]:
        card = renew(design_quality, topologies if topologies and topologies.name else None)
        return {"identity": card["identity"], "entries": len(card["evaluation"]["methods"])}

    _print(run)


@app.command()
def renew_precedents(
    work: Annotated[
        Path, typer.Option(help="Folder for what is done already; the weights change once all of it is.")
    ] = ARTIFACTS / "precedents",
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to do now; may be repeated. All by default.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Precedents of a class at most, drawn at random; the others are dropped. All by default.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Simulators at once; by default one a core.", show_default=False)
    ] = None,
) -> None:
    """Simulate the precedents of the released weights again, within the design rules as they are now."""
    from training.release.renew_precedents import renew_precedents as renew

    _print(lambda: renew(work, tuple(classes or ()), most=most, workers=workers))


def _print(function: Callable[[], dict[str, Any]]) -> None:
    """Print what a function reports, or its error."""
    try:
        typer.echo(json.dumps(function(), sort_keys=True))
    except GenRFError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}", 1)


def _run(step: StepDefinition, recipe: str, options: dict[str, Path | None]) -> None:
    try:
        stages_here.run_stage(step, recipe, options)
    except GenRFError as error:
        _fail(str(error), error.exit_code)


def _command(step: StepDefinition) -> Callable[..., None]:
    """A step's command: its recipe, and the paths that only the command line offers."""

    def command(recipe: str = DEFAULT_RECIPE, **options: Path | None) -> None:
        _run(step, recipe, options)

    parameter = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    offered = [
        parameter(name, default=None, annotation=Annotated[Path | None, typer.Option(help=text, show_default=False)])
        for name, text in step.options.items()
    ]
    signature = [parameter("recipe", default=DEFAULT_RECIPE, annotation=Recipe), *offered]
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__doc__ = f"{step.does}."
    return command


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


for _step in stages():
    app.command(_step.name, epilog=f"Example: python -m training {_step.name} --recipe smoke")(_command(_step))

if __name__ == "__main__":
    app()
