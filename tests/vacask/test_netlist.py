"""What VACASK is given: the technology's devices, as it reads them."""

from __future__ import annotations

import re

import pytest

from genrf import technology
from genrf.conditions import Conditions
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.vacask.netlist import circuit_lines, number
from genrf.technology.variation import Variation
from genrf.technology.varied import VariedTechnology
from tests.vacask.circuits import COMMON_EMITTER, CONDITIONS, circuit

TECHNOLOGY = technology.get()


def _lines(**changes: object) -> list[str]:
    return circuit_lines(COMMON_EMITTER, CONDITIONS, TECHNOLOGY, **changes)  # type: ignore[arg-type]


def test_numbers_are_reals() -> None:
    values = [value for line in _lines() for value in re.findall(r"=(\S+)", line)]
    # ``type`` is the one integer of VBIC.
    assert [value for value in values if "." not in value] == ["1"]
    assert float(number(27322500000.0)) == 27322500000.0


def test_overlap_capacitances_count_once() -> None:
    lines = _lines()
    (card,) = (line for line in lines if "vbic13_5t" in line)
    assert f"cbeo={number(0.0)}" in card
    assert f"cbco={number(0.0)}" in card
    assert sum(line.startswith(("'cbeo_q1'", "'cbco_q1'")) for line in lines) == 2


def test_cards_are_not_scaled_to_the_temperature() -> None:
    hot = circuit_lines(COMMON_EMITTER, Conditions(frequency_hz=10e9, supply_v=1.8, temperature_c=85.0), TECHNOLOGY)
    cold_card, hot_card = (next(line for line in lines if "vbic13_5t" in line) for lines in (_lines(), hot))
    changed = {word for word in hot_card.split() if word not in cold_card.split()}
    # The PDK's own expression for the transit time has the temperature in it.
    assert {word.partition("=")[0] for word in changed} == {"tf"}
    assert f"tnom={number(27.0)}" in hot_card


def test_excess_phase_is_a_switch_and_off() -> None:
    assert f" td={number(0.0)} " in "\n".join(_lines())
    assert f" td={number(2.8e-13)} " in "\n".join(_lines(excess_phase=True))


def test_multiplier_and_area_become_mfactor() -> None:
    big = circuit(("hbt", "c b e", 20.0))
    copy = VariedTechnology(TECHNOLOGY, Variation(mismatch=(1.1,)))
    line = next(line for line in circuit_lines(big, CONDITIONS, copy) if line.startswith("'q1'"))
    assert line.endswith(f"npn_x10 $mfactor={number(2.2)}")


def test_nets_may_be_called_like_statements() -> None:
    (line,) = circuit_lines(circuit(("resistor", "model 0", 50.0)), CONDITIONS, TECHNOLOGY)
    assert line.startswith("'r1' ('model' 0) resistor r=")


@pytest.mark.parametrize(("net", "value"), [("a b", 50.0), ("a')", 50.0), ("x", -1.0), ("x", float("nan"))])
def test_what_the_technology_refuses_never_reaches_the_simulator(net: str, value: float) -> None:
    from genrf.circuit.topology import Circuit, Device, Topology

    bad = Circuit(Topology("lna", (Device("resistor", (net, "0")),)), (value,))
    with pytest.raises(SimulationFailure) as caught:
        circuit_lines(bad, CONDITIONS, TECHNOLOGY)
    assert caught.value.cause == "invalid_value"
