"""The oscillator's label metrics in ngspice's own language, for netlists that are run by hand.

The same figures as `genrf.classes.vco.testbench` measures, from fixed and generous numbers of periods and with 32 steps a period
of f0: frequency from zero crossings, amplitudes and means with a Hann window over the last periods.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrf.classes.vco.metrics import METRICS, OFFSET_HZ
from genrf.classes.vco.oscillation import POINTS, Oscillator
from genrf.conditions import Conditions
from genrf.simulation.vbic_noise import EVERY_SOURCE, noise_vectors, rightly_placed_expression

_START_PERIODS = 60
_WARMINGS = 3
_TUNING_PERIODS = 120
_WINDOW_PERIODS = 24
SLOPE_SPAN = 0.01


def vco_control(oscillator: Oscillator, conditions: Conditions, transistors: Sequence[str]) -> list[str]:
    """Commands that run the analyses and print each label metric.

    Args:
        oscillator: as of the testbench's netlist.
        conditions: give f0, supply voltage and load.
        transistors: SPICE names of the circuit's transistors.
    """
    f0 = conditions.frequency_hz
    step, net = 1.0 / (POINTS * f0), oscillator.net
    end = 0.0
    lines = [
        "op",
        *(f"let rise_{node} = {node}" for node in oscillator.thermal_ohm),
        "* Junction temperatures are held, and follow the mean dissipation.",
        *(
            line
            for node in oscillator.thermal_ohm
            for line in (
                f"alter r_hold_{node} = {oscillator.hold_ohm(node, step):.6g}",
                f"alter v_hold_{node} = $&rise_{node}",
            )
        ),
        f"alter @i_kick[pulse] = [ 0 2e-3 0 {0.06 / f0:.6g} {0.06 / f0:.6g} {0.12 / f0:.6g} 1 ]",
        f"save {' '.join([*oscillator.saved(), *noise_vectors(transistors)])}",
    ]
    first = True

    def run_on(periods: float) -> None:
        nonlocal end, first
        end += periods / f0
        start = f"tran {step:.12g} {2000.0 / f0:.6g} 0 {step:.12g}" if first else "resume"
        lines.extend([f"stop when time > {end:.12g}", start, "delete all"])
        first = False

    for _ in range(_WARMINGS):
        run_on(_START_PERIODS)
        lines.append(f"let last = length(time) - 1 - {POINTS * _WINDOW_PERIODS}")
        for node, ohm in oscillator.thermal_ohm.items():
            lines += [
                f"let flow = v_hold_{node}#branch[last,length(time)-1]",
                f"let rise_{node} = op1.rise_{node} + {ohm:.7g}*mean(flow)",
                f"let op1.rise_{node} = rise_{node}",
                f"alter v_hold_{node} = $&rise_{node}",
            ]
    run_on(_START_PERIODS)
    lines += [
        *_frequency("f_middle", net, step),
        *(line for vector in (net, oscillator.output) for line in _amplitude(vector)),
        "let power_w = 0",
        *(
            line
            for name, volt in oscillator.sources.items()
            for line in (
                f"let flow = {name}#branch[last,length(time)-1]",
                f"let power_w = power_w - {volt:.7g}*mean(hann*flow)",
            )
        ),
    ]
    for name, volt in (("f_low", 0.0), ("f_high", conditions.supply_v)):
        lines.append(f"alter v_tune = {volt:.9g}")
        run_on(_TUNING_PERIODS)
        lines += _frequency(name, net, step)
    lines += [
        f"alter v_tune = {0.5 * conditions.supply_v:.9g}",
        "set oscillation = $curplot",
        f"let near = {1.0 - SLOPE_SPAN}*f_middle",
        f"let far = {1.0 + SLOPE_SPAN}*f_middle",
        "ac lin 3 $&near $&far",
        "set impedance = $curplot",
        "setplot $oscillation",
        f"noise v({net}) i_kick lin 1 $&f_middle $&f_middle {EVERY_SOURCE}",
        "set noise = $curplot",
        "setplot $oscillation",
        f"let z = {{$impedance}}.{net}",
        "let slope = mag((1/z[2] - 1/z[0])*z[1])/(2*pi*(far - near))",
        "* Without the noise of rbp, which ngspice's VBIC puts across the emitter's resistance.",
        f"let density = {{$noise}}.onoise_spectrum*sqrt({rightly_placed_expression('{$noise}', transistors)})",
        "let frequency_hz = f_middle",
        f"let frequency_error_percent = 100*abs(frequency_hz/{f0:.12g} - 1)",
        "let above = max(max(f_low, f_middle), f_high)",
        "let below = min(min(f_low, f_middle), f_high)",
        "let tuning_range_percent = 100*(above - below)/f_middle",
        f"let output_power_dbm = 10*log10(amplitude_{oscillator.output}^2/{2e-3 * conditions.load_ohm:.7g})",
        f"let phase_noise_estimate_dbc_hz = 20*log10(density/(amplitude_{net}*2*pi*{OFFSET_HZ:g}*slope))",
        f"let fom_estimate_dbc_hz = phase_noise_estimate_dbc_hz - 20*log10(frequency_hz/{OFFSET_HZ:g}) + 10*log10(power_w/1e-3)",
        "set numdgt=10",
    ]
    return lines + [f"print {name}" for name, metric in METRICS.items() if not metric.signoff]


def _frequency(name: str, net: str, step_s: float) -> list[str]:
    """Upward zero crossings of the last periods, and the time step's error taken out."""
    count = POINTS * _WINDOW_PERIODS
    return [
        f"let last = length(time) - 1 - {count}",
        "let t = time[last,length(time)-1]",
        f"let v = {net}[last,length(time)-1]",
        "let v = v - 0.5*(vecmax(v) + vecmin(v))",
        "let k = 0",
        "let crossings = 0",
        "let begin = 0",
        "let ending = 0",
        f"while k < {count}",
        "  if v[k] < 0 & v[k+1] >= 0",
        "    let ending = t[k] - v[k]*(t[k+1] - t[k])/(v[k+1] - v[k])",
        "    if crossings = 0",
        "      let begin = ending",
        "    end",
        "    let crossings = crossings + 1",
        "  end",
        "  let k = k + 1",
        "end",
        "let simulated = (crossings - 1)/(ending - begin)",
        f"let {name} = tan(pi*simulated*{step_s:.12g})/(pi*{step_s:.12g})",
        f"let hann = 1 - cos(2*pi*(t - t[0])/(t[{count}] - t[0]))",
        "let hann = hann/mean(hann)",
    ]


def _amplitude(vector: str) -> list[str]:
    return [
        f"let v = {vector}[last,length(time)-1]",
        "let v = v - mean(hann*v)",
        "let re = 2*mean(hann*v*cos(2*pi*simulated*t))",
        "let im = 2*mean(hann*v*sin(2*pi*simulated*t))",
        f"let amplitude_{vector} = sqrt(re^2 + im^2)",
    ]
