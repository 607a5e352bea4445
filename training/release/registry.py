"""The model registry: a new bundle is registered as the challenger and becomes the champion only if it designs better.

Better means: of the same held-out specifications, at exact level, it meets more within 64 simulations; where that is
equal, within 8, then within 1. Two evaluations compare only if they were made on the same set of specifications.

Where there is no champion yet, the weights that come with the package are the first, if it has any.

A bundle is registered once, whichever run offers it: it is known by the hash of its manifests. So this step is never
taken from a cache, which could not know whether the registry still has what was registered.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.errors import CheckpointError
from genrf.files import write_json
from genrf.generation.bundle import MANIFEST
from training.config.schema import Config
from training.evaluation.headline import LEVEL, average, criteria
from training.evaluation.methods import GENERATOR
from training.release import first_champion
from training.release.first_champion import RELEASED_TAG
from training.running.machine import commit
from training.running.pipeline_run import COMMIT_TAG, OVERRIDES_TAG
from training.running.step import read_lineage
from training.running.store import open_store
from training.running.tracking import DATASET_TAG, StepRun, active

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CHALLENGER = "challenger"
SPECIFICATIONS_TAG = "specifications"
DATA_TAG = "data_version"
"""Tag of a version: DVC's hash of the dataset that it was trained on, where that is one."""
IDENTITIES = "identities"
"""Tag of a version: identities of its bundle and of the smaller variants, as JSON."""
PROMISE = "promise"
"""Tag of a version: of each class how many held-out specifications it met, and of how many, as JSON."""
BUNDLE_TAG = "bundle_sha256"
"""Tag of a version: what the bundle and its smaller variants are, see `_identity`."""


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
        return cls(tags[SPECIFICATIONS_TAG], {name: float(tags[name]) for name in criteria(tags)})

    def tags(self) -> dict[str, str]:
        """Returns itself as tags of a model version."""
        return {SPECIFICATIONS_TAG: self.specifications, **{name: repr(value) for name, value in self.figures.items()}}

    def compare(self, other: Score) -> tuple[int, str]:
        """1, 0 or -1 for better, equal or worse, and the first figure that differs."""
        shared = [name for name in self.figures if name in other.figures]
        for name in shared:
            ours, theirs = self.figures[name], other.figures[name]
            if ours != theirs:
                return (1 if ours > theirs else -1), f"{name}: {ours:.3f} against {theirs:.3f}"
        return 0, f"the same in {', '.join(shared)}" if shared else "nothing in common to compare"


def promised(evaluation: Path) -> dict[str, list[int]]:
    """How many held-out specifications of each class a bundle met with all calls, and of how many, from ``evaluation.json``."""
    content = json.loads((evaluation / "evaluation.json").read_text(encoding="utf-8"))
    own = [entry for entry in content["methods"] if entry["level"] == LEVEL and entry["method"] == GENERATOR]
    return {
        entry["class"]: [round(entry[criteria(entry)[0]] * entry["specifications"]), entry["specifications"]]
        for entry in own
        if "specifications" in entry
    }


Judge = Callable[[Config, Path, Path], Score]
"""Tries the held-out specifications of a prepared folder with a bundle."""


def promote_model(
    config: Config,
    prepared: Path,
    bundle: Path,
    quantized: Path,
    evaluation: Path,
    output: Path,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Register a bundle as challenger and, if it beats the champion, make it the champion.

    Args:
        prepared: folder with the held-out specifications of the evaluation.
        bundle: folder of ONNX models with their manifest.
        quantized: folder of the smaller variants that passed their gate.
        evaluation: folder of the bundle's evaluation.
        output: folder to write ``promotion.json`` into.
        judge: evaluates a champion's bundle on the challenger's held-out specifications, where its own evaluation was
            made on others; by default `judge_bundle`.

    Returns:
        ``version``, ``registered`` (whether that version is new), ``promoted``, ``reason``, the figures of both, and, where
        the champion is the released weights, ``fairness``: whether they may have seen the specifications' topologies.
    """
    output.mkdir(parents=True, exist_ok=True)
    challenger = Score.of_evaluation(evaluation)
    client, _ = open_store(config)
    name = config.tracking.registered_model
    run = active_run()
    make_model(client, name)
    champion = champion_of(client, name)
    if champion is None:
        champion = first_champion.register(client, run, name)
        if champion is not None:
            client.set_registered_model_alias(name, CHAMPION, champion.version)
    more = {PROMISE: json.dumps(promised(evaluation))}
    if data_version := read_lineage(prepared)["data_version"]:
        more[DATA_TAG] = data_version
    version, is_new = register(client, run, config, name, bundle, quantized, challenger, more)
    client.set_registered_model_alias(name, CHALLENGER, version.version)
    result: dict[str, Any] = {"model": name, "version": int(version.version), "registered": is_new}
    if champion is None:
        promoted, reason = True, "there was no champion"
    elif int(champion.version) == int(version.version):
        promoted, reason = True, "is the champion already"
    else:
        result["champion_version"] = int(champion.version)
        which = f"version {champion.version}"
        if is_released := RELEASED_TAG in champion.tags:
            which += ", the released weights"
            result["fairness"] = first_champion.fairness(champion.tags, prepared)
        try:
            score = _score(client, config, prepared, champion, challenger.specifications, judge or judge_bundle, output)
        except CheckpointError as error:
            promoted, reason = True, f"{which} cannot be used any more: {error}"
        else:
            result.update({f"champion_{key}": value for key, value in score.figures.items()})
            order, difference = challenger.compare(score)
            promoted = order > 0
            word = {1: "better than", 0: "no better than", -1: "worse than"}[order]
            kept = "released champion kept: " if is_released and not promoted else ""
            reason = f"{kept}{word} {which}: {difference}"
    if promoted:
        client.set_registered_model_alias(name, CHAMPION, version.version)
    result.update({f"challenger_{key}": value for key, value in challenger.figures.items()})
    result.update(promoted=promoted, reason=reason)
    write_json(output / "promotion.json", result)
    return result


def judge_bundle(config: Config, prepared: Path, bundle: Path) -> Score:
    """Let a bundle try the held-out specifications, in SPICE.

    Raises:
        CheckpointError: if this version of the code cannot use the bundle, or it was not trained on all the classes.
    """
    from genrf.generation.backend import OnnxBackend
    from genrf.generation.bundle import Bundle
    from training.data.specifications import SPECIFICATIONS_FILE, read_specifications, specifications_hash
    from training.evaluation.success import summarize
    from training.evaluation.trials import bundle_designer, generator_trials

    loaded = Bundle.load(bundle)
    path = prepared / SPECIFICATIONS_FILE
    specifications = [item for item in read_specifications(path) if item.level == LEVEL]
    unknown = {item.spec.circuit_class for item in specifications} - set(loaded.conditioning.classes)
    if unknown:
        raise CheckpointError(f"{bundle}: was not trained on {', '.join(sorted(unknown))}; train on all classes")
    # Said here once, rather than by every process that tries.
    OnnxBackend(loaded, threads=1)
    open_designer = partial(bundle_designer, config, loaded)
    trials = generator_trials(open_designer, specifications, config.evaluation.calls, description=CHAMPION)
    return Score(specifications_hash(path), _average(summarize(trials, config)))


def _average(methods: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    figures = average(methods, LEVEL, GENERATOR)
    if not figures:
        raise KeyError(f"no entry of method {GENERATOR} at level {LEVEL}")
    return figures


def active_run() -> StepRun:
    """The run of the step that this process is in, which a model version belongs to."""
    run = active()
    if run is None:
        raise RuntimeError("a model version belongs to a run: call this inside training.running.tracking.step_run")
    return run


def make_model(client: MlflowClient, name: str) -> None:
    """Have a registered model of this name."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Bundles of ONNX models that design circuits.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def register(
    client: MlflowClient,
    run: StepRun,
    config: Config,
    name: str,
    bundle: Path,
    quantized: Path,
    score: Score | None = None,
    more: Mapping[str, str] | None = None,
) -> tuple[ModelVersion, bool]:
    """The version of this bundle, with the score of its latest evaluation, and whether it is new; its files are put back where
    they are gone."""
    identity = _identity(bundle, quantized)
    every = client.search_model_versions(f"name = '{name}'")
    known = next((version for version in every if version.tags.get(BUNDLE_TAG) == identity), None)
    keeper = run.run_id if known is None or known.run_id is None else known.run_id
    # A run may offer several bundles: each has a place of its own.
    place = f"model/{identity[:16]}"
    kept = {Path(item.path).name for item in client.list_artifacts(keeper, f"{place}/bundle")}
    if MANIFEST not in kept:
        _keep_files(client, keeper, bundle, quantized, place)
    told = {**(score.tags() if score is not None else {}), **(more or {})}
    if known is None:
        tags = {
            BUNDLE_TAG: identity,
            IDENTITIES: _identities(bundle, quantized),
            **_lineage(client, run, config),
            **told,
        }
        source = f"{client.get_run(run.run_id).info.artifact_uri}/{place}"
        note = _description(run, tags, score)
        return client.create_model_version(name, source, run.run_id, tags=tags, description=note), True
    for key, value in told.items():
        if known.tags.get(key) != value:
            client.set_model_version_tag(name, known.version, key, value)
    return known, False


def _keep_files(client: MlflowClient, run_id: str, bundle: Path, quantized: Path, place: str) -> None:
    """Copy a bundle and its variants to a run; the bundle's manifest comes last and says that all of it is there."""
    client.log_artifacts(run_id, str(quantized), f"{place}/quantized")
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and path != bundle / MANIFEST:
            folder = path.parent.relative_to(bundle).as_posix()
            client.log_artifact(run_id, str(path), f"{place}/bundle" + (f"/{folder}" if folder != "." else ""))
    client.log_artifact(run_id, str(bundle / MANIFEST), f"{place}/bundle")


def _description(run: StepRun, lineage: Mapping[str, str], score: Score | None) -> str:
    """Markdown that the registry shows beside a version."""
    judged = ""
    if score is not None:
        figures = ", ".join(
            f"{name.replace('success_at_', 'success@')} {100 * value:.0f} %" for name, value in score.figures.items()
        )
        judged = f" On held-out specifications at level {LEVEL}, averaged over the classes: {figures}."
    return (
        f"Recipe `{lineage['recipe']}`, {lineage.get('overrides') or 'nothing overridden'}.{judged}\n\n"
        f"[Pipeline run](#/experiments/{run.runs.experiment}/runs/{run.parent_id}), "
        f"dataset `{lineage[DATASET_TAG][:12]}`, commit `{lineage[COMMIT_TAG][:12]}`."
    )


def _identity(*folders: Path) -> str:
    """SHA-256 over the manifests in some folders, which cover every file of their models."""
    manifests = [path.read_bytes() for folder in folders for path in sorted(folder.rglob(MANIFEST))]
    return hashlib.sha256(b"\0".join(manifests)).hexdigest()


def _identities(*folders: Path) -> str:
    """What designs of a version may name as their bundle, as JSON."""
    found = [hashlib.sha256(path.read_bytes()).hexdigest() for folder in folders for path in folder.rglob(MANIFEST)]
    return json.dumps(sorted(found))


def _lineage(client: MlflowClient, run: StepRun, config: Config) -> dict[str, str]:
    """Where a version comes from: pipeline run, data, code, parameters."""
    parent = client.get_run(run.parent_id).data.tags
    changed = json.loads(parent.get(OVERRIDES_TAG, "{}"))
    return {
        "parent_run": run.parent_id,
        DATASET_TAG: parent.get(DATASET_TAG, "unknown"),
        COMMIT_TAG: commit(),
        "recipe": config.recipe,
        "overrides": " ".join(f"{key}={value}" for key, value in changed.items()),
        "config": config.digest(),
    }


def champion_of(client: MlflowClient, name: str, alias: str = CHAMPION) -> ModelVersion | None:
    """The version that an alias leads to; none where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _score(
    client: MlflowClient,
    config: Config,
    prepared: Path,
    champion: ModelVersion,
    specifications: str,
    judge: Judge,
    output: Path,
) -> Score:
    """The champion's score on the challenger's specifications: of its own evaluation or of an earlier comparison, else from
    simulations that are done now and recorded on its version.

    A comparison is recorded for its specifications, configuration and code; code that differs from its commit records none.
    """
    if champion.tags.get(SPECIFICATIONS_TAG) == specifications:
        return Score.of_tags(champion.tags)
    code = commit()
    tag = f"judged.{specifications}.{config.digest('evaluation')}.{code}"
    if tag in champion.tags:
        return Score(specifications, json.loads(champion.tags[tag]))
    score = _judge_again(config, prepared, champion, judge, output)
    if code != "unknown" and not code.endswith("-dirty"):
        client.set_model_version_tag(champion.name, champion.version, tag, json.dumps(dict(score.figures)))
    return score


def _judge_again(config: Config, prepared: Path, champion: ModelVersion, judge: Judge, output: Path) -> Score:
    """The champion's score on the challenger's specifications."""
    folder = output / "champion"
    try:
        return judge(config, prepared, bundle_of(champion, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bundle_of(version: ModelVersion, folder: Path) -> Path:
    """The folder of a version's bundle: the package's own if it has the same weights, else fetched into a folder.

    Raises:
        CheckpointError: if its files are gone.
    """
    from mlflow.artifacts import download_artifacts, list_artifacts

    package = first_champion.package_folder(version.tags)
    if package is not None:
        return package
    # A store that does not answer raises another error: its version is not given up for that.
    if not list_artifacts(artifact_uri=version.source):
        raise CheckpointError(
            f"model {version.name}: the files of version {version.version} are gone ({version.source}); put them back, or give "
            "its alias to another version"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    download_artifacts(artifact_uri=version.source, dst_path=str(folder))
    return next(folder.rglob("bundle"))
