"""One run of the program: a netlist in an empty folder, its results read, and the folder gone.

A process a run, killed with all that it has started when it takes too long. It reads no configuration of the user's.
VACASK says of a failed analysis only among its other output, so netlists have ``abort always``, and a run counts when it
ends with status 0 *and* every result is there and whole.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from genrf.simulation.testbench import Cause, SimulationFailure
from genrf.simulation.vacask.locate import program
from genrf.simulation.vacask.rawfile import Plot, read_raw

TIMEOUT_S = 30.0
"""Of a small-signal run, which takes about 20 ms."""
_LAST_OF_HEAD = "OpenBLAS CPUs:"
"""In the last line of what it says of itself before anything else."""
_LONGEST_SAID = 300
_CAUSES: tuple[tuple[str, Cause], ...] = (
    ("singular", "singular_matrix"),
    ("zero pivot", "singular_matrix"),
    ("LU factorization failed", "singular_matrix"),
    ("aborted", "no_convergence"),
    ("converge", "no_convergence"),
)
"""What VACASK says -> what it means; the first that is found counts."""


def run(netlist: Sequence[str], results: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Mapping[str, Plot]:
    """Run a netlist and read what it must leave.

    Args:
        netlist: lines, title first.
        results: names of the analyses whose results are read, ``NAME.op`` for the operating point of one.
        timeout_s: wall-clock seconds after which the process is killed.

    Raises:
        MissingToolError: if the program is not installed.
        SimulationFailure: ``timeout``, ``crash``, ``netlist_error``, ``singular_matrix``, ``no_convergence`` or, for a
            result that is absent or broken, ``not_measurable``.
    """
    found, failure = attempt(netlist, results, timeout_s=timeout_s)
    if failure is not None:
        raise failure
    return found


def attempt(
    netlist: Sequence[str], results: Sequence[str], *, timeout_s: float = TIMEOUT_S
) -> tuple[Mapping[str, Plot], SimulationFailure | None]:
    """The results that a run has left whole, and what `run` would have raised.

    Raises:
        MissingToolError: if the program is not installed.
    """
    executable = program()
    with tempfile.TemporaryDirectory(prefix="genrf-vacask-") as scratch:
        folder = Path(scratch)
        (folder / "circuit.sim").write_text("\n".join([*netlist, ""]), encoding="ascii")
        (folder / "none.toml").touch()
        command = [str(executable), "-qp", "-se", "-sp", "-n", "1", "-b", "1"]
        failure: SimulationFailure | None = None
        try:
            status, said = _watched([*command, "--tomlfile", "none.toml", "circuit.sim"], folder, timeout_s)
            failure = _failure(status, said) if status != 0 else None
        except SimulationFailure as late:
            failure = late
        found: dict[str, Plot] = {}
        for name in results:
            try:
                found[name] = read_raw(folder / f"{name}.raw")
            except SimulationFailure as unread:
                failure = failure or unread
        return found, failure


def _watched(command: Sequence[str], folder: Path, timeout_s: float) -> tuple[int, str]:
    """Exit status and output of a process in a session of its own."""
    environment = {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "said").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout_s)
        except BaseException as error:
            # With all that it has started, before it is waited for: its number is not another's then.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise SimulationFailure("timeout", f"VACASK took longer than {timeout_s:g} s") from None
            raise
    return status, (folder / "said").read_text(encoding="utf-8", errors="replace")


def _failure(status: int, said: str) -> SimulationFailure:
    if status < 0:
        return SimulationFailure("crash", f"VACASK died of signal {-status}")
    words = " ".join(said.rpartition(_LAST_OF_HEAD)[2].split()) or "without a word"
    cause: Cause = next((cause for text, cause in _CAUSES if text.lower() in words.lower()), "netlist_error")
    return SimulationFailure(cause, f"VACASK ended with status {status}: {words[-_LONGEST_SAID:]}")
