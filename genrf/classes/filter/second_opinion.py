"""A filter's figures by VACASK: linear, so that only the devices' models are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.topology import Circuit
from genrf.classes.filter.metrics import figures
from genrf.classes.filter.testbench import GRID
from genrf.conditions import Conditions
from genrf.metrics import Metrics
from genrf.simulation.band import POINTS, band_around
from genrf.simulation.testbench import Measurement
from genrf.simulation.vacask.small_signal import small_signal
from genrf.technology.base import Technology


def measure(circuit: Circuit, conditions: Conditions, technology: Technology) -> Measurement:
    """All metrics, from S-parameters at the frequencies of `genrf.classes.filter.testbench`.

    Raises:
        MissingToolError: if VACASK is not installed.
        SimulationFailure: if the circuit does not simulate.
    """

    def scattering(frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        return small_signal(circuit, conditions, technology, frequency_hz).scattering

    def transmission(low_hz: float, high_hz: float) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
        inside = np.linspace(low_hz, high_hz, POINTS)
        return inside, scattering(inside)[:, 1, 0]

    f0 = conditions.frequency_hz
    frequency = GRID * f0
    found = scattering(frequency)
    rows = np.array([found[:, 0, 0], found[:, 1, 0], found[:, 1, 1]])  # (3, 43): S11, S21, S22
    passed = band_around(transmission, frequency, rows[1], f0)
    return Measurement(Metrics(figures(frequency.tolist(), rows, f0, passed)), {}, passed.notes)
