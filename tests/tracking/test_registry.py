"""A challenger becomes the champion only by designing better on the same held-out specifications."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from genrf.conditions import Conditions
from genrf.errors import CheckpointError
from genrf.generation import released
from genrf.generation.bundle import MANIFEST, write_manifest
from genrf.generation.sampler import SamplerSettings
from genrf.spec import DesignSpec
from tests.models.circuits import conditioning
from training.config.loading import load_config
from training.config.schema import Config
from training.data.specifications import SPECIFICATIONS_FILE, HeldOutSpecification, write_specifications
from training.release.registry import CHALLENGER, CHAMPION, Score, judge_bundle, promote_model
from training.release.summary import registry_text
from training.running import machine, pipeline_run, tracking
from training.running.store import open_store, store_uri
from training.running.tracking import step_run

PARAMS = Path(__file__).parents[2] / "params.yaml"


class Registry:
    """One registered model, and a way to offer it bundles of a given quality."""

    def __init__(self, folder: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.config, self.monkeypatch = folder, config, monkeypatch
        self.offered = 0

    def offer(
        self,
        success: tuple[float, float, float],
        specifications: str = "set-1",
        judge: Any = None,
        again: bool = False,
        bundle: int | None = None,
        split: dict[str, Any] | None = None,
        extra: bool = False,
    ) -> dict[str, Any]:
        self.offered += not again
        self.monkeypatch.setenv(pipeline_run.PIPELINE_RUN, f"{self.config.tracking.registered_model}-{self.offered}")
        folder = self.folder / str(self.offered)
        for name in ("prepared", "bundle", "quantized", "evaluation"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / MANIFEST).write_text(f"{name} {self.offered if bundle is None else bundle}")
        if extra:
            (folder / "bundle" / "surrogate.onnx").write_text("weights")
        entry = {"class": "lna", "level": "exact", "method": "generator"}
        entry |= dict(zip(("success_at_1", "success_at_8", "success_at_64"), success, strict=True))
        other = {**entry, "level": "relaxed", "success_at_64": 1.0}
        content = {"specifications": specifications, "methods": [entry, other]}
        (folder / "evaluation" / "evaluation.json").write_text(json.dumps(content))
        if split:
            (folder / "prepared" / "report.json").write_text(json.dumps({"split": split}))
        with step_run(self.config, "promote_model") as run:
            run.set_tags({tracking.DATASET_TAG: "abc"}, parent=True)
            inputs = [folder / name for name in ("prepared", "bundle", "quantized", "evaluation")]
            return promote_model(self.config, *inputs, folder / "out", judge)

    def version(self, alias: str) -> Any:
        client, _ = open_store(self.config)
        return client.get_model_version_by_alias(self.config.tracking.registered_model, alias)

    def files(self, version: Any) -> set[str]:
        """Those that are kept with a version."""
        kept = Path(unquote(urlsplit(version.source).path))
        return {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}

    def bundle_files(self, number: int) -> set[str]:
        """Those of a bundle that was offered, with its variants."""
        folders = [self.folder / str(number) / name for name in ("bundle", "quantized")]
        return {path.relative_to(folders[0].parent).as_posix() for folder in folders for path in folder.rglob("*")}

    def number(self, alias: str) -> int:
        return int(self.version(alias).version)


@pytest.fixture
def registry(
    tmp_path: Path, mlflow_store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    monkeypatch.setenv(machine.COMMIT, "c0ffee")
    monkeypatch.setattr(released, "released_folder", lambda: tmp_path / "none")
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
        judged.append((bundle / MANIFEST).read_text())
        return Score("set-2", {"success_at_64": 0.65, "success_at_8": 0.4})

    assert registry.offer((0.2, 0.4, 0.7), specifications="set-2", judge=judge)["promoted"]
    assert judged == ["bundle 1"]


def test_a_version_leads_back_to_run_data_code_and_parameters(registry: Registry) -> None:
    registry.offer((0.2, 0.4, 0.6))
    version = registry.version(CHAMPION)
    client, _ = open_store(registry.config)
    parent = client.get_run(version.tags["parent_run"])
    assert version.tags[tracking.DATASET_TAG] == parent.data.tags[tracking.DATASET_TAG] == "abc"
    assert version.tags[pipeline_run.COMMIT_TAG] == "c0ffee"
    assert parent.data.params["data.rounds"] == str(registry.config.data.rounds)
    assert client.get_run(version.run_id).data.tags[pipeline_run.PARENT_TAG] == version.tags["parent_run"]


def test_running_the_step_again_registers_nothing_new(registry: Registry) -> None:
    first = registry.offer((0.2, 0.4, 0.6))
    second = registry.offer((0.2, 0.4, 0.6), again=True)
    assert second["version"] == first["version"]
    assert second["promoted"]


def test_a_bundle_that_another_run_offers_again_is_registered_once(registry: Registry) -> None:
    first = registry.offer((0.2, 0.4, 0.6))
    lineage = registry.version(CHAMPION).tags
    again = registry.offer((0.2, 0.4, 0.6), bundle=1)
    assert (again["version"], again["reason"]) == (first["version"], "is the champion already")
    assert registry.version(CHAMPION).tags == lineage


def test_a_registry_that_was_lost_is_filled_again(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.offer((0.2, 0.4, 0.6))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    result = registry.offer((0.2, 0.4, 0.6), bundle=1)
    assert (result["version"], result["reason"]) == (1, "there was no champion")
    assert registry.number(CHAMPION) == 1


def test_files_of_a_version_that_are_gone_are_put_back(registry: Registry, tmp_path: Path) -> None:
    registry.offer((0.2, 0.4, 0.6))
    kept = Path(unquote(urlsplit(registry.version(CHAMPION).source).path))
    shutil.rmtree(kept)
    registry.offer((0.2, 0.4, 0.6), bundle=1)
    assert (kept / "bundle" / MANIFEST).read_text() == "bundle 1"


def test_two_bundles_of_one_run_keep_files_of_their_own(registry: Registry) -> None:
    first = registry.offer((0.2, 0.4, 0.6))
    second = registry.offer((0.2, 0.4, 0.7), again=True, bundle=7)
    assert second["version"] == first["version"] + 1
    kept = Path(unquote(urlsplit(registry.version(CHAMPION).source).path))
    assert (kept / "bundle" / MANIFEST).read_text() == "bundle 7"


def test_a_champion_whose_files_are_gone_cannot_be_used_any_more(registry: Registry) -> None:
    registry.offer((0.2, 0.4, 0.6))
    shutil.rmtree(Path(unquote(urlsplit(registry.version(CHAMPION).source).path)))
    result = registry.offer((0.1, 0.1, 0.1), specifications="set-2", judge=Judge(0.9))
    assert result["promoted"]
    assert "the files of version 1 are gone" in result["reason"]


def test_the_champion_can_be_fetched_by_its_alias(registry: Registry, tmp_path: Path) -> None:
    import mlflow

    registry.offer((0.2, 0.4, 0.6))
    uri = f"models:/{registry.config.tracking.registered_model}@champion"
    store = store_uri(registry.config)
    mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "models"), registry_uri=store, tracking_uri=store)
    assert (tmp_path / "models" / "bundle" / MANIFEST).read_text() == "bundle 1"
    assert (tmp_path / "models" / "quantized" / MANIFEST).is_file()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Released weights in the package; their identity."""
    folder = tmp_path / "package"
    folder.mkdir()
    conditioning().save(folder)
    sampler = SamplerSettings(steps=8, conditions_size=5)
    identity = write_manifest(folder, precision="fp32", models={}, sampler=sampler, latent_size=4).identity
    data = {"dataset_sha256": "da7a", "split": {"seed": 2026, "test_share": 0.1}}
    card = {"identity": identity, "commit": "beef", "recipe": "full", "data": data}
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr(released, "released_folder", lambda: folder)
    return identity


class Judge:
    """Stands for the simulations of the champion's designs."""

    def __init__(self, success: float) -> None:
        self.success = success
        self.judged: list[Path] = []

    def __call__(self, config: Config, prepared: Path, bundle: Path) -> Score:
        self.judged.append(bundle)
        return Score(f"set-{len(self.judged)}", {"success_at_64": self.success, "success_at_8": 0.5})


def test_released_weights_are_the_first_champion_and_are_kept_if_better(registry: Registry, weights: str) -> None:
    judge = Judge(0.95)
    result = registry.offer((0.2, 0.4, 0.6), judge=judge)
    assert (result["champion_version"], result["version"], result["promoted"]) == (1, 2, False)
    assert (registry.number(CHAMPION), registry.number(CHALLENGER)) == (1, 2)
    assert result["reason"].startswith("released champion kept: worse than version 1, the released weights: ")
    assert "0.600 against 0.950" in result["reason"]
    assert result["champion_success_at_64"] == 0.95
    assert judge.judged == [released.released_folder()]


def test_a_better_challenger_takes_the_place_of_the_released_weights(registry: Registry, weights: str) -> None:
    result = registry.offer((0.2, 0.4, 0.6), judge=Judge(0.5))
    assert result["promoted"]
    assert result["reason"].startswith("better than version 1, the released weights: ")
    assert registry.number(CHAMPION) == result["version"] == 2


def test_the_first_champion_leads_back_to_its_card(registry: Registry, weights: str, tmp_path: Path) -> None:
    import mlflow

    registry.offer((0.2, 0.4, 0.6), judge=Judge(0.95))
    version = registry.version(CHAMPION)
    assert version.tags["released"] == weights
    assert version.tags[tracking.DATASET_TAG] == "da7a"
    assert (version.tags[pipeline_run.COMMIT_TAG], version.tags["recipe"]) == ("beef", "full")
    assert version.description.startswith("The weights that come with the package, of recipe `full`")
    store = store_uri(registry.config)
    uri = f"models:/{registry.config.tracking.registered_model}@champion"
    mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "models"), registry_uri=store, tracking_uri=store)
    card = json.loads((tmp_path / "models" / version.tags["card"]).read_text())
    assert card["identity"] == weights
    assert (tmp_path / "models" / "bundle" / "manifest.json").is_file()


def test_there_is_only_one_first_champion(registry: Registry, weights: str) -> None:
    first = registry.offer((0.2, 0.4, 0.6), judge=Judge(0.5))
    again = registry.offer((0.2, 0.4, 0.6), judge=Judge(0.5), again=True)
    assert (again["version"], again["reason"]) == (first["version"], "is the champion already")
    third = registry.offer((0.2, 0.4, 0.5))
    assert (third["version"], third["champion_version"]) == (3, 2)
    assert "fairness" not in third


def test_killed_before_it_had_its_alias_it_is_found_again(
    registry: Registry, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(MlflowClient, "set_registered_model_alias", stop)
        registry.offer((0.2, 0.4, 0.6), judge=Judge(0.95))
    result = registry.offer((0.2, 0.4, 0.6), judge=Judge(0.95), again=True)
    assert (result["champion_version"], result["version"]) == (1, 2)


def test_a_champion_is_judged_once_on_the_same_specifications_with_the_same_code(
    registry: Registry, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(0.95)
    registry.offer((0.2, 0.4, 0.6), judge=judge)
    second = registry.offer((0.2, 0.4, 0.7), judge=judge)
    assert len(judge.judged) == 1
    assert second["champion_success_at_64"] == 0.95
    registry.offer((0.2, 0.4, 0.7), "set-2", judge=judge)
    assert len(judge.judged) == 2
    monkeypatch.setenv(machine.COMMIT, "decaf")
    registry.offer((0.2, 0.4, 0.7), "set-2", judge=judge)
    assert len(judge.judged) == 3
    monkeypatch.setenv(machine.COMMIT, "decaf-dirty")
    for _ in range(2):
        registry.offer((0.2, 0.4, 0.7), "set-2", judge=judge)
    assert len(judge.judged) == 5


CALLS = ("log_artifacts", "log_artifact", "create_model_version", "set_registered_model_alias")
"""What the step does to the store, in this order, some of it more than once."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 7))
def test_killed_at_any_point_nothing_is_half_promoted_and_a_retry_completes_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    """Quantized files, two of the bundle, the version, both aliases: the step is killed before or after each of them."""
    from mlflow import MlflowClient

    first = registry.offer((0.2, 0.4, 0.6))
    count = 0

    def killing(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == number and not after:
                raise KeyboardInterrupt
            result = real(*arguments, **named)
            if count == number:
                raise KeyboardInterrupt
            return result

        return call

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for name in CALLS:
            patch.setattr(MlflowClient, name, killing(getattr(MlflowClient, name)))
        registry.offer((0.2, 0.4, 0.7), extra=True)
    serving = registry.version(CHAMPION)
    promoted = number == 6 and after
    assert int(serving.version) == first["version"] + promoted
    assert registry.files(serving) == (registry.bundle_files(2) if promoted else registry.bundle_files(1))
    result = registry.offer((0.2, 0.4, 0.7), again=True, extra=True)
    assert (result["version"], result["promoted"]) == (first["version"] + 1, True)
    assert registry.number(CHAMPION) == registry.number(CHALLENGER) == result["version"]
    assert registry.files(registry.version(CHAMPION)) == registry.bundle_files(2)


def test_a_version_tells_people_where_it_comes_from(registry: Registry) -> None:
    result = registry.offer((0.2, 0.4, 0.6))
    assert result["registered"]
    version = registry.version(CHAMPION)
    assert version.description.startswith("Recipe `smoke`, ")
    assert "success@64 60 %, success@8 40 %, success@1 20 %" in version.description
    assert f"/runs/{version.tags['parent_run']})" in version.description
    assert "commit `c0ffee`" in version.description


def test_a_bundle_that_is_registered_already_is_said_to_be(registry: Registry) -> None:
    registry.offer((0.2, 0.4, 0.6))
    result = registry.offer((0.2, 0.4, 0.6), bundle=1)
    assert not result["registered"]
    assert registry_text(result) == (
        "nothing registered, the bundle is that of version 1 already; version 1 is champion: is the champion already"
    )


def test_another_packages_released_champion_is_fetched_from_the_registry(
    registry: Registry, weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    judge = Judge(0.95)
    registry.offer((0.2, 0.4, 0.6), judge=judge)
    monkeypatch.setattr(released, "released_folder", lambda: tmp_path / "none")
    assert not registry.offer((0.2, 0.4, 0.6), "set-2", judge=judge)["promoted"]
    assert judge.judged[1].name == "bundle"
    assert tmp_path in judge.judged[1].parents


@pytest.mark.parametrize(
    ("split", "fair"),
    [
        (None, False),
        ({"seed": 2026, "test_share": 0.1}, True),
        ({"seed": 2026, "test_share": 0.05}, True),
        ({"seed": 2026, "test_share": 0.2}, False),
        ({"seed": 7, "test_share": 0.1}, False),
    ],
)
def test_the_record_says_whether_the_comparison_is_generous_to_the_released_weights(
    registry: Registry, weights: str, split: dict[str, Any] | None, fair: bool
) -> None:
    result = registry.offer((0.2, 0.4, 0.6), judge=Judge(0.95), split=split)
    assert ("generous" not in result["fairness"]) is fair
    assert ("held out from the released weights too" in result["fairness"]) is fair


def test_a_bundle_that_does_not_know_a_class_cannot_be_judged(tmp_path: Path) -> None:
    conditioning().save(tmp_path)
    sampler = SamplerSettings(steps=8, conditions_size=5)
    write_manifest(tmp_path, precision="fp32", models={}, sampler=sampler, latent_size=4)
    spec = DesignSpec(circuit_class="pa", conditions=Conditions(frequency_hz=5e9, supply_v=2.0), name="a")
    write_specifications([HeldOutSpecification(level="exact", row=0, spec=spec)], tmp_path / SPECIFICATIONS_FILE)
    with pytest.raises(CheckpointError, match="was not trained on pa"):
        judge_bundle(load_config(PARAMS), tmp_path, tmp_path)


def test_an_incomplete_evaluation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"specifications": "x", "methods": []}')
    with pytest.raises(CheckpointError, match=r"evaluation\.json"):
        Score.of_evaluation(tmp_path)
