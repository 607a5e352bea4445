"""S-parameters and noise of one circuit at its operating point, compiled.

Nodes are taken out of the nodal matrix one by one, for some frequencies at once, until the two ports are left. Every node has
a lossy path to others, so rows are not exchanged. Noise at the output comes from the transimpedances of all nodes (Rohrer, Nagel,
Meyer and Weber, IEEE JSSC 6(4), 1971), which one pass back through the elimination gives.
"""

from __future__ import annotations

import math

from genrf.simulation.batched import transistor
from genrf.simulation.batched.compiling import compiled

BOLTZMANN = 1.380649e-23
CHARGE = 1.602176634e-19

admittance = compiled(transistor.admittance)
noise_powers = compiled(transistor.noise_powers)


@compiled
def add_admittance(real, imag, nonzero, n, first, second, y_real, y_imag):
    """Add admittances (K,) between two nodes; those from `n` on are ground to signals."""
    width = y_real.shape[0]
    if first < n:
        for k in range(width):
            real[first, first, k] += y_real[k]
            imag[first, first, k] += y_imag[k]
    if second < n:
        for k in range(width):
            real[second, second, k] += y_real[k]
            imag[second, second, k] += y_imag[k]
    if first < n and second < n:
        nonzero[first, second] = True
        nonzero[second, first] = True
        for k in range(width):
            real[first, second, k] -= y_real[k]
            imag[first, second, k] -= y_imag[k]
            real[second, first, k] -= y_real[k]
            imag[second, first, k] -= y_imag[k]


@compiled
def add_side(imag, n, node, capacitance, omegas):
    """Add a capacitance from a node to ground."""
    if node < n and capacitance > 0.0:
        for k in range(omegas.shape[0]):
            imag[node, node, k] += omegas[k] * capacitance


@compiled
def nodal_matrix(circuits, c, linearised, omegas, scratch):
    """The circuit's nodal matrix at angular frequencies (K,), ports terminated, and which of its places are not zero."""
    real, imag, nonzero, y_real, y_imag, t_real, t_imag = scratch
    n, width = circuits.unknowns[c], omegas.shape[0]
    for i in range(n):
        for j in range(n):
            nonzero[i, j] = i == j
            for k in range(width):
                real[i, j, k] = 0.0
                imag[i, j, k] = 0.0
    for e in range(circuits.counts[c, 0]):
        for k in range(width):
            y_real[k] = 1.0 / circuits.resistors[c, e]
            y_imag[k] = 0.0
        first, second = circuits.resistor_nodes[c, e, 0], circuits.resistor_nodes[c, e, 1]
        add_admittance(real, imag, nonzero, n, first, second, y_real, y_imag)
    for e in range(circuits.counts[c, 1]):
        inductance, series, parallel, side = (
            circuits.inductors[c, e, 0],
            circuits.inductors[c, e, 1],
            circuits.inductors[c, e, 2],
            circuits.inductors[c, e, 3],
        )
        for k in range(width):
            reactance = omegas[k] * inductance
            share = 1.0 / (parallel * parallel + reactance * reactance)
            z_real = series + reactance * reactance * parallel * share
            z_imag = reactance * parallel * parallel * share
            scale = 1.0 / (z_real * z_real + z_imag * z_imag)
            y_real[k] = z_real * scale
            y_imag[k] = -z_imag * scale
        first, second = circuits.inductor_nodes[c, e, 0], circuits.inductor_nodes[c, e, 1]
        add_admittance(real, imag, nonzero, n, first, second, y_real, y_imag)
        add_side(imag, n, first, side, omegas)
        add_side(imag, n, second, side, omegas)
    for e in range(circuits.counts[c, 2]):
        capacitance, series, side = (
            circuits.capacitors[c, e, 0],
            circuits.capacitors[c, e, 1],
            circuits.capacitors[c, e, 2],
        )
        for k in range(width):
            susceptance = omegas[k] * capacitance
            loss = susceptance * series
            scale = susceptance / (1.0 + loss * loss)
            y_real[k] = loss * scale
            y_imag[k] = scale
        first, second = circuits.capacitor_nodes[c, e, 0], circuits.capacitor_nodes[c, e, 1]
        add_admittance(real, imag, nonzero, n, first, second, y_real, y_imag)
        add_side(imag, n, first, side, omegas)
        add_side(imag, n, second, side, omegas)
    for q in range(circuits.counts[c, 3]):
        admittance(linearised[q], omegas, t_real, t_imag)
        many = circuits.multiplicities[c, q]
        for i in range(3):
            row = circuits.transistor_nodes[c, q, i]
            for j in range(3):
                column = circuits.transistor_nodes[c, q, j]
                if row < n and column < n:
                    nonzero[row, column] = True
                    for k in range(width):
                        real[row, column, k] += many * t_real[3 * i + j, k]
                        imag[row, column, k] += many * t_imag[3 * i + j, k]
    for k in range(width):
        real[n - 2, n - 2, k] += 1.0 / circuits.ports[c, 0]
        real[n - 1, n - 1, k] += 1.0 / circuits.ports[c, 1]


@compiled
def take_out(real, imag, nonzero, n, width, first, last):
    """Take nodes out of a matrix, one after the other; factors stay below the diagonal, inverse pivots on it."""
    for p in range(first, last):
        for k in range(width):
            a, b = real[p, p, k], imag[p, p, k]
            scale = 1.0 / (a * a + b * b)
            real[p, p, k] = a * scale
            imag[p, p, k] = -b * scale
        for i in range(p + 1, n):
            if not nonzero[i, p]:
                continue
            for k in range(width):
                a = real[i, p, k] * real[p, p, k] - imag[i, p, k] * imag[p, p, k]
                b = real[i, p, k] * imag[p, p, k] + imag[i, p, k] * real[p, p, k]
                real[i, p, k] = a
                imag[i, p, k] = b
            for j in range(p + 1, n):
                if not nonzero[p, j]:
                    continue
                nonzero[i, j] = True
                for k in range(width):
                    real[i, j, k] -= real[i, p, k] * real[p, j, k] - imag[i, p, k] * imag[p, j, k]
                    imag[i, j, k] -= real[i, p, k] * imag[p, j, k] + imag[i, p, k] * real[p, j, k]


@compiled
def scattering_parameters(circuits, c, real, imag, k, out):
    """S11, S12, S21, S22 from the matrix of the two terminated ports, into out (4,)."""
    n = circuits.unknowns[c]
    one, other = n - 2, n - 1
    y11 = complex(real[one, one, k], imag[one, one, k])
    y12 = complex(real[one, other, k], imag[one, other, k])
    y21 = complex(real[other, one, k], imag[other, one, k])
    y22 = complex(real[other, other, k], imag[other, other, k])
    scale = 2.0 / (y11 * y22 - y12 * y21)
    source, load = circuits.ports[c, 0], circuits.ports[c, 1]
    mutual = scale / math.sqrt(source * load)
    out[0] = scale * y22 / source - 1.0
    out[1] = -mutual * y12
    out[2] = -mutual * y21
    out[3] = scale * y11 / load - 1.0


@compiled
def transimpedances(circuits, c, real, imag, k, z_real, z_imag):
    """Voltage at the output by a current into each node, from the factors of `take_out` of all nodes."""
    n = circuits.unknowns[c]
    for i in range(n, n + circuits.held.shape[1]):
        z_real[i] = 0.0
        z_imag[i] = 0.0
    z_real[n - 1] = real[n - 1, n - 1, k]
    z_imag[n - 1] = imag[n - 1, n - 1, k]
    for i in range(n - 2, -1, -1):
        a, b = 0.0, 0.0
        for j in range(i + 1, n):
            a -= real[j, i, k] * z_real[j] - imag[j, i, k] * z_imag[j]
            b -= real[j, i, k] * z_imag[j] + imag[j, i, k] * z_real[j]
        z_real[i] = a
        z_imag[i] = b


@compiled
def across(nodes, z_real, z_imag):
    """Square of the transimpedance between two nodes."""
    a = z_real[nodes[0]] - z_real[nodes[1]]
    b = z_imag[nodes[0]] - z_imag[nodes[1]]
    return a * a + b * b


@compiled
def input_noise(circuits, c, linearised, inner, omega, defects, z_real, z_imag, t_real, t_imag, parts):
    """Density of the circuit's own noise, referred to the voltage of the source, in V^2/Hz."""
    ambient = 4.0 * BOLTZMANN * circuits.ambient_k[c]
    total = 0.0
    for e in range(circuits.counts[c, 0]):
        total += ambient * across(circuits.resistor_nodes[c, e], z_real, z_imag) / circuits.resistors[c, e]
    for e in range(circuits.counts[c, 1]):
        inductance, series, parallel = (
            circuits.inductors[c, e, 0],
            circuits.inductors[c, e, 1],
            circuits.inductors[c, e, 2],
        )
        # Of a current in the parallel resistance what flows through the series one, and the other way round.
        tank = complex(0.0, omega * inductance) * parallel / complex(parallel, omega * inductance)
        whole = tank + series
        scale = 1.0 / (whole.real * whole.real + whole.imag * whole.imag)
        tank_power = tank.real * tank.real + tank.imag * tank.imag
        share = (tank_power / parallel + series) * scale
        total += ambient * across(circuits.inductor_nodes[c, e], z_real, z_imag) * share
    for e in range(circuits.counts[c, 2]):
        susceptance, series = omega * circuits.capacitors[c, e, 0], circuits.capacitors[c, e, 1]
        share = susceptance * susceptance * series / (1.0 + susceptance * susceptance * series * series)
        total += ambient * across(circuits.capacitor_nodes[c, e], z_real, z_imag) * share
    for q in range(circuits.counts[c, 3]):
        for t in range(3):
            node = circuits.transistor_nodes[c, q, t]
            t_real[t] = z_real[node]
            t_imag[t] = z_imag[node]
        noise_powers(linearised[q], omega, defects, t_real, t_imag, parts)
        own = ambient if defects > 0.0 else 4.0 * BOLTZMANN * (circuits.ambient_k[c] + inner[q, 8])
        hertz = omega / (2.0 * math.pi)
        own_noise = own * parts[0] + 2.0 * CHARGE * parts[1] + parts[2] / hertz + ambient * parts[3]
        total += circuits.multiplicities[c, q] * own_noise
    gain = (z_real[circuits.unknowns[c] - 2] ** 2 + z_imag[circuits.unknowns[c] - 2] ** 2) / circuits.ports[c, 0] ** 2
    return total / gain
