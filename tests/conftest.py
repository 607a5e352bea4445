"""What all tests share: quiet libraries, and nothing sent anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.object_store import ObjectServer, object_server

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["WANDB_SILENT"] = "true"
os.environ["MPLBACKEND"] = "agg"
# Workers and the steps that they start share the cores: threads that wait for each other cost a third more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests that change HOME need not compile again.
os.environ.setdefault("GENRF_KERNELS", str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genrf"))
# Nobody's own object store, credentials or feedback log.
for _name in [name for name in os.environ if name.startswith(("GENRF_S3_", "GENRF_DVC_", "GENRF_FEEDBACK", "AWS_"))]:
    del os.environ[_name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


_TOGETHER = {
    "tests/export/test_export_onnx.py": "exported models",
    "tests/export/test_export_torchscript.py": "exported models",
    "tests/export/test_quantize.py": "exported models",
    "tests/export/test_restore.py": "exported models",
    "tests/export/test_torchserve.py": "exported models",
    "tests/pipelines/test_real_pipeline.py": "real runs",
    "tests/pipelines/test_stages.py": "real runs",
}
"""Files that share what takes longest to make, so that one worker makes it once. xdist's own groups do nothing with
pytest 9.2 (`findings/pytest_xdist_groups.sh`)."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker whole files, and those of `_TOGETHER` one after the other."""
    from xdist.scheduler import LoadFileScheduling

    class ByFixtures(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return _TOGETHER.get(file, file)

    return ByFixtures(config, log)


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


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A real S3 server that the tests of a process share; they differ in keys."""
    server = object_server(tmp_path_factory.mktemp("object-store"))
    yield server
    server.lose()
