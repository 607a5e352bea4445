"""Start the server: ``python -m serving [--bundle FOLDER] [--http_port 8080] [--grpc_port 8081] ...``; see `serving`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kserve import model_server

from genrf.cores import cores
from genrf.errors import GenRFError
from genrf.feedback.log import VARIABLE
from genrf.generation.bundle import Bundle
from genrf.generation.released import CARD, choose_bundle, read_card
from serving import telemetry
from serving.champion import ALIAS, PATIENCE
from serving.feedback import FOLDER, Recorder, log_of
from serving.jobs import Jobs
from serving.model import DesignModel
from serving.server import DesignServer, opened
from serving.service import DesignService
from serving.store import Store, TakenError
from serving.variants import CHALLENGER, CHAMPION, Variants
from serving.watch import Watch
from serving.workers import Workers

TOKEN, ADMIN_TOKEN = "GENRF_TOKEN", "GENRF_ADMIN_TOKEN"
"""Environment variables: what callers must bear, and what whoever changes the challenger's share must."""
MOST_ON_GPU = 4
"""Designing processes that share a GPU unless more are asked for."""
STORE = Path("answers.sqlite")


def parser() -> argparse.ArgumentParser:
    """The command line, KServe's options included."""
    found = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve verified circuit designs over the Open Inference Protocol, plain JSON and a page. Listens on all "
        f"interfaces; {TOKEN} names a token that callers must bear.",
        parents=[model_server.parser],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        conflict_handler="resolve",
    )
    found.add_argument(
        "--bundle",
        type=Path,
        default=os.environ.get("GENRF_BUNDLE") or None,
        help="folder of the models, or GENRF_BUNDLE; with neither the released weights",
    )
    found.add_argument("--challenger", type=Path, default=None, help="folder of a second bundle, to be compared")
    found.add_argument(
        "--share", type=float, default=0.0, help="share of the callers that the challenger serves, from 0 to 1"
    )
    found.add_argument(
        "--registered_model",
        default=os.environ.get("GENRF_REGISTERED_MODEL") or None,
        help="follow this model's aliases champion and challenger in the registry (MLFLOW_TRACKING_URI), or "
        "GENRF_REGISTERED_MODEL: a promoted version serves without a restart",
    )
    found.add_argument("--watch", type=float, default=30.0, help="pause between looks at the registry, in s")
    found.add_argument("--model_name", default="genrf", help="name under which clients address the model")
    found.add_argument("--designers", type=int, default=None, help="designing processes; by default one a core")
    found.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the models run")
    found.add_argument(
        "--most_waiting", type=int, default=64, help="requests that may wait before more are refused (429)"
    )
    found.add_argument("--patience", type=float, default=60.0, help="seconds after which a request is given up (504)")
    found.add_argument(
        "--store",
        default=os.environ.get("GENRF_STORE") or None,
        help=f"SQLite file of answers and jobs, or GENRF_STORE; with neither {STORE} here; memory for none",
    )
    found.add_argument(
        "--feedback",
        metavar="LOG",
        default=os.environ.get(VARIABLE) or None,
        help=f"folder or s3://BUCKET/KEY where every search is recorded (nothing personal), or {VARIABLE}; with neither "
        f"the folder {FOLDER} here; off for none",
    )
    found.add_argument("--help", "-h", action="help", help="show this and exit")
    return found


def main(options: argparse.ArgumentParser | None = None, args: Sequence[str] | None = None) -> int:
    """Start the server; returns when it ends.

    Args:
        options: the command line, if it is more than that of `parser`.
        args: its arguments; by default those of the process.
    """
    options = options or parser()
    arguments = options.parse_args(args)
    if arguments.workers != 1:
        options.error("--workers: designing processes are as many as --designers says; run more replicas for more")
    if not 0.0 <= arguments.share <= 1.0:
        options.error(f"--share: expected a number from 0 to 1, got {arguments.share:g}")
    if arguments.share and arguments.challenger is None:
        options.error("--share: there is no challenger to have it; name its bundle with --challenger")
    for name, least in (("designers", 1), ("most_waiting", 1), ("patience", 1.0), ("watch", 1.0)):
        if (value := getattr(arguments, name)) is not None and value < least:
            options.error(f"--{name}: expected {least:g} or more, got {value:g}")
    for name in ("http_port", "grpc_port"):
        if not 1 <= getattr(arguments, name) <= 65535:
            options.error(f"--{name}: expected a port from 1 to 65535, got {getattr(arguments, name)}")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("serving.access").setLevel(logging.INFO)
    try:
        folder, which = choose_bundle(arguments.bundle)
        challenger = None if arguments.challenger is None else choose_bundle(arguments.challenger)[0]
        for bundle in filter(None, (folder, challenger)):
            Bundle.load(bundle)
        log, where = log_of(arguments.feedback)
        store, place = store_of(arguments.store)
        for line in (where, place, which):
            print(f"serving: {line}", file=sys.stderr, flush=True)
        server = server_of(arguments, folder, challenger, store, None if log is None else Recorder(log))
        server.start([DesignModel(arguments.model_name, server.service)])
    except GenRFError as error:
        print(f"serving: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def server_of(
    arguments: argparse.Namespace, folder: Path, challenger: Path | None, store: Store, recorder: Recorder | None
) -> DesignServer:
    """The server that the command line asks for."""
    variants = Variants()
    service = DesignService(variants, store, recorder=recorder, patience_s=arguments.patience)
    # Each process has a context of its own on the GPU, of half a gigabyte and more.
    count = arguments.designers or (min(cores(), MOST_ON_GPU) if arguments.device == "cuda" else cores())

    def workers(bundle: Path) -> Workers:
        return Workers.of_bundle(bundle, count, device=arguments.device, most_waiting=arguments.most_waiting)

    async def open_variants(variants: Variants) -> None:
        await opened(variants, CHAMPION, workers(folder))
        if challenger is not None:
            await opened(variants, CHALLENGER, workers(challenger))
            variants.set_share(arguments.share)

    watch = None
    if arguments.registered_model:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        watch = Watch(
            variants,
            arguments.registered_model,
            {CHAMPION: ALIAS, CHALLENGER: CHALLENGER},
            Path(tempfile.mkdtemp(prefix="genrf-models-")),
            workers,
            arguments.watch,
            arguments.device,
        )
    if (folder / CARD).is_file():
        telemetry.promise(read_card(folder))
    return DesignServer(
        service,
        Jobs(service, store),
        open_variants,
        name=arguments.model_name,
        watch=watch,
        recorder=recorder,
        token=os.environ.get(TOKEN) or None,
        admin_token=os.environ.get(ADMIN_TOKEN) or None,
        gpu=arguments.device == "cuda",
    )


def store_of(named: str | None) -> tuple[Store, str]:
    """Where answers and jobs are kept, and a line that says where.

    Raises:
        InvalidInputError: if the named file cannot be used.
    """
    if named == "memory":
        return Store(None), "answers and jobs: in memory"
    if named:
        return Store(Path(named)), f"answers and jobs: {named}"
    why = "cannot be written"
    if os.access(STORE if STORE.exists() else Path(), os.W_OK):
        try:
            return Store(STORE), f"answers and jobs: {STORE.absolute()}"
        except TakenError:
            why = "is another server's"
    return Store(None), (
        f"answers and jobs: in memory, {STORE.absolute()} {why}, so that they end with the server; name a file with --store or "
        "GENRF_STORE"
    )


if __name__ == "__main__":
    sys.exit(main())
