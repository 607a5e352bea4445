"""Small signals and noise in a circuit that a local oscillator drives, by VACASK's harmonic balance and HBNOISE.

symbol  variable    meaning                                                                             unit
f_LO    lo_hz       frequency of the local oscillator                                                   Hz
f_IF    if_hz       frequency at the output                                                             Hz
k       -           sideband: what comes in at f_IF + k f_LO; 1 is the signal, -1 its image             1
G_k     -           |V_out / V_source|^2 from the source's open-circuit voltage in that sideband        1
N       -           noise at the output without what the load's resistance makes                        V^2/Hz
F       -           noise factor, source at T0 = 290 K                                                  1

The source's resistance makes noise in all sidebands, here at the circuit's temperature T; N has its part times T0 / T.

    F_SSB = N / (4 k T0 R_s G_1)        F_DSB = N / (4 k T0 R_s (G_1 + G_-1))

as the IEEE defines single and double sideband: the image's noise is the mixer's fault in the first and signal in the second
(Maas, Microwave Mixers, 2nd ed., 5.1). The resistances of the local oscillator make noise at T, and count as the mixer's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genrf.conditions import Conditions
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.harmonic_balance import TIMEOUT_S, TOLERANCES
from genrf.simulation.vacask.netlist import number, options
from genrf.simulation.vacask.process import attempt
from genrf.simulation.vacask.rawfile import Plot
from genrf.simulation.vacask.small_signal import BOLTZMANN, REFERENCE_TEMPERATURE_K

ORDERS = (8, 16)
"""Harmonics of the local oscillator: the figures are those of the second, the first shows what is left out."""
_ABSOLUTE_ZERO_C = -273.15
_RAMP = (0.1, 0.25, 0.5, 1.0)
"""Amplitudes of the local oscillator, relative, of a steady state that is not found at once."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A mixer's small signal."""

    gain_db: float
    """Power in the load over the power available from the source, from the signal's sideband."""
    image_gain_db: float
    """The same from the image's."""
    nf_ssb_db: float
    nf_dsb_db: float
    spectrum: Plot
    """Steady state with the local oscillator alone: peak phasors over ``frequency``."""


def conversion(
    conditions: Conditions,
    lines: Sequence[str],
    oscillators: dict[str, float],
    lo_hz: float,
    if_hz: float,
    order: int,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Conversion:
    """Conversion gain and noise figures of a mixer from ``v_rf`` with ``r_rf`` in series to ``out`` with ``r_load``.

    Args:
        conditions: impedances and temperature.
        lines: the netlist, its local oscillator off.
        oscillators: sources of the local oscillator and their amplitudes, in V.
        lo_hz: its frequency.
        if_hz: frequency at the output, below half of it.
        order: harmonics.
        timeout_s: of one process.

    Raises:
        SimulationFailure: ``no_convergence`` if no steady state is found; ``not_measurable`` without conversion.
    """
    noise = f'freq=[{number(lo_hz)}] nharm={order} values=[{number(if_hz)}] out="out" in="v_rf" outspur=[0]'
    failure: SimulationFailure | None = None
    for ramp in ((1.0,), _RAMP):
        control = ["control", "abort always", options(conditions, **TOLERANCES)]
        for index, part in enumerate(ramp):
            control += [f'alter instance("{name}") ampl={number(part * volt)}' for name, volt in oscillators.items()]
            start = ' nodeset="last"' if index else ""
            control.append(f'analysis lo hb freq=[{number(lo_hz)}] nharm={order} store="last"{start}')
        control += [f'analysis {name} hbnoise {noise} inspur=[{k}] nodeset="last"' for name, k in _SIDEBANDS.items()]
        found, failure = attempt([*lines, *control, "endc"], ("lo", *_SIDEBANDS), timeout_s=timeout_s)
        if failure is None:
            return _figures(found["lo"], found["signal"], found["image"], conditions)
    assert failure is not None
    raise failure


_SIDEBANDS = {"signal": 1, "image": -1}


def _figures(spectrum: Plot, signal: Plot, image: Plot, conditions: Conditions) -> Conversion:
    def one(plot: Plot, vector: str) -> float:
        if vector not in plot:
            raise SimulationFailure("not_measurable", f"VACASK has no result {vector!r}")
        return float(plot[vector][0].real)

    wanted, other = one(signal, "gain"), one(image, "gain")
    if not wanted > 0.0:
        raise SimulationFailure("not_measurable", "nothing is converted to the output")
    reference = REFERENCE_TEMPERATURE_K / (conditions.temperature_c - _ABSOLUTE_ZERO_C)
    noise = one(signal, "onoise") - one(signal, "n(r_load)") + (reference - 1.0) * one(signal, "n(r_rf)")
    source = 4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * conditions.source_ohm
    power = 4.0 * conditions.source_ohm / conditions.load_ohm
    return Conversion(
        gain_db=10.0 * math.log10(power * wanted),
        image_gain_db=10.0 * math.log10(max(power * other, 1e-30)),
        nf_ssb_db=10.0 * math.log10(noise / (source * wanted)),
        nf_dsb_db=10.0 * math.log10(noise / (source * (wanted + other))),
        spectrum=spectrum,
    )
