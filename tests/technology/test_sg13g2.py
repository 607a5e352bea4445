"""SG13G2: the derived models are the PDK's, the values are legal, the corners are in order."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrf import technology
from genrf.circuit.devices import KINDS
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.errors import InvalidInputError
from genrf.simulation.library import Library
from genrf.simulation.testbench import Deck
from genrf.simulation.vacask.locate import installed, program
from genrf.simulation.vacask.process import run
from genrf.technology.sg13g2 import model_cards, npn13g2
from genrf.technology.sg13g2.inductor import SpiralInductor
from genrf.technology.sg13g2.mim_capacitor import mim_capacitor
from genrf.technology.sg13g2.resistor import resistances

PROCESS = technology.get("sg13g2")
FREQUENCY_HZ = 10e9


def transistor(emitters: float, corner: str = "typ", temperature_c: float = 27.0) -> list[str]:
    """One HBT between nets ``c``, ``b`` and ground."""
    circuit = one_device("hbt", ("c", "b", "0"), emitters)
    return PROCESS.instances(circuit, corner, temperature_c) + PROCESS.models(circuit, corner, temperature_c)


def one_device(kind: str, nets: tuple[str, ...], value: float) -> Circuit:
    return Circuit(Topology("lna", (Device(kind, nets),)), (value,))


def current_gain(library: Library, devices: list[str], vce: float, vbe: float) -> tuple[complex, float]:
    """Short-circuit current gain h21 at 10 GHz, and the collector current in A."""
    sources = [f"vc c 0 {vce}", f"vb b 0 {vbe} ac 1"]
    sweep = f"ac lin 1 {FREQUENCY_HZ} {FREQUENCY_HZ}"
    library.run(Deck(("current gain", *sources, *devices), (sweep,), ("vc#branch", "vb#branch")))
    h21 = library.vector("ac1", "vc#branch")[0] / library.vector("ac1", "vb#branch")[0]
    return complex(h21), float(-library.vector("op1", "vc#branch")[0])


def transit_frequency_hz(library: Library, corner: str = "typ", vce: float = 1.2, vbe: float = 0.88) -> float:
    """fT extrapolated from h21 at 20 dB a decade, for 4 emitters."""
    return FREQUENCY_HZ * abs(current_gain(library, transistor(4, corner), vce, vbe)[0])


def impedance(library: Library, circuit: Circuit, frequency_hz: float, corner: str = "typ") -> complex:
    """Impedance between net ``a`` and ground."""
    lines = PROCESS.instances(circuit, corner, 27.0)
    sweep = f"ac lin 1 {frequency_hz} {frequency_hz}"
    library.run(Deck(("impedance", "iin 0 a dc 0 ac 1", "rbig a 0 1e12", *lines), (sweep,), ("a",)))
    return complex(library.vector("ac1", "a")[0])


def test_transit_frequency(library: Library) -> None:
    # 352 GHz, at V_CE = 1.2 V and V_BE = 0.88 V (1.1 mA an emitter); the process is named after 350 GHz.
    assert transit_frequency_hz(library) == pytest.approx(352e9, rel=0.02)


def test_corners_are_ordered_by_transit_frequency(library: Library) -> None:
    best, typical, worst = (transit_frequency_hz(library, corner) for corner in ("bcs", "typ", "wcs"))
    assert best > 1.1 * typical > 1.2 * worst


@pytest.mark.parametrize("corner", ["typ", "bcs", "wcs"])
def test_derived_model_is_the_pdk_subcircuit(library: Library, tmp_path: Path, corner: str) -> None:
    corner_file = model_cards.model_folder() / "cornerHBT.lib"
    deck = tmp_path / "pdk.cir"
    deck.write_text(
        f'pdk\n.lib "{corner_file}" hbt_{corner}\n'
        "vc c 0 1.1\nvb b 0 0.7 ac 1\nxq1 c b 0 0 npn13G2 Nx=6\n"
        # ngspice 39's small-signal analyses leave these two of the PDK's card out, so they stand beside it.
        "cbeo b 0 '8.00E-16*1.5**0.975'\ncbco b c '2.36E-15*1.5'\n.options temp=27\n.control\nset numdgt=10\n"
        f"ac lin 1 {FREQUENCY_HZ} {FREQUENCY_HZ}\nprint real(vc#branch/vb#branch) imag(vc#branch/vb#branch)\n"
        "quit\n.endc\n.end\n"
    )
    output = subprocess.run(
        ["ngspice", "-b", str(deck)], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    real, imaginary = (float(line.split("=")[1]) for line in output.splitlines() if "branch)" in line)
    h21, _ = current_gain(library, [*transistor(6, corner), ".options temp=27"], 1.1, 0.7)
    assert h21 == pytest.approx(complex(real, imaginary), rel=1e-6)


@pytest.mark.parametrize(("nets", "joined"), [(("c", "b", "0"), False), (("b", "b", "0"), True)])
def test_transient_charge_is_the_pdk_subcircuits(library: Library, nets: tuple[str, ...], joined: bool) -> None:
    # In its transient ngspice 39 has the overlap capacitances of the PDK's card: nothing beside it, nothing twice.
    def base_current(*devices: str) -> np.ndarray:
        sources = ("vc c 0 1.1", "vb b 0 sin(0.8 0.02 10e9)")
        deck = ("charge", *sources, *devices, ".options reltol=1e-6 method=gear")
        library.run(Deck(deck, ("tran 0.1p 200p 100p 0.1p",), ("time", "vb#branch")))
        time = library.vector("tran1", "time")
        return np.interp(np.linspace(100e-12, 200e-12, 64), time, library.vector("tran1", "vb#branch"))

    circuit = one_device("diode", ("b", "0"), 6) if joined else one_device("hbt", nets, 6)
    ours = base_current(*PROCESS.instances(circuit), *PROCESS.models(circuit, "typ", 27.0))
    corner_file = model_cards.model_folder() / "cornerHBT.lib"
    pdk = base_current(f"xq1 {' '.join(nets)} 0 npn13G2 Nx=6", f'.lib "{corner_file}" hbt_typ')
    np.testing.assert_allclose(ours, pdk, atol=1e-3 * np.ptp(pdk))


@pytest.mark.parametrize(("kind", "overlaps"), [("diode", ["cbeo"]), ("varactor", ["cbco"])])
def test_a_junction_has_the_overlap_of_its_own_terminals_only(kind: str, overlaps: list[str]) -> None:
    lines = PROCESS.instances(one_device(kind, ("n1", "n2"), 4.0))
    assert [line.split("_")[0] for line in lines if line.startswith("cb")] == overlaps


def test_overlaps_scale_with_emitters_and_area() -> None:
    (cbeo, cbco), parallel, larger = (
        [float(line.split()[-1]) for line in npn13g2.overlap_lines("q1", ("c", "b", "e"), value, area)]
        for value, area in ((8.0, 1.0), (32.0, 1.0), (8.0, 1.1))
    )
    assert (cbeo, cbco) == pytest.approx((8e-16 * 2**0.975, 2.36e-15 * 2))
    assert parallel == pytest.approx([4 * cbeo, 4 * cbco])
    assert larger == pytest.approx([1.1 * cbeo, 1.1 * cbco])


def test_the_version_tells_other_devices_of_the_same_models_apart() -> None:
    assert PROCESS.version == f"{model_cards.DISTRIBUTION} {model_cards.models_version()}, devices 2"


def test_many_emitters_are_transistors_in_parallel(library: Library) -> None:
    one_h21, one_current = current_gain(library, transistor(8), 1.2, 0.88)
    many_h21, many_current = current_gain(library, transistor(32), 1.2, 0.88)
    assert "m=4" in transistor(32)[0]
    assert many_current == pytest.approx(4 * one_current, rel=1e-4)
    assert many_h21 == pytest.approx(one_h21, rel=1e-4)


@pytest.mark.parametrize(
    ("inductance_h", "frequency_hz", "quality"), [(2e-9, 5e9, 10.0), (200e-12, 28e9, 20.0), (100e-12, 60e9, 20.0)]
)
def test_inductor_has_the_stated_quality(
    library: Library, inductance_h: float, frequency_hz: float, quality: float
) -> None:
    spiral = SpiralInductor.of(inductance_h)
    assert spiral.quality_factor(frequency_hz) == pytest.approx(quality, rel=0.1)
    winding = 1.0 / (
        1.0 / impedance(library, one_device("inductor", ("a", "0"), inductance_h), frequency_hz)
        - 2j * math.pi * frequency_hz * spiral.side_f
    )
    assert winding.imag / winding.real == pytest.approx(spiral.quality_factor(frequency_hz), rel=1e-4)


@pytest.mark.parametrize(("inductance_h", "resonance_hz"), [(2e-9, 19e9), (200e-12, 120e9)])
def test_inductor_resonates_where_stated(library: Library, inductance_h: float, resonance_hz: float) -> None:
    circuit = one_device("inductor", ("a", "0"), inductance_h)
    assert impedance(library, circuit, 0.95 * resonance_hz).imag > 0
    assert impedance(library, circuit, 1.05 * resonance_hz).imag < 0


def test_capacitor_follows_its_corner(library: Library) -> None:
    circuit = one_device("capacitor", ("a", "0"), 200e-15)
    typical, best, worst = (
        -1.0 / (2 * math.pi * 5e9 * impedance(library, circuit, 5e9, corner).imag) for corner in ("typ", "bcs", "wcs")
    )
    assert typical == pytest.approx(200e-15, rel=1e-6)
    assert best == pytest.approx(0.9 * typical, rel=1e-6)
    assert worst == pytest.approx(1.1 * typical, rel=1e-6)


def test_large_capacitors_are_several_in_parallel() -> None:
    one, four = mim_capacitor(8e-12, "typ", 27.0), mim_capacitor(32e-12, "typ", 27.0)
    assert four.series_ohm == pytest.approx(one.series_ohm / 4)
    assert four.bottom_plate_f == pytest.approx(4 * one.bottom_plate_f)


def test_capacitor_between_signal_nets_has_symmetric_parasitics() -> None:
    forward = PROCESS.instances(one_device("capacitor", ("n1", "n2"), 200e-15))
    shunts = [line.split()[-1] for line in forward if line.startswith("cpar_")]
    assert len(shunts) == 2
    assert shunts[0] == shunts[1]
    assert not any(
        line.startswith("cpar_") for line in PROCESS.instances(one_device("capacitor", ("n1", "0"), 200e-15))
    )


def resistance(nominal: float, corner: str, temperature_c: float) -> float:
    return float(PROCESS.instances(one_device("resistor", ("a", "0"), nominal), corner, temperature_c)[0].split()[-1])


def test_resistor_is_a_body_that_corners_move_between_heads_that_they_do_not() -> None:
    # Heads of 35 Ohm um over 2 um each; the body has 260 Ohm a square, 10 % less in the best case.
    assert resistance(1000.0, "typ", 27.0) == 1000.0
    assert resistance(1000.0, "bcs", 27.0) == pytest.approx(35.0 + 0.9 * 965.0)
    heated = 35.0 * (1.0 - 950e-6 * 100.0) + 965.0 * (1.0 + 170e-6 * 100.0 + 0.4e-6 * 100.0**2)
    assert resistance(1000.0, "typ", 127.0) == pytest.approx(heated)
    # Below one square a resistor gets wider, and heads and body share alike.
    assert resistance(10.0, "bcs", 27.0) / 10.0 == pytest.approx(resistance(100.0, "bcs", 27.0) / 100.0)


def test_resistors_are_the_same_one_by_one_and_at_once() -> None:
    values = np.array([5.0, 100.0, 290.0, 1e3, 50e3])
    at_once = PROCESS.elements("resistor", values, "wcs", 85.0, (("rsh_rppd", 1.05),), np.ones(5))[:, 0]
    one_by_one = [resistances(value, "wcs", 85.0, 1.05) for value in values.tolist()]
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-12)


@pytest.fixture(scope="module")
def r3_cmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PDK's resistor model, compiled for VACASK."""
    if not installed():
        pytest.skip("VACASK is not installed: the PDK's own resistor model cannot be asked")
    source = model_cards.model_folder().parent / "va" / "r3_cmc" / "r3_cmc.va"
    compiler = program().with_name("openvaf-r")
    if not source.is_file() or not compiler.is_file():
        pytest.skip("r3_cmc.va or openvaf-r is not installed: the PDK's own resistor model cannot be asked")
    compiled = tmp_path_factory.mktemp("osdi") / "r3_cmc.osdi"
    subprocess.run([compiler, "-o", compiled, source], check=True, capture_output=True, timeout=120)
    return compiled


@pytest.mark.parametrize(("corner", "temperature_c"), [("typ", 27.0), ("bcs", -40.0), ("wcs", 125.0)])
@pytest.mark.parametrize("nominal", [100.0, 400.0, 5000.0])
def test_resistance_is_that_of_the_pdks_own_model(
    r3_cmc: Path, nominal: float, corner: str, temperature_c: float
) -> None:
    # As long as 2 um and wider, or 2 um wide and longer: heads are 35 Ohm um each, and 0.012 um add to the body's width.
    width, length = 2.0, (nominal - 35.0) / 260.0 * 2.012
    if length < 2.0:
        length = 2.0
        for _ in range(50):
            width = (70.0 + 520.0 * width / (width + 0.012)) / nominal
    sheet = model_cards.corner_parameters("cornerRES.lib", f"res_{corner}")["rsh_rppd"]
    netlist = [
        "strip",
        "ground 0",
        f'load "{r3_cmc}"',
        "model vsource vsource",
        f"model strip r3_cmc rsh={sheet} xw=0.006 rc={35e-6 / (width * 1e-6)} tc1=170e-6 tc2=0.4e-6 tc1rc=-950e-6",
        f"nr (a 0 0 t) strip l={length * 1e-6} w={(width + 0.006) * 1e-6} c1=1 c2=1 sw_et=0",
        "v (a 0) vsource dc=1e-3",
        "control",
        "abort always",
        f"options temp={temperature_c} reltol=1e-6",
        "analysis o op",
        "endc",
    ]
    current = -run(netlist, ["o"])["o"]["v:flow(br)"][0].real
    assert resistance(nominal, corner, temperature_c) == pytest.approx(1e-3 / current, rel=2e-4)


@given(st.sampled_from(list(KINDS)), st.floats(0.0, 1.0))
def test_snapping_is_legal_near_and_idempotent(kind: str, position: float) -> None:
    low, high = PROCESS.value_range(kind)
    value = low + position * (high - low) if KINDS[kind].scale == "linear" else low * (high / low) ** position
    snapped = PROCESS.snap(kind, value)
    assert low <= snapped <= high
    assert PROCESS.snap(kind, snapped) == snapped
    steps = {"hbt": 2.5, "diode": 2.5, "varactor": 10.0, "bias_voltage": 0.0005001}
    assert abs(snapped - value) <= steps.get(kind, 5.001e-4 * value)
    PROCESS.instances(one_device(kind, ("n1", "n2", "n3")[: len(KINDS[kind].terminals)], snapped))


@pytest.mark.parametrize("value", [0.5, 41.0, 13.0, 2.5, math.nan])
def test_emitters_that_cannot_be_drawn_are_refused(value: float) -> None:
    with pytest.raises(InvalidInputError, match="Q1"):
        PROCESS.instances(one_device("hbt", ("n1", "n2", "0"), value))


@pytest.mark.parametrize("net", ["1\n.control", "n1 0 1k", "N1", "gnd", "", "n_1", "a;b"])
def test_nets_that_could_be_read_as_spice_are_refused(net: str) -> None:
    with pytest.raises(InvalidInputError, match="R1: net"):
        PROCESS.instances(one_device("resistor", (net, "0"), 50.0))


def test_unknown_corner_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="typ, bcs, wcs"):
        PROCESS.models(one_device("hbt", ("n1", "n2", "0"), 4), "fast", 27.0)


def test_device_limits_are_the_model_headers() -> None:
    device = Device("hbt", ("n1", "n2", "0"))
    assert PROCESS.violations(device, 4, {"vce": 1.6, "ic": 12e-3}) == []
    assert "V_CE" in PROCESS.violations(device, 4, {"vce": -1.61, "ic": 0.0})[0]
    assert "3 mA" in PROCESS.violations(device, 4, {"vce": 1.0, "ic": 12.1e-3})[0]
    assert len(PROCESS.violations(device, 4, {"vce": math.nan, "ic": math.nan})) == 2
    assert PROCESS.violations(Device("resistor", ("n1", "0")), 50, {}) == []


def test_a_transistor_that_conducts_must_not_saturate() -> None:
    device = Device("hbt", ("n1", "n2", "0"))
    assert PROCESS.violations(device, 4, {"vce": 0.4, "ic": 1e-3}) == []
    assert PROCESS.violations(device, 4, {"vce": 0.26, "ic": 1e-3}) == [
        "V_CE = 0.260 V below 0.4 V, where the transistor saturates"
    ]
    assert PROCESS.violations(device, 4, {"vce": 0.0, "ic": 1e-6}) == [], "it is off"
    assert PROCESS.violations(device, 4, {"ic": 1e-3}) == [], "nobody asked for its voltage"
    assert PROCESS.violations(Device("diode", ("n1", "0")), 4, {"vce": 0.26, "ic": 1e-3}) == []


@pytest.mark.parametrize("collector_base_v", [0.9, 1.4, 1.9])
def test_impact_ionisation_is_what_the_model_takes_from_the_base(library: Library, collector_base_v: float) -> None:
    """Each pair adds an electron to the collector's current and takes a hole's from the base's: (M - 1) I_C / M less I_B."""

    def currents(reverse_v: float) -> tuple[float, float]:
        sources = ("a transistor", "vb b 0 0.75", f"vc c 0 {0.75 + reverse_v:.6g}")
        lines = (*sources, *PROCESS.instances(transistor), *PROCESS.models(transistor, "typ", 27.0))
        library.run(Deck(lines, ("op",), ("vb#branch", "vc#branch")))
        base, collector = (-float(library.vector("op1", name)[0]) for name in ("vb#branch", "vc#branch"))
        return base, collector

    transistor = Circuit(Topology("lna", (Device("hbt", ("c", "b", "0")),)), (4.0,))
    (rest, _), (base, collector) = currents(0.0), currents(collector_base_v)
    (multiplied,) = PROCESS.impact_ionisation(np.array([collector_base_v]))
    assert (rest - base) / (collector - (rest - base)) == pytest.approx(multiplied, rel=0.1)


def test_quality_rises_then_falls_with_frequency() -> None:
    quality = [SpiralInductor.of(200e-12).quality_factor(f) for f in np.geomspace(1e9, 100e9, 21)]
    peak = int(np.argmax(quality))
    assert 0 < peak < 20
    assert all(np.diff(quality[: peak + 1]) > 0)
    assert all(np.diff(quality[peak:]) < 0)


def test_unknown_technology_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="sg13g2"):
        technology.get("sky130")
