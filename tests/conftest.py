"""What all tests share: quiet libraries, and nothing sent anywhere."""

from __future__ import annotations

import os

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["WANDB_SILENT"] = "true"
os.environ["MPLBACKEND"] = "agg"
# Workers and the steps that they start share the cores: threads that wait for each other cost a third more.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests by file, and files in which exporting takes longest as one; the longest groups go first.

    A group is run by one worker, so that it makes its fixtures once, and no worker ends long after the others.
    """
    longest: dict[str, float] = {}
    for item in items:
        timeout = item.get_closest_marker("timeout")
        seconds = float(timeout.args[0]) if timeout else float(item.get_closest_marker("slow") is not None)
        file = item.nodeid.partition("::")[0]
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(file))
        longest[file] = max(seconds, longest.get(file, 0.0))
    items.sort(key=lambda item: -longest[item.nodeid.partition("::")[0]])


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of one MLflow store for the session: making its tables takes seconds, so tests differ in run names only."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
