"""Start the server: ``python -m serving [--bundle FOLDER] [--http_port 8080] [--grpc_port 8081] ...``; see `serving`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from kserve import ModelRepository, ModelServer, model_server

from genrf.cores import cores
from genrf.errors import GenRFError
from genrf.feedback.log import VARIABLE
from genrf.generation.opening import open_designer
from genrf.generation.released import choose_bundle
from serving.champion import registered
from serving.feedback import FOLDER, Recorder, log_of
from serving.model import DesignModel


class FixedRepository(ModelRepository):
    """A repository whose models cannot be loaded or unloaded over the network; KServe's endpoints would allow it."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    def load(self, name: str) -> bool:
        """Refused.

        Raises:
            NotImplementedError: always (answered with 503).
        """
        raise NotImplementedError("models are loaded when the server starts")

    def unload(self, name: str) -> None:
        """Only when the server ends.

        Raises:
            NotImplementedError: before that (answered with 501).
        """
        if not self.closing:
            raise NotImplementedError("models are unloaded when the server ends")
        super().unload(name)


class DesignServer(ModelServer):
    """KServe's model server with a fixed set of models."""

    def __init__(self, repository: FixedRepository, **arguments: Any) -> None:
        super().__init__(registered_models=repository, **arguments)
        self._repository = repository

    def stop(self, sig: int) -> None:
        """End the server and its models."""
        self._repository.closing = True
        super().stop(sig)


def main() -> int:
    """Start the server; returns when it ends."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve verified circuit designs over the Open Inference Protocol. Listens on all interfaces.",
        parents=[model_server.parser],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        conflict_handler="resolve",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        default=os.environ.get("GENRF_BUNDLE") or None,
        help="folder of the models, or GENRF_BUNDLE; with neither the released weights",
    )
    parser.add_argument("--model_name", default="genrf", help="name under which clients address the model")
    parser.add_argument("--simulators", type=int, default=None, help="simulator processes; by default one a core")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the models run")
    parser.add_argument("--most_waiting", type=int, default=16, help="requests that may wait before more are refused")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds after which a request is given up")
    parser.add_argument(
        "--feedback",
        metavar="LOG",
        default=os.environ.get(VARIABLE) or None,
        help=f"folder or s3://BUCKET/KEY where every search is recorded (nothing personal), or {VARIABLE}; with neither "
        f"the folder {FOLDER} here; off for none",
    )
    parser.add_argument("--help", "-h", action="help", help="show this and exit")
    arguments = parser.parse_args()
    if arguments.workers != 1:
        parser.error("--workers: one server process holds one designer; run more replicas instead")
    try:
        simulators = arguments.simulators or cores()
        folder, which = choose_bundle(arguments.bundle)
        log, where = log_of(arguments.feedback)
        model = DesignModel(
            arguments.model_name,
            lambda: open_designer(folder, workers=simulators, device=arguments.device),
            most_waiting=arguments.most_waiting,
            patience_s=arguments.patience,
            recorder=None if log is None else Recorder(log),
            registered=registered(folder),
        )
        print(f"serving: {where}", file=sys.stderr)
        print(f"serving: {which}", file=sys.stderr, flush=True)
        model.load()
    except GenRFError as error:
        print(f"serving: {error}", file=sys.stderr)
        return error.exit_code
    DesignServer(FixedRepository()).start([model])
    return 0


if __name__ == "__main__":
    sys.exit(main())
