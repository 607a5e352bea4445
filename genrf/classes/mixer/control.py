"""The mixer's label metrics in ngspice's own language, for netlists that are run by hand.

The same quantities as `genrf.classes.mixer.testbench`, measured without its shortcuts: junction temperatures settle by
themselves, for as long as that takes, every RF level is given as long as the transistors' heat needs, and the
compression point is found by halving the step. A test compares both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from genrf.classes.mixer.compression import DROP_DB
from genrf.classes.mixer.metrics import LARGEST_ISOLATION_DB, LARGEST_P1DB_DBM, LEAST_POWER_W, METRICS
from genrf.conditions import Conditions

_SETTLING = (25, 30e-9)
"""Common periods before the first look, and seconds, at least: several thermal time constants."""
_LEVEL = (6, 3e-9)
"""The same after each change of the RF level, which changes temperatures little."""
_LOWEST_DBM = -37.0
_STEP_DB = 4.0
_RESOLUTION_DB = 0.1
_MOST_LEVELS = 24


def mixer_control(
    conditions: Conditions,
    sources: Mapping[str, float],
    *,
    lo_dbm: float,
    small_dbm: float,
    period_s: float,
    points: int,
    harmonics: tuple[int, int],
) -> list[str]:
    """Commands that run the transient and print each label metric.

    Args:
        conditions: give frequency and impedances.
        sources: name and voltage of every source whose power counts.
        lo_dbm: power available from the LO.
        small_dbm: RF power of the netlist.
        period_s: common period of RF, LO and IF.
        points: time steps in it.
        harmonics: IF and LO, as multiples of the common frequency.
    """
    f0, step = conditions.frequency_hz, period_s / points
    settling, level = (max(least, math.ceil(seconds / period_s)) for least, seconds in (_SETTLING, _LEVEL))
    wanted, lo = harmonics
    vectors = {"time": "time", "out": "v(out)", "rf": "v(rf)"}
    vectors |= {f"i{index}": f"i({name})" for index, name in enumerate(sources)}
    power = " ".join(f"- {volt:.7g}*mean(last_i{index})" for index, volt in enumerate(sources.values()))

    def last(name: str) -> str:
        # The last two steps are short: one ends where the run is to stop, one is beyond.
        return f"let last_{name} = {vectors[name]}[length(time)-{points + 2},length(time)-3]"

    def amplitude(target: str, name: str, harmonic: int) -> list[str]:
        angle = f"{2.0 * math.pi * harmonic / period_s:.15g}*last_time"
        return [
            f"let re = 2*mean(last_{name}*cos({angle}))",
            f"let im = 2*mean(last_{name}*sin({angle}))",
            f"let {target} = sqrt(re^2 + im^2)",
        ]

    def dbm(name: str, ohm: float) -> str:
        return f"10*log10({name}^2/{2e-3 * ohm:.10g} + 1e-30)"

    def isolation(name: str, ohm: float) -> str:
        return f"min({lo_dbm:g} - {dbm(name, ohm)}, {LARGEST_ISOLATION_DB:g})"

    return [
        "set numdgt=10",
        f"save {' '.join(vectors.values())}",
        "* Equal steps; the LO and the small RF run until the junctions are warm.",
        "option trtol=1e6 reltol=1e-5 vntol=1e-8 chgtol=1e-18 method=trap itl4=40",
        f"stop when time > {settling * period_s:.12g}",
        f"tran {step:.12g} {(settling + (_MOST_LEVELS + 1) * level) * period_s:.12g} 0 {step:.12g}",
        "delete all",
        *(last(name) for name in vectors),
        *amplitude("wanted", "out", wanted),
        *amplitude("leak_out", "out", lo),
        *amplitude("leak_rf", "rf", lo),
        f"let conversion_gain_db = {dbm('wanted', conditions.load_ohm)} - ({small_dbm:g})",
        f"let lo_rf_isolation_db = {isolation('leak_rf', conditions.source_ohm)}",
        f"let lo_if_isolation_db = {isolation('leak_out', conditions.load_ohm)}",
        f"let power_w = max(0 {power}, {LEAST_POWER_W:g})",
        "* Compression: up in steps until the gain has fallen by 1 dB, then by halves of the interval.",
        f"let level = {_LOWEST_DBM:g}",
        "let above = 1e3",
        "let fall_above = 0",
        f"let below = {_LOWEST_DBM:g}",
        "let fall_below = 0",
        f"let ip1db_dbm = {LARGEST_P1DB_DBM:g}",
        "let busy = 1",
        "let levels = 0",
        f"while busy eq 1 and levels lt {_MOST_LEVELS}",
        "  let levels = levels + 1",
        f"  let volt = sqrt({8e-3 * conditions.source_ohm:.10g}*10^(level/10))",
        "  set volt = $&volt",
        f"  alter @v_rf[sin] [ 0 $volt {f0:.12g} ]",
        f"  let until = time[length(time)-1] + {level * period_s:.12g}",
        "  set until = $&until",
        "  stop when time > $until",
        "  resume",
        "  delete all",
        *(f"  {line}" for line in (last("time"), last("out"), *amplitude("wanted", "out", wanted))),
        f"  let fall = conversion_gain_db + level - {dbm('wanted', conditions.load_ohm)}",
        f"  if fall lt {DROP_DB:g}",
        "    let below = level",
        "    let fall_below = fall",
        f"    if level ge {LARGEST_P1DB_DBM:g}",
        "      let busy = 0",
        "    end",
        "  else",
        "    let above = level",
        "    let fall_above = fall",
        "  end",
        "  if above gt 100",
        f"    let level = min(level + {_STEP_DB:g}, {LARGEST_P1DB_DBM:g})",
        "  else",
        "    let level = (above + below)/2",
        f"    let ip1db_dbm = below + (above - below)*({DROP_DB:g} - fall_below)/(fall_above - fall_below)",
        f"    if above - below lt {_RESOLUTION_DB:g}",
        "      let busy = 0",
        "    end",
        "  end",
        "end",
        *(f"print {name}" for name, metric in METRICS.items() if not metric.signoff),
    ]
