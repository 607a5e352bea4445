"""Normalised values mean the same at every frequency, and come back legal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrf import technology
from genrf.circuit.normalise import denormalise, normalise
from genrf.circuit.tokens import KIND_TOKENS, encode
from genrf.classes.lna.sizing import first_order_values
from genrf.conditions import Conditions
from tests.circuit.topologies import drawn, topologies

SG13G2 = technology.get("sg13g2")


def slots(topology, values):
    """Kind tokens and values of all slots, (28,) each."""
    kinds = encode(topology).kinds
    padded = np.zeros(len(kinds))
    padded[: len(values)] = values
    return kinds, padded


def legal(kinds, values):
    names = {token: name for name, token in KIND_TOKENS.items()}
    return np.array(
        [
            SG13G2.snap(names[kind], float(np.clip(value, *SG13G2.value_range(names[kind])))) if kind else 0.0
            for kind, value in zip(kinds.tolist(), values, strict=True)
        ]
    )


@settings(max_examples=40, deadline=None)
@given(topologies(1), st.floats(1e9, 90e9))
def test_legal_values_come_back_unchanged(topology, frequency_hz):
    conditions = Conditions(frequency_hz=frequency_hz, supply_v=1.8)
    kinds, values = slots(topology, first_order_values(topology, conditions, np.random.default_rng(0)))
    values = legal(kinds, values)
    x = normalise(kinds, values, frequency_hz)
    np.testing.assert_allclose(denormalise(kinds, x, frequency_hz, SG13G2), values, rtol=1e-12)
    assert (x[kinds == 0] == 0.0).all()


@pytest.mark.parametrize("kind", KIND_TOKENS)
def test_everything_is_clipped_to_the_legal_range_and_snapped(kind):
    low, high = SG13G2.value_range(kind)
    x = np.array([-1e9, -50.0, -0.3337, 0.0, 0.7771, 50.0, 1e9])
    values = denormalise(np.full(len(x), KIND_TOKENS[kind]), x, 28e9, SG13G2)
    assert values[0] == pytest.approx(low)
    assert values[-1] == pytest.approx(high)
    assert (np.diff(values) >= 0.0).all()
    assert [SG13G2.snap(kind, value) for value in values] == values.tolist()


def test_a_circuit_moved_in_frequency_keeps_its_numbers():
    kinds = np.array([KIND_TOKENS["inductor"], KIND_TOKENS["capacitor"], KIND_TOKENS["resistor"], KIND_TOKENS["hbt"]])
    low = normalise(kinds, [400e-12, 200e-15, 300.0, 8.0], 10e9)
    high = normalise(kinds, [100e-12, 50e-15, 300.0, 8.0], 40e9)
    np.testing.assert_allclose(low, high)


def test_reactances_of_50_ohm_are_the_origin_of_the_scale():
    omega = 2.0 * np.pi * 28e9
    kinds = np.array([KIND_TOKENS["inductor"], KIND_TOKENS["capacitor"]])
    at = normalise(kinds, [50.0 / omega, 1.0 / (50.0 * omega)], 28e9)
    ten_times = normalise(kinds, [500.0 / omega, 10.0 / (50.0 * omega)], 28e9)
    decade = ten_times - at
    assert at[0] == pytest.approx(0.0)
    assert (decade > 0.5).all()
    assert (decade < 5.0).all()


def test_batches_and_frequencies_broadcast():
    kinds = np.tile(encode(drawn(0)).kinds, (3, 2, 1))  # (3, 2, 28)
    x = np.random.default_rng(0).normal(size=kinds.shape)
    frequency_hz = np.array([[5e9, 10e9], [20e9, 30e9], [40e9, 60e9]])
    values = denormalise(kinds, x, frequency_hz, SG13G2)
    assert values.shape == kinds.shape
    np.testing.assert_array_equal(values[1, 0], denormalise(kinds[1, 0], x[1, 0], 20e9, SG13G2))
    np.testing.assert_array_equal(
        normalise(kinds, values, frequency_hz)[2, 1], normalise(kinds[2, 1], values[2, 1], 60e9)
    )


def test_drawn_values_are_of_unit_scale():
    gathered: dict[int, list[float]] = {token: [] for token in KIND_TOKENS.values()}
    for seed in range(150):
        topology = drawn(seed)
        values = first_order_values(topology, Conditions(frequency_hz=20e9, supply_v=1.8), np.random.default_rng(seed))
        kinds, padded = slots(topology, values)
        for kind, x in zip(kinds.tolist(), normalise(kinds, padded, 20e9), strict=True):
            if kind:
                gathered[kind].append(x)
    in_amplifiers = {
        token: x for token, x in gathered.items() if token not in (KIND_TOKENS["diode"], KIND_TOKENS["varactor"])
    }
    for token, x in in_amplifiers.items():
        assert abs(np.mean(x)) < 1.0, token
        assert 0.4 < np.std(x) < 2.0, token
