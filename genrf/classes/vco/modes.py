"""Natural modes of a linear circuit, read from an impedance over frequency.

The AAA algorithm (Nakatsukasa, Sete and Trefethen, SIAM J. Sci. Comput. 40(3), 2018) fits a rational function to the
samples; its poles are the circuit's natural frequencies s = sigma + j omega. A pole with sigma > 0 grows from noise:
the circuit starts to oscillate. Unlike a test for negative resistance at one net, this sees growth wherever the net
takes part in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGEST_DEGREE = 24
_TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True)
class Mode:
    """A natural frequency, and how strongly a net takes part in it."""

    growth: float
    """sigma, in 1/s; above 0 the mode grows."""
    frequency_hz: float
    """abs(s) / 2 pi: about where it will oscillate."""
    residue_ohm_hz: float
    """abs(R) of Z = R / (s - p): an impulse of charge q at the net gives it a swing of 2 q abs(R), in Ohm/s."""


def modes(frequency_hz: NDArray[np.float64], impedance_ohm: NDArray[np.complex128]) -> list[Mode]:
    """Modes within the span of the samples, the fastest growing first.

    Args:
        frequency_hz: (points,), in Hz.
        impedance_ohm: (points,), in Ohm.
    """
    scale = float(np.sqrt(frequency_hz[0] * frequency_hz[-1]))
    # Samples at negative frequencies too, so that poles come in conjugate pairs.
    s = 1j * np.concatenate([frequency_hz, -frequency_hz]) / scale
    z = np.concatenate([impedance_ohm, impedance_ohm.conj()])
    nodes, weights = _fit(s, z)
    poles = _poles(s[nodes], weights)
    # A mode that grows within less than a period has a real pole; its frequency once it swings is about abs(s).
    distance = np.abs(poles)
    inside = (distance > frequency_hz[0] / scale) & (distance < frequency_hz[-1] / scale) & (poles.imag >= 0.0)
    poles = poles[inside & ((poles.imag > frequency_hz[0] / scale) | (poles.real > 0.0))]
    if not len(poles):
        return []
    cauchy = 1.0 / (poles[:, None] - s[nodes])
    residues = (cauchy @ (weights * z[nodes])) / -((cauchy**2) @ weights)
    found = [
        Mode(
            float(2.0 * np.pi * scale * pole.real),
            float(scale * abs(pole)),
            float(2.0 * np.pi * scale * abs(residue)),
        )
        for pole, residue in zip(poles, residues, strict=True)
        # A pole without a residue fits rounding errors only.
        if abs(residue) > 1e-4 * np.abs(z).max() * max(abs(pole.real), 1e-4)
    ]
    return sorted(found, key=lambda mode: -mode.growth)


def _fit(s: NDArray[np.complex128], z: NDArray[np.complex128]) -> tuple[list[int], NDArray[np.complex128]]:
    """Support points and weights of the barycentric form, a conjugate pair of points at a time."""
    half = len(s) // 2
    nodes: list[int] = []
    fitted = np.full(len(s), z.mean())
    weights = np.ones(0, dtype=complex)
    largest = np.abs(z).max()
    while len(nodes) < min(_LARGEST_DEGREE, half):
        worst = int(np.argmax(np.abs(z - fitted)[:half]))
        nodes += [worst, worst + half]
        rest = np.setdiff1d(np.arange(len(s)), nodes)
        cauchy = 1.0 / (s[rest, None] - s[nodes])
        loewner = (z[rest, None] - z[nodes]) * cauchy
        weights = np.linalg.svd(loewner, full_matrices=False)[2][-1].conj()
        fitted = z.copy()
        fitted[rest] = (cauchy @ (weights * z[nodes])) / (cauchy @ weights)
        if np.abs(z - fitted).max() <= _TOLERANCE * largest:
            break
    return nodes, weights


def _poles(nodes: NDArray[np.complex128], weights: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Zeros of sum w_j / (s - s_j): finite eigenvalues of an arrowhead pencil, shifted so that one matrix suffices."""
    count = len(nodes)
    arrow = np.zeros((count + 1, count + 1), dtype=complex)
    arrow[0, 1:] = weights
    arrow[1:, 0] = 1.0
    arrow[1:, 1:] = np.diag(nodes)
    mass = np.eye(count + 1)
    mass[0, 0] = 0.0
    shift = 0.37 + 0.11j
    inverse = np.linalg.eigvals(np.linalg.solve(arrow - shift * mass, mass.astype(complex))).astype(np.complex128)
    finite = np.abs(inverse) > 1e-9
    return shift + 1.0 / inverse[finite]
