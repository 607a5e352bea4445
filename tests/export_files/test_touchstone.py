"""A Touchstone file holds the S-parameters that were measured, in the impedances that they were measured in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrf.conditions import Conditions
from genrf.export.touchstone import scattering_of, write_touchstone
from genrf.simulation.testbench import Curve, Trace

skrf = pytest.importorskip("skrf")

FREQUENCY = np.linspace(14e9, 42e9, 11)


def curves(ports: int) -> dict[str, Curve]:
    rng = np.random.default_rng(5)
    names = [f"s{i}{j}" for i in range(1, ports + 1) for j in range(1, ports + 1)]
    return {
        **{name: Curve(FREQUENCY, 0.5 * (rng.normal(size=11) + 1j * rng.normal(size=11))) for name in names},
        "nf_db": Curve(FREQUENCY, np.full(11, 2.0)),
    }


@pytest.mark.parametrize(("source", "load"), [(50.0, 50.0), (75.0, 75.0), (50.0, 100.0)])
def test_round_trip_through_scikit_rf(source: float, load: float, tmp_path: Path) -> None:
    measured = curves(2)
    conditions = Conditions(frequency_hz=28e9, supply_v=2.0, source_ohm=source, load_ohm=load)
    path = tmp_path / "amplifier.s2p"
    write_touchstone(path, measured, conditions, "designed by somebody\nseed 7")
    network = skrf.Network(str(path))
    np.testing.assert_allclose(network.f, FREQUENCY)
    np.testing.assert_allclose(network.z0, np.tile([source, load], (11, 1)))
    for name in ("s11", "s12", "s21", "s22"):
        i, j = int(name[1]) - 1, int(name[2]) - 1
        np.testing.assert_allclose(network.s[:, i, j], measured[name].values, rtol=1e-8)
    assert "seed 7" in network.comments


def test_equal_impedances_give_the_version_that_every_tool_reads(tmp_path: Path) -> None:
    write_touchstone(tmp_path / "a.s2p", curves(2), Conditions(frequency_hz=28e9, supply_v=2.0))
    assert "[Version]" not in (tmp_path / "a.s2p").read_text()


def test_refuses_a_suffix_of_another_number_of_ports(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2 ports belong in a file called \.s2p"):
        write_touchstone(tmp_path / "a.s3p", curves(2), Conditions(frequency_hz=28e9, supply_v=2.0))
    assert not list(tmp_path.iterdir())


def test_only_complete_sets_of_s_parameters_count_as_such() -> None:
    curve = Curve(np.array([1e9]), np.array([0.5 + 0j]))
    trace = Trace(np.array([0.0]), np.array([0.0]), "time (ps)", "voltage (V)")
    full = dict.fromkeys(("s11", "s12", "s21", "s22"), curve)
    assert scattering_of(full | {"nf_db": curve, "waveform": trace}).keys() == full.keys()
    assert scattering_of({"s11": curve}).keys() == {"s11"}
    assert scattering_of({"waveform": trace, "tuning": trace}) == {}
    assert scattering_of({"s11": curve, "s21": curve}) == {}
