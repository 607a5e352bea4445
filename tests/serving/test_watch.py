"""Models that change while requests come in: a real MLflow server, promotions, rollbacks, and versions that cannot serve."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("kserve")

from mlflow import MlflowClient

from genrf.generation.released import released_folder
from serving.champion import registered
from serving.request import DesignRequest
from serving.service import DesignService
from serving.store import Store
from serving.variants import CHALLENGER, CHAMPION, Variants
from serving.watch import Watch
from serving.workers import Workers
from tests.amplifiers import SPECIFICATION_28GHZ
from tests.mlflow_server import MLflowServer

pytestmark = pytest.mark.slow
MODEL = "genrf"


class Registry(MLflowServer):
    """MLflow, with two versions of a model and one that is damaged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"MLFLOW_SERVER_ALLOWED_HOSTS": "127.0.0.1:*"})
        self.client = MlflowClient(self.uri)
        self.client.create_registered_model(MODEL)
        for number in (1, 2, 3):
            run = self.client.create_run("0")
            self.client.log_artifacts(run.info.run_id, str(released_folder()), "model/one/bundle")
            self.client.create_model_version(MODEL, f"{run.info.artifact_uri}/model/one", run.info.run_id)
            if number == 3:
                (surrogate,) = self.artifacts.rglob(f"{run.info.run_id}/**/surrogate.onnx")
                surrogate.write_bytes(b"damaged")

    def name(self, alias: str, version: int | None) -> None:
        """Give an alias to a version, or take it away."""
        if version is None:
            self.client.delete_registered_model_alias(MODEL, alias)
        else:
            self.client.set_registered_model_alias(MODEL, alias, str(version))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    started = Registry(tmp_path_factory.mktemp("registry"))
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = started.uri
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    yield started
    os.environ.pop("MLFLOW_TRACKING_URI")
    os.environ.pop("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    if before is not None:
        os.environ["MLFLOW_TRACKING_URI"] = before
    started.stop()


def of_bundle(folder: Path) -> Workers:
    """Scripted processes that say which version they are of."""
    found = registered(folder)
    assert found is not None
    command = [sys.executable, "-m", "tests.serving.scripted_worker", "plain", "--version", found[1]]
    return Workers(command, 1)


def followed(tmp_path: Path) -> tuple[DesignService, Watch]:
    variants = Variants()
    aliases = {CHAMPION: "champion", CHALLENGER: "challenger"}
    return DesignService(variants, Store(None)), Watch(variants, MODEL, aliases, tmp_path, of_bundle)


def test_promotion_and_rollback_drop_no_request(registry: Registry, run: Callable[..., Any], tmp_path: Path) -> None:
    async def scene() -> list[str]:
        service, watch = followed(tmp_path)
        registry.name("champion", 1)
        await watch.look()
        served: list[str] = []
        stop = asyncio.Event()

        async def caller(number: int) -> None:
            seed = 0
            while not stop.is_set():
                seed += 1
                asked = DesignRequest.parse({"specification": SPECIFICATION_28GHZ, "seed": 1000 * number + seed})
                answered = await service.design(asked, f"caller {number}")
                served.append(answered.content["model"]["version"])

        callers = [asyncio.create_task(caller(number)) for number in range(4)]
        try:
            for version in (2, 1):
                await asyncio.sleep(0.5)
                registry.name("champion", version)
                await watch.look()
            await asyncio.sleep(0.5)
        finally:
            stop.set()
        # Whatever failed is raised here.
        await asyncio.gather(*callers)
        await service.close()
        return served

    served = run(scene())
    changes = [version for number, version in enumerate(served) if number == 0 or served[number - 1] != version]
    assert list(dict.fromkeys(served)) == ["1", "2"]
    assert changes[0] == changes[-1] == "1"
    assert len(served) > 20


def test_a_version_that_cannot_serve_changes_nothing(
    registry: Registry, run: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> list[str]:
        service, watch = followed(tmp_path)
        found = []
        for version in (1, 3, 3, 2):
            registry.name("champion", version)
            await watch.look()
            found.append(service.variants[CHAMPION].identity["version"])
        await service.close()
        return found

    assert run(scene()) == ["1", "1", "1", "2"]
    refused = [record.message for record in caplog.records if "cannot serve" in record.message]
    assert len(refused) == 1, "a version that was refused is not tried again and again"
    assert "surrogate.onnx" in refused[0]


def test_a_challenger_comes_and_goes_with_its_alias(
    registry: Registry, run: Callable[..., Any], tmp_path: Path
) -> None:
    async def scene() -> None:
        service, watch = followed(tmp_path)
        registry.name("champion", 1)
        registry.name("challenger", 2)
        await watch.look()
        assert service.variants[CHALLENGER].identity["version"] == "2"
        service.variants.set_share(0.5)
        registry.name("challenger", None)
        await watch.look()
        assert CHALLENGER not in service.variants
        assert service.variants.share == 0.0
        await service.close()

    run(scene())


def test_a_registry_that_does_not_answer_is_said_once_and_harms_nothing(
    registry: Registry, run: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def scene() -> None:
        service, watch = followed(tmp_path)
        registry.name("champion", 1)
        await watch.look()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        await watch.look()
        await watch.look()
        assert (await service.design(DesignRequest.parse({"specification": SPECIFICATION_28GHZ}), "a")).content[
            "designs"
        ]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
        await watch.look()
        await service.close()

    run(scene())
    said = [record.message for record in caplog.records]
    assert sum("cannot be asked" in line for line in said) == 1
    assert sum("answers again" in line for line in said) == 1


def test_what_is_being_loaded_stays_when_older_models_have_ended(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], tmp_path: Path
) -> None:
    class Slow:
        count = 1

        def __init__(self, folder: Path) -> None:
            self.folder = folder
            self.identity = {"bundle": "0", "version": folder.name.removeprefix(f"{MODEL}-")}

        async def start(self) -> None:
            await asyncio.sleep(0.3 if self.identity["version"] == "3" else 0.0)

        async def drain(self, within_s: float) -> None:
            await asyncio.sleep(0.1)

    def fetched(found: Any, into: Path, device: str) -> Path:
        into.mkdir(exist_ok=True)
        return into

    versions = iter("123")
    monkeypatch.setattr(
        "serving.watch.current",
        lambda model, alias: SimpleNamespace(version=next(versions)) if alias == "champion" else None,
    )
    monkeypatch.setattr("serving.watch.fetch_version", fetched)

    async def scene() -> list[str]:
        variants = Variants()
        watch = Watch(variants, MODEL, {CHAMPION: "champion"}, tmp_path, Slow)  # type: ignore[arg-type]
        for _ in range(3):
            await watch.look()
        await asyncio.sleep(0.3)
        return sorted(folder.name for folder in tmp_path.iterdir())

    assert run(scene()) == [f"{MODEL}-3"]
