"""What all tests share: quiet libraries, and nothing sent anywhere."""

from __future__ import annotations

import os

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["WANDB_SILENT"] = "true"
os.environ["MPLBACKEND"] = "agg"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests may take longest go first, so that no worker ends long after the others."""
    longest: dict[str, float] = {}
    for item in items:
        timeout = item.get_closest_marker("timeout")
        seconds = float(timeout.args[0]) if timeout else float(item.get_closest_marker("slow") is not None)
        longest[item.nodeid.partition("::")[0]] = max(seconds, longest.get(item.nodeid.partition("::")[0], 0.0))
    items.sort(key=lambda item: -longest[item.nodeid.partition("::")[0]])


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of one MLflow store for the session: making its tables takes seconds, so tests differ in run names only."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
