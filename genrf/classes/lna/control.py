"""The low-noise amplifier's metrics in ngspice's own language, for netlists that are run by hand.

The same formulas as `genrf.classes.lna.metrics`; a test compares both.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrf.circuit.topology import Circuit
from genrf.classes.lna.metrics import BOLTZMANN, METRICS, REFERENCE_TEMPERATURE_K
from genrf.conditions import Conditions
from genrf.simulation.two_port import WIDE
from genrf.simulation.two_port_control import band_commands, mu_commands

FINE_POINTS = 4000
"""Points a decade of the sweep in which band edges are interpolated."""


def lna_control(circuit: Circuit, conditions: Conditions, analyses: Sequence[str], rightly_placed: str) -> list[str]:
    """Commands that run the analyses and print each metric.

    Args:
        circuit: gives the bias sources, whose power counts.
        conditions: give f0, supply voltage and source impedance.
        analyses: band sweep, wide sweep and noise, as in the testbench's deck.
        rightly_placed: of `genrf.simulation.vbic_noise.rightly_placed_expression`.
    """
    sources = [("v_supply", conditions.supply_v)] + [
        (designator.lower(), value)
        for designator, device, value in zip(
            circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
        )
        if device.kind == "bias_voltage"
    ]
    power = " ".join(f"- {value:.7g}*op1.{name}#branch" for name, value in sources)
    f0 = conditions.frequency_hz
    source_density = 4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * conditions.source_ohm
    return [
        *analyses,
        f"sp dec {FINE_POINTS} {WIDE[0] * f0:.12g} {WIDE[1] * f0:.12g}",
        "setplot new",
        "set numdgt=10",
        "let gain_db = db(sp1.S_2_1[5])",
        "* Without the noise of rbp, which ngspice's VBIC puts across the emitter's resistance.",
        f"let nf_db = 10*log10(1 + noise2.inoise_spectrum^2*{rightly_placed}/{source_density:.10g})",
        "let s11_db = db(sp1.S_1_1[5])",
        "let s22_db = db(sp1.S_2_2[5])",
        "let s12_db = db(sp1.S_1_2[5])",
        *band_commands("sp3", FINE_POINTS, 2 * FINE_POINTS),
        "let bandwidth_hz = high - low",
        "* Edwards-Sinsky mu of both ports over both sweeps.",
        *mu_commands("sp1"),
        *mu_commands("sp2"),
        "let mu_min = min(sp1_mu, sp2_mu)",
        f"let power_w = 0 {power}",
        *(f"print {name}" for name, metric in METRICS.items() if not metric.signoff),
    ]
