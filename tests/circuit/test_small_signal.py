"""The hybrid-pi guide agrees with circuit theory where circuit theory is exact."""

from __future__ import annotations

import numpy as np
import skrf
from skrf.media import DefinedGammaZ0

from genrf.circuit.graph import net_graph
from genrf.circuit.small_signal import SmallSignal
from tests.circuit.topologies import COMMON_EMITTER, written

F0 = 10e9


def scattering(lines, values, currents=None, port_ohm=(50.0, 50.0)):
    model = SmallSignal(net_graph(written(*lines)), currents or {}, F0, port_ohm)
    return model.scattering(np.array([values]))[0]


def test_a_ladder_of_resistors_and_capacitors_is_that_of_scikit_rf():
    values = (30.0, 200e-15, 75.0, 500e-15)
    ours = scattering(("R in a", "C a 0", "R a out", "C out in"), values)
    frequency = skrf.Frequency.from_f([F0], unit="hz")
    line = DefinedGammaZ0(frequency, z0=50.0)
    ladder = line.resistor(30.0) ** line.shunt_capacitor(200e-15) ** line.resistor(75.0)
    bridge = line.capacitor(500e-15)
    np.testing.assert_allclose(ours, skrf.network.y2s(ladder.y + bridge.y, z0=50.0)[0], atol=1e-9)


def test_ports_of_other_impedances():
    # Matched L-section of resistors between 100 Ohm and 25 Ohm: series R1, shunt R2.
    shunt = np.sqrt(25.0**2 / (1.0 - 25.0 / 100.0))
    series = np.sqrt(100.0**2 * (1.0 - 25.0 / 100.0))
    ours = scattering(("R in a", "R a 0", "R a out"), (series, shunt, 1e-6), port_ohm=(100.0, 25.0))
    np.testing.assert_allclose([ours[0, 0], ours[1, 1]], 0.0, atol=1e-6)


def test_passive_circuits_are_passive_and_reciprocal():
    rng = np.random.default_rng(0)
    lines = ("L in a", "C a 0", "L a b", "C b out", "R b 0", "L out 0")
    for _ in range(20):
        values = np.exp(rng.normal(size=6)) * [0.4e-9, 0.2e-12, 0.4e-9, 0.2e-12, 300.0, 0.8e-9]
        ours = scattering(lines, values)
        np.testing.assert_allclose(ours, ours.T, atol=1e-12)
        assert np.linalg.norm(ours, 2) <= 1.0


def test_a_common_emitter_amplifies_one_way():
    ours = scattering(COMMON_EMITTER, (1e-12, 0.86, 2e3, 8.0, 1e-9, 1e-12), {3: 5e-3})
    assert 20.0 * np.log10(abs(ours[1, 0])) > 10.0
    assert abs(ours[0, 1]) < 0.2


def test_candidates_are_solved_side_by_side():
    graph = net_graph(written(*COMMON_EMITTER))
    model = SmallSignal(graph, {3: 5e-3}, F0, (50.0, 50.0))
    values = np.array([(1e-12, 0.86, 2e3, 8.0, 1e-9, 1e-12), (2e-13, 0.86, 1e3, 8.0, 2e-10, 1e-13)])
    together = model.scattering(values)
    np.testing.assert_allclose(together[0], model.scattering(values[:1])[0])
    np.testing.assert_allclose(together[1], model.scattering(values[1:])[0])
