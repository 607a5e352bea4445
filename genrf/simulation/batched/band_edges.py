"""The edges of the band around a frequency, compiled: `genrf.simulation.band.band_around` for one circuit of a batch.

The same search without recursion. A level is a step of the level above it, simulated at nine points.
"""

from __future__ import annotations

import math

from genrf.simulation import band
from genrf.simulation.batched import scattering as ac
from genrf.simulation.batched.compiling import compiled
from genrf.simulation.scattering import SMALLEST_MAGNITUDE

LEVELS = band.DEEPEST + 1
"""Levels of the search, the coarse grid among them."""
POINTS = band.POINTS

_DEEPEST, _HALVINGS = band.DEEPEST, band.HALVINGS
_LARGEST_FALL_DB, _LARGEST_TURN = band.LARGEST_FALL_DB, band.LARGEST_TURN
_SMALLEST = SMALLEST_MAGNITUDE


@compiled
def gain_db(transmission):
    """Gain of a transmission, in dB."""
    return 20.0 * math.log10(max(abs(transmission), _SMALLEST))


@compiled
def crossing(hertz, transmission, count, index, level):
    """Frequency between a point and the next at which the gain is at a level: by a cubic through four points."""
    first = min(max(index - 1, 0), max(count - 4, 0))
    most = min(4, count - first)
    inside, outside = math.log(hertz[index]), math.log(hertz[index + 1])
    for _ in range(_HALVINGS):
        at = 0.5 * (inside + outside)
        height = 0.0
        for k in range(most):
            part = gain_db(transmission[first + k]) - level
            own = math.log(hertz[first + k])
            for j in range(most):
                if j != k:
                    other = math.log(hertz[first + j])
                    part *= (at - other) / (own - other)
            height += part
        if height >= 0.0:
            inside = at
        else:
            outside = at
    return math.exp(0.5 * (inside + outside))


@compiled
def transmissions(circuits, c, linear, hertz, count, scratch, out):
    """S21 at frequencies in Hz, (count,)."""
    real, imag, nonzero, omegas, y_real, y_imag, t_real, t_imag, s = scratch
    n, start = circuits.unknowns[c], 0
    while start < count:
        many = min(omegas.shape[0], count - start)
        w = omegas[:many]
        for k in range(many):
            w[k] = 2.0 * math.pi * hertz[start + k]
        ac.nodal_matrix(circuits, c, linear, w, (real, imag, nonzero, y_real[:many], y_imag[:many], t_real, t_imag))
        ac.take_out(real, imag, nonzero, n, many, 0, n - 2)
        for k in range(many):
            ac.scattering_parameters(circuits, c, real, imag, k, s)
            out[start + k] = s[2]
        start += many


@compiled
def edge(circuits, c, linear, level, count, scratch, hertz, transmission, index):
    """Where the transmission first falls below a level, in Hz, along the points of level 0; 0 if it does not."""
    depth = 0
    index[0] = 0
    while depth >= 0:
        points = count if depth == 0 else POINTS
        i = index[depth]
        if i >= points - 1:
            depth -= 1
            if depth >= 0:
                index[depth] += 1
            continue
        gain, after = gain_db(transmission[depth, i]), gain_db(transmission[depth, i + 1])
        below = after < level
        if below and ((depth > 0 and gain - after <= _LARGEST_FALL_DB) or depth == _DEEPEST):
            return crossing(hertz[depth], transmission[depth], points, i, level)
        product = transmission[depth, i + 1] * transmission[depth, i].conjugate()
        turn = abs(math.atan2(product.imag, product.real))
        if below or (turn > _LARGEST_TURN and depth < _DEEPEST):
            start, end = hertz[depth, i], hertz[depth, i + 1]
            for k in range(POINTS):
                hertz[depth + 1, k] = start + (end - start) * k / (POINTS - 1)
            transmissions(circuits, c, linear, hertz[depth + 1], POINTS, scratch, transmission[depth + 1])
            depth += 1
            index[depth] = 0
            continue
        index[depth] = i + 1
    return 0.0


@compiled
def band_edges(circuits, c, linear, frequencies, s, grid, centre, drop_db, scratch, search, out):
    """Lower and upper edge in Hz of the band around a point of an ascending grid, into out (2,); 0 where it goes on.

    Args:
        frequencies: in Hz, (F,); s: S-parameters at them, (F, 4).
        grid: which of them, ascending, (G,); centre: the band's place in it.
        search: room for frequencies and transmissions, (LEVELS, points), and places, (LEVELS,).
    """
    hertz, transmission, index = search
    level = gain_db(s[grid[centre], 2]) - drop_db
    for side in range(2):
        count = centre + 1 if side == 0 else grid.shape[0] - centre
        for k in range(count):
            point = grid[centre - k] if side == 0 else grid[centre + k]
            hertz[0, k] = frequencies[point]
            transmission[0, k] = s[point, 2]
        out[side] = edge(circuits, c, linear, level, count, scratch, hertz, transmission, index)
