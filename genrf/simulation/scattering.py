"""Figures that follow from S-parameters, for every class that has them.

symbol  variable        meaning                                     unit
S_ij    s11 ... s22     scattering parameters                       1
Delta   -               determinant, S11 S22 - S12 S21              1
mu      mu              Edwards-Sinsky stability factor             1
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SMALLEST_MAGNITUDE = 1e-15
"""-300 dB: the floor for a transmission that is exactly zero."""


def decibels(s: complex) -> float:
    """20 log10 of a magnitude, not below -300 dB."""
    return 20.0 * math.log10(max(abs(s), SMALLEST_MAGNITUDE))


def all_decibels(s: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The same of values of any shape."""
    result: NDArray[np.float64] = 20.0 * np.log10(np.maximum(np.abs(s), SMALLEST_MAGNITUDE))
    return result


def mu_minimum(s11: np.ndarray, s12: np.ndarray, s21: np.ndarray, s22: np.ndarray) -> float:
    """Smallest of mu and mu' over frequency (Edwards and Sinsky, IEEE T-MTT 40(12), 1992).

    Arrays of shape (points,).
    """
    return float(all_mu(s11, s12, s21, s22).min())


def all_mu(
    s11: NDArray[np.complex128], s12: NDArray[np.complex128], s21: NDArray[np.complex128], s22: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """The smaller of mu and mu' at each point, of arrays of any shape."""
    reverse = s12 * s21
    near = np.stack((s11, s22))  # (2, ...): mu of the source port, then mu' of the load port
    far = near[::-1]
    distance = np.abs(far - (s11 * s22 - reverse) * near.conj()) + np.abs(reverse)
    # A zero distance means a port that is matched and isolated: as stable as can be; the floor only keeps mu finite.
    mu: NDArray[np.float64] = (1.0 - near.real**2 - near.imag**2) / np.maximum(distance, 1e-12)
    return mu.min(axis=0)
