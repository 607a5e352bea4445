"""A real S3 server for tests: SeaweedFS as `make platform` starts it, on ports of its own; it can be lost and come back."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from genrf.objects.failures import ACCESS_KEY, ENDPOINT, SECRET_KEY
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore, open_store
from pipelines.platform import Platform
from pipelines.services import Service

BUCKET = "tests"


@dataclass(frozen=True)
class ObjectServer:
    """The server and its credentials."""

    platform: Platform

    @property
    def variables(self) -> dict[str, str]:
        """What its users have in their environment."""
        keys = self.platform.keys()
        return {
            ENDPOINT: self.platform.endpoint,
            ACCESS_KEY: keys["access_key"],
            SECRET_KEY: keys["secret_key"],
        }

    def store(self, attempts: int = 7, **other: str) -> ObjectStore:
        """A connection to it, with some variables changed."""
        return open_store(attempts, {**self.variables, **other})

    def start(self) -> None:
        """Start it; what it stored before it was lost is there again."""
        self.platform.object_store.start()

    def lose(self) -> None:
        """Lose it without warning, if it is there."""
        if self.platform.object_store.running:
            kill(self.platform.object_store)


def kill(service: Service) -> None:
    """End a server at once, as a power cut would."""
    process = psutil.Process(json.loads(service.record.read_text())["pid"])
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)


def object_server(folder: Path) -> ObjectServer:
    """A server that runs, with a bucket and keys."""
    platform = Platform(folder, free_port())
    platform.prepare()
    server = ObjectServer(platform)
    server.start()
    server.store().check(Location(BUCKET), create=True)
    return server


def free_port() -> int:
    """First of ports that a platform can have: its own five, and the same 10,000 above."""
    for first in range(20000 + 10 * (os.getpid() % 1000), 40000, 10):
        if all(_free(first + above + number) for number in range(5) for above in (0, 10_000)):
            return first
    raise AssertionError("no free ports")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
