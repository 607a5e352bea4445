"""The commands ``genrf objects``: bundles and datasets in S3."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrf import terminal
from genrf.cli_options import Force, Json

if TYPE_CHECKING:
    from genrf.objects.location import Location
    from genrf.objects.store import ObjectStore

HELP = (
    "Bundles and datasets in S3. The server is that of GENRF_S3_ENDPOINT, with GENRF_S3_ACCESS_KEY and "
    "GENRF_S3_SECRET_KEY; unset, boto3's own settings apply."
)
Address = Annotated[str, typer.Argument(metavar="S3://BUCKET/KEY", help="Address of a folder.", show_default=False)]
_ATTEMPTS_TO_CHECK = 3


def check(
    address: Annotated[str, typer.Argument(metavar="S3://BUCKET[/KEY]", help="Bucket, or folder.", show_default=False)],
    create: Annotated[bool, typer.Option("--create", help="Make the bucket if there is none.")] = False,
) -> None:
    """Say whether a bucket can be used, and whether what was pushed to an address is whole."""
    from genrf.errors import GenRFError
    from genrf.objects import folders
    from genrf.objects.location import Location
    from genrf.objects.store import open_store

    location = Location.parse(address)
    store = open_store(_ATTEMPTS_TO_CHECK)
    made = store.check(location, create=create)
    typer.echo(f"s3://{location.bucket}: {'made' if made else 'there'}, at {store.endpoint}")
    if location.key:
        location = _followed(store, location)
        contents = folders.contents_of(store, location)
        missing = folders.missing_from(store, location, contents)
        if missing:
            raise GenRFError(
                f"{location}: {len(missing)} of {len(contents)} files are missing; push the same folder again"
            )
        typer.echo(f"{location}: whole, {len(contents)} files")


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What to upload.", show_default=False)],
    address: Address,
) -> None:
    """Upload a folder; stopped and run again it sends what is missing.

    What an address holds never changes: another folder is refused. `genrf objects point` says which address is meant.
    """
    from genrf.objects import folders
    from genrf.objects.location import Location
    from genrf.objects.store import open_store

    location = Location.parse(address)
    with terminal.progress_bar(1, "Uploading") as advance:
        done = folders.push(open_store(), folder, location, advance)
    typer.echo(f"{location}: {done.files} files, {done.sent} sent, the others were there")


def pull(
    address: Annotated[
        str, typer.Argument(metavar="S3://BUCKET/KEY", help="Address of a folder or pointer.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write; by default the address's last name.", show_default=False),
    ] = None,
    force: Force = False,
) -> None:
    """Download a folder, verified file by file; stopped and run again it fetches what is missing."""
    from genrf.objects import folders
    from genrf.objects.location import Location
    from genrf.objects.store import open_store

    named = Location.parse(address)
    store = open_store()
    location = _followed(store, named)
    folder = output if output is not None else Path(Path(named.key).name or named.bucket)
    with terminal.progress_bar(1, "Downloading") as advance:
        done = folders.pull(store, location, folder, overwrite=force, progress=advance)
    typer.echo(f"{folder}: {done.files} files of {location}, {done.sent} fetched, the others were there")


def link(
    address: Address,
    hours: Annotated[float, typer.Option("--hours", help="How long the links hold, at most 168.")] = 24.0,
    as_json: Json = False,
) -> None:
    """Print a link for each file of a folder, with which anyone can fetch it without credentials until it expires."""
    from genrf.errors import InvalidInputError
    from genrf.objects import folders
    from genrf.objects.location import Location
    from genrf.objects.store import open_store

    if not math.isfinite(hours):
        raise InvalidInputError(f"--hours: expected a number above 0 and at most 168, got {hours}")
    store = open_store()
    links = folders.links(store, _followed(store, Location.parse(address)), round(hours * 3600))
    if as_json:
        terminal.print_json(links)
        return
    for name, url in links.items():
        typer.echo(f"{name} {url}")


def point(
    pointer: Annotated[str, typer.Argument(metavar="POINTER", help="Such as s3://bundles/latest.", show_default=False)],
    target: Annotated[
        str | None, typer.Argument(metavar="[S3://BUCKET/KEY]", help="Folder it is to point to.", show_default=False)
    ] = None,
) -> None:
    """Show where a pointer points, or let it point to another folder, unless someone else moved it in the meantime."""
    from genrf.objects import folders
    from genrf.objects import pointer as pointers
    from genrf.objects.failures import NotThereError
    from genrf.objects.location import Location
    from genrf.objects.store import open_store

    location = Location.parse(pointer)
    store = open_store()
    seen = pointers.read(store, location)
    if target is not None:
        folder = Location.parse(target)
        folders.whole(store, folder)
        seen = pointers.move(store, location, folder, seen)
    if seen is None:
        raise NotThereError(f"{location} at {store.endpoint}: there is no such pointer")
    typer.echo(f"{location} -> {seen.target}")


COMMANDS: tuple[tuple[str, Callable[..., None], tuple[str, ...]], ...] = (
    ("check", check, ("objects check s3://bundles --create", "objects check s3://bundles/nightly-42")),
    ("push", push, ("objects push runs/latest/bundle s3://bundles/nightly-42",)),
    ("pull", pull, ("objects pull s3://bundles/nightly-42", "objects pull s3://bundles/latest --output bundle")),
    ("link", link, ("objects link s3://bundles/nightly-42 --hours 48",)),
    (
        "point",
        point,
        ("objects point s3://bundles/latest s3://bundles/nightly-42", "objects point s3://bundles/latest"),
    ),
)
"""Name, function and examples of each."""


def _followed(store: ObjectStore, location: Location) -> Location:
    """The folder that is meant: an address, or where the pointer of that address points."""
    from genrf.objects import pointer as pointers

    seen = pointers.read(store, location) if location.key else None
    return seen.target if seen is not None else location
