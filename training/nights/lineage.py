"""Where a design comes from: ``genrf lineage DESIGN.json``, from the circuit back to the rows and to the requests behind them.

A design says which bundle designed it. The model registry says which version has that bundle, which run made it, from which
code, parameters and dataset; the dataset says which it grew from, and for which requests.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrf import technology
from genrf.errors import GenRFError, InvalidInputError
from genrf.generation.released import CARD, released_identity
from genrf.simulation.library import simulator_version
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.data.versions import read_version
from training.nights.decide import BEGAN, REASON, REQUESTS_TAG, STATE
from training.release.first_champion import RELEASED_TAG
from training.release.registry import DATA_TAG, IDENTITIES
from training.running.pipeline_run import COMMIT_TAG
from training.running.store import open_store, require_made, store_uri, told_in_a_line
from training.running.tracking import DATASET_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_LARGEST = 64 << 20
"""Bytes of a file that is read."""
_DEEPEST = 100
"""Generations of datasets that are followed."""

_IDENTITY = re.compile(r"[0-9a-f]{64}")
"""A bundle's."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def lineage(config: Config, design: Path) -> dict[str, Any]:
    """Follow a design back.

    Args:
        design: ``design.json`` of a design, or what the server answered.

    Returns:
        ``design``, ``model``, ``run``, ``data`` (the dataset and those that it grew from, newest first) and ``here`` (simulator
        and process of this machine); what is not known is left out.

    Raises:
        InvalidInputError: if the file is no design, or no known version has its bundle.
        TrackingError: if the store does not answer.
    """
    provenance = _provenance(design)
    identity = str(provenance["bundle"])
    found: dict[str, Any] = {
        "design": provenance,
        "here": {
            "simulator": simulator_version(),
            "technology": f"{technology.DEFAULT} {technology.get(technology.DEFAULT).version}",
        },
    }
    uri = store_uri(config)
    if identity != released_identity():
        require_made(uri)
    client, _ = open_store(config)
    with told_in_a_line(uri):
        version = _version(client, config.tracking.registered_model, identity)
        if version is None:
            if identity == released_identity():
                return {**found, "model": {"released": identity, "card": CARD}}
            raise InvalidInputError(
                f"{design}: bundle {identity[:12]} is in no version of model {config.tracking.registered_model}; "
                "name the store that has it with MLFLOW_TRACKING_URI"
            )
        tags = version.tags
        found["model"] = {
            "name": version.name,
            "version": int(version.version),
            "aliases": list(version.aliases),
            **{
                name: tags[tag]
                for name, tag in (("trained", BEGAN), ("verdict", STATE), ("reason", REASON))
                if tag in tags
            },
        }
        if RELEASED_TAG in tags:
            found["model"]["card"] = tags.get("card", CARD)
        run = client.get_run(str(version.run_id))
        found["run"] = {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "pipeline_run": tags.get("parent_run", ""),
            "commit": tags.get(COMMIT_TAG, ""),
            "recipe": tags.get("recipe", ""),
            "overrides": tags.get("overrides", ""),
            "parameters": dict(run.data.params),
        }
    found["data"] = [{"sha256": tags.get(DATASET_TAG, "")}]
    if tags.get(DATA_TAG):
        found["data"] = list(_generations(tags[DATA_TAG]))
        found["requests"] = json.loads(tags.get(REQUESTS_TAG, "[]"))
    return found


@app.command(epilog="Example: genrf lineage designs/lna_28ghz/design_1/design.json")
def show(
    design: Annotated[Path, typer.Argument(metavar="DESIGN", help="design.json, or what the server answered.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, parameters too, as JSON.")] = False,
) -> None:
    """Show where a design comes from: model version, run, code, dataset and its parents, and the requests behind them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    try:
        found = lineage(load_config(DEFAULT_PATH), design)
    except GenRFError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    if as_json:
        typer.echo(json.dumps(found, indent=1, sort_keys=True))
        return
    table = Table(box=None, show_header=False)

    def add(*cells: object) -> None:
        # Files from elsewhere may hold anything.
        shown = (", ".join(map(str, cell)) if isinstance(cell, list) else str(cell) for cell in cells)
        table.add_row(*(Text(cell.encode(errors="replace").decode(), overflow="fold") for cell in shown))

    for part in ("design", "model", "run"):
        for name, value in found.get(part, {}).items():
            if name == "parameters":
                value = f"{len(value)}, see --json"
            if value not in ("", []):
                add(part, name.replace("_", " "), value)
    for number, data in enumerate(found.get("data", [])):
        part = "data" if number == 0 else "its parent" if number == 1 else "and its parent"
        for name, value in data.items():
            add(part, name, f"{len(value)} requests" if name == "requests" else value)
    if found.get("requests"):
        add("requests", "missed before", f"{len(found['requests'])}, the first {found['requests'][0]}")
    for name, value in found["here"].items():
        add("here", name, value)
    # In a file or a pipe nothing is to be broken.
    Console(soft_wrap=True, width=None if sys.stdout.isatty() else 240).print(table, highlight=False)


def _provenance(path: Path) -> Mapping[str, Any]:
    """The provenance of the first design in a file.

    Raises:
        InvalidInputError: if there is none.
    """
    try:
        if path.exists() and not path.is_file():
            raise InvalidInputError(f"{path}: no plain file; give design.json of a design, or what the server answered")
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise InvalidInputError(f"{path}: larger than {_LARGEST >> 20} MiB, which no answer of the server is")
        content = json.loads(text.decode("utf-8-sig"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{path}: not JSON: give design.json of a design, or what the server answered"
        ) from error
    found = next(_provenances(content, 0), None)
    if found is None:
        raise InvalidInputError(f"{path}: says of no design which bundle made it (provenance.bundle)")
    return found


def _provenances(content: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > 12:
        return
    if isinstance(content, str) and content.startswith("{"):
        # The server's tensors hold designs as text.
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            return
    if isinstance(content, dict):
        own = content.get("provenance")
        if isinstance(own, dict) and _IDENTITY.fullmatch(str(own.get("bundle"))):
            yield own
        for value in content.values():
            yield from _provenances(value, depth + 1)
    elif isinstance(content, list):
        for value in content:
            yield from _provenances(value, depth + 1)


def _version(client: MlflowClient, name: str, identity: str) -> ModelVersion | None:
    for version in client.search_model_versions(f"name = '{name}'"):
        if identity in json.loads(version.tags.get(IDENTITIES, "[]")) or version.tags.get(RELEASED_TAG) == identity:
            return client.get_model_version(name, version.version)
    return None


def _generations(data_hash: str) -> Iterator[dict[str, Any]]:
    """A dataset and those that it grew from, as far as they can be reached."""
    for _ in range(_DEEPEST):
        try:
            told = read_version(data_hash)
        except GenRFError as error:
            yield {"version": data_hash, "unreachable": str(error)}
            return
        yield {"version": data_hash, **{key: value for key, value in told.items() if key != "parent"}}
        if not told.get("parent"):
            return
        data_hash = str(told["parent"])
