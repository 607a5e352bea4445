"""Noise of a circuit as its transistors make it, from what ngspice's VBIC makes of it.

ngspice 39.3 (44.2 as well) injects the thermal noise of a bipolar transistor's parasitic base resistance ``rbp`` across
its emitter resistance: a tenth of ``rbp`` makes ten times the noise, and every noise figure is too high, by 0.04 to
0.43 dB in four of five random amplifiers. It lists the noise of ``rs`` and of the parasitic transistor's current but
leaves both out of the sum, and its resistances make the noise of the ambient temperature however hot the junction is. So
``.noise`` is asked for the contribution of every source, and the sum is put right. With junctions held at their
temperatures (`genrf.simulation.held_junctions`) noise figures agree within 0.02 dB with VACASK's VBIC, whose ``rbp``
hardly makes noise; where a transistor saturates they do not, because VBIC's epilayer makes the noise of its current over
its voltage, ngspice's that of the slope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genrf.simulation.testbench import Plots, SimulationFailure

EVERY_SOURCE = "1"
"""Last argument of a ``noise`` command that keeps every source's contribution at every frequency."""
_THERMAL = ("rc", "rci", "rb", "rbi", "re")
_LEFT_OUT_THERMAL = ("rs",)
_LEFT_OUT = ("iccp",)


def noise_vectors(transistors: Sequence[str], *, held: bool = False) -> list[str]:
    """Vectors of a ``noise`` analysis to keep.

    Args:
        transistors: SPICE names of the circuit's transistors.
        held: whether `rightly_placed` will be told how hot they are.
    """
    sources = ("rbp", *_THERMAL, *_LEFT_OUT_THERMAL, *_LEFT_OUT) if held else ("rbp",)
    return ["onoise_spectrum", *(f"onoise_{name}_{source}" for name in transistors for source in sources)]


def rightly_placed(
    plots: Plots, plot: str, transistors: Sequence[str], heat: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """The circuit's noise power over what ngspice says it is, (frequencies,).

    Args:
        plots: of a simulation that has kept `noise_vectors`.
        plot: of the noise's spectrum.
        transistors: SPICE names of the circuit's transistors; those of other models than VBIC do not count.
        heat: of transistors that are held at their junctions' temperatures, rise over absolute ambient temperature; one that
            is not named is at ambient temperature. None: only rbp's noise is put right.
    """
    whole = plots.vector(plot, "onoise_spectrum").real ** 2
    power = whole.copy()
    for name in transistors:
        try:
            for source, weight in _weights(None if heat is None else heat.get(name, 0.0)).items():
                power += weight * plots.vector(plot, f"onoise_{name}_{source}").real ** 2
        except SimulationFailure:
            continue
    return np.divide(power, whole, out=np.ones_like(whole), where=whole > 0.0)


def _weights(heat: float | None) -> dict[str, float]:
    """Noise sources, and the multiple of each one's power that the sum lacks."""
    if heat is None:
        return {"rbp": -1.0}
    return {
        "rbp": -1.0,
        **dict.fromkeys(_THERMAL, heat),
        **dict.fromkeys(_LEFT_OUT_THERMAL, 1.0 + heat),
        **dict.fromkeys(_LEFT_OUT, 1.0),
    }


def rightly_placed_expression(plot: str, transistors: Sequence[str], heat: Mapping[str, str] | None = None) -> str:
    """The same share in ngspice's own language; `heat` is of expressions."""

    def power(name: str, *sources: str) -> str:
        return " + ".join(f"{plot}.onoise_{name}_{source}^2" for source in sources)

    parts = ""
    for name in transistors:
        parts += f" - {power(name, 'rbp')}"
        if heat is not None:
            left_out = (*_LEFT_OUT_THERMAL, *_LEFT_OUT)
            parts += f" + {power(name, *left_out)} + {heat[name]}*({power(name, *_THERMAL, *_LEFT_OUT_THERMAL)})"
    return f"(1 + (0{parts})/{plot}.onoise_spectrum^2)" if parts else "1"
