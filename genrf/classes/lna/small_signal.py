"""How low-noise amplifiers are measured, many at once: the sweeps of `genrf.classes.lna.testbench`, all metrics but those of
sign-off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrf.classes.lna.metrics import noise_figure_db
from genrf.metrics import Metrics
from genrf.simulation.band import Band
from genrf.simulation.batched.bench import SmallSignal, Sweep, ascending
from genrf.simulation.engine import Failure, Outcome, Simulation
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

    def outcomes(
        self, simulations: Sequence[Simulation], found: Sequence[SmallSignal | Failure], technology: Technology
    ) -> list[Outcome]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.outcomes`."""
        simulated = [item for item in found if isinstance(item, SmallSignal)]
        if not simulated:
            return [Outcome(None, item) for item in found if isinstance(item, Failure)]
        s = np.stack([item.s for item in simulated])  # (n, F, 4)
        figures = iter(
            zip(
                all_decibels(s[:, 0]).tolist(),
                np.abs(s[:, :, [0, 3]]).max(axis=1).tolist(),
                all_mu(*np.moveaxis(s, -1, 0)).min(axis=1).tolist(),
                strict=True,
            )
        )
        return [
            Outcome(None, item) if isinstance(item, Failure) else _outcome(simulation, item, technology, *next(figures))
            for simulation, item in zip(simulations, found, strict=True)
        ]

    def curves(self, simulation: Simulation, found: SmallSignal) -> dict[str, Curve]:
        """See `genrf.simulation.batched.bench.SmallSignalBench.curves`."""
        frequency = _CURVE * simulation.conditions.frequency_hz
        noise = _noise_figures(found.noise, simulation)
        return {
            **{name: Curve(frequency, found.s[:, k]) for k, name in enumerate(("s11", "s12", "s21", "s22"))},
            "nf_db": Curve(frequency, noise),
        }


def _noise_figures(density: NDArray[np.float64], simulation: Simulation) -> NDArray[np.float64]:
    source_ohm = simulation.conditions.source_ohm
    return np.array([noise_figure_db(math.sqrt(max(value, 0.0)), source_ohm) for value in density.tolist()])


def _outcome(
    simulation: Simulation,
    found: SmallSignal,
    technology: Technology,
    decibels: Sequence[float],
    reflections: Sequence[float],
    mu: float,
) -> Outcome:
    topology = simulation.circuit.topology
    broken = [
        f"{topology.designators[index]}: {text}"
        for index, point in found.points.items()
        if topology.devices[index].kind == "hbt"
        for text in technology.violations(topology.devices[index], simulation.circuit.values[index], point)
    ]
    if broken:
        return Outcome(None, Failure("device_limit", "; ".join(broken)))
    for port, reflection in zip(("input", "output"), reflections, strict=True):
        if not reflection <= LARGEST_REFLECTION:
            said = f"negative resistance at the {port}: reflection up to {reflection:.4g}"
            return Outcome(None, Failure("oscillation", said))
    band = Band.of(found.edges_hz, simulation.conditions.frequency_hz, WIDE)
    values = {
        "gain_db": decibels[2],
        "nf_db": float(_noise_figures(found.noise[:1], simulation)[0]),
        "s11_db": decibels[0],
        "s22_db": decibels[3],
        "s12_db": decibels[1],
        "bandwidth_hz": band.width_hz,
        "mu_min": mu,
        "power_w": found.power_w,
    }
    for name, value in values.items():
        if not math.isfinite(value):
            return Outcome(None, Failure("not_measurable", f"{name} is {value}"))
    return Outcome(Metrics(values), notes=band.notes)
