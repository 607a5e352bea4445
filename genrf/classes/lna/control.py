"""The low-noise amplifier's metrics in ngspice's own language, for netlists that are run by hand.

The same formulas as `genrf.classes.lna.metrics`; a test compares both.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrf.circuit.topology import Circuit
from genrf.classes.lna.metrics import BOLTZMANN, METRICS, REFERENCE_TEMPERATURE_K
from genrf.conditions import Conditions
from genrf.simulation.two_port_control import edge_commands, mu_commands


def lna_control(circuit: Circuit, conditions: Conditions, analyses: Sequence[str], rightly_placed: str) -> list[str]:
    """Commands that run the analyses and print each metric.

    Args:
        circuit: gives the bias sources, whose power counts.
        conditions: give supply voltage and source impedance.
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
    source_density = 4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * conditions.source_ohm
    return [
        *analyses,
        "setplot new",
        "set numdgt=10",
        "* Both sweeps in order of frequency; the centre is point 12.",
        *_join("f", "frequency", "real"),
        *_join("g", "S_2_1", "db"),
        "let gain_db = db(sp1.S_2_1[5])",
        "* Without the noise of rbp, which ngspice's VBIC puts across the emitter's resistance.",
        f"let nf_db = 10*log10(1 + noise2.inoise_spectrum^2*{rightly_placed}/{source_density:.10g})",
        "let s11_db = db(sp1.S_1_1[5])",
        "let s22_db = db(sp1.S_2_2[5])",
        "let s12_db = db(sp1.S_1_2[5])",
        "* 3 dB bandwidth: from the centre outwards to the first point below, interpolated in dB over log frequency.",
        "let level = gain_db - 3",
        *edge_commands("low", 12, "k > 0", "k - 1"),
        *edge_commands("high", 12, "k < 24", "k + 1"),
        "let bandwidth_hz = high - low",
        "* Edwards-Sinsky mu of both ports over both sweeps.",
        *mu_commands("sp1"),
        *mu_commands("sp2"),
        "let mu_min = min(sp1_mu, sp2_mu)",
        f"let power_w = 0 {power}",
        *(f"print {name}" for name, metric in METRICS.items() if not metric.signoff),
    ]


def _join(target: str, vector: str, function: str) -> list[str]:
    return [
        f"let {target} = vector(25)",
        "let k = 0",
        "while k < 7",
        f"  let {target}[k] = {function}(sp2.{vector}[k])",
        f"  let {target}[k+18] = {function}(sp2.{vector}[k+8])",
        "  let k = k + 1",
        "end",
        "let k = 0",
        "while k < 11",
        f"  let {target}[k+7] = {function}(sp1.{vector}[k])",
        "  let k = k + 1",
        "end",
    ]
