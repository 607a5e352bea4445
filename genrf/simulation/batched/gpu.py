"""Small-signal analyses of a batch of circuits on a GPU: the processor's functions, one thread a circuit.

A thread's scratch is local memory, which the hardware interleaves, so that neighbours that do the same read together.
Circuits of one topology next to each other therefore run fastest.
"""

from __future__ import annotations

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
    _check()
    batch, points = frequencies.shape
    results = empty_results(circuits, points, noise_points)
    kernel = _kernel(
        _size(int(circuits.unknowns.max(initial=1))),
        _size(int(circuits.unknowns.max(initial=1)) + circuits.held.shape[1]),
        circuits.cards.shape[1],
        max(len(grid), band_edges.POINTS) if len(grid) else 1,
    )
    on_device = [cuda.to_device(array) for array in (cards, grid)]
    for first in range(0, batch, MOST_AT_ONCE):
        part = slice(first, first + MOST_AT_ONCE)
        given = Circuits(*(cuda.to_device(np.ascontiguousarray(array[part])) for array in circuits))
        taken = Results(*(cuda.device_array_like(array[part]) for array in results))
        asked = cuda.to_device(np.ascontiguousarray(frequencies[part]))
        blocks = -(-len(frequencies[part]) // _BLOCK)
        kernel[blocks, _BLOCK](
            given,
            on_device[0],
            asked,
            noise_points,
            on_device[1],
            centre,
            solver.DROP_DB,
            1.0 if defects else 0.0,
            taken,
        )
        for array, found in zip(results, taken, strict=True):
            if array[part].size:
                array[part] = found.copy_to_host()
    return results


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

    def kernel(circuits, cards, frequencies, noise_points, grid, centre, drop_db, defects, results):  # type: ignore[no-untyped-def]
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
