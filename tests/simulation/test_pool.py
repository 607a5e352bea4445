"""Whatever happens to a worker costs the circuit that it happened on, and nothing else."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from genrf import technology
from genrf.circuit.topology import Circuit, Topology
from genrf.errors import MissingToolError
from genrf.simulation import library
from genrf.simulation.messages import pack_answers, pack_tasks, unpack_answers, unpack_tasks
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.technology.sg13g2 import model_cards
from tests.simulation.circuits import CONDITIONS, cascode, circuit, divider

PROCESS = technology.get("sg13g2")
HANG, CRASH, EXIT, SLEEP, DEFECT = 66601.0, 66602.0, 66603.0, 66604.0, 66605.0
"""Resistances that the ``sabotaged`` fixture makes the simulator misbehave on."""


def mixed_circuits(count: int) -> list[Simulation]:
    """Working amplifiers of different sizes, with a runaway and an illegal value among them."""
    simulations = [
        Simulation(cascode(PROCESS.snap("inductor", 100e-12 * 1.01**index)), CONDITIONS) for index in range(count)
    ]
    simulations[3] = Simulation(cascode(1.0), CONDITIONS)
    simulations[7] = Simulation(
        circuit(("bias_voltage", "n1", 1.2), ("hbt", "vdd n1 0", 8), ("resistor", "in out", 50.0)), CONDITIONS
    )
    return simulations


def test_outcomes_are_in_order_and_the_same_for_any_number_of_workers() -> None:
    simulations = mixed_circuits(60)
    outcomes = []
    for workers in (1, 3):
        with SimulatorPool(workers) as pool:
            outcomes.append(pool.run(simulations))
    assert repr(outcomes[0]) == repr(outcomes[1])
    assert [index for index, outcome in enumerate(outcomes[0]) if outcome.metrics is None] == [3, 7]
    noise_figures = [outcome.metrics["nf_db"] for outcome in outcomes[0] if outcome.metrics]
    assert len(set(noise_figures)) == len(noise_figures)


def test_outcome_does_not_depend_on_what_was_simulated_before(pool: SimulatorPool) -> None:
    simulations = mixed_circuits(12)
    together = pool.run(simulations)
    reversed_order = pool.run(simulations[::-1])[::-1]
    assert repr(together) == repr(reversed_order)


@pytest.mark.usefixtures("sabotaged")
def test_hang_crash_and_exit_each_cost_one_circuit() -> None:
    simulations = [divider(resistance) for resistance in (10.0, HANG, 20.0, CRASH, 30.0, EXIT, 40.0)]
    with SimulatorPool(workers=1, timeout_s=0.3) as pool:
        outcomes = pool.run(simulations)
    causes = [outcome.failure.cause if outcome.failure else "" for outcome in outcomes]
    assert causes == ["", "timeout", "", "crash", "", "crash", ""]
    with SimulatorPool(workers=1) as pool:
        undisturbed = pool.run([divider(resistance) for resistance in (10.0, 20.0, 30.0, 40.0)])
    assert repr(outcomes[::2]) == repr(undisturbed)


@pytest.mark.usefixtures("sabotaged")
def test_worker_that_sleeps_is_killed() -> None:
    with SimulatorPool(workers=1, timeout_s=0.5) as pool:
        outcomes = pool.run([divider(10.0), divider(SLEEP), divider(20.0)])
    assert [outcome.failure.cause if outcome.failure else "" for outcome in outcomes] == ["", "timeout", ""]


@pytest.mark.usefixtures("sabotaged")
def test_a_simulation_ends_with_the_process_that_wanted_it() -> None:
    code = (
        "from genrf.simulation.pool import SimulatorPool\n"
        "from tests.simulation.circuits import CONDITIONS, divider\n"
        "from genrf.simulation.outcome import Simulation\n"
        "with SimulatorPool(1) as pool:\n"
        "    print(*pool.process_ids, flush=True)\n"
        f"    pool.run([Simulation(divider({SLEEP}), CONDITIONS)])\n"
    )
    path = os.pathsep.join((os.environ["PYTHONPATH"], str(Path(__file__).parents[2])))
    wants = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert wants.stdout is not None
    simulator = Path("/proc") / wants.stdout.readline().strip() / "cmdline"
    time.sleep(2.0)
    wants.kill()
    wants.wait()
    wants.stdout.close()
    deadline = time.monotonic() + 10.0
    while simulator.exists() and simulator.read_bytes():
        assert time.monotonic() < deadline, "the simulator lives on"
        time.sleep(0.05)


@pytest.mark.usefixtures("sabotaged")
def test_python_error_in_a_worker_is_told_as_a_crash() -> None:
    with SimulatorPool(1) as alone:
        outcome = alone.run([divider(DEFECT)])[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "crash"
    assert "a defect in the testbench" in outcome.failure.detail


def test_killed_worker_is_replaced_and_its_circuits_are_simulated_again() -> None:
    simulations = mixed_circuits(80)
    with SimulatorPool(workers=2) as pool:
        expected = pool.run(simulations)
        outcomes = []
        for index, outcome in enumerate(pool.run_iter(simulations)):
            outcomes.append(outcome)
            if index == 10:
                victim = pool.process_ids[0]
                os.kill(victim, 9)
    # The one that was in progress as well: it did not kill the worker.
    assert repr(outcomes) == repr(expected)
    assert victim not in pool.process_ids


@pytest.mark.parametrize(
    ("bad", "telling"),
    [
        (Circuit(cascode().topology, (*cascode().values[:-1], float("nan"))), "C2: capacitance_f"),
        (Circuit(cascode().topology, (*cascode().values[:-1], -1e-15)), "C2: capacitance_f"),
        (circuit(("resistor", "in out", 50.0), ("hbt", "n1 n2 0", 13)), "Q1: 13"),
    ],
)
def test_invalid_values_never_reach_the_simulator(pool: SimulatorPool, bad: Circuit, telling: str) -> None:
    good = Simulation(cascode(), CONDITIONS)
    outcomes = pool.run([good, Simulation(bad, CONDITIONS), good])
    assert outcomes[1].failure is not None
    assert outcomes[1].failure.cause == "invalid_value"
    assert telling in outcomes[1].failure.detail
    assert repr(outcomes[0]) == repr(outcomes[2])


@pytest.mark.parametrize("net", ["1\n.control", "n1 0 1k\nrx out", "a$b", "N1"])
def test_netlist_injection_through_a_net_is_refused(pool: SimulatorPool, net: str) -> None:
    topology = cascode().topology
    first = replace(topology.devices[0], nets=("in", net))
    outcome = pool.run(
        [Simulation(Circuit(Topology("lna", (first, *topology.devices[1:])), cascode().values), CONDITIONS)]
    )[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "invalid_value"


def test_netlist_injection_through_a_value_is_refused(pool: SimulatorPool) -> None:
    values = ("1\n.control", *cascode().values[1:])
    outcome = pool.run([Simulation(Circuit(cascode().topology, values), CONDITIONS)])[0]  # type: ignore[arg-type]
    assert outcome.failure is not None
    assert outcome.failure.cause == "invalid_value"


def test_unknown_corner_is_an_invalid_value(pool: SimulatorPool) -> None:
    outcome = pool.run([Simulation(cascode(), replace(CONDITIONS, corner="fast"))])[0]
    assert outcome.failure is not None
    assert outcome.failure.cause == "invalid_value"


def test_workers_are_recycled_without_a_trace_in_the_outcomes() -> None:
    simulations = mixed_circuits(60)
    with SimulatorPool(workers=1) as pool:
        expected = pool.run(simulations)
        same_worker = pool.process_ids
        pool.run(simulations[:5])
        assert pool.process_ids == same_worker
    with SimulatorPool(workers=1, recycle_after=20) as pool:
        first_worker = pool.process_ids
        assert repr(pool.run(simulations)) == repr(expected)
        assert pool.process_ids != first_worker


def test_endless_iterables_are_simulated_as_they_come(pool: SimulatorPool) -> None:
    endless = (Simulation(cascode(), CONDITIONS) for _ in itertools.count())
    outcomes = list(itertools.islice(pool.run_iter(endless), 5))
    assert all(outcome.metrics for outcome in outcomes)
    # What was in flight when the consumer stopped does not end up in the next run.
    next_run = pool.run([Simulation(cascode(110e-12), CONDITIONS)])
    assert len(next_run) == 1
    assert next_run[0].metrics is not None
    assert dict(next_run[0].metrics) != dict(outcomes[0].metrics or {})


def test_nothing_to_simulate(pool: SimulatorPool) -> None:
    assert pool.run([]) == []


def test_pool_outside_its_block_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="with"):
        SimulatorPool(workers=1).run([Simulation(cascode(), CONDITIONS)])


def test_missing_library_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(MissingToolError, match="apt-get install ngspice libngspice0"):
        library.load()


@pytest.mark.parametrize(
    ("sabotage", "remedy"),
    [
        (
            "import ctypes\nreal = ctypes.CDLL.__init__\n"
            "def init(self, name, *rest, **options):\n"
            "    if name and 'ngspice' in name: raise OSError('absent')\n"
            "    real(self, name, *rest, **options)\n"
            "ctypes.CDLL.__init__ = init\n",
            "apt-get install ngspice libngspice0",
        ),
        (
            "import importlib.util as u\nreal = u.find_spec\n"
            "u.find_spec = lambda name, *rest: None if name == 'ihp' else real(name, *rest)\n",
            "pip install --no-deps ihp-gdsfactory",
        ),
    ],
)
def test_what_a_worker_lacks_is_told_by_the_pool(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch, sabotage: str, remedy: str
) -> None:
    with open(os.path.join(tmp_path, "sitecustomize.py"), "w", encoding="utf-8") as file:
        file.write(sabotage)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with SimulatorPool(workers=1) as pool, pytest.raises(MissingToolError, match=remedy):
        pool.run([Simulation(cascode(), CONDITIONS)])


def test_missing_models_are_told_with_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    model_cards.model_folder.cache_clear()
    monkeypatch.setattr(model_cards, "PACKAGE", "no_such_package")
    try:
        with pytest.raises(MissingToolError, match="ihp-gdsfactory"):
            model_cards.model_folder()
    finally:
        model_cards.model_folder.cache_clear()


def test_messages_carry_everything() -> None:
    conditions = replace(CONDITIONS, source_ohm=40.0, load_ohm=60.0, temperature_c=50.0, corner="wcs")
    tasks = [(7, Simulation(cascode(), conditions), True)]
    assert unpack_tasks(pack_tasks(tasks)) == tasks
    failed = [(9, Outcome(None, Failure("crash", "status 3")))]
    assert unpack_answers(pack_answers(failed)) == failed
