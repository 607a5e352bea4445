"""The server with scripted circuits for trained models: ``python -m tests.serving.scripted_server HTTP GRPC [LOG [STORE]]``.

Environment: ``BEHAVIOUR`` of `tests.serving.scripted_worker`; ``CHALLENGER`` of a second variant; ``GENRF_TOKEN``,
``GENRF_ADMIN_TOKEN``; ``DESIGNERS``, ``PATIENCE`` and ``MOST_WAITING``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from serving.feedback import Recorder, log_of
from serving.jobs import Jobs
from serving.model import DesignModel
from serving.server import DesignServer, opened
from serving.service import DesignService
from serving.store import Store
from serving.variants import CHALLENGER, CHAMPION, Variants
from serving.workers import Workers


def workers(behaviour: str, count: int, most_waiting: int = 64) -> Workers:
    """Processes that behave."""
    command = [sys.executable, "-m", "tests.serving.scripted_worker", behaviour]
    return Workers(command, count, most_waiting=most_waiting)


if __name__ == "__main__":
    log, _ = log_of(sys.argv[3] if len(sys.argv) > 3 else "off")
    recorder = None if log is None else Recorder(log, gather_s=1000.0)
    store = Store(Path(sys.argv[4]) if len(sys.argv) > 4 else None)
    service = DesignService(Variants(), store, recorder=recorder, patience_s=float(os.environ.get("PATIENCE", "60")))
    count, most = int(os.environ.get("DESIGNERS", "1")), int(os.environ.get("MOST_WAITING", "64"))

    async def open_variants(variants: Variants) -> None:
        await opened(variants, CHAMPION, workers(os.environ.get("BEHAVIOUR", "plain"), count, most))
        if "CHALLENGER" in os.environ:
            await opened(variants, CHALLENGER, workers(os.environ["CHALLENGER"], count, most))

    token = os.environ.get("GENRF_TOKEN")
    server = DesignServer(
        service,
        Jobs(service, store),
        open_variants,
        recorder=recorder,
        token=token,
        admin_token=os.environ.get("GENRF_ADMIN_TOKEN"),
        http_port=int(sys.argv[1]),
        grpc_port=int(sys.argv[2]),
    )
    server.start([DesignModel("genrf", service)])
