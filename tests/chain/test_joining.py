"""Joined circuits behave as their blocks in a row."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import skrf

from genrf.chain.budget import passive_nf_db
from genrf.chain.joining import joined
from genrf.circuit.topology import SUPPLY
from genrf.conditions import Conditions
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from tests.amplifiers import circuit
from tests.chain.blocks import FILTER, LNA, MIXER

CONDITIONS = Conditions(frequency_hz=28e9, supply_v=2.0)


@pytest.fixture(scope="module")
def pool() -> Iterator[SimulatorPool]:
    with SimulatorPool(workers=1) as running:
        yield running


def test_pads_in_a_row_lose_the_sum_and_are_as_noisy_as_one(pool: SimulatorPool) -> None:
    def pad(attenuation_db: float):
        ratio = 10 ** (attenuation_db / 20)
        series, shunt = 50 * (ratio - 1) / (ratio + 1), 100 * ratio / (ratio**2 - 1)
        return circuit(("resistor", "in m", series), ("resistor", "m 0", shunt), ("resistor", "m out", series))

    metrics = pool.run([Simulation(joined([pad(1.0), pad(2.0), pad(3.0)], "lna"), CONDITIONS)])[0].metrics
    assert metrics is not None
    assert metrics["gain_db"] == pytest.approx(-6.0, abs=0.01)
    assert metrics["nf_db"] == pytest.approx(passive_nf_db(6.0), abs=0.01)


def test_filter_and_amplifiers_have_the_s_parameters_of_the_cascade(pool: SimulatorPool) -> None:
    amplifier_filter = joined([FILTER], "lna")
    chain = joined([FILTER, LNA, LNA], "lna")
    circuits = [amplifier_filter, LNA, chain]
    # The filter alone is no amplifier, but the amplifier's testbench measures any two-port.
    outcomes = pool.run([Simulation(one, CONDITIONS) for one in circuits], curves=True)
    networks = []
    for outcome in outcomes:
        curves = outcome.curves
        frequency = skrf.Frequency.from_f(curves["s11"].frequency_hz, unit="hz")
        s = np.array([[curves[f"s{i}{j}"].values for j in (1, 2)] for i in (1, 2)])  # (2, 2, points)
        networks.append(skrf.Network(frequency=frequency, s=s.transpose(2, 0, 1), z0=50))
    band, amplifier, whole = networks
    expected = band**amplifier**amplifier
    centre = len(whole.f) // 2
    ratio = whole.s[centre, 1, 0] / expected.s[centre, 1, 0]
    assert 20 * math.log10(abs(ratio)) == pytest.approx(0.0, abs=0.01)
    assert np.abs(whole.s[:, 0, 0] - expected.s[:, 0, 0]).max() < 2e-3


def test_names_are_kept_apart_and_ports_are_those_of_the_last_block() -> None:
    chain = joined([FILTER, LNA, MIXER], "mixer")
    assert chain.topology.circuit_class == "mixer"
    assert {"rf", "lop", "out", "link1", "link2", SUPPLY, "0"} <= set(chain.topology.nets)
    assert {"in", "lon"}.isdisjoint(chain.topology.nets)
    blocks = (FILTER, LNA, MIXER)
    assert len(chain.values) == sum(len(block.values) for block in blocks) + 2
    internal = [set(block.topology.nets) - {"0", SUPPLY, "in", "out", "rf", "lop"} for block in blocks]
    others = {"rf", "lop", "out", "link1", "link2", SUPPLY, "0"}
    assert len(set(chain.topology.nets) - others) == sum(len(nets) for nets in internal)
