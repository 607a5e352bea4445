"""The commands of the pipeline: ``genrf pipeline run`` here; ``compile``, ``submit``, ``schedule``, ``status`` for a
cluster; ``compare`` for both."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

import pipelines.names
from genrf import __version__
from genrf.errors import GenRFError, InvalidInputError

if TYPE_CHECKING:
    from pipelines.kubeflow import Kubeflow

app = typer.Typer(
    help="Run the training pipeline here, or on Kubeflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
IMAGE = "GENRF_IMAGE"
"""Environment variable from which the components take their image."""
SCHEDULE = pipelines.names.NIGHTLY
TRAIN, NIGHT = "train", "night"
LOST_SIGHT = 6
"""Exit code: how a run that was followed ends is not known."""

Recipe = Annotated[str, typer.Option(help="Recipe in params.yaml.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Lay a value over the recipe.")
]
Profile = Annotated[str, typer.Option(help="Kind of cluster: gpu, cpu or single-node.")]
Image = Annotated[
    str | None,
    typer.Option(help="Image of the steps, best with its digest; by default GENRF_IMAGE, else that of this version."),
]
Which = Annotated[
    str, typer.Option("--pipeline", help="train, or night: look at requests, retrain where they are missed.")
]
Host = Annotated[
    str | None,
    typer.Option(help="Address of the Kubeflow Pipelines API; by default KF_PIPELINES_ENDPOINT.", show_default=False),
]
Namespace = Annotated[
    str | None, typer.Option(help="Namespace of the runs, where Kubeflow has several users.", show_default=False)
]


@app.command(epilog="Example: genrf pipeline run --recipe smoke --set data.rounds=3")
def run(recipe: Recipe = "smoke", set_: Assignments = None) -> None:
    """Run the whole pipeline on this machine; a run that was stopped is continued."""
    with _errors():
        overrides = dict(_assignment(text) for text in set_ or [])
        from pipelines.local import run as run_here

        run_here(recipe, overrides)


@app.command(epilog="Example: genrf pipeline night --recipe smoke --set nights.targets=48")
def night(recipe: Recipe = "nightly", set_: Assignments = None) -> None:
    """Run a night on this machine: look at the feedback log, retrain where requests are missed, promote on evidence."""
    with _errors():
        overrides = dict(_assignment(text) for text in set_ or [])
        from pipelines.local import run_night

        run_night(recipe, overrides)


@app.command("compile", epilog="Example: genrf pipeline compile --profile cpu --output build/")
def compile_(
    output: Annotated[Path | None, typer.Option(help="Folder to write; default: pipelines/compiled.")] = None,
    profile: Profile = "gpu",
    image: Image = None,
) -> None:
    """Write the pipeline as YAML for a cluster, with resources, node selectors, retries and timeouts."""
    with _errors():
        _choose_image(profile, image)
        from pipelines.compile import FOLDER, compile_pipeline

        for path in compile_pipeline(output or FOLDER, profile):
            typer.echo(os.path.relpath(path))


@app.command(epilog="Example: genrf pipeline submit --recipe nightly --host http://localhost:8080 --wait")
def submit(
    pipeline: Which = TRAIN,
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe in params.yaml; by default smoke, of a night nightly.", show_default=False),
    ] = None,
    set_: Assignments = None,
    profile: Profile = "gpu",
    image: Image = None,
    host: Host = None,
    namespace: Namespace = None,
    wait: Annotated[bool, typer.Option(help="Follow the run until it ends; exit 1 unless it succeeds.")] = False,
) -> None:
    """Run the pipeline on Kubeflow, as the version of this commit and image, which is uploaded where it is missing."""
    with _errors():
        overrides = dict(_assignment(text) for text in set_ or [])
        recipe = recipe or ("nightly" if pipeline == NIGHT else "smoke")
        parameters = _parameters(recipe, overrides)
        kubeflow, version = _version(pipeline, profile, image, host, namespace)
        run_id = kubeflow.run(version, _title(recipe, overrides), parameters)
        typer.echo(f"run {run_id}: {kubeflow.url(run_id)}")
        if wait:
            _follow(kubeflow, run_id)


@app.command(epilog='Example: genrf pipeline schedule --cron "0 0 2 * * *" --recipe nightly')
def schedule(
    cron: Annotated[
        str | None, typer.Option(help="Six fields: second minute hour day month weekday.", show_default=False)
    ] = None,
    pipeline: Which = NIGHT,
    recipe: Recipe = "nightly",
    set_: Assignments = None,
    name: Annotated[str, typer.Option(help="Name of the schedule.")] = SCHEDULE,
    profile: Profile = "gpu",
    image: Image = None,
    host: Host = None,
    namespace: Namespace = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the schedule.")] = False,
) -> None:
    """Run a pipeline, by default the night, at fixed times on Kubeflow; the same schedule twice is one, another replaces it."""
    with _errors():
        from pipelines.kubeflow import Kubeflow, checked_cron

        if remove:
            removed = Kubeflow(host, namespace).unschedule(name)
            typer.echo(f"schedule {name}: {'removed' if removed else 'there was none'}")
            return
        if cron is None:
            raise InvalidInputError('--cron: say when, such as "0 0 2 * * *" for two o\'clock every night')
        checked_cron(cron)
        parameters = _parameters(recipe, dict(_assignment(text) for text in set_ or []))
        kubeflow, version = _version(pipeline, profile, image, host, namespace)
        schedule_id, made = kubeflow.schedule(version, name, cron, parameters)
        typer.echo(f"schedule {name} ({schedule_id}): {'made' if made else 'is there already'}, version {version.name}")


@app.command(epilog="Example: genrf pipeline status, or genrf pipeline status RUN --wait")
def status(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Id of a run; by default the latest runs.", show_default=False)
    ] = None,
    host: Host = None,
    namespace: Namespace = None,
    wait: Annotated[bool, typer.Option(help="Follow the run until it ends; exit 1 unless it succeeds.")] = False,
) -> None:
    """Show the latest runs on Kubeflow, or the steps of one."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    with _errors():
        from pipelines.kubeflow import Kubeflow, tasks

        kubeflow = Kubeflow(host, namespace)
        if run_id is not None and wait:
            _follow(kubeflow, run_id)
            return
        table = Table(box=None)
        for heading in ("run", "state", "started", "name") if run_id is None else ("step", "state"):
            table.add_column(heading, no_wrap=heading != "name")
        if run_id is None:
            for each in kubeflow.runs(10):
                started = f"{each.created_at:%Y-%m-%d %H:%M}"
                table.add_row(each.run_id, str(each.state), started, escape(each.display_name))
        else:
            for name, state in [*tasks(found := kubeflow.get(run_id)), ("run", str(found.state))]:
                table.add_row(escape(name), state)
        Console().print(table)


@app.command(epilog='Example: genrf pipeline compare "smoke 2026-11-28" "smoke 2026-11-29 data.rounds=3"')
def compare(
    first: Annotated[str, typer.Argument(metavar="RUN", help="Name or id of a run in MLflow, or its id in Kubeflow.")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="The other run.")],
) -> None:
    """Show what two pipeline runs were asked differently, and which figures came out."""
    from rich.console import Console

    with _errors():
        from training.config.loading import DEFAULT_PATH, load_config
        from training.release.compare_runs import compare_runs, tables

        for table in tables(compare_runs(load_config(DEFAULT_PATH, "smoke"), first, second)):
            Console().print(table, highlight=False)


def _choose_image(profile: str, image: str | None) -> str:
    """Name the image before the components, which carry it, are imported."""
    kind = "" if profile == "gpu" else "-cpu"
    os.environ[IMAGE] = image or os.environ.get(IMAGE) or f"genrf/pipeline-python:{__version__}{kind}"
    return os.environ[IMAGE]


def _version(
    pipeline: str, profile: str, image: str | None, host: str | None, namespace: str | None
) -> tuple[Kubeflow, Any]:
    names = {TRAIN: pipelines.names.TRAIN, NIGHT: pipelines.names.NIGHTLY}
    if pipeline not in names:
        raise InvalidInputError(f"--pipeline: expected {' or '.join(names)}, got {pipeline!r}")
    chosen = _choose_image(profile, image)
    from pipelines.kubeflow import Kubeflow

    kubeflow = Kubeflow(host, namespace)
    version = kubeflow.upload(profile, chosen, names[pipeline])
    typer.echo(f"pipeline version {version.name}: {'uploaded' if version.created else 'is there already'}")
    return kubeflow, version


def _parameters(recipe: str, overrides: Mapping[str, Any]) -> dict[str, str]:
    """The pipeline's parameters, checked here so that a mistake is not found by a pod."""
    from training.config.loading import DEFAULT_PATH, load_config

    load_config(DEFAULT_PATH, recipe, overrides)
    return {"recipe": recipe, "overrides": json.dumps(dict(overrides), sort_keys=True)}


def _title(recipe: str, overrides: Mapping[str, Any]) -> str:
    changed = "".join(f" {key}={json.dumps(value)}" for key, value in sorted(overrides.items()))
    return f"{recipe} {time.strftime('%Y-%m-%d %H:%M')}{changed}"


def _follow(kubeflow: Kubeflow, run_id: str) -> None:
    try:
        for name, state in kubeflow.follow(run_id):
            typer.echo(f"{name}: {state.lower()}")
            if name == "run" and state != "SUCCEEDED":
                raise typer.Exit(1)
    except KeyboardInterrupt:
        _fail(f"interrupted; the run goes on: genrf pipeline status {run_id} --wait", 130)
    except GenRFError as error:
        _fail(f"{error}; the run may go on: genrf pipeline status {run_id} --wait", LOST_SIGHT)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """What goes wrong as one line and an exit code."""
    try:
        yield
    except GenRFError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"{error.filename or 'runs'}: the disk is full; free some space and run again, it continues here", 1)
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}", 1)
    except KeyboardInterrupt:
        _fail("interrupted; run again to continue", 130)


def _assignment(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InvalidInputError(f"--set: expected SECTION.FIELD=VALUE, got {text!r}")
    try:
        return key.strip(), json.loads(json.dumps(yaml.safe_load(value)))
    except (yaml.YAMLError, TypeError) as error:
        raise InvalidInputError(f"--set: {key}: not a YAML value: {value!r}") from error


def _fail(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
