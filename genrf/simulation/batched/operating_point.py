"""Operating point of one circuit by Newton's method, compiled.

Unknown are the voltages of the nets that no source holds, and nine inner voltages a transistor, which are taken out before the
circuit's own equations are solved. Junction voltages are limited (Nagel, "SPICE2", ERL-M520, 1975, section 4.2.1). Heat
counts once the voltages are near, since the power's product of two unknowns misleads from afar. A circuit that does not
converge is led down from large conductances beside its junctions.
"""

from __future__ import annotations

import math

from genrf.simulation.batched import transistor, vbic
from genrf.simulation.batched.compiling import compiled

CONVERGED, SINGULAR, NOT_CONVERGED = 0, 1, 2
"""Results of `operating_point`."""

GMIN_S = 1e-12
"""Conductance beside each junction, shared by transistors in parallel, in S: that of ngspice."""
THERMAL_LEAK_S = 1e-9
"""Conductance beside the thermal resistance, in W/K, likewise."""

_TOLERANCE_V = 1e-8
_NEAR_V = 1e-3
_PATIENCE = 30
"""Iterations after which heat counts in any case."""
_MOST = 70
_MOST_STEPPED = 15
_IS, _XIS, _EA, _NF = (vbic.PARAMETERS.index(name) for name in ("is", "xis", "ea", "nf"))
_HOTTEST_K, _COLDEST_K, _HEAT_STEP_K = 600.0, -50.0, 20.0

reduced = compiled(transistor.reduced)


@compiled
def solve_real(a, b, n):
    """Solve a x = b in place by elimination with row exchange: CONVERGED, or why it could not be."""
    for p in range(n):
        best, row = abs(a[p, p]), p
        for i in range(p + 1, n):
            if abs(a[i, p]) > best:
                best, row = abs(a[i, p]), i
        if not best > 0.0:
            # Not-a-number is no zero: voltages have gone astray.
            return SINGULAR if best == 0.0 else NOT_CONVERGED
        if row != p:
            for j in range(p, n):
                a[p, j], a[row, j] = a[row, j], a[p, j]
            b[p], b[row] = b[row], b[p]
        scale = 1.0 / a[p, p]
        for i in range(p + 1, n):
            factor = a[i, p] * scale
            if factor != 0.0:
                for j in range(p + 1, n):
                    a[i, j] -= factor * a[p, j]
                b[i] -= factor * b[p]
    for p in range(n - 1, -1, -1):
        total = b[p]
        for j in range(p + 1, n):
            total -= a[p, j] * b[j]
        b[p] = total / a[p, p]
    return CONVERGED


@compiled
def limited_junction(wanted, last, critical, vt):
    """A junction's voltage that an exponential can follow from its last value."""
    if wanted > critical and abs(wanted - last) > 2.0 * vt:
        if last > 0.0:
            change = 1.0 + (wanted - last) / vt
            return last + vt * math.log(change) if change > 0.0 else critical
        return vt * math.log(wanted / vt)
    return max(wanted, -30.0)


@compiled
def add_conductance(a, n, first, second, conductance):
    """Add a conductance between two nodes; those from `n` on are held."""
    if first < n:
        a[first, first] += conductance
    if second < n:
        a[second, second] += conductance
    if first < n and second < n:
        a[first, second] -= conductance
        a[second, first] -= conductance


@compiled
def linear_conductances(circuits, c, a):
    """Conductances at direct current of circuit c: resistors, windings, ports."""
    n = circuits.unknowns[c]
    for i in range(n):
        for j in range(n):
            a[i, j] = 0.0
    for e in range(circuits.counts[c, 0]):
        first, second = circuits.resistor_nodes[c, e, 0], circuits.resistor_nodes[c, e, 1]
        add_conductance(a, n, first, second, 1.0 / circuits.resistors[c, e])
    for e in range(circuits.counts[c, 1]):
        first, second = circuits.inductor_nodes[c, e, 0], circuits.inductor_nodes[c, e, 1]
        add_conductance(a, n, first, second, 1.0 / circuits.inductors[c, e, 1])
    a[n - 2, n - 2] += 1.0 / circuits.ports[c, 0]
    a[n - 1, n - 1] += 1.0 / circuits.ports[c, 1]


@compiled
def junction_voltages(volts, wanted):
    """The voltages that are limited, in the order of `vbic.LIMITED`."""
    wanted[0] = volts[6] - volts[7]
    wanted[1] = volts[6] - volts[4]
    wanted[2] = volts[6] - volts[3]
    wanted[3] = volts[5] - volts[8]
    wanted[4] = volts[9] - volts[8]
    wanted[5] = volts[11]


@compiled
def gather(circuits, c, q, v, inner, volts):
    """Voltages of a transistor's nodes, outer ones first."""
    for t in range(3):
        volts[t] = v[circuits.transistor_nodes[c, q, t]]
    for t in range(9):
        volts[3 + t] = inner[q, t]


@compiled
def linear_residual(circuits, c, v, b):
    """What flows into each node from resistors, windings and ports."""
    n = circuits.unknowns[c]
    for i in range(n):
        b[i] = 0.0
    for e in range(circuits.counts[c, 0]):
        first, second = circuits.resistor_nodes[c, e, 0], circuits.resistor_nodes[c, e, 1]
        current = (v[first] - v[second]) / circuits.resistors[c, e]
        if first < n:
            b[first] -= current
        if second < n:
            b[second] += current
    for e in range(circuits.counts[c, 1]):
        first, second = circuits.inductor_nodes[c, e, 0], circuits.inductor_nodes[c, e, 1]
        current = (v[first] - v[second]) / circuits.inductors[c, e, 1]
        if first < n:
            b[first] -= current
        if second < n:
            b[second] += current
    b[n - 2] -= v[n - 2] / circuits.ports[c, 0]
    b[n - 1] -= v[n - 1] / circuits.ports[c, 1]


@compiled
def iterate(circuits, cards, c, v, inner, scratch, gmin, most, patience, hot):
    """Newton's iteration from where v and inner are: its end, and how many steps it took."""
    limited, critical, linear, a, b, volts, y, residual, steps, wanted = scratch
    n = circuits.unknowns[c]
    transistors = circuits.counts[c, 3]
    vt = circuits.ambient_k[c] * vbic.BOLTZMANN_OVER_CHARGE
    for step in range(most):
        for i in range(n):
            for j in range(n):
                a[i, j] = linear[i, j]
        linear_residual(circuits, c, v, b)
        for q in range(transistors):
            gather(circuits, c, q, v, inner, volts)
            many = circuits.multiplicities[c, q]
            reduced(
                cards[circuits.cards[c, q]],
                circuits.ambient_k[c],
                gmin / many,
                THERMAL_LEAK_S / many,
                volts,
                limited[q],
                1.0 if hot else 0.0,
                y,
                residual,
                steps[q],
            )
            for i in range(3):
                row = circuits.transistor_nodes[c, q, i]
                if row < n:
                    b[row] -= many * residual[i]
                    for j in range(3):
                        column = circuits.transistor_nodes[c, q, j]
                        if column < n:
                            a[row, column] += many * y[3 * i + j]
        solved = solve_real(a, b, n)
        if solved != CONVERGED:
            return solved, step + 1
        largest = 0.0
        for i in range(n):
            v[i] += b[i]
            largest = max(largest, abs(b[i]))
        settled = True
        for q in range(transistors):
            for t in range(9):
                change = -steps[q, 4 * t + 3]
                for i in range(3):
                    node = circuits.transistor_nodes[c, q, i]
                    if node < n:
                        change -= steps[q, 4 * t + i] * b[node]
                inner[q, t] += change
                largest = max(largest, abs(change))
            gather(circuits, c, q, v, inner, volts)
            junction_voltages(volts, wanted)
            for t in range(5):
                limited[q, t] = limited_junction(wanted[t], limited[q, t], critical[q], vt)
            change = min(max(wanted[5] - limited[q, 5], -_HEAT_STEP_K), _HEAT_STEP_K)
            limited[q, 5] = min(max(limited[q, 5] + change, _COLDEST_K), _HOTTEST_K)
            for t in range(6):
                if not abs(limited[q, t] - wanted[t]) < 1e-9:
                    settled = False
        if not largest < 1e300:
            return NOT_CONVERGED, step + 1
        if hot and settled and largest < _TOLERANCE_V:
            return CONVERGED, step + 1
        if (settled and largest < _NEAR_V) or step + 1 >= patience:
            hot = True
    return NOT_CONVERGED, most


@compiled
def begin(circuits, cards, c, v, inner, scratch):
    """The state before the first step: nets at 0 V, base-emitter junctions where they begin to conduct."""
    limited, critical = scratch[0], scratch[1]
    n = circuits.unknowns[c]
    vt = circuits.ambient_k[c] * vbic.BOLTZMANN_OVER_CHARGE
    for i in range(n):
        v[i] = 0.0
    for i in range(circuits.held.shape[1]):
        v[n + i] = circuits.held[c, i]
    for q in range(circuits.counts[c, 3]):
        many = circuits.multiplicities[c, q]
        card = cards[circuits.cards[c, q]]
        ratio = circuits.ambient_k[c] / vbic.NOMINAL_K
        growth = (math.log(ratio) * card[_XIS] + (ratio - 1.0) / vt * card[_EA]) / card[_NF]
        critical[q] = vt * math.log(vt / (math.sqrt(2.0) * card[_IS] * math.exp(growth) * many))
        for t in range(9):
            inner[q, t] = 0.0
        for t in range(6):
            limited[q, t] = 0.0
        limited[q, 0] = critical[q]


@compiled
def operating_point(circuits, cards, c, v, inner, scratch):
    """Operating point of circuit c, into v (nodes) and inner (transistors, 9): its end, and how many steps it took."""
    linear_conductances(circuits, c, scratch[2])
    begin(circuits, cards, c, v, inner, scratch)
    end, steps = iterate(circuits, cards, c, v, inner, scratch, GMIN_S, _MOST, _PATIENCE, False)
    if end == CONVERGED:
        return end, steps
    begin(circuits, cards, c, v, inner, scratch)
    for power in range(2, 13):
        end, more = iterate(circuits, cards, c, v, inner, scratch, 10.0**-power, _MOST_STEPPED, 8, power > 2)
        steps += more
        if end == SINGULAR:
            return end, steps
    if end != CONVERGED:
        end, more = iterate(circuits, cards, c, v, inner, scratch, GMIN_S, _MOST_STEPPED, 0, True)
        steps += more
    return end, steps
