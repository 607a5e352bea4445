"""libngspice in this process, through ctypes.

One process holds one library and simulates one circuit at a time. A fatal error inside ngspice can end or corrupt the
process, so only the workers of `genrf.simulation.pool` load it. Names in commands must be lower case. Errors are
reported as text on the output channel while the call returns 0: `Library.run` reads both.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np

from genrf.errors import MissingToolError
from genrf.simulation.testbench import Cause, Deck, SimulationFailure

NAME = "libngspice.so.0"
REMEDY = "install it with `apt-get install ngspice libngspice0`"

CONVERGENCE_OPTIONS = "gminsteps=10 srcsteps=0 itl1=100 itl2=50 keepopinfo"
"""Fixed-length gmin and source stepping: a circuit without an operating point fails after a bounded number of
iterations, the same on every machine. ngspice's adaptive stepping takes up to a minute and its transient search for an
operating point even longer."""

_ROOT = str(Path(__file__).resolve().parents[2])

_NO_TRANSIENT_OPERATING_POINT = "optran 1 1 1 0 0 0"


def simulator_version() -> str:
    """Version of the installed library, such as ``ngspice-39``, asked in a process of its own.

    Raises:
        MissingToolError: if the library is not installed.
    """
    program = "from genrf.simulation.library import library; print(library().version)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": _ROOT}
    )
    if run.returncode != 0:
        load()
        raise MissingToolError(f"libngspice cannot start: {run.stderr.strip().splitlines()[-1]}; {REMEDY}")
    return run.stdout.strip()


class _Complex(ctypes.Structure):
    _fields_ = [("real", ctypes.c_double), ("imaginary", ctypes.c_double)]


class _VectorInfo(ctypes.Structure):
    """``struct vector_info`` of sharedspice.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("flags", ctypes.c_short),
        ("real", ctypes.c_void_p),
        ("complex", ctypes.c_void_p),
        ("length", ctypes.c_int),
    ]


_SEND_CHAR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
_CONTROLLED_EXIT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_bool, ctypes.c_bool, ctypes.c_int, ctypes.c_void_p
)


def load() -> ctypes.CDLL:
    """The shared library.

    Raises:
        MissingToolError: if it is not installed.
    """
    with contextlib.suppress(OSError):
        return ctypes.CDLL(NAME)
    # Asking the linker's cache takes longer than loading, so only if the usual name is not there.
    with contextlib.suppress(OSError):
        return ctypes.CDLL(ctypes.util.find_library("ngspice") or NAME)
    raise MissingToolError(f"{NAME}: the ngspice library is not installed; {REMEDY}")


@cache
def library() -> Library:
    """This process's simulator: ngspice keeps its state in global variables, so there is only one.

    Raises:
        MissingToolError: if it is not installed.
    """
    return Library()


class Library:
    """The simulator; get it from `library`. Implements `genrf.simulation.testbench.Simulator`."""

    def __init__(self) -> None:
        self._library = load()
        self._library.ngGet_Vec_Info.restype = ctypes.POINTER(_VectorInfo)
        self._library.ngGet_Vec_Info.argtypes = [ctypes.c_char_p]
        self._library.ngSpice_Command.argtypes = [ctypes.c_char_p]
        self._output: list[bytes] = []
        self.unusable = False
        """Set when ngspice asked to exit: the process must be replaced."""
        self._loaded = False
        self._complained = False
        # The callbacks must outlive the library's use of them.
        self._callbacks = (_SEND_CHAR(self._on_text), _CONTROLLED_EXIT(self._on_exit))
        self._library.ngSpice_Init(self._callbacks[0], None, self._callbacks[1], None, None, None, None)
        self._library.ngSpice_Command(_NO_TRANSIENT_OPERATING_POINT.encode())
        self._output.clear()

    def _on_text(self, text: bytes, _identity: int, _user: int) -> int:
        self._output.append(text)
        if text.startswith(b"stderr"):
            self._complained = True
        return 0

    def _on_exit(self, _status: int, _immediate: bool, _quit: bool, _identity: int, _user: int) -> int:
        self.unusable = True
        return 0

    @property
    def version(self) -> str:
        """Name and version of the simulator, such as ``ngspice-39``."""
        self._output.clear()
        self._library.ngSpice_Command(b"version")
        found = re.search(r"ngspice-\S+", self.output)
        return found[0] if found else "ngspice"

    def run(self, deck: Deck) -> None:
        """Load a deck and run its analyses; `vector` and `device` then read the results, until `clear`.

        Raises:
            SimulationFailure: with its cause, if the deck is refused or an analysis fails.
        """
        self.clear()
        text = "\n".join((*deck.netlist, f".options {CONVERGENCE_OPTIONS}", ".end"))
        lines = text.encode("ascii").split(b"\n")
        array = (ctypes.c_char_p * (len(lines) + 1))(*lines, None)
        self._loaded = True
        if self._library.ngSpice_Circ(array) or self._failed():
            raise classify(self.output, "netlist_error")
        self.command(f"save {' '.join(deck.saved)}", *deck.analyses)

    def command(self, *commands: str) -> None:
        """See `genrf.simulation.testbench.Simulator.command`."""
        for command in commands:
            said = len(self._output)
            self._complained = False
            if self._library.ngSpice_Command(command.encode("ascii")) or self._failed(said):
                raise classify(self.output, "no_convergence")

    def _failed(self, said: int = 0) -> bool:
        # Reading the text costs as much as a small simulation, so only if something was written to the error channel,
        # and only what is new.
        return self.unusable or (self._complained and _ERROR.search(self._text(said)) is not None)

    def clear(self) -> None:
        """Forget the circuit and its results."""
        if self._loaded:
            self._library.ngSpice_Command(b"destroy all")
            self._library.ngSpice_Command(b"remcirc")
            self._loaded = False
        self._output.clear()
        self._complained = False

    @property
    def output(self) -> str:
        """What ngspice has said since the deck was loaded."""
        return self._text()

    def _text(self, start: int = 0) -> str:
        return b"\n".join(self._output[start:]).decode("ascii", "replace")

    def vector(self, plot: str, name: str) -> np.ndarray:
        """See `genrf.simulation.testbench.Plots.vector`."""
        found = self._library.ngGet_Vec_Info((f"{plot}.{name}" if plot else name).encode("ascii"))
        if not found:
            raise SimulationFailure("not_measurable", f"no vector {plot}.{name}")
        info = found.contents
        if info.complex:
            return np.frombuffer(ctypes.string_at(info.complex, 16 * info.length), np.complex128)
        return np.frombuffer(ctypes.string_at(info.real, 8 * info.length), np.float64)

    def device(self, designator: str, quantity: str) -> float:
        """See `genrf.simulation.testbench.Plots.device`."""
        found = self._library.ngGet_Vec_Info(f"@{designator}[{quantity}]".encode("ascii"))
        if not found or not found.contents.real:
            raise SimulationFailure("not_measurable", f"no quantity {quantity} of device {designator}")
        return float(ctypes.c_double.from_address(found.contents.real).value)


_ERROR = re.compile(r"\berror\b|aborted|unknown subckt|unable to find|can't find", re.I)
"""Said only when a deck or an analysis has failed; a singular matrix may be overcome by stepping."""
_UNDEFINED = re.compile(r"undefined parameter", re.I)
_ON_LINE = re.compile(r"error on line", re.I)
_SINGULAR = re.compile(r"singular matrix: *check nodes? *(.*)", re.I)
_NO_CONVERGENCE = re.compile(r"timestep too small|iteration limit|no convergence|stepping failed|solution failed", re.I)


def classify(output: str, otherwise: Cause) -> SimulationFailure:
    """The failure that ngspice's output tells of, with its telling line as the detail."""
    lines = [re.sub(r"^(stdout|stderr)\s*", "", line).strip() for line in output.splitlines()]
    singular = next((found for line in lines if (found := _SINGULAR.search(line))), None)
    # A node inside a transistor ("q1#collCI") tells of an iteration that has left the range of numbers, not of a
    # topology that has no solution.
    if singular and "#" not in singular[1]:
        return SimulationFailure("singular_matrix", singular[0])
    for line in lines:
        if _NO_CONVERGENCE.search(line):
            return SimulationFailure("no_convergence", line)
    for index, line in enumerate(lines):
        if _UNDEFINED.match(line):
            return SimulationFailure(otherwise, line)
        if _ON_LINE.match(line):
            # The line, as ngspice has it, and what is wrong with it follow.
            return SimulationFailure(otherwise, ": ".join(filter(None, lines[index + 1 : index + 3])) or line)
    telling = [line for line in lines if _ERROR.search(line)]
    return SimulationFailure(otherwise, telling[0] if telling else (lines[-1] if lines else "no message"))
