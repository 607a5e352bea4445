"""The commands of the pipeline: ``genrf pipeline run`` and ``genrf pipeline compile``."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from genrf.errors import GenRFError, InvalidInputError

app = typer.Typer(
    help="Run the training pipeline here, or compile it for a cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command(epilog="Example: genrf pipeline run --recipe smoke --set data.rounds=3")
def run(
    recipe: Annotated[str, typer.Option(help="Recipe in params.yaml.")] = "smoke",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Lay a value over the recipe.")
    ] = None,
) -> None:
    """Run the whole pipeline on this machine; a run that was stopped is continued."""
    try:
        overrides = dict(_assignment(text) for text in set_ or [])
        from pipelines.local import run as run_here

        run_here(recipe, overrides)
    except GenRFError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail(f"{error.filename or 'runs'}: the disk is full; free some space and run again, it continues here", 1)
    except KeyboardInterrupt:
        _fail("interrupted; run again to continue", 130)


@app.command("compile", epilog="Example: genrf pipeline compile --output build/")
def compile_(
    output: Annotated[Path | None, typer.Option(help="Folder to write; default: pipelines/compiled.")] = None,
) -> None:
    """Write the pipeline as YAML for a cluster, with GPU limits, node selectors and tolerations."""
    from pipelines.compile import FOLDER, compile_pipeline

    for path in compile_pipeline(output or FOLDER):
        typer.echo(os.path.relpath(path))


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
