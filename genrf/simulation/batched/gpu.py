"""Small-signal analyses of a batch of circuits on a GPU: the processor's functions, one thread a circuit.

A thread's scratch is local memory, which the hardware interleaves, so that neighbours that do the same read together.
Circuits of one topology next to each other therefore run fastest.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numba import boolean, complex128, cuda, float64, int64
from numpy.typing import NDArray

from genrf.errors import MissingToolError
from genrf.simulation.batched import band_edges, solver, transistor, vbic
from genrf.simulation.batched.circuits import Circuits
from genrf.simulation.batched.solver import NO_BAND, Results, empty_results

_BLOCK = 64
_SIZES = (6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
"""Sizes that kernels are compiled for."""
MOST_AT_ONCE = 1 << 18
"""Circuits a launch: bounds the memory for results."""


def small_signal(
    circuits: Circuits,
    cards: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    *,
    noise_points: int = 0,
    grid: NDArray[np.int64] = NO_BAND,
    centre: int = 0,
    defects: bool = False,
) -> Results:
    """See `genrf.simulation.batched.solver.small_signal`.

    Raises:
        MissingToolError: if there is no GPU, or its packages are not installed.
    """
    results = empty_results(circuits, frequencies.shape[1], noise_points)
    for first in range(0, len(frequencies), MOST_AT_ONCE):
        part = slice(first, first + MOST_AT_ONCE)
        launch = _Launch(circuits, cards, frequencies, part, results, noise_points, grid, centre, defects)
        launch.run()
        arrays: Iterable[Any] = zip(results, launch.taken, strict=True)
        for array, found in arrays:
            if array[part].size:
                found.copy_to_host(array[part])
    return results


def kernel_seconds(
    circuits: Circuits, cards: NDArray[np.float64], frequencies: NDArray[np.float64], *, noise_points: int = 0
) -> float:
    """How long the GPU computes, without the way to and from it, by its own clock.

    Raises:
        MissingToolError: if there is no GPU, or its packages are not installed.
    """
    results = empty_results(circuits, frequencies.shape[1], noise_points)
    total = 0.0
    for first in range(0, len(frequencies), MOST_AT_ONCE):
        part = slice(first, first + MOST_AT_ONCE)
        launch = _Launch(circuits, cards, frequencies, part, results, noise_points, NO_BAND, 0, False)
        start, end = cuda.event(), cuda.event()
        start.record()
        launch.run()
        end.record()
        end.synchronize()
        total += cuda.event_elapsed_time(start, end) * 1e-3
    return total


def name() -> str:
    """The GPU's name."""
    _check()
    found = cuda.get_current_device().name
    return found.decode() if isinstance(found, bytes) else str(found)


class _Launch:
    """A part of a batch on the GPU."""

    def __init__(
        self,
        circuits: Circuits,
        cards: NDArray[np.float64],
        frequencies: NDArray[np.float64],
        part: slice,
        results: Results,
        noise_points: int,
        grid: NDArray[np.int64],
        centre: int,
        defects: bool,
    ) -> None:
        _check()
        unknowns = int(circuits.unknowns.max(initial=1))
        self._kernel = _kernel(
            _size(unknowns),
            _size(unknowns + circuits.held.shape[1]),
            circuits.cards.shape[1],
            max(len(grid), band_edges.POINTS) if len(grid) else 1,
        )
        self.taken = Results(*(cuda.device_array_like(array[part]) for array in results))
        self._blocks = -(-len(frequencies[part]) // _BLOCK)
        self._arguments = (
            Circuits(*(cuda.to_device(np.ascontiguousarray(array[part])) for array in circuits)),
            cuda.to_device(cards),
            cuda.to_device(np.ascontiguousarray(frequencies[part])),
            noise_points,
            cuda.to_device(grid),
            centre,
            solver.DROP_DB,
            1.0 if defects else 0.0,
            self.taken,
        )

    def run(self) -> None:
        """Start the kernel."""
        self._kernel[self._blocks, _BLOCK](*self._arguments)


def _check() -> None:
    if not cuda.is_available():
        raise MissingToolError(
            "batched simulation on a GPU: no CUDA device, or no CUDA toolkit, was found; install the extra `gpu`, or leave out"
            " --device cuda"
        )


def _size(wanted: int) -> int:
    return next((size for size in _SIZES if size >= wanted), wanted)


@cache
def _kernel(unknowns: int, nodes: int, transistors: int, points: int) -> Any:
    """The kernel for circuits up to a size: scratch of a thread must have a constant one."""
    many = (transistors, len(vbic.LIMITED))
    inner = (transistors, 36)
    elements = (transistors, transistor.LINEARISED)
    square, cube = (unknowns, unknowns), (unknowns, unknowns, 1)
    search = (band_edges.LEVELS, points)
    levels = band_edges.LEVELS

    def kernel(circuits, cards, frequencies, noise_points, grid, centre, drop_db, defects, results):
        c = cuda.grid(1)
        if c >= frequencies.shape[0]:
            return
        volts = cuda.local.array(12, float64)
        newton = (
            cuda.local.array(many, float64),
            cuda.local.array(transistors, float64),
            cuda.local.array(square, float64),
            cuda.local.array(square, float64),
            cuda.local.array(unknowns, float64),
            volts,
            cuda.local.array(9, float64),
            cuda.local.array(3, float64),
            cuda.local.array(inner, float64),
            cuda.local.array(6, float64),
        )
        linear = cuda.local.array(elements, float64)
        small = (
            cuda.local.array(cube, float64),
            cuda.local.array(cube, float64),
            cuda.local.array(square, boolean),
            cuda.local.array(1, float64),
            cuda.local.array(1, float64),
            cuda.local.array(1, float64),
            cuda.local.array((9, 1), float64),
            cuda.local.array((9, 1), float64),
            cuda.local.array(4, complex128),
        )
        room = (
            cuda.local.array(search, float64),
            cuda.local.array(search, complex128),
            cuda.local.array(levels, int64),
        )
        noise = (
            cuda.local.array(nodes, float64),
            cuda.local.array(nodes, float64),
            cuda.local.array(3, float64),
            cuda.local.array(3, float64),
            cuda.local.array(4, float64),
        )
        solver.solve_one(
            circuits,
            cards,
            frequencies,
            noise_points,
            grid,
            centre,
            drop_db,
            defects,
            results,
            c,
            volts,
            newton,
            linear,
            small,
            room,
            noise,
        )

    return cuda.jit(kernel)
