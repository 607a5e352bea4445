"""Bias that charges more slowly than a transient runs: compression is that of the state it comes to in the end."""

from __future__ import annotations

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.topology import Circuit
from genrf.classes.lna.compression import POINTS, compression_dbm
from genrf.classes.lna.testbench import LnaTestbench
from genrf.conditions import Conditions
from genrf.simulation.device_lines import thermal_ohm
from genrf.simulation.large_signal import UnsettledError, warped
from genrf.simulation.library import library
from genrf.simulation.slow_bias import with_slow_capacitors_held
from genrf.simulation.transient import Transient, available_amplitude_v
from tests.amplifiers import CASCODE, circuit

CONDITIONS = Conditions(frequency_hz=28e9, supply_v=2.0)
PROCESS = technology.get("sg13g2")
SLOWEST_S = 40.0 / CONDITIONS.frequency_hz


def lines(one: Circuit) -> list[str]:
    return LnaTestbench().netlist(one, CONDITIONS, PROCESS)


def with_values(**changed: float) -> Circuit:
    """The cascode with other values, by designator."""
    values = dict(zip(CASCODE.topology.designators, CASCODE.values, strict=True))
    return CASCODE.with_values(list((values | changed).values()))


# The cascode transistor's base is fed by 20 kOhm and held by 1 pF: at 20 ns, 560 periods.
SLOW = with_values(R2=20e3, C2=1e-12)


def held(one: Circuit) -> tuple[list[str], dict[str, float]]:
    return with_slow_capacitors_held(library(), lines, one, SLOWEST_S)


def test_a_capacitors_resistance_is_that_of_the_network_around_it() -> None:
    """10 kOhm to one side and 30 kOhm to the other, in parallel; through the second capacitor no direct current goes."""
    one = circuit(
        ("inductor", "in out", 1e-9),
        ("capacitor", "in n1", 1e-12),
        ("resistor", "n1 vdd", 10e3),
        ("resistor", "n1 0", 30e3),
        ("capacitor", "n1 n2", 5e-15),
        ("resistor", "n2 0", 1e3),
    )
    netlist, sources = held(one)
    assert sources == {"v_heldc1": pytest.approx(7.5e3, rel=5e-3)}, "C2 charges in 43 ps"
    assert "v_heldc1 heldc1 n1 0" in netlist


def test_a_circuit_that_settles_fast_is_left_as_it_is() -> None:
    netlist, sources = held(CASCODE)
    assert (netlist, sources) == (lines(CASCODE), {})


def output_v(one: Circuit, level_dbm: float, *, hold: bool) -> float:
    """Output amplitude at a drive: settled with slow capacitors held, or after twelve time constants of the bias."""
    netlist, sources = held(one) if hold else (lines(one), {})
    frequency = warped(CONDITIONS.frequency_hz, POINTS)
    transient = Transient(
        library(),
        netlist,
        ("out",),
        thermal_ohm=thermal_ohm(one, CONDITIONS, PROCESS),
        charging_ohm=sources,
        period_s=1.0 / frequency,
        points=POINTS,
        longest=7000,
    )
    transient.drive("v_in", available_amplitude_v(level_dbm, CONDITIONS.source_ohm), frequency)
    if hold:
        return float(abs(transient.settle(lambda running: np.array([running.phasor("out", frequency)]))[0]))
    for _ in range(60):
        transient.advance(110.0)
    return abs(transient.phasor("out", frequency))


@pytest.mark.parametrize("level_dbm", [-14.0, -8.0])
def test_held_capacitors_come_to_where_a_long_transient_ends(level_dbm: float) -> None:
    """Within 0.03 dB; the first 60 periods, without help, end 0.3 dB or more above."""
    waited = output_v(SLOW, level_dbm, hold=False)
    assert output_v(SLOW, level_dbm, hold=True) == pytest.approx(waited, rel=4e-3)


def test_a_compression_point_counts_the_bias_that_the_drive_moves() -> None:
    """At 2.8 us, where the longest transient is 54 ns; the same bias with a capacitor a thirtieth as large compresses alike."""
    right, smaller = (_ip1db_dbm(with_values(R2=93.8e3, C2=farad)) for farad in (29.6e-12, 1e-12))
    assert right == pytest.approx(smaller, abs=0.3)
    assert _ip1db_dbm(with_values(R2=93.8e3, C2=29.6e-12), hold=False) - right > 1.0


def _ip1db_dbm(one: Circuit, *, hold: bool = True, patient: bool = False) -> float:
    netlist, sources = held(one) if hold else (lines(one), {})
    heat = thermal_ohm(one, CONDITIONS, PROCESS)
    return compression_dbm(library(), netlist, heat, sources, CONDITIONS, -5.0, patient=patient)


def test_a_netlist_whose_slow_capacitors_are_not_known_is_given_no_figure() -> None:
    said = r"still charging: the output changes by -0\.\d+ dB in 71\.\d ns"
    with pytest.raises(UnsettledError, match=said):
        _ip1db_dbm(with_values(R2=93.8e3, C2=29.6e-12), hold=False, patient=True)
    assert _ip1db_dbm(CASCODE, hold=False, patient=True) == _ip1db_dbm(CASCODE, hold=False)
