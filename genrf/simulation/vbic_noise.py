"""Noise of a circuit without what ngspice's VBIC puts in the wrong place.

ngspice 39.3 (44.2 as well) injects the thermal noise of a bipolar transistor's parasitic base resistance ``rbp`` across
its emitter resistance: a tenth of ``rbp`` makes ten times the noise, and every noise figure is too high, by 0.04 to
0.43 dB in four of five random amplifiers. Without that part noise figures agree within 0.12 dB with VACASK's VBIC, in
which ``rbp`` hardly makes noise. So ``.noise`` is asked for the contribution of every source, and that one is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.testbench import Plots, SimulationFailure

EVERY_SOURCE = "1"
"""Last argument of a ``noise`` command that keeps every source's contribution at every frequency."""


def noise_vectors(transistors: Sequence[str]) -> list[str]:
    """Vectors of a ``noise`` analysis to keep.

    Args:
        transistors: SPICE names of the circuit's transistors.
    """
    return ["onoise_spectrum", *(_misplaced(name) for name in transistors)]


def rightly_placed(plots: Plots, plot: str, transistors: Sequence[str]) -> NDArray[np.float64]:
    """Share of the circuit's noise power that is where it belongs, (frequencies,).

    Args:
        plots: of a simulation that has kept `noise_vectors`.
        plot: of the noise's spectrum.
        transistors: SPICE names of the circuit's transistors; those of other models than VBIC do not count.
    """
    whole = plots.vector(plot, "onoise_spectrum").real ** 2
    rest = whole.copy()
    for name in transistors:
        try:
            rest -= plots.vector(plot, _misplaced(name)).real ** 2
        except SimulationFailure:
            continue
    return np.divide(rest, whole, out=np.ones_like(whole), where=whole > 0.0)


def _misplaced(transistor: str) -> str:
    return f"onoise_{transistor}_rbp"


def rightly_placed_expression(plot: str, transistors: Sequence[str]) -> str:
    """The same share in ngspice's own language."""
    parts = "".join(f" - ({plot}.{_misplaced(name)}/{plot}.onoise_spectrum)^2" for name in transistors)
    return f"(1{parts})"
