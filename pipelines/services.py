"""Servers in the background of this machine: started once, found again by a file, stopped with all their children."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from genrf.errors import GenRFError, InvalidInputError, MissingToolError
from genrf.files import write_json

HOST = "127.0.0.1"
SECONDS_TO_START = 120.0
SECONDS_TO_STOP = 30.0
SECONDS_TO_DIE = 5.0
_STARTED: list[subprocess.Popen[bytes]] = []
"""Kept, since Python warns of processes that outlive what it knows of them, as servers are meant to."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One server and where its traces are."""

    name: str
    command: Sequence[str]
    folder: Path
    """Holds ``NAME.process.json``, which says which process it is, and ``NAME.log``."""
    ports: Sequence[int]
    """All that it listens on, on the loopback interface."""
    health: str
    """URL that answers, with whatever status below 500, once the server is ready."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables besides those of this process; secrets go here and not into the command, which everyone may read."""

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process that was started still is there; another one that was given its number does not count."""
        pid, started = self._recorded()
        try:
            process = psutil.Process(pid)
            return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(self.health, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    def start(self) -> bool:
        """Start the server unless it runs, and wait until it answers.

        Returns:
            Whether it was started; False if it ran already.

        Raises:
            InvalidInputError: if one of its ports is taken.
            MissingToolError: if its program is not there.
            GenRFError: if it ends, or does not answer in time; nothing of it runs then.
        """
        if self.running:
            self._wait()
            return False
        for port in self.ports:
            if not _free(port):
                raise InvalidInputError(
                    f"{self.name}: port {port} of {HOST} is in use; stop what uses it, or choose another --port"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise MissingToolError(f"{self.name}: {self.command[0]}: {error.strerror}; run make setup") from error
        _STARTED.append(process)
        write_json(self.record, {"pid": process.pid, "started": psutil.Process(process.pid).create_time()})
        try:
            self._wait(process)
        except BaseException:
            self.stop()
            raise
        return True

    def stop(self) -> bool:
        """Stop the server and all of its group; returns whether anything of it ran. A record of what is gone is removed."""
        group = self._group()
        if group is not None:
            _end(group)
        self.record.unlink(missing_ok=True)
        return group is not None

    @property
    def record(self) -> Path:
        """Which process it is."""
        return self.folder / f"{self.name}.process.json"

    def _recorded(self) -> tuple[int, float]:
        """Number of the process and when it was started, in s since 1970; numbers of no process if nothing is recorded."""
        try:
            known = json.loads(self.record.read_text(encoding="utf-8"))
            return int(known["pid"]), float(known["started"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0, 0.0

    def _group(self) -> int | None:
        """The group of the server's processes, if any of them is there; a group has the number of its first process."""
        pid, started = self._recorded()
        if self.running:
            return pid
        # Its children may have outlived it. Linux gives a number to nothing else while a group has it.
        orphaned = pid > 1 and started > psutil.boot_time() and not psutil.pid_exists(pid)
        return pid if orphaned and any(members_of(pid)) else None

    def _wait(self, process: subprocess.Popen[bytes] | None = None) -> None:
        end = time.monotonic() + SECONDS_TO_START
        while not self.healthy:
            ended = not self.running if process is None else process.poll() is not None
            if ended:
                raise GenRFError(f"{self.name}: ended while starting: {self._last_line()} (log: {self.log})")
            if time.monotonic() > end:
                raise GenRFError(
                    f"{self.name}: no answer from {self.health} in {SECONDS_TO_START:.0f} s (log: {self.log})"
                )
            time.sleep(0.2)

    def _last_line(self) -> str:
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it printed nothing"


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: an address that a server has just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _end(group: int) -> None:
    """End all processes of a group, politely first."""
    for number, seconds in ((signal.SIGTERM, SECONDS_TO_STOP), (signal.SIGKILL, SECONDS_TO_DIE)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(members_of(group)):
            time.sleep(0.1)
    for process in _STARTED:
        # Removes it from the table of processes, if this process had started it.
        process.poll()


def members_of(group: int) -> Iterator[psutil.Process]:
    """Processes of a group, but for those that are dead and only not collected yet."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                yield process
