"""The input-referred third-order intercept point of an amplifier, from two tones low enough for cubic behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genrf.conditions import Conditions
from genrf.simulation.large_signal import ToneSpacing, two_tones, warped
from genrf.simulation.testbench import Simulator
from genrf.simulation.transient import Transient
from genrf.simulation.two_port import two_tone_netlist

POINTS = 32
"""Time steps a period of the carrier."""
LEVELS_DBM = (-30.0, -45.0, -60.0)
"""Available power of each tone, tried in this order."""
LARGEST_IM3_DBC = -40.0
"""Third-order products above this are not yet proportional to the cube of the tones."""
_LONGEST = 120
"""Common periods, each of 20.5 cycles."""


def intercept_dbm(
    simulator: Simulator,
    netlist: Sequence[str],
    heat: Mapping[str, float],
    slow: Mapping[str, float],
    conditions: Conditions,
) -> float:
    """IIP3 in dBm of available power of each tone.

    Args:
        netlist: of `genrf.simulation.two_port.two_port_netlist`.
        heat: of `genrf.simulation.device_lines.thermal_ohm`.
        slow: sources of `genrf.simulation.slow_bias.with_slow_capacitors_held`.

    Raises:
        SimulationFailure: ``no_convergence`` if the circuit does not settle.
    """
    spacing = ToneSpacing(warped(conditions.frequency_hz, POINTS))
    for level in LEVELS_DBM:
        transient = Transient(
            simulator,
            two_tone_netlist(list(netlist), conditions.source_ohm),
            ("out",),
            thermal_ohm=heat,
            charging_ohm=slow,
            period_s=spacing.period_s,
            points=round((spacing.cycles + 0.5) * POINTS),
            longest=_LONGEST,
        )
        measured = two_tones(
            transient,
            spacing,
            sources=("v_in", "v_tone"),
            output="out",
            input_dbm=level,
            source_ohm=conditions.source_ohm,
            load_ohm=conditions.load_ohm,
            tolerance=1e-2,
        )
        if measured.im3_dbc <= LARGEST_IM3_DBC:
            break
    return measured.iip3_dbm
