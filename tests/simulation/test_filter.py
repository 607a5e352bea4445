"""Filters measure as the textbooks say: prototypes, ideal ladders, the loss of lossy resonators."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import skrf

from genrf import classes, technology
from genrf.circuit.netlist import run_standalone, standalone_netlist
from genrf.circuit.topology import Circuit, Device, Topology
from genrf.classes.filter.metrics import METRICS, figures
from genrf.classes.filter.prototypes import (
    Response,
    branch,
    butterworth,
    chebyshev,
    chebyshev_load,
    dissipation_loss_db,
)
from genrf.classes.filter.testbench import FilterTestbench
from genrf.conditions import Conditions
from genrf.simulation.band import Band
from genrf.simulation.library import Library
from genrf.simulation.library import library as process_library
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.simulation.testbench import Measurement
from tests.simulation.test_passive_two_ports import series, shunt

F0 = 10e9
CONDITIONS = Conditions(frequency_hz=F0, supply_v=1.8)
RESPONSES: tuple[Response, ...] = ("low-pass", "high-pass", "band-pass", "band-stop")


class IdealParts:
    """Elements without parasitics; inductors of one unloaded Q at F0."""

    name = "ideal"
    corners = ("typ",)
    version = "ideal"

    def __init__(self, quality: float = math.inf) -> None:
        self._quality = quality

    def value_range(self, kind: str) -> tuple[float, float]:
        return 0.0, math.inf

    def snap(self, kind: str, value: float) -> float:
        return value

    def instances(self, circuit: Circuit, corner: str = "typ", temperature_c: float = 27.0) -> list[str]:
        lines = []
        for name, device, value in zip(
            circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
        ):
            first, second = device.nets
            if device.kind == "inductor" and math.isfinite(self._quality):
                lines.append(f"{name} {first} {name}_r {value:.12g}")
                lines.append(f"r_{name} {name}_r {second} {2 * math.pi * F0 * value / self._quality:.12g}")
            else:
                lines.append(f"{name} {first} {second} {value:.12g}")
        return lines

    def models(self, circuit: Circuit, corner: str, temperature_c: float) -> list[str]:
        return []

    def violations(self, device: Device, value: float, operating_point: dict[str, float]) -> list[str]:
        return []


def ladder(
    response: Response, g: list[float], centre_hz: float, fraction: float = 0.5, starts_in_series: bool = True
) -> Circuit:
    """The ladder of a prototype between 50 Ohm."""
    parts: list[tuple[str, tuple[str, str], float]] = []
    last = max(k for k in range(len(g)) if (k % 2 == 0) == starts_in_series)
    net = "in"
    for k, element in enumerate(g):
        in_series = (k % 2 == 0) == starts_in_series
        inductance, capacitance = branch(response, element, 50.0, 2 * math.pi * centre_hz, fraction, series=in_series)
        to = "0" if not in_series else "out" if k == last else f"n{k}"
        both = inductance is not None and capacitance is not None
        # The series branches of a band-pass and the shunt ones of a band-stop are L and C in series.
        middle = f"m{k}" if both and in_series == (response == "band-pass") else None
        if inductance is not None:
            parts.append(("inductor", (net, middle or to), inductance))
        if capacitance is not None:
            parts.append(("capacitor", (middle or net, to), capacitance))
        net = to if in_series else net
    return Circuit(
        Topology("filter", tuple(Device(kind, nets) for kind, nets, _ in parts)), tuple(v for *_, v in parts)
    )


def network(
    response: Response, g: list[float], centre_hz: float, fraction: float, frequency: np.ndarray
) -> skrf.Network:
    """The same ladder, series branch first, by scikit-rf."""
    omega = 2j * np.pi * frequency
    whole = series(frequency, np.zeros(len(frequency)))
    for k, element in enumerate(g):
        inductance, capacitance = branch(response, element, 50.0, 2 * math.pi * centre_hz, fraction, series=k % 2 == 0)
        coil = omega * inductance if inductance is not None else None
        plate = 1.0 / (omega * capacitance) if capacitance is not None else None
        if coil is None or plate is None:
            impedance = coil if plate is None else plate
        elif (k % 2 == 0) == (response == "band-pass"):
            impedance = coil + plate
        else:
            impedance = coil * plate / (coil + plate)
        whole = whole ** (series(frequency, impedance) if k % 2 == 0 else shunt(frequency, 1.0 / impedance))
    return whole


@pytest.fixture(scope="module")
def library() -> Library:
    return process_library()


def simulated(library: Library, circuit: Circuit, quality: float = math.inf) -> Measurement:
    return FilterTestbench().simulate(library, circuit, CONDITIONS, IdealParts(quality), curves=True)


def prototype_frequency(response: Response, frequency: np.ndarray, centre_hz: float, fraction: float) -> np.ndarray:
    """Frequency of the low-pass prototype that a frequency of the filter stands for (Pozar, table 8.6)."""
    ratio = frequency / centre_hz
    if response == "low-pass":
        return ratio
    if response == "high-pass":
        return 1.0 / ratio
    detuning = (ratio - 1.0 / ratio) / fraction
    return detuning if response == "band-pass" else 1.0 / np.where(detuning == 0.0, 1e-12, detuning)


@pytest.mark.parametrize(
    ("order", "table"),
    [(2, [1.4142, 1.4142]), (3, [1.0, 2.0, 1.0]), (5, [0.6180, 1.6180, 2.0, 1.6180, 0.6180])],
)
def test_butterworth_elements_are_those_of_the_textbook_table(order: int, table: list[float]) -> None:
    """Pozar, Microwave Engineering, table 8.3."""
    assert butterworth(order) == pytest.approx(table, abs=1e-4)


@pytest.mark.parametrize(
    ("order", "ripple_db", "table"),
    [
        (2, 0.5, [1.4029, 0.7071, 1.9841]),
        (3, 0.5, [1.5963, 1.0967, 1.5963, 1.0]),
        (4, 0.5, [1.6703, 1.1926, 2.3661, 0.8419, 1.9841]),
        (3, 3.0, [3.3487, 0.7117, 3.3487, 1.0]),
        (5, 3.0, [3.4817, 0.7618, 4.5381, 0.7618, 3.4817, 1.0]),
    ],
)
def test_chebyshev_elements_are_those_of_the_textbook_table(order: int, ripple_db: float, table: list[float]) -> None:
    """Pozar, Microwave Engineering, table 8.4, load included."""
    # The table rounds 40 / ln 10 to 17.37.
    assert [*chebyshev(order, ripple_db), chebyshev_load(order, ripple_db)] == pytest.approx(table, rel=2e-4)


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("order", [2, 3, 5, 7])
@pytest.mark.parametrize("starts_in_series", [True, False])
def test_ideal_butterworth_ladder_has_the_butterworth_response(
    library: Library, response: Response, order: int, starts_in_series: bool
) -> None:
    """|S21|^2 = 1 / (1 + w^2n) (Pozar, eq. 8.53), w that of the prototype."""
    centre = {"low-pass": 1.2 * F0, "high-pass": F0 / 1.2, "band-pass": F0, "band-stop": 2 * F0}[response]
    curve = simulated(library, ladder(response, butterworth(order), centre, 0.5, starts_in_series)).curves["s21"]
    omega = prototype_frequency(response, curve.frequency_hz, centre, 0.5)
    expected = 1.0 / np.sqrt(1.0 + omega ** (2 * order))
    assert np.abs(np.abs(curve.values) - expected).max() < 1e-5


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("order", [3, 5])
def test_ideal_chebyshev_ladder_has_the_chebyshev_response(library: Library, response: Response, order: int) -> None:
    """|S21|^2 = 1 / (1 + k^2 T_n(w)^2) (Pozar, eq. 8.54)."""
    ripple_db = 0.5
    centre = {"low-pass": 1.2 * F0, "high-pass": F0 / 1.2, "band-pass": F0, "band-stop": F0 / 2}[response]
    curve = simulated(library, ladder(response, chebyshev(order, ripple_db), centre)).curves["s21"]
    omega = np.abs(prototype_frequency(response, curve.frequency_hz, centre, 0.5))
    inside = np.cos(order * np.arccos(np.minimum(omega, 1.0)))
    outside = np.cosh(order * np.arccosh(np.clip(omega, 1.0, 1e6)))
    polynomial = np.where(omega <= 1.0, inside, outside)
    expected = 1.0 / np.sqrt(1.0 + (10 ** (ripple_db / 10) - 1.0) * polynomial**2)
    assert np.abs(np.abs(curve.values) - expected).max() < 1e-5


@pytest.mark.parametrize("response", RESPONSES)
def test_ladders_agree_with_scikit_rf_in_all_four_parameters(library: Library, response: Response) -> None:
    g = chebyshev(4, 0.2)
    centre = 1.31 * F0  # no point of the sweep is on a resonance, where a lossless tank has no finite impedance
    curves = simulated(library, ladder(response, g, centre, 0.7)).curves
    expected = network(response, g, centre, 0.7, curves["s21"].frequency_hz)
    for row in (1, 2):
        for column in (1, 2):
            measured = curves[f"s{row}{column}"].values
            assert np.abs(measured - expected.s[:, row - 1, column - 1]).max() < 1e-6


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("quality", [100.0, 300.0])
def test_lossy_resonators_lose_what_cohn_says(library: Library, order: int, quality: float) -> None:
    """First order in 1 / (Delta Q): the capacitors are lossless, so a resonator's unloaded Q is its inductor's."""
    g, fraction = butterworth(order), 0.2
    loss = simulated(library, ladder("band-pass", g, F0, fraction), quality).metrics["insertion_loss_db"]
    expected = dissipation_loss_db(g, fraction, quality)
    assert expected == pytest.approx(4.343 * sum(g) / (fraction * quality), rel=1e-4)
    assert loss == pytest.approx(expected, rel=0.35 * sum(g) / (fraction * quality))
    assert loss > 0.1


def test_metrics_of_an_ideal_band_pass_follow_from_its_design(library: Library) -> None:
    metrics = simulated(library, ladder("band-pass", butterworth(3), F0, 0.4)).metrics
    assert metrics["insertion_loss_db"] == pytest.approx(0.0, abs=1e-6)
    # 3 dB here, where the design's edges are half power: 3.0103 dB; between points the response is interpolated.
    assert metrics["bandwidth_hz"] == pytest.approx(0.4 * F0, rel=0.01)
    assert metrics["centre_hz"] == pytest.approx(F0, rel=1e-3)
    octave = 10 * math.log10(1 + (1.5 / 0.4) ** 6)
    assert metrics["rejection_low_db"] == pytest.approx(octave, abs=1e-4)
    assert metrics["rejection_high_db"] == pytest.approx(octave, abs=1e-4)
    edge = 10 * math.log10(1 + ((1 / 0.95 - 0.95) / 0.4) ** 6)
    assert metrics["ripple_db"] == pytest.approx(edge, abs=1e-4)
    assert metrics["return_loss_db"] == pytest.approx(-10 * math.log10(1 - 10 ** (-edge / 10)), abs=1e-3)


def test_a_band_stop_passes_f0_and_has_its_notch_an_octave_away(library: Library) -> None:
    metrics = simulated(library, ladder("band-stop", butterworth(3), 2 * F0, 0.6)).metrics
    assert metrics["insertion_loss_db"] < 0.2
    assert metrics["rejection_high_db"] > 60.0
    assert metrics["rejection_low_db"] < 1.0
    assert metrics["rejection_db"] == metrics["rejection_high_db"]


def test_return_loss_is_that_of_the_worse_port_over_the_inner_pass_band_only() -> None:
    frequency = np.array([0.5, 0.9, 0.95, 1.0, 1.05, 1.1, 2.0])
    s11 = np.array([1.0, 0.9, 0.1, 0.1, 0.1, 0.9, 1.0], complex)
    s22 = np.array([1.0, 0.9, 0.1, 0.1, 0.2j, 0.9, 1.0], complex)
    s21 = np.array([0.1, 0.5, 0.9, 1.0, 0.8, 0.5, 0.01], complex)
    values = figures(frequency, np.array([s11, s21, s22]), 1.0, Band(0.5, 2.0, True, True))
    assert values["return_loss_db"] == pytest.approx(-20 * math.log10(0.2))
    assert values["ripple_db"] == pytest.approx(20 * math.log10(1.0 / 0.8))
    assert (values["rejection_low_db"], values["rejection_high_db"]) == (pytest.approx(20.0), pytest.approx(40.0))
    assert values.keys() == METRICS.keys()


COUPLED = Circuit(
    Topology(
        "filter",
        tuple(
            Device(kind, tuple(nets.split()))
            for kind, nets in (
                ("inductor", "in 0"),
                ("capacitor", "in 0"),
                ("capacitor", "in n1"),
                ("inductor", "n1 0"),
                ("capacitor", "n1 0"),
                ("capacitor", "n1 n2"),
                ("inductor", "n2 out"),
                ("resistor", "out 0"),
            )
        ),
    ),
    (300e-12, 500e-15, 250e-15, 350e-12, 300e-15, 400e-15, 200e-12, 900.0),
)
"""Top-C coupled tanks of real parts."""


@pytest.mark.parametrize("corner", ["typ", "wcs"])
def test_standalone_netlist_gives_the_same_metrics(pool: SimulatorPool, tmp_path: Path, corner: str) -> None:
    conditions = Conditions(frequency_hz=F0, supply_v=1.8, corner=corner, load_ohm=75.0)
    metrics = pool.run([Simulation(COUPLED, conditions)])[0].metrics
    assert metrics is not None
    path = tmp_path / "filter.spice"
    path.write_text(standalone_netlist(COUPLED, conditions, technology.get()))
    by_hand = run_standalone(path, "filter")
    # Band edges are interpolated in a fine sweep there, and found by looking closer here.
    assert dict(by_hand) == {name: pytest.approx(value, rel=2e-5, abs=1e-7) for name, value in metrics.items()}


def test_metrics_are_the_same_with_curves_and_whatever_the_supply(pool: SimulatorPool) -> None:
    plain = pool.run([Simulation(COUPLED, CONDITIONS)])[0]
    drawn = pool.run([Simulation(COUPLED, CONDITIONS)], curves=True)[0]
    other = pool.run([Simulation(COUPLED, Conditions(frequency_hz=F0, supply_v=3.3))])[0]
    assert plain.metrics is not None
    assert dict(plain.metrics) == dict(drawn.metrics or {}) == dict(other.metrics or {})
    assert not plain.curves
    assert {"s11", "s12", "s21", "s22"} == drawn.curves.keys()


def test_every_metric_is_a_label_and_every_bound_names_one() -> None:
    definition = classes.get("filter")
    assert definition.label_metrics == tuple(METRICS)
    assert set(definition.specification_metrics) <= set(METRICS)
    assert {constraint.metric for constraint in definition.useful} <= set(METRICS)
