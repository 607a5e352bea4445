"""Training on several nodes: each starts torchrun with what Kubeflow Trainer puts into the environment of its pod."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.circuits import prepared_folder
from training.models.surrogate import Surrogate

ROOT = Path(__file__).parents[2]
SMALL = {"width": 16, "layers": 1, "heads": 2, "batch_size": 16, "max_steps": 12, "validate_every": 4}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_folder(tmp_path_factory.mktemp("prepared"))


def start_node(
    prepared: Path, output: Path, rank: int, nodes: int, port: int, processes: int = 1
) -> subprocess.Popen[str]:
    """One node of a TrainJob, as its plugin for torch sets it up (kubeflow/trainer, pkg/runtime/framework/plugins/torch)."""
    environment = os.environ | {
        "PET_NNODES": str(nodes),
        "PET_NPROC_PER_NODE": str(processes),
        "PET_NODE_RANK": str(rank),
        "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{output.parent}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "-m", "training.fitting", "train_surrogate"]
    command += [f"--prepared={prepared}", f"--output={output}", f"--overrides={json.dumps({'surrogate': SMALL})}"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run_nodes(prepared: Path, output: Path, nodes: int, processes: int = 1) -> list[str]:
    """What each node printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [start_node(prepared, output, rank, nodes, port, processes) for rank in range(nodes)]
    printed = []
    for node in started:
        out, err = node.communicate(timeout=250)
        assert node.returncode == 0, err
        printed.append(out)
    return printed


def validation_losses(output: Path) -> list[float]:
    with (output / "losses.csv").open() as file:
        return [float(row["validation_loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def one_node(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process on one node trains."""
    output = tmp_path_factory.mktemp("one") / "surrogate"
    run_nodes(prepared, output, nodes=1)
    return output


@pytest.mark.parametrize(("nodes", "processes"), [(2, 1), (1, 2)])
def test_nodes_and_processes_share_one_training(
    prepared: Path, one_node: Path, tmp_path: Path, nodes: int, processes: int
) -> None:
    """They see the same rows in the same steps as one process does. The losses differ a little: each process divides by the
    number of figures in its own half of a batch, and circuits have different numbers of them."""
    output = tmp_path / "surrogate"
    first, *others = run_nodes(prepared, output, nodes, processes)
    report = json.loads(first)
    assert report["steps"] == 12
    assert others == [""] * (nodes - 1), "only the first process reports"
    assert validation_losses(output) == pytest.approx(validation_losses(one_node), rel=1e-3)
    assert sorted(path.name for path in output.iterdir()) == sorted(path.name for path in one_node.iterdir())
    alone, together = (Surrogate.load_checkpoint(folder / "model.pt") for folder in (one_node, output))
    assert alone.state_dict().keys() == together.state_dict().keys()
    assert recorded_runs(tmp_path) == ["train_surrogate"]


def recorded_runs(folder: Path) -> list[str]:
    """Names of the runs in a store that belong to a parent."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'FINISHED'")
    return [run.info.run_name for run in runs if "mlflow.parentRunId" in run.data.tags]


def test_data_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "training.fitting",
        "train_surrogate",
        "--prepared=nowhere",
        f"--output={tmp_path}/out",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: --prepared: nowhere: no such folder; give what the step prepare_data made\n"
    assert not (tmp_path / "out").exists()
