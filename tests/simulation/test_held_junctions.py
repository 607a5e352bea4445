"""Small-signal analyses with junctions held: the same operating point, the charges of the hot junction, VACASK's figures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.conditions import Conditions
from genrf.simulation.held_junctions import run_held
from genrf.simulation.library import Library
from genrf.simulation.library import library as library_of_this_process
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Deck
from genrf.simulation.two_port import two_port_netlist
from genrf.simulation.vacask.locate import installed
from genrf.simulation.vacask.small_signal import small_signal
from genrf.simulation.vbic_noise import rightly_placed, rightly_placed_expression
from tests.simulation.circuits import CONDITIONS, cascode, circuit, divider
from tests.simulation.golden.renew import design

PROCESS = technology.get("sg13g2")
F0 = CONDITIONS.frequency_hz


@pytest.fixture(scope="module")
def library() -> Library:
    return library_of_this_process()


def deck(conditions: Conditions, *analyses: str, saved: tuple[str, ...] = ()) -> Deck:
    return Deck(tuple(two_port_netlist("cascode", cascode(), conditions, PROCESS)), analyses, saved)


@pytest.mark.parametrize("temperature_c", [-40.0, 27.0, 125.0])
def test_the_operating_point_is_that_of_the_heated_transistor(library: Library, temperature_c: float) -> None:
    conditions = replace(CONDITIONS, temperature_c=temperature_c)
    wanted = deck(conditions, "op", saved=("v_supply#branch",))
    library.run(wanted)
    heated = float(library.vector("op1", "v_supply#branch")[0])
    hot = run_held(library, wanted, cascode(), conditions, PROCESS)
    assert set(hot) == {"q1", "q2"}
    assert min(hot.values()) > 1.0 / 400.0
    assert float(library.vector("op1", "v_supply#branch")[0]) == pytest.approx(heated, rel=1e-5)


def test_small_signal_is_the_transients_at_low_drive(library: Library) -> None:
    """The transient has charges and currents of the hot junction; `.sp` of the deck as it is has not."""
    tuned = circuit(
        ("capacitor", "in n1", 1e-12),
        ("bias_voltage", "n2", 0.88),
        ("inductor", "n2 n1", 1e-9),
        ("hbt", "n3 n1 0", 8),
        ("resistor", "vdd n3", 30.0),
        ("capacitor", "n3 out", 1e-12),
    )
    conditions = Conditions(frequency_hz=20e9, supply_v=1.6)
    netlist = two_port_netlist("tuned", tuned, conditions, PROCESS)
    sweep = Deck(tuple(netlist), ("sp lin 1 20g 20g",), ("S_2_1", "v_supply#branch"))
    library.run(sweep)
    as_it_is = 20.0 * math.log10(abs(library.vector("sp1", "S_2_1")[0]))
    rise = 300.15 * run_held(library, sweep, tuned, conditions, PROCESS)["q1"]
    assert rise > 10.0
    held = 20.0 * math.log10(abs(library.vector("sp1", "S_2_1")[0]))
    # 1 mV behind 50 Ohm: the available wave's amplitude at the output of a through would be half of that.
    driven = [line.replace("sin(0 0 ", "sin(0 1m ") for line in netlist]
    hot = [f"v_hot q1_t 0 {rise!r}", ".options method=trap reltol=1e-6 vntol=1e-9"]
    library.run(Deck((*driven, *hot), ("tran 0.25p 3n 2n 0.25p",), ("time", "out")))
    time = library.vector("tran1", "time").real
    even = np.linspace(2.5e-9, 3.0e-9, 4000, endpoint=False)
    out = np.interp(even, time, library.vector("tran1", "out").real)
    amplitude = 2.0 * abs(np.mean(out * np.exp(-2j * np.pi * 20e9 * even)))
    transient = 20.0 * math.log10(amplitude / 0.5e-3)
    assert held == pytest.approx(transient, abs=0.02)
    assert abs(as_it_is - transient) > 0.1


@pytest.mark.parametrize(("corner", "temperature_c"), [("typ", 27.0), ("bcs", -40.0), ("wcs", 85.0)])
def test_exported_netlist_prints_what_vacask_finds(corner: str, temperature_c: float, tmp_path: Path) -> None:
    if not installed():
        pytest.skip("VACASK is not installed: the second simulator's word is missing here")
    conditions = replace(CONDITIONS, corner=corner, temperature_c=temperature_c)
    path = tmp_path / "amplifier.spice"
    path.write_text(standalone_netlist(cascode(), conditions, PROCESS), encoding="utf-8")
    by_hand = run_standalone(path, "lna")
    other = small_signal(cascode(), conditions, PROCESS)
    assert by_hand["gain_db"] == pytest.approx(other.decibels_at(F0, 2, 1), abs=0.02)
    assert by_hand["s11_db"] == pytest.approx(other.decibels_at(F0, 1, 1), abs=0.02)
    assert by_hand["s22_db"] == pytest.approx(other.decibels_at(F0, 2, 2), abs=0.02)
    assert by_hand["nf_db"] == pytest.approx(other.nf_db[0], abs=0.02)
    assert by_hand["power_w"] == pytest.approx(other.power_w, rel=2e-4)


def test_a_circuit_without_transistors_is_simulated_once(library: Library) -> None:
    simulation = divider(100.0)
    netlist = two_port_netlist("divider", simulation.circuit, simulation.conditions, PROCESS)
    wanted = Deck(tuple(netlist), ("sp lin 1 10g 10g",), ("S_2_1", "v_supply#branch"))
    assert run_held(library, wanted, simulation.circuit, simulation.conditions, PROCESS) == {}
    assert PROCESS.hold_commands(simulation.circuit, "typ", 27.0) == []


def test_every_transistor_has_a_card_of_its_own_and_nothing_else_changes() -> None:
    netlist = two_port_netlist("cascode", cascode(), CONDITIONS, PROCESS)
    own = PROCESS.with_own_cards(netlist)
    cards = [line for line in netlist if line.startswith(".model ")]
    assert {line.split()[1] for line in own if line.startswith(".model ")} == {"npn_q1", "npn_q2"}
    assert {line.split(maxsplit=2)[2] for line in own if line.startswith(".model ")} <= {
        line.split(maxsplit=2)[2] for line in cards
    }
    plain = [line for line in netlist if line[0] != "q" and not line.startswith(".model ")]
    assert [line for line in own if line[0] != "q" and not line.startswith(".model ")] == plain


class Listed:
    """A noise analysis of one transistor, as ngspice would list it."""

    def __init__(self, **contributions: float) -> None:
        self._found = contributions

    def vector(self, plot: str, name: str) -> np.ndarray:
        return np.array([self._found[name.removeprefix("onoise_q1_").removeprefix("onoise_")]])

    def device(self, designator: str, quantity: str) -> float:
        raise NotImplementedError


def test_noise_of_hot_resistances_is_hot_and_what_is_left_out_is_added() -> None:
    parts = {"rc": 1.0, "rci": 2.0, "rb": 3.0, "rbi": 4.0, "re": 5.0, "rs": 6.0, "rbp": 7.0, "iccp": 8.0}
    whole = 20.0
    found = rightly_placed(Listed(spectrum=whole, **parts), "noise1", ["q1"], {"q1": 0.1})
    thermal = sum(parts[name] ** 2 for name in ("rc", "rci", "rb", "rbi", "re"))
    right = whole**2 - parts["rbp"] ** 2 + 0.1 * thermal + 1.1 * parts["rs"] ** 2 + parts["iccp"] ** 2
    assert found[0] == pytest.approx(right / whole**2, rel=1e-12)
    text = rightly_placed_expression("noise1", ["q1"], {"q1": "0.1"}).replace("^", "**")
    for name, value in {**parts, "spectrum": whole}.items():
        text = text.replace(f"noise1.onoise_q1_{name}*", f"{value}*").replace(f"noise1.onoise_{name}*", f"{value}*")
    assert eval(text) == pytest.approx(found[0], rel=1e-12)
    assert rightly_placed(Listed(spectrum=whole, **parts), "noise1", ["q1"])[0] == pytest.approx(1.0 - 49.0 / 400.0)


def test_a_power_amplifier_has_held_junctions_too(pool: SimulatorPool) -> None:
    if not installed():
        pytest.skip("VACASK is not installed: the second simulator's word is missing here")
    amplifier, conditions = design("pa")
    (outcome,) = pool.run([Simulation(amplifier, conditions)])
    assert outcome.metrics is not None
    other = small_signal(amplifier, conditions, PROCESS)
    assert outcome.metrics["gain_db"] == pytest.approx(other.decibels_at(conditions.frequency_hz, 2, 1), abs=0.02)
    assert outcome.metrics["s11_db"] == pytest.approx(other.decibels_at(conditions.frequency_hz, 1, 1), abs=0.02)
