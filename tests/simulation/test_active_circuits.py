"""Active circuits: noise by the right method, the same figures in and outside the library, device limits, stability."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from genrf import technology
from genrf.circuit.netlist import parse_metrics, run_standalone, standalone_netlist
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError, MissingToolError
from genrf.simulation.library import Library
from genrf.simulation.library import library as library_of_this_process
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Deck, SimulationFailure
from tests.simulation.circuits import CONDITIONS, cascode, circuit

PROCESS = technology.get("sg13g2")
BOLTZMANN = 1.380649e-23


@pytest.fixture(scope="module")
def library() -> Library:
    return library_of_this_process()


def common_emitter(base_v: float, supply_resistor: float = 20.0) -> Simulation:
    amplifier = circuit(
        ("capacitor", "in n1", 1e-12),
        ("bias_voltage", "n2", base_v),
        ("inductor", "n2 n1", 2e-9),
        ("hbt", "n3 n1 0", 8),
        ("resistor", "vdd n3", supply_resistor),
        ("capacitor", "n3 out", 1e-12),
    )
    return Simulation(amplifier, CONDITIONS)


def test_noise_figure_is_not_the_one_of_sp_analysis(library: Library, pool: SimulatorPool) -> None:
    """The trap: ``.sp`` with noise is right for passive circuits only.

    The reference is noise analysis with source and load as real, noisy resistors, from which the load's share is taken
    out, and the source is referred to 290 K: F = 1 + ((total^2 - load^2 + moved) / source^2 - 1) T / 290. Moved is what
    ngspice makes of rbp at the emitter (out), leaves out (rs, iccp: in), and makes too cold (resistances in the junctions).
    """
    metrics = pool.run([Simulation(cascode(), CONDITIONS)])[0].metrics
    assert metrics is not None
    devices = PROCESS.instances(cascode()) + PROCESS.models(cascode(), "typ", 27.0)
    f0 = CONDITIONS.frequency_hz
    bench = ("reference", "v_supply vdd 0 1.8", "v_in source 0 dc 0 ac 1", "rsource source in 50", "rload out 0 50")
    library.run(Deck((*bench, *devices), ("op",), ("q1_t", "q2_t")))
    rise_k = {net: float(library.vector("op1", net)[0]) for net in ("q1_t", "q2_t")}
    colder = ("rc", "rci", "rb", "rbi", "re", "rs")
    sources = [f"onoise_q{number}_{part}" for number in (1, 2) for part in (*colder, "iccp", "rbp")]
    library.run(
        Deck(
            (*bench, *PROCESS.held(devices, rise_k)[0]),
            (f"noise v(out) v_in lin 1 {f0} {f0} 1",),
            ("onoise_spectrum", "inoise_spectrum", "onoise_rload", "onoise_rsource", *sources),
        )
    )

    def power(name: str) -> float:
        return float(library.vector("noise1", name)[0]) ** 2

    moved = 0.0
    for q in ("q1", "q2"):
        assert power(f"onoise_{q}_rbp") > 0.0
        moved += power(f"onoise_{q}_rs") + power(f"onoise_{q}_iccp") - power(f"onoise_{q}_rbp")
        moved += rise_k[f"{q}_t"] / 300.15 * sum(power(f"onoise_{q}_{part}") for part in colder)
    excess = (power("onoise_spectrum") - power("onoise_rload") + moved) / power("onoise_rsource") - 1
    assert metrics["nf_db"] == pytest.approx(10 * math.log10(1 + excess * 300.15 / 290), abs=5e-4)
    ports = ("v_in in 0 dc 0 ac 1 portnum 1 z0 50", "v_out out 0 dc 0 ac 0 portnum 2 z0 50")
    library.run(
        Deck(("trap", "v_supply vdd 0 1.8", *ports, *devices), (f"sp lin 1 {f0} {f0} 1",), ("NF", "v_supply#branch"))
    )
    wrong = float(np.real(library.vector("sp1", "NF")[0]))
    assert abs(wrong - metrics["nf_db"]) > 0.5


def test_metrics_are_the_same_with_curves(pool: SimulatorPool) -> None:
    plain, curved = (pool.run([Simulation(cascode(), CONDITIONS)], curves=curves)[0] for curves in (False, True))
    assert plain.metrics is not None
    assert curved.metrics is not None
    assert dict(plain.metrics) == dict(curved.metrics)
    assert plain.curves == {}
    assert set(curved.curves) == {"s11", "s12", "s21", "s22", "nf_db"}
    curve = curved.curves["s21"]
    centre = int(np.argmin(np.abs(curve.frequency_hz - CONDITIONS.frequency_hz)))
    assert 20 * math.log10(abs(curve.values[centre])) == pytest.approx(plain.metrics["gain_db"], abs=1e-6)
    assert curved.curves["nf_db"].values[centre] == pytest.approx(plain.metrics["nf_db"], abs=1e-6)


@pytest.mark.parametrize("corner", ["typ", "wcs"])
def test_standalone_netlist_gives_the_same_metrics(pool: SimulatorPool, tmp_path: Path, corner: str) -> None:
    conditions = Conditions(frequency_hz=28e9, supply_v=1.8, source_ohm=40.0, load_ohm=75.0, corner=corner)
    metrics = pool.run([Simulation(cascode(), conditions)])[0].metrics
    assert metrics is not None
    path = tmp_path / "cascode.cir"
    path.write_text(standalone_netlist(cascode(), conditions, PROCESS))
    by_hand = run_standalone(path, "lna")
    assert set(by_hand) == set(metrics)
    for name, value in metrics.items():
        assert by_hand[name] == pytest.approx(value, rel=1e-6), name


def test_narrow_band_edges_agree_with_the_standalone_netlist(pool: SimulatorPool, tmp_path: Path) -> None:
    # A resonant ladder: both edges of the 3 dB band lie inside the band sweep.
    tuned = circuit(
        ("capacitor", "in n1", 20e-15),
        ("inductor", "n1 0", 600e-12),
        ("capacitor", "n1 0", 330e-15),
        ("capacitor", "n1 out", 20e-15),
    )
    conditions = Conditions(frequency_hz=10e9, supply_v=1.8)
    metrics = pool.run([Simulation(tuned, conditions)])[0].metrics
    assert metrics is not None
    assert metrics["bandwidth_hz"] < 3e9
    path = tmp_path / "tuned.cir"
    path.write_text(standalone_netlist(tuned, conditions, PROCESS))
    assert run_standalone(path, "lna")["bandwidth_hz"] == pytest.approx(metrics["bandwidth_hz"], rel=2e-5)


def test_output_without_metrics_says_which_are_missing() -> None:
    with pytest.raises(InvalidInputError, match="nf_db"):
        parse_metrics("gain_db = 1.5e+01\nrun aborted\n", "lna")


def test_missing_program_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install ngspice"):
        run_standalone(tmp_path / "any.cir", "lna")


def test_supply_power_counts_supply_and_bias(library: Library, pool: SimulatorPool) -> None:
    resistive = circuit(
        ("resistor", "in out", 10.0),
        ("resistor", "vdd n1", 90.0),
        ("resistor", "n1 0", 90.0),
        ("bias_voltage", "n2", 1.2),
        ("resistor", "n2 0", 1200.0),
    )
    metrics = pool.run([Simulation(resistive, CONDITIONS)])[0].metrics
    assert metrics is not None
    assert metrics["power_w"] == pytest.approx(1.8**2 / 180 + 1.2**2 / 1200, rel=1e-6)


def test_corners_are_ordered_by_gain(pool: SimulatorPool) -> None:
    corners = [
        pool.run([Simulation(cascode(), Conditions(frequency_hz=28e9, supply_v=1.8, corner=corner))])[0].metrics
        for corner in ("bcs", "typ", "wcs")
    ]
    best, typical, worst = (metrics["gain_db"] for metrics in corners if metrics is not None)
    assert best > typical > worst


def test_voltage_beyond_the_limit_is_a_failure(pool: SimulatorPool) -> None:
    outcome = pool.run([common_emitter(0.75)])[0]
    assert outcome.metrics is None
    assert outcome.failure is not None
    assert outcome.failure.cause == "device_limit"
    assert "Q1: |V_CE|" in outcome.failure.detail


def test_negative_resistance_at_a_port_is_a_failure(pool: SimulatorPool) -> None:
    # An inductor at the base of a common-base stage.
    oscillator = circuit(
        ("bias_voltage", "n1", 1.5),
        ("inductor", "n1 n2", 400e-12),
        ("resistor", "in 0", 150.0),
        ("hbt", "out2 n2 in", 8),
        ("inductor", "vdd out2", 500e-12),
        ("capacitor", "out2 out", 200e-15),
    )
    outcome = pool.run([Simulation(oscillator, CONDITIONS)])[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "oscillation"
    assert "negative resistance" in outcome.failure.detail


def test_thermal_runaway_fails_fast_as_no_convergence(pool: SimulatorPool) -> None:
    hot = circuit(
        ("bias_voltage", "n1", 0.91),
        ("inductor", "n1 n2", 1e-9),
        ("capacitor", "in n2", 1e-12),
        ("hbt", "n3 n2 0", 8),
        ("inductor", "vdd n3", 1e-9),
        ("capacitor", "n3 out", 1e-12),
    )
    outcome = pool.run([Simulation(hot, Conditions(frequency_hz=28e9, supply_v=2.5))])[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "no_convergence"


def test_net_without_dc_path_is_a_singular_matrix(pool: SimulatorPool) -> None:
    floating = circuit(("capacitor", "in n1", 1e-12), ("capacitor", "n1 n2", 1e-12), ("resistor", "n2 out", 10.0))
    outcome = pool.run([Simulation(floating, CONDITIONS)])[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "singular_matrix"


def test_refused_netlist_leaves_the_library_usable(library: Library) -> None:
    with pytest.raises(SimulationFailure) as failure:
        library.run(Deck(("bad", "r1 a 0 50", "q1 a a 0 no_such_model"), ("op",), ("a",)))
    assert failure.value.cause == "netlist_error"
    library.run(Deck(("good", "v1 a 0 2", "r1 a 0 50"), ("op",), ("v1#branch",)))
    assert library.vector("op1", "v1#branch")[0] == pytest.approx(-0.04)


def test_vector_that_was_not_saved_is_named(library: Library) -> None:
    library.run(Deck(("good", "v1 a 0 2", "r1 a 0 50"), ("op",), ("v1#branch",)))
    with pytest.raises(SimulationFailure, match=r"op1\.nothing"):
        library.vector("op1", "nothing")
    with pytest.raises(SimulationFailure, match="ic of device q9"):
        library.device("q9", "ic")
