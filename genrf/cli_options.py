"""Options that several commands share, so that they read alike, and the designer that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genrf.generation.designer import Designer

BundleFolder = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        "-b",
        envvar="GENRF_BUNDLE",
        help="Folder of trained models; by default the released weights.",
        show_default=False,
    ),
]
OutputFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder to write; by default designs/SPEC.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", "-s", min=0, help="All randomness comes from it.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Simulator processes; by default one a core.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output folder.")]
Feedback = Annotated[
    str | None,
    typer.Option(
        "--feedback",
        envvar="GENRF_FEEDBACK",
        metavar="LOG",
        help="Record the search in a feedback log, a folder or s3://BUCKET/KEY: specification without its name, models, "
        "metrics, effort; off for none, as without the option and GENRF_FEEDBACK.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def designer(bundle: Path | None, workers: int | None, seed: int) -> Designer:
    """Open the designer that the options ask for, and say on the error output which models it uses."""
    from genrf.generation.opening import open_designer
    from genrf.generation.released import choose_bundle

    folder, which = choose_bundle(bundle)
    opened = open_designer(folder, workers=workers, seed=seed)
    typer.echo(f"genrf: {which}", err=True)
    return opened
