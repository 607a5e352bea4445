"""The process that holds libngspice: reads circuits from a socket, simulates them one by one, writes the outcomes back.

Started by `genrf.simulation.pool` as ``python -m genrf.simulation.worker SOCKET SHARED TECHNOLOGY LIMIT``, so that it
inherits no state of its parent and needs no guard in the parent's main module. Before each circuit it writes the
circuit's number to shared memory: if the process dies, the parent knows which circuit it died of. The limit is
processor time, not wall time, so that results do not depend on how busy the machine is; the kernel ends the process
when a circuit exceeds it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import sys
import threading
import time
from multiprocessing.connection import Connection

from genrf.errors import GenRFError
from genrf.simulation.engine import measure
from genrf.simulation.messages import READY, Task, pack_answers, pack_error, unpack_tasks
from genrf.simulation.outcome import Failure, Outcome

SHARED_BYTES = 8
"""Number of the circuit in progress, as a signed 64-bit integer; -1 when idle."""
_FLUSH_AFTER_S = 0.1
_SIGNOFF_FACTOR = 24.0
"""Sign-off metrics may take minutes."""


def time_limit_s(limit_s: float, task: Task | None) -> float:
    """Processor time that a task may take, in s, where label metrics may take `limit_s`."""
    return limit_s * _SIGNOFF_FACTOR if task is not None and task[1].signoff else limit_s


def write_progress(shared: mmap.mmap, number: int) -> None:
    """Tell the parent which circuit is in progress."""
    struct.pack_into("<q", shared, 0, number)


def read_progress(shared: mmap.mmap) -> int:
    """The circuit in progress, -1 if none."""
    return int(struct.unpack_from("<q", shared, 0)[0])


def serve(connection: Connection, shared: mmap.mmap, technology: str, limit_s: float) -> None:
    """Answer requests until the parent closes the connection.

    Says first that the simulator is ready, then answers each request with one or more lists of outcomes. If something
    is missing that no circuit is to blame for, says so and ends.
    """
    from genrf.simulation.library import library

    try:
        simulator = library()
    except GenRFError as error:
        connection.send_bytes(pack_error(error))
        return
    connection.send_bytes(READY)
    while True:
        try:
            request = unpack_tasks(connection.recv_bytes())
        except (EOFError, OSError):
            return
        answers: list[tuple[int, Outcome]] = []
        flushed = time.monotonic()
        for task in request:
            number, simulation, curves = task
            if answers and time.monotonic() - flushed > _FLUSH_AFTER_S:
                connection.send_bytes(pack_answers(answers))
                answers, flushed = [], time.monotonic()
            write_progress(shared, number)
            signal.setitimer(signal.ITIMER_VIRTUAL, time_limit_s(limit_s, task))
            try:
                outcome = measure(simulator, simulation, technology, curves)
            except GenRFError as error:
                connection.send_bytes(pack_error(error))
                return
            except Exception as error:
                # A defect of a testbench is no reason to lose the other circuits; it shows in the count of causes.
                outcome = Outcome(None, Failure("crash", f"{type(error).__name__}: {error}"))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            if simulator.unusable:
                # ngspice asked to exit: the parent counts this circuit as a crash and starts a fresh process.
                connection.send_bytes(pack_answers(answers))
                os._exit(1)
            answers.append((number, outcome))
        write_progress(shared, -1)
        connection.send_bytes(pack_answers(answers))


def end_with(parent: int) -> None:
    """End as soon as a parent that was killed has: a circuit under way may take minutes, for nobody."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Entry point of the worker process."""
    socket, shared_file, technology, limit = arguments
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # ngspice reads .spiceinit from the working and the home folder; a user's settings must not change results.
    os.chdir("/")
    os.environ["HOME"] = "/nonexistent"
    with (
        Connection(int(socket)) as connection,
        mmap.mmap(int(shared_file), SHARED_BYTES) as shared,
        contextlib.suppress(BrokenPipeError, ConnectionResetError),
    ):
        serve(connection, shared, technology, float(limit))
    # libngspice's exit handlers are slow and have nothing to save.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
