"""What the tests of feedback share: a search that really was simulated, records of it, and logs in both kinds of places."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from genrf.feedback.log import FeedbackLog, ObjectLog, open_log
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.generation.design import DesignResult
from genrf.objects.location import Location
from genrf.spec import DesignSpec
from tests.amplifiers import CASCODE, COMMON_EMITTER, MATCHED_28GHZ, SPECIFICATION_28GHZ
from tests.object_store import BUCKET, ObjectServer
from tests.scripted_designer import ScriptedDesigner
from tests.serving.loop import run

__all__ = ["run"]

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MODEL = ModelVersion(bundle="ab" * 32)

RecordFactory = Callable[..., SearchRecord]


@pytest.fixture(scope="session")
def result() -> DesignResult:
    """A search of three calls: the second meets the specification, the third gives no metrics."""
    spec = DesignSpec.from_dict(SPECIFICATION_28GHZ | {"name": "Jane Doe's satellite"})
    with ScriptedDesigner([CASCODE, MATCHED_28GHZ, COMMON_EMITTER]) as designer:
        return designer.design(spec)


@pytest.fixture(scope="session")
def record(result: DesignResult) -> RecordFactory:
    """Makes a record of that search as if it had ended some seconds after noon."""

    def make(second: float = 0.0, **changes: Any) -> SearchRecord:
        made = SearchRecord.of_result(result, source="server", model=MODEL, variant="int8", calls=64)
        return replace(made, time=NOON + timedelta(seconds=second), **changes)

    return make


@pytest.fixture
def folder_log(tmp_path: Path) -> FeedbackLog:
    return open_log(str(tmp_path / "log"))


@pytest.fixture
def object_log(object_store: ObjectServer) -> FeedbackLog:
    return ObjectLog(object_store.store(), Location(BUCKET, f"feedback/{uuid.uuid4().hex}"))


@pytest.fixture(params=["folder_log", pytest.param("object_log", marks=pytest.mark.slow)])
def log(request: pytest.FixtureRequest) -> FeedbackLog:
    """Every log keeps the same promises."""
    found: FeedbackLog = request.getfixturevalue(request.param)
    return found


def put(log: FeedbackLog, name: str, content: bytes) -> str:
    """Put a file into a log, as something else than this program would; its place."""
    if isinstance(log, ObjectLog):
        log._store.write(log._location / name, content)
        return str(log._location / name)
    path = Path(log.place) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)
