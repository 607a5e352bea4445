"""How low-noise amplifiers are measured, many at once: the sweeps of `genrf.classes.lna.testbench`, all metrics but those of
sign-off."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genrf.classes.lna.metrics import noise_figures_db
from genrf.simulation.batched.bench import Parts, SmallSignal, Sweep, ascending, band_hz
from genrf.simulation.outcome import Failure
from genrf.simulation.scattering import all_decibels, all_mu
from genrf.simulation.testbench import Curve
from genrf.simulation.two_port import (
    BAND,
    BAND_POINTS,
    CURVE_POINTS,
    CURVE_SPAN,
    LARGEST_REFLECTION,
    WIDE,
    WIDE_POINTS_PER_DECADE,
)
from genrf.technology.base import Technology

_BAND = np.linspace(*BAND, BAND_POINTS)
_WIDE = np.geomspace(*WIDE, round(math.log10(WIDE[1] / WIDE[0]) * WIDE_POINTS_PER_DECADE) + 1)
_RATIOS = np.concatenate([[1.0], np.delete(_BAND, BAND_POINTS // 2), np.delete(_WIDE, len(_WIDE) // 2)])
_GRID, _CENTRE = ascending(_RATIOS)
_CURVE = np.linspace(*CURVE_SPAN, CURVE_POINTS)


class LnaSmallSignal:
    """Two-port bench of the batched simulator."""

    sweep = Sweep(ratios=_RATIOS, noise_points=1, grid=_GRID, centre=_CENTRE)
    curve_sweep = Sweep(ratios=_CURVE, noise_points=CURVE_POINTS, grid=np.zeros(0, np.int64))
    span = WIDE

    def parts(self, found: SmallSignal) -> Parts:
        """See `genrf.simulation.batched.bench.SmallSignalBench.parts`; stability at each frequency."""
        decibels = all_decibels(found.s[:, 0])  # (B, 4)
        low, high = band_hz(found, self.span).T
        values: dict[str, NDArray[np.float64]] = {
            "gain_db": decibels[:, 2],
            "nf_db": noise_figures_db(found.noise[:, 0], found.source_ohm),
            "s11_db": decibels[:, 0],
            "s22_db": decibels[:, 3],
            "s12_db": decibels[:, 1],
            "bandwidth_hz": high - low,
            "mu_min": all_mu(*np.moveaxis(found.s, -1, 0)),
            "power_w": found.power_w,
        }
        return {name: value if value.ndim > 1 else value[:, None] for name, value in values.items()}

    def failures(self, found: SmallSignal, technology: Technology) -> list[Failure | None]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.failures`: device limits, then negative resistance."""
        reflections = np.abs(found.s[:, :, [0, 3]]).max(axis=1, initial=0.0).tolist()  # (B, 2)
        currents, voltages = found.collector_a.tolist(), found.vce_v.tolist()
        return [
            _limits(found, row, currents[row], voltages[row], technology) or _oscillation(reflections[row])
            for row in range(len(found.simulations))
        ]

    def curves(self, found: SmallSignal, row: int) -> dict[str, Curve]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.curves`."""
        conditions = found.simulations[row].conditions
        frequency = _CURVE * conditions.frequency_hz
        return {
            **{name: Curve(frequency, found.s[row, :, k]) for k, name in enumerate(("s11", "s12", "s21", "s22"))},
            "nf_db": Curve(frequency, noise_figures_db(found.noise[row], np.array(conditions.source_ohm))),
        }


def _limits(
    found: SmallSignal, row: int, currents: list[float], voltages: list[float], technology: Technology
) -> Failure | None:
    circuit = found.simulations[row].circuit
    topology = circuit.topology
    broken = [
        f"{topology.designators[index]}: {text}"
        for index, ic, vce in zip(found.transistors[row], currents, voltages, strict=False)
        if topology.devices[index].kind == "hbt"
        for text in technology.violations(topology.devices[index], circuit.values[index], {"ic": ic, "vce": vce})
    ]
    return Failure("device_limit", "; ".join(broken)) if broken else None


def _oscillation(reflections: list[float]) -> Failure | None:
    for port, reflection in zip(("input", "output"), reflections, strict=True):
        if not reflection <= LARGEST_REFLECTION:
            return Failure("oscillation", f"negative resistance at the {port}: reflection up to {reflection:.4g}")
    return None
