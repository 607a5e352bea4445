"""Recorded arithmetic is the arithmetic, its derivatives are derivatives, and elimination solves the system."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrf.simulation.batched import derive, vbic
from genrf.simulation.batched.tape import Dual, Phasor, Quantity, Real, Tape, eliminate


class Known(float):
    """A number that takes what the equations ask of a quantity."""

    def exp(self) -> Known:
        return Known(math.exp(self))

    def log(self) -> Known:
        return Known(math.log(self))

    def sqrt(self) -> Known:
        return Known(math.sqrt(self))

    def choose(self, positive: float, other: float) -> Known:
        return Known(positive if self > 0.0 else other)

    def inverse(self) -> Known:
        return Known(1.0 / self)

    def __add__(self, other: Any) -> Any:
        return Known(float(self) + float(other))

    def __sub__(self, other: Any) -> Any:
        return Known(float(self) - float(other))

    def __mul__(self, other: Any) -> Any:
        return Known(float(self) * float(other))

    def __truediv__(self, other: Any) -> Any:
        return Known(float(self) / float(other))

    def __rsub__(self, other: Any) -> Any:
        return Known(float(other) - float(self))

    def __rtruediv__(self, other: Any) -> Any:
        return Known(float(other) / float(self))

    def __neg__(self) -> Any:
        return Known(-float(self))

    __radd__ = __add__
    __rmul__ = __mul__


CARD = {name: Known(value) for name, value in {
    **dict.fromkeys(vbic.PARAMETERS, 1.0),
    "is": 5e-17, "ibei": 2e-19, "iben": 4e-16, "ibci": 1e-20, "ibcn": 1e-15, "isp": 4e-20, "ibcip": 2e-15, "ibcnp": 5e-15,
    "ibeip": 4e-19, "ibenp": 2e-14, "ikf": 9e-3, "ikr": 1e-2, "vef": 189.0, "ver": 5.3, "me": 0.12, "mc": 0.12, "ms": 0.23,
    "pe": 0.92, "pc": 0.56, "ps": 0.46, "fc": 0.8, "re": 7.0, "rcx": 13.0, "rci": 13.0, "rbx": 7.0, "rbi": 22.0, "rbp": 5.5,
    "gamm": 2e-14, "hrcf": 1000.0, "avc1": 2.4, "avc2": 10.8, "ea": 1.056, "eap": 1.12, "eaie": 1.056, "eaic": 1.12,
    "tnf": 1.5e-4, "tavc": -2e-3, "tf": 2e-13, "tr": 3e-13, "itf": 0.6, "vtf": 20.0, "xtf": 10.0, "qtf": 1e-18, "qco": 1e-18,
    "cje": 8e-15, "cjc": 1.5e-15, "cjep": 3.6e-15, "cjcp": 4.6e-15, "rth": 3260.0,
}.items()} | {"gmin": Known(1e-12), "leak": Known(1e-9)}  # fmt: skip
VOLTS = {
    "bei": 0.88, "bex": 0.9, "bci": -0.4, "bcx": -0.5, "bep": -0.6, "bcp": -1.2, "rcx": 0.02, "rci": 0.03, "rbx": 0.01,
    "rbi": 0.005, "re": -0.02, "rbp": 1e-3, "rs": 1e-6, "t": 30.0,
}  # fmt: skip


def values(function: Any, volts: dict[str, float]) -> dict[str, float]:
    u = {name: Known(value) for name, value in volts.items()}
    return {name: float(value) for name, value in function(CARD, u, Known(300.15 + volts["t"])).items()}


@pytest.mark.parametrize("function", [vbic.currents, vbic.charges])
@pytest.mark.parametrize("base", [0.3, 0.88])
def test_slopes_are_those_of_differences(function: Any, base: float) -> None:
    volts = VOLTS | {"bei": base}
    u = {name: Dual(Known(value), {name: Known(1.0)}) for name, value in volts.items()}
    found = function(CARD, u, u["t"] + 300.15)
    for name, value in volts.items():
        step = 1e-6 * max(abs(value), 1e-2)
        above, below = (values(function, volts | {name: value + sign * step}) for sign in (1.0, -1.0))
        for branch, dual in found.items():
            expected = (above[branch] - below[branch]) / (2.0 * step)
            scale = max(abs(expected), 1e-6 * abs(float(dual.value)) / max(abs(value), 1e-3), 1e-18)
            assert float(dual.slopes.get(name, 0.0)) == pytest.approx(expected, abs=1e-4 * scale + 1e-22), (
                branch,
                name,
            )


def test_module_is_what_the_equations_give() -> None:
    assert derive.WRITTEN.read_text(encoding="utf-8") == derive.written()


def test_equal_operations_are_recorded_once_and_idle_ones_not_written() -> None:
    tape = Tape()
    a, b = tape.input("a"), tape.input("b")
    assert a * b is b * a
    assert a * 0.0 == 0.0
    assert a * 1.0 is a
    assert (a + 0.0) is a
    _ = a.exp()
    assert tape.write({"out": a * b + b * a}, 0) == ["v0 = a", "v1 = b", "v2 = v0 * v1", "v4 = v2 + v2", "out = v4"]


def test_quantity_before_a_dual_is_refused() -> None:
    quantity = Tape().input("a")
    with pytest.raises(TypeError, match="must stand first"):
        _ = quantity * Dual(quantity)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(0.2, 1.0))
def test_elimination_solves_sparse_systems(seed: int, size: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    nodes = [f"n{index}" for index in range(size)]
    inner, outer = nodes[: size - 1], nodes[size - 1 :]
    dense = np.where(rng.random((size, size)) < density, rng.normal(size=(size, size)), 0.0)
    dense[np.diag_indices(size)] = np.abs(dense).sum(axis=1) + 1.0
    matrix = {(a, b): Real(dense[i, j]) for i, a in enumerate(nodes) for j, b in enumerate(nodes) if dense[i, j]}
    solved = eliminate(matrix, inner, outer)
    schur = dense[-1, -1] - dense[-1, :-1] @ np.linalg.solve(dense[:-1, :-1], dense[:-1, -1])
    assert matrix[outer[0], outer[0]].value == pytest.approx(schur)
    expected = np.linalg.solve(dense[:-1, :-1], dense[:-1, -1])
    found = [solved[name][outer[0]].value if outer[0] in solved[name] else 0.0 for name in inner]
    assert found == pytest.approx(expected, abs=1e-12)


def test_phasors_are_complex_numbers() -> None:
    a, b = complex(1.5, -2.0), complex(-0.3, 0.7)
    one, other = Phasor(a.real, a.imag), Phasor(b.real, b.imag)
    for phasor, number in ((one + other, a + b), (one - other, a - b), (one * other, a * b), (one.inverse(), 1 / a)):
        assert complex(phasor.real, phasor.imag) == pytest.approx(number)
    assert one.power() == pytest.approx(abs(a) ** 2)
    assert not isinstance(one.power(), Quantity)
