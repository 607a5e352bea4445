"""Band edges found from a coarse grid, by looking into its steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from genrf.conditions import Conditions
from genrf.measurement.process import measure_netlist
from genrf.measurement.user_netlist import read_netlist
from genrf.simulation.band import POINTS, Band, Sweep, band_around

Transmission = Callable[[NDArray[np.float64]], NDArray[np.complex128]]
HALF_POWER_DB = 10.0 * math.log10(2.0)


def swept(transmission: Transmission) -> Sweep:
    def sweep(low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
        frequency = np.linspace(low, high, POINTS)
        return frequency, transmission(frequency)

    return sweep


def band(transmission: Transmission, grid: NDArray[np.float64], drop_db: float = 3.0) -> Band:
    return band_around(swept(transmission), grid, transmission(grid), 1.0, drop_db)


@pytest.mark.parametrize("quality", [0.7, 8.0, 50.0, 2000.0])
@pytest.mark.parametrize("points", [15, 43])
def test_bandwidth_of_a_resonator_is_its_centre_over_its_quality_on_any_grid(quality: float, points: int) -> None:
    def resonator(frequency: NDArray[np.float64]) -> NDArray[np.complex128]:
        return 10.0 / (1.0 + 1j * quality * (frequency - 1.0 / frequency))

    found = band(resonator, np.geomspace(0.1, 10.0, points), HALF_POWER_DB)
    assert found.width_hz == pytest.approx(1.0 / quality, rel=2e-3)
    assert math.sqrt(found.low_hz * found.high_hz) == pytest.approx(1.0, rel=1e-3)
    assert found.notes == ()


@pytest.mark.parametrize("at", [0.8875, 0.988, 1.012, 1.1125])
def test_a_notch_between_two_points_of_the_grid_ends_the_band(at: float) -> None:
    def notch(frequency: NDArray[np.float64]) -> NDArray[np.complex128]:
        detuning = 20.0 * (frequency / at - at / frequency)
        return 1j * detuning / (1.0 + 1j * detuning)

    ratios = 2.0 ** np.linspace(-3.0, 3.0, 25)
    found = band(notch, np.concatenate([ratios[:11], np.linspace(0.75, 1.25, 21), ratios[-11:]]))
    edge = found.high_hz if at > 1.0 else found.low_hz
    assert 0.0 < abs(edge - at) < abs(1.0 - at)
    assert (found.reaches_low, found.reaches_high) == (at > 1.0, at < 1.0)


def test_a_band_beyond_the_sweep_is_said_to_go_on() -> None:
    found = band_around(swept(np.ones_like), np.array([1e9, 8e9, 64e9]), np.ones(3, complex), 8e9)  # type: ignore[arg-type]
    assert (found.low_hz, found.high_hz) == (1e9, 64e9)
    assert found.notes == ("bandwidth_hz: the band goes on below 1 GHz and above 64 GHz, where the sweep ends",)


def test_the_band_is_that_around_the_centre_only() -> None:
    def two_bands(frequency: NDArray[np.float64]) -> NDArray[np.complex128]:
        return 1.0 / (1.0 + 60j * (frequency - 1.0)) + 5.0 / (1.0 + 60j * (frequency - 2.0))

    found = band(two_bands, np.linspace(0.2, 3.0, 57))
    assert 0.9 < found.low_hz < found.high_hz < 1.1


def chain_parameters(frequency_hz: NDArray[np.float64], *shunt: tuple[float, float, float], series: list[float]):
    """ABCD matrices of series capacitors around shunt resonators of C, L and R, (frequencies, 2, 2)."""
    s = 2j * np.pi * frequency_hz
    whole = np.broadcast_to(np.eye(2, dtype=complex), (len(s), 2, 2))
    for index, capacitance in enumerate(series):
        one, zero = np.ones_like(s), np.zeros_like(s)
        whole = whole @ np.moveaxis(np.array([[one, 1.0 / (s * capacitance)], [zero, one]]), -1, 0)
        if index < len(shunt):
            farad, henry, ohm = shunt[index]
            admittance = s * farad + 1.0 / (s * henry) + 1.0 / ohm
            whole = whole @ np.moveaxis(np.array([[one, zero], [admittance, one]]), -1, 0)
    return whole


def test_a_narrow_chebyshev_filter_has_the_bandwidth_of_its_chain_matrix(tmp_path: Path) -> None:
    """Three resonators of 5 pF and Q 2000, coupled at the top, 2 % wide at 2.45 GHz, 0.1 dB (Pozar, 8.8)."""
    f0, width, tank, quality = 2.45e9, 0.02, 5e-12, 2000.0
    omega, g1, g2 = 2.0 * math.pi * f0, 1.0316, 1.1474
    inverter = math.sqrt(omega * tank * width / 50.0 / g1)
    outer = inverter / omega / math.sqrt(1.0 - (50.0 * inverter) ** 2)
    inner = width * tank / math.sqrt(g1 * g2)
    loaded = outer / (1.0 + (50.0 * omega * outer) ** 2)
    inductance = 1.0 / (omega**2 * tank)
    resistance = omega * inductance * quality
    plates = [tank - loaded - inner, tank - 2.0 * inner, tank - loaded - inner]
    series = [outer, inner, inner, outer]
    nets = ["in", "1", "2", "3", "out"]
    lines = [f"cs{k} {nets[k]} {nets[k + 1]} {value:.12g}" for k, value in enumerate(series)]
    for k, value in enumerate(plates):
        net = nets[k + 1]
        lines += [f"cp{k} {net} 0 {value:.12g}", f"lp{k} {net} 0 {inductance:.12g}", f"rp{k} {net} 0 {resistance:.12g}"]
    (tmp_path / "filter.cir").write_text("\n".join(["filter", *lines, ""]))
    netlist = read_netlist(tmp_path / "filter.cir", "filter", None, None)
    found = measure_netlist(netlist, Conditions(frequency_hz=f0, supply_v=1.0)).metrics
    assert found is not None
    frequency = np.linspace(2.35e9, 2.55e9, 200_001)
    matrix = chain_parameters(frequency, *((c, inductance, resistance) for c in plates), series=series)
    total = matrix[:, 0, 0] + matrix[:, 0, 1] / 50.0 + matrix[:, 1, 0] * 50.0 + matrix[:, 1, 1]
    gain_db = 20.0 * np.log10(2.0 / np.abs(total))
    centre = len(frequency) // 2
    passed = gain_db >= gain_db[centre] - 3.0
    low = centre - int(np.argmin(passed[centre::-1]))
    high = centre + int(np.argmin(passed[centre:]))
    assert found["bandwidth_hz"] == pytest.approx(frequency[high] - frequency[low], rel=1e-3)
    assert found["insertion_loss_db"] == pytest.approx(-gain_db[centre], abs=1e-4)
