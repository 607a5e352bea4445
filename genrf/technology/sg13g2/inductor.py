"""A lumped model of an on-chip spiral inductor. **It is ours: SG13G2 has no SPICE inductor.**

::

    a --+-- L --+-- r_dc --+-- b         r_dc   winding, proportional to L
        |       |          |             r_p    skin effect, eddy currents and substrate loss
        +- r_p -+          |             c_side metal to substrate, at each end
      c_side             c_side
        |                  |
        0                  0

symbol    unit  figure                          why
r_dc      Ohm   1.94 Ohm/nH * L                 3 um thick top metal, a few turns
r_p       Ohm   902 Ohm * (L / 200 pH)^(1/4)    with r_dc: Q = 10 at 5 GHz for 2 nH, 20 at 28 GHz for
                                                200 pH, 20 at 60 GHz for 100 pH
c_side    F     6 fF + 14 fF/nH * L             one end grounded, 2 nH resonates at 19 GHz, 200 pH at 120 GHz

The series resistance r_dc + (w L)^2 r_p / (r_p^2 + (w L)^2) rises with frequency, so Q = w L / r peaks and falls as
measured spirals do (for example Niknejad and Meyer, IEEE JSSC 33(10), 1998). r_p and r_dc are real resistors, so they
also make noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_SIDE_F, _SIDE_F_PER_H = 6e-15, 14e-6


@dataclass(frozen=True, slots=True)
class SpiralInductor:
    """Element values of the model for one inductance."""

    inductance_h: float
    series_ohm: float
    parallel_ohm: float
    side_f: float

    @classmethod
    def of(cls, inductance_h: float) -> SpiralInductor:
        """The model of an inductor of ``inductance_h``, in H."""
        return cls(
            inductance_h=inductance_h,
            series_ohm=1.94e9 * inductance_h,
            parallel_ohm=902.0 * (inductance_h / 200e-12) ** 0.25,
            side_f=_SIDE_F + _SIDE_F_PER_H * inductance_h,
        )

    def quality_factor(self, frequency_hz: float) -> float:
        """Q of the winding (L, r_p and r_dc, without the end capacitances)."""
        reactance = 2.0 * 3.141592653589793 * frequency_hz * self.inductance_h
        impedance = self.series_ohm + 1.0 / (1.0 / self.parallel_ohm + 1.0 / (1j * reactance))
        return impedance.imag / impedance.real


def largest_inductance(resonance_hz: float) -> float:
    """The inductance in H that, with one end grounded, resonates with its other end's capacitance at a frequency.

    w^2 L (c_0 + c_1 L) = 1, solved for L.
    """
    w2 = (2.0 * math.pi * resonance_hz) ** 2
    return (math.sqrt(_SIDE_F**2 + 4.0 * _SIDE_F_PER_H / w2) - _SIDE_F) / (2.0 * _SIDE_F_PER_H)
