"""The power amplifier's metrics in ngspice's own language, for netlists that are run by hand.

The same definitions as `genrf.classes.pa.drive`, by plainer means: junction temperatures are left to settle instead of being
held, every level runs for a fixed, generous time, and levels are 1 dB apart. A test compares both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from genrf.circuit.topology import Circuit
from genrf.classes.pa.drive import POINTS, TYPICAL_EFFICIENCY
from genrf.classes.pa.metrics import METRICS
from genrf.conditions import Conditions
from genrf.simulation.large_signal import warped
from genrf.simulation.transient import OPTIONS
from genrf.simulation.two_port import sweeps
from genrf.simulation.two_port_control import mu_commands

_WARM_UP_S = 40e-9
"""Several times the thermal time constant of a transistor."""
_LEVEL_S = 15e-9
_LEAST_PERIODS = 60
_BELOW_DB = 14.0
"""How far below the expected compression the sweep starts."""
_HIGHEST_DBM = 30.0


def pa_control(circuit: Circuit, conditions: Conditions, hold: Sequence[str]) -> list[str]:
    """Commands that run the analyses and print each label metric.

    Args:
        circuit: gives the bias sources, whose power counts.
        conditions: give frequency, supply voltage and port impedances.
        hold: of `genrf.technology.base.Technology.hold_commands`.
    """
    bias = [
        (designator.lower(), value)
        for designator, device, value in zip(
            circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
        )
        if device.kind == "bias_voltage"
    ]
    quiescent = " ".join(
        f"- {value:.7g}*op1.{name}#branch" for name, value in [("v_supply", conditions.supply_v), *bias]
    )
    frequency = warped(conditions.frequency_hz, POINTS)
    period = 1.0 / frequency
    return [
        *hold,
        *sweeps(conditions.frequency_hz),
        "* As the lines above have them, the transistors heat themselves again.",
        "reset",
        "set numdgt=10",
        "setplot const",
        "let gain_db = db(sp1.S_2_1[5])",
        "let s11_db = db(sp1.S_1_1[5])",
        "let s22_db = db(sp1.S_2_2[5])",
        *mu_commands("sp1"),
        *mu_commands("sp2"),
        "let mu_min = min(sp1_mu, sp2_mu)",
        f"let power_w = 0 {quiescent}",
        "* The sine's frequency is what the trapezoidal rule makes f0 of; steps are equal.",
        OPTIONS.removeprefix(".").replace("options", "option"),
        f"let level = 10*log10({TYPICAL_EFFICIENCY:.4g}*power_w/1e-3) - gain_db - {_BELOW_DB:g}",
        f"let until = {max(_WARM_UP_S, _LEAST_PERIODS * period):.9g}",
        *_drive(conditions, frequency),
        "stop when time > $&until",
        f"tran {period / POINTS:.12g} 1 0 {period / POINTS:.12g}",
        *_read(conditions, frequency, bias),
        "let reference = output - level",
        "let found = 0",
        "let op1db_dbm = 0",
        "let psat_dbm = output",
        "let drop = 0",
        "let collector_saturated = collector",
        "let drawn_saturated = drawn",
        "let level_saturated = level",
        f"while drop < 3 & level < {_HIGHEST_DBM:g}",
        "  let drop_before = drop",
        "  let collector_before = collector",
        "  let drawn_before = drawn",
        "  let level = level + 1",
        f"  let until = until + {max(_LEVEL_S, _LEAST_PERIODS * period):.9g}",
        *_drive(conditions, frequency),
        "  stop when time > $&until",
        "  resume",
        *_read(conditions, frequency, bias),
        "  let drop = reference - (output - level)",
        "  if drop >= 1 & found = 0",
        "    let found = 1",
        *_interpolate(1.0),
        "    let op1db_dbm = level_at + reference - 1",
        "    let gained = 1e-3*exp(ln(10)*op1db_dbm/10) - 1e-3*exp(ln(10)*level_at/10)",
        "    let pae_p1db_percent = 100*gained/drawn_at",
        "    let psat_dbm = op1db_dbm",
        "    let level_saturated = level_at",
        "    let collector_saturated = collector_at",
        "    let drawn_saturated = drawn_at",
        "  end",
        "  if drop >= 3",
        *_interpolate(3.0),
        "    let output = level_at + reference - 3",
        "  else",
        "    let level_at = level",
        "    let collector_at = collector",
        "    let drawn_at = drawn",
        "  end",
        "  if output > psat_dbm",
        "    let psat_dbm = output",
        "    let level_saturated = level_at",
        "    let collector_saturated = collector_at",
        "    let drawn_saturated = drawn_at",
        "  end",
        "end",
        "let saturated_w = 1e-3*exp(ln(10)*psat_dbm/10)",
        "let collector_efficiency_percent = 100*saturated_w/collector_saturated",
        "let pae_percent = 100*(saturated_w - 1e-3*exp(ln(10)*level_saturated/10))/drawn_saturated",
        *(f"print {name}" for name, metric in METRICS.items() if not metric.signoff),
    ]


def _drive(conditions: Conditions, frequency_hz: float) -> list[str]:
    """Set the source to the available power `level`: P = V^2 / (8 R)."""
    return [
        f"  let amplitude = sqrt({8e-3 * conditions.source_ohm:.9g}*exp(ln(10)*level/10))",
        f"  alter @v_in[sin] [ 0 $&amplitude {frequency_hz:.12g} ]",
    ]


def _read(conditions: Conditions, frequency_hz: float, bias: list[tuple[str, float]]) -> list[str]:
    """Output power in dBm and power drawn in W, over the last period; the last two steps are short where a run stops."""
    last = f"[first, first + {POINTS - 1}]"
    angle = f"{2.0 * math.pi * frequency_hz:.15g}*tran2.time{last}"
    others = " ".join(f"- {value:.7g}*mean(tran2.{name}#branch{last})" for name, value in bias)
    return [
        "  delete all",
        "  setplot const",
        f"  let first = length(tran2.time) - {POINTS + 2}",
        f"  let in_phase = 2*mean(tran2.out{last}*cos({angle}))",
        f"  let quadrature = 2*mean(tran2.out{last}*sin({angle}))",
        f"  let output = 10*log10((in_phase^2 + quadrature^2)/{2e-3 * conditions.load_ohm:.9g})",
        f"  let collector = -{conditions.supply_v:.7g}*mean(tran2.v_supply#branch{last})",
        f"  let drawn = collector {others}",
    ]


def _interpolate(drop_db: float) -> list[str]:
    """Where between the level before and this one the compression is reached."""
    return [
        "    if drop_before < 0.05",
        f"      let share = ({drop_db:g} - drop_before)/(drop - drop_before)",
        "    else",
        f"      let share = ln({drop_db:g}/drop_before)/ln(drop/drop_before)",
        "    end",
        "    let level_at = level - 1 + share",
        "    let collector_at = collector_before + share*(collector - collector_before)",
        "    let drawn_at = drawn_before + share*(drawn - drawn_before)",
    ]
