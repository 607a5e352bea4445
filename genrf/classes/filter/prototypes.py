"""Low-pass prototypes, and their elements transformed to the four responses.

symbol  variable    meaning                                                         unit
g_k     g           element values of the prototype: 1 Ohm source, edge at 1 rad/s  1
n       order       number of elements                                              1
R0      ohm         source impedance of the filter                                  Ohm
w_c     edge        edge of a low- or high-pass                                     rad/s
w_0     centre      centre of the pass band, or of the stop band                    rad/s
Delta   fraction    width of that band relative to its centre                       1
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Response = Literal["low-pass", "high-pass", "band-pass", "band-stop"]


def butterworth(order: int) -> list[float]:
    """g_1 ... g_n of the maximally flat prototype, 3 dB at its edge; the load is 1 Ohm.

    Matthaei, Young and Jones, Microwave Filters (1964), eq. 4.05-1.
    """
    return [2.0 * math.sin((2 * k - 1) * math.pi / (2 * order)) for k in range(1, order + 1)]


def chebyshev(order: int, ripple_db: float) -> list[float]:
    """g_1 ... g_n of the equal-ripple prototype, which loses `ripple_db` at its edge.

    An even order wants a load other than the source, see `chebyshev_load`. Matthaei, Young and Jones, Microwave Filters
    (1964), eq. 4.05-2.
    """
    beta = _beta(ripple_db)
    gamma = math.sinh(beta / (2 * order))
    a = [math.sin((2 * k - 1) * math.pi / (2 * order)) for k in range(1, order + 1)]
    b = [gamma**2 + math.sin(k * math.pi / order) ** 2 for k in range(1, order + 1)]
    g = [2.0 * a[0] / gamma]
    for k in range(1, order):
        g.append(4.0 * a[k - 1] * a[k] / (b[k - 1] * g[-1]))
    return g


def chebyshev_load(order: int, ripple_db: float) -> float:
    """g_(n+1) of the equal-ripple prototype: 1 for an odd order. Same source."""
    return 1.0 if order % 2 else 1.0 / math.tanh(_beta(ripple_db) / 4.0) ** 2


def _beta(ripple_db: float) -> float:
    return math.log(1.0 / math.tanh(ripple_db * math.log(10.0) / 40.0))


def branch(
    response: Response, g: float, ohm: float, omega: float, fraction: float, *, series: bool
) -> tuple[float | None, float | None]:
    """Inductance in H and capacitance in F of a ladder's branch, None where the branch has none.

    Impedance scaling and frequency transformation of Pozar, Microwave Engineering (4th edition), section 8.4.

    Args:
        response: which decides the branch's shape.
        g: prototype value.
        ohm: R0.
        omega: w_c or w_0.
        fraction: Delta; only of band-pass and band-stop.
        series: whether the branch is in series.
    """
    # A series branch is an impedance g R0, a shunt branch an admittance g / R0.
    level = g * ohm if series else g / ohm
    if response == "low-pass":
        return (level / omega, None) if series else (None, level / omega)
    if response == "high-pass":
        return (None, 1.0 / (level * omega)) if series else (1.0 / (level * omega), None)
    level = level / fraction if response == "band-pass" else 1.0 / (level * fraction)
    # `level` is the slope of the element that the response's branch has in common with a low-pass (band-pass) or a
    # high-pass (band-stop); the other resonates with it.
    first, second = level / omega, 1.0 / (level * omega)
    inductive = series == (response == "band-pass")
    return (first, second) if inductive else (second, first)


def dissipation_loss_db(g: Sequence[float], fraction: float, quality: float) -> float:
    """Loss at the centre of a band-pass of lossy resonators: 4.343 sum(g_k) / (Delta Q_u).

    Cohn, Dissipation loss in multiple-coupled-resonator filters, Proc. IRE 47 (1959).
    """
    return 10.0 / math.log(10.0) * sum(g) / (fraction * quality)
