"""A challenger becomes the champion only by designing better on the same held-out specifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genrf.errors import CheckpointError
from training import tracking
from training.config import Config
from training.config_file import load_config
from training.registry import CHALLENGER, CHAMPION, Score, promote
from training.tracking import open_store, step_run, store_uri

PARAMS = Path(__file__).parents[2] / "params.yaml"


class Registry:
    """One registered model, and a way to offer it bundles of a given quality."""

    def __init__(self, folder: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.config, self.monkeypatch = folder, config, monkeypatch
        self.offered = 0

    def offer(
        self, success: tuple[float, float, float], specifications: str = "set-1", judge: Any = None, again: bool = False
    ) -> dict[str, Any]:
        self.offered += not again
        self.monkeypatch.setenv(tracking.PIPELINE_RUN, f"{self.config.tracking.registered_model}-{self.offered}")
        folder = self.folder / str(self.offered)
        for name in ("bundle", "quantised", "evaluation"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / "content.txt").write_text(f"{name} {self.offered}")
        entry = {"class": "lna", "level": "exact", "method": "generator"}
        entry |= dict(zip(("success_at_1", "success_at_8", "success_at_64"), success, strict=True))
        other = {**entry, "level": "relaxed", "success_at_64": 1.0}
        content = {"specifications": specifications, "methods": [entry, other]}
        (folder / "evaluation" / "evaluation.json").write_text(json.dumps(content))
        with step_run(self.config, "promote_model") as run:
            run.set_tags({tracking.DATASET_TAG: "abc"}, parent=True)
            inputs = [folder / name for name in ("prepared", "bundle", "quantised", "evaluation")]
            return promote(self.config, *inputs, folder / "out", judge)

    def version(self, alias: str) -> Any:
        client, _ = open_store(self.config)
        return client.get_model_version_by_alias(self.config.tracking.registered_model, alias)

    def number(self, alias: str) -> int:
        return int(self.version(alias).version)


@pytest.fixture
def registry(
    tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    monkeypatch.setenv(tracking.COMMIT, "c0ffee")
    name = request.node.name.replace("[", "-").strip("]")
    config = load_config(PARAMS, overrides={"tracking.registered_model": name})
    return Registry(tmp_path, config, monkeypatch)


def test_the_first_bundle_becomes_the_champion(registry: Registry) -> None:
    result = registry.offer((0.2, 0.4, 0.6))
    assert result["promoted"]
    assert registry.number(CHAMPION) == registry.number(CHALLENGER) == result["version"]


@pytest.mark.parametrize(
    ("challenger", "promoted"),
    [
        pytest.param((0.2, 0.4, 0.7), True, id="more-met"),
        pytest.param((0.9, 0.9, 0.5), False, id="fewer-met-though-sooner"),
        pytest.param((0.1, 0.5, 0.6), True, id="tie-broken-by-8"),
        pytest.param((0.3, 0.4, 0.6), True, id="tie-broken-by-1"),
        pytest.param((0.2, 0.4, 0.6), False, id="equal"),
    ],
)
def test_only_a_better_challenger_is_promoted(
    registry: Registry, challenger: tuple[float, float, float], promoted: bool
) -> None:
    first = registry.offer((0.2, 0.4, 0.6))
    second = registry.offer(challenger)
    assert second["promoted"] is promoted
    assert registry.number(CHALLENGER) == second["version"]
    assert registry.number(CHAMPION) == (second if promoted else first)["version"]


def test_a_champion_that_cannot_be_used_any_more_is_replaced(registry: Registry) -> None:
    registry.offer((0.2, 0.4, 0.6))

    def judge(config: Config, prepared: Path, bundle: Path) -> Score:
        raise CheckpointError("manifest.json: format 1, expected 2")

    result = registry.offer((0.1, 0.1, 0.1), specifications="set-2", judge=judge)
    assert result["promoted"]
    assert "expected 2" in result["reason"]


def test_a_champion_of_other_specifications_that_is_still_better_stays(registry: Registry) -> None:
    first = registry.offer((0.2, 0.4, 0.6))

    def judge(config: Config, prepared: Path, bundle: Path) -> Score:
        return Score("set-2", {"success_at_64": 0.8, "success_at_8": 0.4})

    assert not registry.offer((0.9, 0.9, 0.7), specifications="set-2", judge=judge)["promoted"]
    assert registry.number(CHAMPION) == first["version"]


def test_a_champion_of_other_specifications_is_judged_again_on_the_challengers(registry: Registry) -> None:
    registry.offer((0.2, 0.4, 0.6))
    judged: list[str] = []

    def judge(config: Config, prepared: Path, bundle: Path) -> Score:
        judged.append((bundle / "content.txt").read_text())
        return Score("set-2", {"success_at_64": 0.65, "success_at_8": 0.4})

    assert registry.offer((0.2, 0.4, 0.7), specifications="set-2", judge=judge)["promoted"]
    assert judged == ["bundle 1"]


def test_a_version_leads_back_to_run_data_code_and_parameters(registry: Registry) -> None:
    registry.offer((0.2, 0.4, 0.6))
    version = registry.version(CHAMPION)
    client, _ = open_store(registry.config)
    parent = client.get_run(version.tags["parent_run"])
    assert version.tags[tracking.DATASET_TAG] == parent.data.tags[tracking.DATASET_TAG] == "abc"
    assert version.tags[tracking.COMMIT_TAG] == "c0ffee"
    assert parent.data.params["data.rounds"] == str(registry.config.data.rounds)
    assert client.get_run(version.run_id).data.tags[tracking.PARENT_TAG] == version.tags["parent_run"]


def test_running_the_step_again_registers_nothing_new(registry: Registry) -> None:
    first = registry.offer((0.2, 0.4, 0.6))
    second = registry.offer((0.2, 0.4, 0.6), again=True)
    assert second["version"] == first["version"]
    assert second["promoted"]


def test_the_champion_can_be_fetched_by_its_alias(registry: Registry, tmp_path: Path) -> None:
    import mlflow

    registry.offer((0.2, 0.4, 0.6))
    uri = f"models:/{registry.config.tracking.registered_model}@champion"
    store = store_uri(registry.config)
    mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "models"), registry_uri=store, tracking_uri=store)
    assert (tmp_path / "models" / "bundle" / "content.txt").read_text() == "bundle 1"
    assert (tmp_path / "models" / "quantised" / "content.txt").is_file()


def test_an_incomplete_evaluation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"specifications": "x", "methods": []}')
    with pytest.raises(CheckpointError, match=r"evaluation\.json"):
        Score.of_evaluation(tmp_path)
