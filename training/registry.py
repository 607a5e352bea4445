"""The model registry: a new bundle is registered as the challenger and becomes the champion only if it designs better.

Better means: of the same held-out specifications, at exact level, it meets more within 64 simulations; where that is
equal, within 8, then within 1. Two evaluations compare only if they were made on the same set of specifications.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.errors import CheckpointError
from genrf.files import write_json
from training.config import Config
from training.tracking import COMMIT_TAG, DATASET_TAG, StepRun, active, commit, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
LEVEL = "exact"
METHOD = "generator"
CRITERION = re.compile(r"success_at_(\d+)")
"""What is compared; the most simulations first."""
SPECIFICATIONS_TAG = "specifications"


@dataclass(frozen=True)
class Score:
    """What a bundle achieved, and on which held-out specifications."""

    specifications: str
    """Hash of the set of held-out specifications."""
    figures: Mapping[str, float]
    """Success within so many simulations, averaged over the circuit classes; the most simulations first."""

    @classmethod
    def of_evaluation(cls, folder: Path) -> Score:
        """Read ``evaluation.json``.

        Raises:
            CheckpointError: if it is missing or lacks a figure.
        """
        path = folder / "evaluation.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(content["specifications"], _average(content["methods"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: not an evaluation ({error!r}); evaluate again") from error

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Score:
        """Read what `tags` wrote on a model version."""
        return cls(tags[SPECIFICATIONS_TAG], {name: float(tags[name]) for name in _criteria(tags)})

    def tags(self) -> dict[str, str]:
        """As tags of a model version."""
        return {SPECIFICATIONS_TAG: self.specifications, **{name: repr(value) for name, value in self.figures.items()}}

    def compare(self, other: Score) -> tuple[int, str]:
        """1, 0 or -1 for better, equal or worse, and the first figure that differs."""
        shared = [name for name in self.figures if name in other.figures]
        for name in shared:
            ours, theirs = self.figures[name], other.figures[name]
            if ours != theirs:
                return (1 if ours > theirs else -1), f"{name}: {ours:.3f} against {theirs:.3f}"
        return 0, f"the same in {', '.join(shared)}" if shared else "nothing in common to compare"


def promote(
    config: Config,
    prepared: Path,
    bundle: Path,
    quantised: Path,
    evaluation: Path,
    output: Path,
    judge: Callable[[Config, Path, Path], Score] | None = None,
) -> dict[str, Any]:
    """Register a bundle as challenger and, if it beats the champion, make it the champion.

    Args:
        prepared: folder with the held-out specifications of the evaluation.
        bundle: folder of ONNX models with their manifest.
        quantised: folder of the smaller variants that passed their gate.
        evaluation: folder of the bundle's evaluation.
        output: folder to write ``promotion.json`` into.
        judge: evaluates a champion's bundle on the challenger's held-out specifications, where its own evaluation was
            made on others; by default `judge_bundle`.

    Returns:
        ``version``, ``promoted``, ``reason``, and the figures of both.
    """
    output.mkdir(parents=True, exist_ok=True)
    challenger = Score.of_evaluation(evaluation)
    client, _ = open_store(config)
    name = config.tracking.registered_model
    version = _register(client, config, name, bundle, quantised, challenger)
    client.set_registered_model_alias(name, CHALLENGER, version.version)
    champion = _champion(client, name)
    result: dict[str, Any] = {"model": name, "version": int(version.version)}
    if champion is None:
        promoted, reason = True, "there was no champion"
    elif int(champion.version) == int(version.version):
        promoted, reason = True, "is the champion already"
    else:
        result["champion_version"] = int(champion.version)
        try:
            score = Score.of_tags(champion.tags)
            if score.specifications != challenger.specifications:
                score = _judge_again(config, prepared, champion, judge or judge_bundle, output)
        except CheckpointError as error:
            promoted, reason = True, f"version {champion.version} cannot be used any more: {error}"
        else:
            result.update({f"champion_{key}": value for key, value in score.figures.items()})
            order, difference = challenger.compare(score)
            promoted = order > 0
            word = {1: "better than", 0: "no better than", -1: "worse than"}[order]
            reason = f"{word} version {champion.version}: {difference}"
    if promoted:
        client.set_registered_model_alias(name, CHAMPION, version.version)
    result.update({f"challenger_{key}": value for key, value in challenger.figures.items()})
    result.update(promoted=promoted, reason=reason)
    write_json(output / "promotion.json", result)
    return result


def judge_bundle(config: Config, prepared: Path, bundle: Path) -> Score:
    """Let a bundle try the held-out specifications, in SPICE.

    Raises:
        CheckpointError: if this version of the code cannot use the bundle.
    """
    from genrf.generation.bundle import Bundle
    from training.evaluate import summarise
    from training.specifications import SPECIFICATIONS_FILE, read_specifications, specifications_hash
    from training.trials import bundle_designer, generator_trials

    loaded = Bundle.load(bundle)
    path = prepared / SPECIFICATIONS_FILE
    specifications = [item for item in read_specifications(path) if item.level == LEVEL]
    open_designer = partial(bundle_designer, config, loaded)
    trials = generator_trials(open_designer, specifications, config.evaluation.calls, description=CHAMPION)
    return Score(specifications_hash(path), _average(summarise(trials, config)))


def _average(methods: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    own = [entry for entry in methods if entry["level"] == LEVEL and entry["method"] == METHOD]
    if not own:
        raise KeyError(f"no entry of method {METHOD} at level {LEVEL}")
    figures = {}
    for name in _criteria(key for entry in own for key in entry):
        # Classes that simulate slowly are judged with fewer calls, and have no say in a figure of more.
        values = [entry[name] for entry in own if name in entry]
        figures[name] = sum(values) / len(values)
    return figures


def _criteria(names: Iterable[str]) -> list[str]:
    """Those of the names that are compared, the most simulations first."""
    found = {int(match[1]): name for name in names if (match := CRITERION.fullmatch(name))}
    return [found[calls] for calls in sorted(found, reverse=True)]


def _register(
    client: MlflowClient, config: Config, name: str, bundle: Path, quantised: Path, score: Score
) -> ModelVersion:
    """The version of this run; a step that runs again finds the one it made."""
    from mlflow.exceptions import MlflowException

    run = active()
    if run is None:
        raise RuntimeError("a model version belongs to a run: call promote inside training.tracking.step_run")
    try:
        client.create_registered_model(name, description="Bundles of ONNX models that design circuits.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = [v for v in client.search_model_versions(f"name = '{name}'") if v.run_id == run.run_id]
    if known:
        version = known[0]
    else:
        run.log_artifact(bundle, "model/bundle")
        run.log_artifact(quantised, "model/quantised")
        source = f"{client.get_run(run.run_id).info.artifact_uri}/model"
        version = client.create_model_version(name, source, run.run_id)
    for key, value in {**score.tags(), **_lineage(client, run, config)}.items():
        client.set_model_version_tag(name, version.version, key, value)
    return version


def _lineage(client: MlflowClient, run: StepRun, config: Config) -> dict[str, str]:
    """Where a version comes from: pipeline run, data, code, parameters."""
    parent = client.get_run(run.parent_id).data.tags
    return {
        "parent_run": run.parent_id,
        DATASET_TAG: parent.get(DATASET_TAG, "unknown"),
        COMMIT_TAG: commit(),
        "recipe": config.recipe,
        "config": config.digest(),
    }


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _judge_again(
    config: Config,
    prepared: Path,
    champion: ModelVersion,
    judge: Callable[[Config, Path, Path], Score],
    output: Path,
) -> Score:
    """The champion's score on the challenger's specifications."""
    from mlflow.artifacts import download_artifacts

    folder = output / "champion"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    download_artifacts(artifact_uri=champion.source, dst_path=str(folder))
    try:
        return judge(config, prepared, next(folder.rglob("bundle")))
    finally:
        shutil.rmtree(folder)
