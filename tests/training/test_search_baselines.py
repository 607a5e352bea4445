"""Searches from scratch find what there is to find, keep to their calls, and can be stopped and continued."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from genrf import technology
from genrf.circuit.canonical import fingerprint
from genrf.circuit.rules import is_legal
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions, Constraint
from genrf.metrics import Metrics
from genrf.spec import DesignSpec
from training.comparison.botorch_search import BotorchSearch
from training.comparison.cma_search import CmaSearch
from training.comparison.searches import FromScratch, OptimiserFactory, Optimizer, Start, shortfall, worst

PROCESS = technology.get("sg13g2")
SPEC = DesignSpec(
    circuit_class="lna",
    conditions=Conditions(frequency_hz=10e9, supply_v=1.8),
    constraints=(Constraint("gain_db", ">=", 10.0), Constraint("nf_db", "<=", 2.0)),
)
TARGET = np.array([0.4, -0.3, 0.2, 0.5])
OPTIMISERS = pytest.mark.parametrize("optimizer", [CmaSearch, pytest.param(BotorchSearch, marks=pytest.mark.slow)])


def slacks_near(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two constraints that only points near the target meet; none there where the first coordinate is beyond 1."""
    away = points - TARGET
    slacks = np.stack([0.02 - (away[:, :2] ** 2).sum(axis=1), 0.02 - (away[:, 2:] ** 2).sum(axis=1)], axis=1)
    slacks[points[:, 0] > 1.0] = np.nan
    return slacks


def toy(rng: np.random.Generator) -> Start:
    origin = np.zeros((1, 4))
    return Start(
        low=np.full(4, -2.0),
        high=np.full(4, 2.0),
        points=origin,
        slacks=slacks_near(origin),
        draw=lambda: rng.normal(0.0, 0.2, size=4),
    )


@OPTIMISERS
def test_an_optimiser_finds_the_values_that_meet_every_constraint(optimizer: OptimiserFactory) -> None:
    rng = np.random.default_rng(0)
    search = optimizer(toy(rng), 300, rng)
    simulated, best = 0, np.inf
    while best > 0.0 and simulated < 300:
        points = search.ask(300 - simulated)
        assert 1 <= len(points) <= 300 - simulated
        assert (points >= -2.0).all()
        assert (points <= 2.0).all()
        slacks = slacks_near(points)
        search.tell(points, slacks)
        simulated += len(points)
        best = min(best, float(shortfall(slacks).min()))
    assert best == 0.0


@OPTIMISERS
def test_an_optimiser_that_makes_no_progress_gives_way(optimizer: OptimiserFactory) -> None:
    rng = np.random.default_rng(1)
    search: Optimizer = optimizer(toy(rng), 64, rng)
    for _ in range(100):
        if search.stalled:
            return
        points = search.ask(16)
        search.tell(points, np.full((len(points), 2), np.nan))
    pytest.fail("never stalled")


def test_a_failed_circuit_ranks_last() -> None:
    slacks = np.array([[-3.0, -9.0], [np.nan, np.nan], [0.1, 0.2]])
    assert shortfall(slacks).tolist() == [12.0, np.inf, 0.0]
    assert worst(slacks).tolist() == [-9.0, -np.inf, 0.1]


def analytic(circuit: Circuit) -> Metrics | None:
    """Stands in for a simulation: better with larger transistors and fewer devices, none where a value is at its least."""
    sized = list(zip(circuit.topology.devices, circuit.values, strict=True))
    if any(value <= PROCESS.value_range(device.kind)[0] for device, value in sized):
        return None
    size = sum(value for device, value in sized if device.kind == "hbt")
    return Metrics({"gain_db": 0.2 * size - 5.0, "nf_db": 1.0 + 0.1 * len(circuit.topology.devices)})


def search_with(optimizer: OptimiserFactory, calls: int) -> FromScratch:
    return FromScratch(SPEC, PROCESS, np.random.default_rng(3), calls, optimizer)


def spend(search: FromScratch, calls: int, simulate: Callable[[Circuit], Metrics | None]) -> list[Circuit]:
    circuits: list[Circuit] = []
    while len(circuits) < calls:
        asked = search.ask(calls - len(circuits))
        assert 1 <= len(asked) <= calls - len(circuits)
        search.tell([simulate(circuit) for circuit in asked])
        circuits += asked
    return circuits


@OPTIMISERS
def test_a_search_spends_its_calls_on_legal_circuits_and_sizes_the_best_topologies(optimizer: OptimiserFactory) -> None:
    circuits = spend(search_with(optimizer, 40), 40, analytic)
    assert len(circuits) == 40
    explored, sized = circuits[:10], circuits[10:]
    assert len({fingerprint(circuit.topology) for circuit in explored}) > 4
    assert len({fingerprint(circuit.topology) for circuit in sized}) < 6
    for circuit in circuits:
        assert is_legal(circuit.topology)
        for device, value in zip(circuit.topology.devices, circuit.values, strict=True):
            low, high = PROCESS.value_range(device.kind)
            assert low <= value <= high
    margins = [
        -np.inf if (metrics := analytic(circuit)) is None else SPEC.worst_margin(metrics) for circuit in explored
    ]
    assert sized[0].topology == explored[int(np.argmax(margins))].topology


def test_a_search_in_which_nothing_simulates_goes_on_exploring() -> None:
    circuits = spend(search_with(CmaSearch, 40), 40, lambda circuit: None)
    assert len({fingerprint(circuit.topology) for circuit in circuits}) > 25


@OPTIMISERS
def test_a_search_that_was_written_down_goes_on_as_if_it_had_not_been(optimizer: OptimiserFactory) -> None:
    whole = spend(search_with(optimizer, 40), 40, analytic)
    search = search_with(optimizer, 40)
    circuits: list[Circuit] = []
    while len(circuits) < 40:
        asked = search.ask(40 - len(circuits))
        search.tell([analytic(circuit) for circuit in asked])
        circuits += asked
        search = pickle.loads(pickle.dumps(search))
    assert circuits == whole


@pytest.mark.slow
def test_bayesian_optimisation_goes_on_where_no_model_can_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    from botorch.exceptions import ModelFittingError

    def fail(search: BotorchSearch) -> None:
        raise ModelFittingError("not this time")

    monkeypatch.setattr(BotorchSearch, "_model", fail)
    rng = np.random.default_rng(2)
    search = BotorchSearch(toy(rng), 300, rng)
    for _ in range(4):
        points = search.ask(8)
        assert len(np.unique(points, axis=0)) == len(points)
        search.tell(points, slacks_near(points))
