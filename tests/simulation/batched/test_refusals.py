"""What cannot be simulated costs itself, with a cause that a person can act on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genrf.errors import InvalidInputError, MissingToolError
from genrf.simulation.batched import circuits, compiling
from genrf.simulation.batched.simulator import BatchedSimulator
from genrf.simulation.outcome import Simulation
from tests.simulation.circuits import CONDITIONS, cascode, circuit, divider

RUNAWAY = circuit(("bias_voltage", "n1", 1.2), ("hbt", "vdd n1 0", 8), ("resistor", "in out", 50.0))
FLOATING = circuit(("capacitor", "in n1", 1e-12), ("capacitor", "n1 out", 1e-12))
TWO_SOURCES = circuit(
    ("bias_voltage", "n1", 1.0), ("bias_voltage", "n1", 0.9), ("resistor", "n1 in", 50.0), ("resistor", "in out", 50.0)
)
HELD_PORT = circuit(("bias_voltage", "in", 1.0), ("resistor", "in out", 50.0))


@pytest.mark.parametrize(
    ("broken", "causes"),
    [
        (RUNAWAY, {"no_convergence", "device_limit"}),
        (FLOATING, {"singular_matrix"}),
        (TWO_SOURCES, {"singular_matrix"}),
        (HELD_PORT, {"not_measurable"}),
        (cascode(1.0), {"invalid_value"}),
    ],
)
def test_broken_circuit_costs_itself_alone(broken: object, causes: set[str]) -> None:
    simulations = [divider(10.0), Simulation(broken, CONDITIONS), divider(20.0)]  # type: ignore[arg-type]
    first, second, third = BatchedSimulator(2).run(simulations)
    assert first.metrics is not None
    assert third.metrics is not None
    assert second.failure is not None
    assert second.failure.cause in causes
    assert second.failure.detail


def test_card_that_uses_more_of_the_model_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"wbe is 0\.9"):
        circuits.card_row({"wbe": 0.9})


def test_class_that_is_driven_is_refused() -> None:
    driven = circuit(("resistor", "in out", 50.0))
    other = Simulation(type(driven)(type(driven.topology)("mixer", driven.topology.devices), driven.values), CONDITIONS)
    with pytest.raises(ValueError, match="mixer"):
        BatchedSimulator(1).run([other])


def test_nothing_to_simulate() -> None:
    assert BatchedSimulator(1).run([]) == []


@pytest.fixture
def folder_name() -> Iterator[str]:
    """Of the kernels' folder; what is found out in the test is forgotten after it."""
    name = compiling.kernels_folder().name
    compiling.kernels_folder.cache_clear()
    yield name
    compiling.kernels_folder.cache_clear()


def only_writable(monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    """Lets nothing be written elsewhere, whoever runs the test."""
    monkeypatch.setattr(
        compiling, "_writable", lambda folder: folder.parent in places and not folder.mkdir(parents=True)
    )


def test_kernels_of_a_folder_that_cannot_be_written_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_name: str
) -> None:
    kept = tmp_path / "image" / folder_name
    kept.mkdir(parents=True)
    (kept / "one.nbi").write_text("kept")
    monkeypatch.setenv(compiling.FOLDER_VARIABLE, str(tmp_path / "image"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    only_writable(monkeypatch, tmp_path / "cache" / "genrf")
    folder = compiling.kernels_folder()
    assert folder == tmp_path / "cache" / "genrf" / folder_name
    assert (folder / "one.nbi").read_text() == "kept"


def test_where_nothing_can_be_written_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_name: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    only_writable(monkeypatch)
    with pytest.raises(MissingToolError, match="GENRF_KERNELS"):
        compiling.kernels_folder()


def test_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingToolError, match="no CUDA device"):
        BatchedSimulator(1, device="cuda").run([divider(10.0)])


GPU_AS_PYTHON = """
import numpy as np
from genrf import technology
from genrf.simulation.batched import gpu, solver
from genrf.simulation.batched.circuits import pack
from genrf.simulation.outcome import Simulation
from tests.simulation.circuits import CONDITIONS, cascode

packed = pack([Simulation(cascode(), CONDITIONS)], technology.get("sg13g2"))
frequencies = CONDITIONS.frequency_hz * np.array([[1.0, 0.5, 2.0]])
grid = np.array([1, 0, 2])
both = [
    place.small_signal(packed.circuits, packed.cards, frequencies, noise_points=1, grid=grid, centre=1)
    for place in (gpu, solver)
]
for one, other in zip(*both):
    assert np.allclose(one, other, rtol=1e-9, atol=0.0)
assert both[0].end[0] == 0
"""


@pytest.mark.timeout(300)
def test_gpu_kernel_does_what_the_processor_does() -> None:
    """Both as plain Python, the first by numba's simulator of CUDA."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", GPU_AS_PYTHON], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
