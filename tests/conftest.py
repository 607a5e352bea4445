"""What all tests share: quiet libraries, and nothing sent anywhere."""

from __future__ import annotations

import os

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["WANDB_SILENT"] = "true"
os.environ["MPLBACKEND"] = "agg"


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of one MLflow store for the session: making its tables takes seconds, so tests differ in run names only."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
