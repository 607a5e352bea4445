"""Small-signal analyses of a batch of circuits on the processor's cores."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrf.cores import cores
from genrf.simulation.batched import band_edges, transistor, vbic
from genrf.simulation.batched import operating_point as dc
from genrf.simulation.batched import scattering as ac
from genrf.simulation.batched.circuits import Circuits
from genrf.simulation.batched.compiling import compiled

_WIDTH = 16
"""Frequencies at once: enough for the processor's vector units, few enough for its cache."""
_SHARE = 64
"""Circuits that a thread takes at a time at most; every thread has some shares, so that all end together."""
_SHARES = 4
DROP_DB = 3.0
NO_BAND = np.zeros(0, np.int64)

linearised = compiled(transistor.linearised)


class Results(NamedTuple):
    """Of B circuits at F frequencies."""

    end: NDArray[np.int32]
    """`operating_point.CONVERGED` or why not, (B,); where not, all else is undefined."""
    steps: NDArray[np.int32]
    """Newton's, (B,)."""
    s: NDArray[np.complex128]
    """S11, S12, S21, S22, (B, F, 4)."""
    noise: NDArray[np.float64]
    """Density of the circuit's own noise referred to the source's voltage at the first frequencies, in V^2/Hz, (B, N)."""
    edges_hz: NDArray[np.float64]
    """Lower and upper edge of the band that is 3 dB below its centre at most, (B, 2); 0 where it goes on beyond the grid."""
    power_w: NDArray[np.float64]
    """Drawn from the sources, (B,)."""
    collector_a: NDArray[np.float64]
    """Collector currents of all transistors in parallel, (B, Q)."""
    vce_v: NDArray[np.float64]
    """(B, Q)."""
    nodes_v: NDArray[np.float64]
    """Node voltages, (B, N)."""
    inner_v: NDArray[np.float64]
    """Inner voltages of each transistor in the order of `vbic.INNER`, the last its rise of temperature in K, (B, Q, 9)."""


@compiled
def source_power(circuits, c, v, linear):
    """Power drawn from the sources that hold nodes, in W."""
    n = circuits.unknowns[c]
    total = 0.0
    for e in range(circuits.counts[c, 0]):
        first, second = circuits.resistor_nodes[c, e, 0], circuits.resistor_nodes[c, e, 1]
        current = (v[first] - v[second]) / circuits.resistors[c, e]
        if first >= n:
            total += v[first] * current
        if second >= n:
            total -= v[second] * current
    for e in range(circuits.counts[c, 1]):
        first, second = circuits.inductor_nodes[c, e, 0], circuits.inductor_nodes[c, e, 1]
        current = (v[first] - v[second]) / circuits.inductors[c, e, 1]
        if first >= n:
            total += v[first] * current
        if second >= n:
            total -= v[second] * current
    for q in range(circuits.counts[c, 3]):
        for t in range(3):
            node = circuits.transistor_nodes[c, q, t]
            if node >= n:
                total += v[node] * circuits.multiplicities[c, q] * linear[q, transistor.FLOW_C + t]
    return total


@compiled
def linearise(circuits, cards, c, defects, v, inner, volts, linear, results):
    """Small-signal elements of every transistor, and what is said of the operating point."""
    for q in range(circuits.counts[c, 3]):
        dc.gather(circuits, c, q, v, inner, volts)
        ambient = circuits.ambient_k[c]
        many = circuits.multiplicities[c, q]
        linearised(
            cards[circuits.cards[c, q]],
            ambient,
            1.0 - defects,
            dc.GMIN_S / many,
            dc.THERMAL_LEAK_S / many,
            defects,
            volts,
            linear[q],
        )
        results.collector_a[c, q] = linear[q, transistor.IC] * many
        results.vce_v[c, q] = volts[0] - volts[2]
    results.power_w[c] = source_power(circuits, c, v, linear)


@compiled
def sweep(circuits, c, frequencies, noise_points, defects, linear, inner, scratch, noise_scratch, results):
    """S-parameters at every frequency, and noise at the first ones."""
    real, imag, nonzero, omegas, y_real, y_imag, t_real, t_imag, _ = scratch
    z_real, z_imag, o_real, o_imag, parts = noise_scratch
    n, points, width = circuits.unknowns[c], frequencies.shape[1], omegas.shape[0]
    start = 0
    while start < points:
        many = min(width, points - start)
        if start < noise_points:
            many = min(many, noise_points - start)
        w = omegas[:many]
        for k in range(many):
            w[k] = 2.0 * math.pi * frequencies[c, start + k]
        ac.nodal_matrix(circuits, c, linear, w, (real, imag, nonzero, y_real[:many], y_imag[:many], t_real, t_imag))
        ac.take_out(real, imag, nonzero, n, many, 0, n - 2)
        for k in range(many):
            ac.scattering_parameters(circuits, c, real, imag, k, results.s[c, start + k])
        if start < noise_points:
            ac.take_out(real, imag, nonzero, n, many, n - 2, n)
            for k in range(many):
                ac.transimpedances(circuits, c, real, imag, k, z_real, z_imag)
                results.noise[c, start + k] = ac.input_noise(
                    circuits, c, linear, inner, w[k], defects, z_real, z_imag, o_real, o_imag, parts
                )
        start += many


@compiled
def solve_one(
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
    search,
    noise,
):
    """Simulate circuit c, with room for scratch."""
    v, inner = results.nodes_v[c], results.inner_v[c]
    end, steps = dc.operating_point(circuits, cards, c, v, inner, newton)
    results.end[c] = end
    results.steps[c] = steps
    if end != dc.CONVERGED:
        return
    linearise(circuits, cards, c, defects, v, inner, volts, linear, results)
    sweep(circuits, c, frequencies, noise_points, defects, linear, inner, small, noise, results)
    if grid.shape[0] > 0:
        band_edges.band_edges(
            circuits, c, linear, frequencies[c], results.s[c], grid, centre, drop_db, small, search, results.edges_hz[c]
        )


@compiled
def solve_range(circuits, cards, frequencies, noise_points, grid, centre, drop_db, defects, results, first, last):
    """Simulate circuits from first to last, alone in a thread."""
    most = 0
    for c in range(first, last):
        most = max(most, circuits.unknowns[c])
    nodes = most + circuits.held.shape[1]
    q = circuits.transistor_nodes.shape[1]
    width = min(_WIDTH, max(1, frequencies.shape[1]))
    volts = np.empty(12)
    newton = (
        np.empty((q, 6)),
        np.empty(q),
        np.empty((most, most)),
        np.empty((most, most)),
        np.empty(most),
        volts,
        np.empty(9),
        np.empty(3),
        np.empty((q, 36)),
        np.empty(6),
    )
    linear = np.empty((q, transistor.LINEARISED))
    small = (
        np.empty((most, most, width)),
        np.empty((most, most, width)),
        np.empty((most, most), np.bool_),
        np.empty(width),
        np.empty(width),
        np.empty(width),
        np.empty((9, width)),
        np.empty((9, width)),
        np.empty(4, np.complex128),
    )
    wide = max(grid.shape[0], band_edges.POINTS)
    search = (
        np.empty((band_edges.LEVELS, wide)),
        np.empty((band_edges.LEVELS, wide), np.complex128),
        np.empty(band_edges.LEVELS, np.int64),
    )
    noise = (np.empty(nodes), np.empty(nodes), np.empty(3), np.empty(3), np.empty(4))
    for c in range(first, last):
        solve_one(
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
            search,
            noise,
        )


def small_signal(
    circuits: Circuits,
    cards: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    *,
    noise_points: int = 0,
    grid: NDArray[np.int64] = NO_BAND,
    centre: int = 0,
    defects: bool = False,
    workers: int | None = None,
) -> Results:
    """Operating point, S-parameters and noise of every circuit of a batch.

    Args:
        circuits: B of them.
        cards: as packed with them.
        frequencies: in Hz, (B, F).
        noise_points: of how many of the first frequencies the noise is wanted.
        grid: frequencies in ascending order by their places, (G,), where a band is looked for; none if none is.
        centre: the band's place in the grid.
        defects: whether ngspice's errors are copied, for a comparison with it.
        workers: threads; by default one a core.
    """
    batch, points = frequencies.shape
    results = empty_results(circuits, points, noise_points)
    workers = workers or cores()
    size = max(1, min(_SHARE, -(-batch // (_SHARES * workers))))
    shares = [(first, min(first + size, batch)) for first in range(0, batch, size)]

    def solve(share: tuple[int, int]) -> None:
        solve_range(
            circuits, cards, frequencies, noise_points, grid, centre, DROP_DB, 1.0 if defects else 0.0, results, *share
        )

    workers = min(workers, len(shares))
    if workers <= 1:
        for share in shares:
            solve(share)
    else:
        with ThreadPoolExecutor(workers) as threads:
            list(threads.map(solve, shares))
    return results


def empty_results(circuits: Circuits, points: int, noise_points: int) -> Results:
    """Room for the results of a batch."""
    batch, transistors = circuits.cards.shape
    nodes = int(circuits.unknowns.max(initial=0)) + circuits.held.shape[1]
    return Results(
        end=np.zeros(batch, np.int32),
        steps=np.zeros(batch, np.int32),
        s=np.zeros((batch, points, 4), np.complex128),
        noise=np.zeros((batch, noise_points)),
        edges_hz=np.zeros((batch, 2)),
        power_w=np.zeros(batch),
        collector_a=np.zeros((batch, transistors)),
        vce_v=np.zeros((batch, transistors)),
        nodes_v=np.zeros((batch, nodes)),
        inner_v=np.zeros((batch, transistors, len(vbic.INNER))),
    )
