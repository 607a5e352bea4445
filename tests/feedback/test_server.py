"""The server records what it answers, and answers as well where the log cannot be written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("kserve")

from prometheus_client import REGISTRY

from genrf.errors import GenRFError, InvalidInputError
from genrf.feedback.log import FeedbackLog, FolderLog, ObjectLog, open_log
from genrf.feedback.record import ModelVersion, SearchRecord
from genrf.objects.location import Location
from serving import server
from serving.feedback import Recorder, log_of
from serving.request import DesignRequest
from serving.service import Answered, DesignService
from serving.store import Store
from serving.variants import CHAMPION, Variants
from tests.amplifiers import SPECIFICATION_28GHZ
from tests.feedback.conftest import RecordFactory
from tests.mlflow_server import free_port
from tests.object_store import BUCKET, ObjectServer
from tests.serving.scripted_server import workers

PATIENCE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


class TroubledLog(FolderLog):
    """A log in a folder that can be down."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.down = False
        self.tried = threading.Semaphore(0)
        self.batches: list[list[SearchRecord]] = []

    def append(self, records: Sequence[SearchRecord]) -> None:
        self.tried.release()
        if self.down:
            raise GenRFError("log: down")
        self.batches.append(list(records))
        super().append(records)

    def wait_for_attempts(self, count: int) -> None:
        for _ in range(count):
            assert self.tried.acquire(timeout=PATIENCE_S)


@pytest.fixture
def log(tmp_path: Path) -> TroubledLog:
    return TroubledLog(tmp_path / "log")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def recorder(said: list[str]) -> Callable[..., Recorder]:
    """A recorder that does not wait long for anything."""

    def make(log: FeedbackLog, **settings: Any) -> Recorder:
        quick = {"gather_s": 0.01, "pause_s": 0.01, "longest_pause_s": 0.02, "say": said.append}
        return Recorder(log, **{**quick, **settings})

    return make


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("genrf_feedback_records_total", {"outcome": outcome}) or 0.0


@contextmanager
def serving(
    run: Callable[..., Any], log: FeedbackLog, recorder: Callable[..., Recorder], **settings: Any
) -> Iterator[tuple[Callable[..., Answered], Recorder]]:
    """Ask a service that records what it answers, in a log that is written to its end."""
    writer = recorder(log, **settings)
    service = DesignService(Variants(), Store(None), recorder=writer)
    run(server.opened(service.variants, CHAMPION, workers("plain", 1)))
    writer.start()

    def ask(**options: Any) -> Answered:
        specification = SPECIFICATION_28GHZ | {"name": "jane"}
        return run(service.design(DesignRequest.parse({"specification": specification, **options}), "jane"))

    try:
        yield ask, writer
    finally:
        run(service.close())
        writer.stop()


def test_every_search_is_recorded_by_the_time_the_server_has_ended(
    run: Callable[..., Any], log: TroubledLog, recorder: Callable[..., Recorder], said: list[str]
) -> None:
    with serving(run, log, recorder, gather_s=1000.0) as (ask, _):
        ask()
        ask(calls=1)
    met, missed = log.read().records
    assert (met.source, met.calls, met.simulated, met.first_met) == ("server", 64, 2, 2)
    assert met.model == ModelVersion(bundle="0" * 64, name="genrf", version="7")
    assert met.variant == "fp32"
    assert (missed.calls, missed.met) == (1, False)
    assert "jane" not in "".join(path.read_text() for path in Path(log.place).iterdir())
    assert said == []


def test_what_is_answered_from_memory_is_no_search_and_no_record(
    run: Callable[..., Any], log: TroubledLog, recorder: Callable[..., Recorder]
) -> None:
    with serving(run, log, recorder) as (ask, _):
        assert [ask().cached for _ in range(3)] == [False, True, True]
    assert len(log.read().records) == 1


def test_requests_are_answered_while_the_log_is_down_and_recorded_once_it_is_back(
    run: Callable[..., Any], log: TroubledLog, recorder: Callable[..., Recorder], said: list[str]
) -> None:
    log.down = True
    before = counted("written")
    with serving(run, log, recorder) as (ask, _):
        assert ask().content["first_met"] == 2
        log.wait_for_attempts(3)
        assert ask(seed=1).content["first_met"] == 2
        log.down = False
    assert len(log.read().records) == 2
    assert counted("written") == before + 2
    assert said[0] == "feedback: log: down; records wait in memory and are tried again"
    assert said[1:] == [f"feedback: {log.place} is written again"]


def test_a_server_whose_log_cannot_be_written_serves_and_ends(
    run: Callable[..., Any], tmp_path: Path, recorder: Callable[..., Recorder], said: list[str]
) -> None:
    (tmp_path / "file").touch()
    before = counted("dropped")
    with serving(run, open_log(str(tmp_path / "file" / "log")), recorder) as (ask, writer):
        assert ask().content["first_met"] == 2
        writer.stop(0.05)
    assert "cannot be written" in said[0]
    assert said[-1].startswith("feedback: 1 record was lost")
    assert counted("dropped") == before + 1


def test_the_oldest_are_dropped_and_counted_where_memory_is_full(
    log: TroubledLog, recorder: Callable[..., Recorder], record: RecordFactory, said: list[str]
) -> None:
    log.down = True
    writer = recorder(log, most=5, batch=2)
    before = counted("dropped")
    records = [record(number) for number in range(9)]
    writer.start()
    for each in records[:2]:
        writer.record(each)
    log.wait_for_attempts(2)
    for each in records[2:]:
        writer.record(each)
    assert counted("dropped") == before + 4
    log.down = False
    writer.stop()
    kept = log.read().records
    assert len(kept) == 5
    assert kept[-3:] == records[-3:]
    assert any("4 records were lost" in line for line in said)


def test_records_are_written_in_batches(
    log: TroubledLog, recorder: Callable[..., Recorder], record: RecordFactory
) -> None:
    writer = recorder(log, batch=4)
    for number in range(10):
        writer.record(record(number))
    writer.start()
    writer.stop()
    assert [len(batch) for batch in log.batches] == [4, 4, 2]


def test_a_record_that_cannot_be_written_costs_itself(
    log: TroubledLog, recorder: Callable[..., Recorder], record: RecordFactory, said: list[str]
) -> None:
    records = [record(number) for number in range(3)]
    writer = recorder(log)
    for each in (records[0], record(1, seconds=float("nan")), *records[1:]):
        writer.record(each)
    writer.start()
    writer.stop()
    assert log.read().records == records
    assert len(said) == 1
    assert "1 record was lost" in said[0]
    assert "a record is not plain data" in said[0]


@pytest.mark.slow
def test_an_object_store_that_is_lost_and_comes_back(
    object_store: ObjectServer, recorder: Callable[..., Recorder], record: RecordFactory, said: list[str]
) -> None:
    log = ObjectLog(object_store.store(attempts=1), Location(BUCKET, "feedback/served"))
    down = threading.Event()

    def say(message: str) -> None:
        said.append(message)
        down.set()

    writer = recorder(log, say=say, longest_pause_s=0.5)
    records = [record(number) for number in range(3)]
    log.append(records[:1])
    object_store.lose()
    try:
        writer.record(records[1])
        writer.start()
        assert down.wait(PATIENCE_S)
        writer.record(records[2])
    finally:
        object_store.start()
    writer.stop(PATIENCE_S)
    assert log.read().records == records
    assert "cannot be reached" in said[0]
    assert said[-1].endswith("is written again")


@pytest.mark.slow
def test_a_server_that_is_told_to_end_writes_what_waits(tmp_path: Path) -> None:
    http = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.serving.scripted_server", str(http), str(free_port()), str(tmp_path / "log")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    tensor = {"name": "specification", "datatype": "BYTES", "shape": [1], "data": [json.dumps(SPECIFICATION_28GHZ)]}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=PATIENCE_S) as client:
            deadline = time.monotonic() + 90
            while True:
                assert process.poll() is None
                assert time.monotonic() < deadline
                try:
                    if client.get("/v2/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.2)
            assert client.post("/v2/models/genrf/infer", json={"inputs": [tensor]}).status_code == 200
        assert open_log(str(tmp_path / "log")).read().records == []
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)
    (record,) = open_log(str(tmp_path / "log")).read().records
    assert (record.source, record.met) == ("server", True)


def test_which_log_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log, line = log_of(None)
    assert isinstance(log, FolderLog)
    assert line == f"feedback: {tmp_path}/feedback"
    assert log_of("off") == (None, "feedback: off")
    assert log_of("elsewhere")[1] == "feedback: elsewhere"
    assert not list(tmp_path.iterdir()), "nothing is made before the server is ready"
    monkeypatch.setattr("os.access", lambda *_: False)
    log, line = log_of(None)
    assert log is None
    assert line.startswith(f"feedback: none is recorded, {tmp_path}/feedback cannot be written; name a log")
    with pytest.raises(InvalidInputError):
        log_of("s3://bucket")
