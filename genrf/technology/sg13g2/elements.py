"""Devices of SG13G2 as numbers for the batched simulator: what `genrf.technology.sg13g2.process` writes as SPICE text."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from genrf.technology.base import Transistor
from genrf.technology.sg13g2 import npn13g2
from genrf.technology.sg13g2.inductor import SpiralInductor
from genrf.technology.sg13g2.mim_capacitor import mim_capacitors


def inductors(inductance_h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inductance, series and parallel resistance, capacitance at each end: (n, 4) of (n,)."""
    # The model is arithmetic, so it takes arrays as well.
    spiral = SpiralInductor.of(inductance_h)  # type: ignore[arg-type]
    return np.stack([inductance_h, spiral.series_ohm, spiral.parallel_ohm, spiral.side_f], axis=1)


def capacitors(
    nominal_f: NDArray[np.float64],
    corner: str,
    temperature_c: float,
    process: tuple[tuple[str, float], ...],
    factors: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Capacitance, series resistance and half the bottom plate's capacitance: (n, 3) of (n,)."""
    varied = dict(process)
    capacitance_f, series_ohm, bottom_plate_f = mim_capacitors(nominal_f, corner, temperature_c)
    return np.stack(
        [
            capacitance_f * varied.get("cap_carea", 1.0) * factors,
            series_ohm,
            bottom_plate_f * (0.5 * varied.get("cap_cpara", 1.0)),
        ],
        axis=1,
    )


@lru_cache(maxsize=65536)
def transistor(value: float, corner: str, temperature_c: float, process: tuple[tuple[str, float], ...]) -> Transistor:
    """The transistors that make a device of so many emitters."""
    transistors, emitters = npn13g2.split_emitters(value)
    rsub, csub, _ = npn13g2.parasitics(emitters)
    card = {**npn13g2.card_values(emitters, corner, temperature_c, process), "rsub": rsub, "csub": csub}
    overlaps = npn13g2.overlaps(emitters)
    return Transistor(
        transistors=transistors,
        parameters=MappingProxyType(card),
        overlaps_f=(overlaps["cbeo"], overlaps["cbco"]),
    )
