"""The amplifier's figures follow from S-parameters as the textbooks say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skrf
from hypothesis import given
from hypothesis import strategies as st

from genrf import classes
from genrf.classes.lna.metrics import METRICS, noise_figure_db
from genrf.classes.lna.testbench import LnaTestbench
from genrf.simulation.scattering import mu_minimum


def test_noise_figure_of_a_noiseless_and_of_a_source_like_circuit() -> None:
    assert noise_figure_db(0.0, 50.0) == 0.0
    source_density = math.sqrt(4 * 1.380649e-23 * 290 * 50)
    assert noise_figure_db(source_density, 50.0) == pytest.approx(10 * math.log10(2))


@given(st.lists(st.floats(0.0, 0.95), min_size=4, max_size=4), st.lists(st.floats(0.0, 6.28), min_size=4, max_size=4))
def test_mu_is_one_exactly_at_the_edge_of_unconditional_stability(magnitudes: list[float], phases: list[float]) -> None:
    s = [m * np.exp(1j * p) for m, p in zip(magnitudes, phases, strict=True)]
    s[2] *= 5
    mu = mu_minimum(*(np.array([value]) for value in s))
    loop = abs(s[1] * s[2])
    delta = s[0] * s[3] - s[1] * s[2]
    if loop < 1e-6 or abs(mu - 1) < 1e-6:
        return
    rollett = (1 - abs(s[0]) ** 2 - abs(s[3]) ** 2 + abs(delta) ** 2) / (2 * loop)
    assert (mu > 1) == (rollett > 1 and abs(delta) < 1)


def test_mu_agrees_with_scikit_rf() -> None:
    s = np.array([[[0.3 + 0.2j, 0.05j], [3 - 2j, 0.4 - 0.1j]]])
    network = skrf.Network(s=s, f=[1.0], f_unit="GHz", z0=50)
    flipped = skrf.Network(s=s[:, ::-1, ::-1], f=[1.0], f_unit="GHz", z0=50)
    delta = np.linalg.det(s[0])
    mu = (1 - abs(s[0, 0, 0]) ** 2) / (abs(s[0, 1, 1] - delta * np.conj(s[0, 0, 0])) + abs(s[0, 0, 1] * s[0, 1, 0]))
    assert (mu > 1) == (network.stability[0] > 1)
    values = [np.array([s[0, i, j]]) for i in (0, 1) for j in (0, 1)]
    swapped = [np.array([flipped.s[0, i, j]]) for i in (0, 1) for j in (0, 1)]
    assert mu_minimum(*values) <= mu
    assert mu_minimum(*values) == pytest.approx(mu_minimum(*swapped))


def test_every_declared_metric_has_unit_and_direction() -> None:
    circuit_class = classes.get("lna")
    assert isinstance(circuit_class.testbench, LnaTestbench)
    assert circuit_class.metrics is METRICS
    assert set(circuit_class.specification_metrics) <= set(METRICS)
    assert all(metric.unit or name == "mu_min" for name, metric in METRICS.items())
    assert {constraint.metric for constraint in (*circuit_class.useful, *circuit_class.requirements)} <= set(METRICS)
