"""The released weights as the model registry's first champion, so that nothing worse is ever promoted over them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrf.generation.bundle import Bundle
from genrf.generation.released import CARD, read_card, released_bundle
from training.running.pipeline_run import COMMIT_TAG
from training.running.tracking import DATASET_TAG, StepRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RELEASED_TAG = "released"
"""Tag of a version that holds released weights: their identity, which is also in their card."""
SPLIT_TAG = "split"
"""Tag of such a version: how the topologies of its data were held out, as JSON."""


def register(client: MlflowClient, run: StepRun, name: str) -> ModelVersion | None:
    """Register the package's released weights as a version of a model; a second time the same version is found.

    Its tags lead to the card, which lies beside the weights, and repeat from there the dataset's hash, commit and recipe. A
    package without weights gives none.

    Raises:
        CheckpointError: if the package's weights are damaged.
    """
    folder = released_bundle()
    if folder is None:
        return None
    identity, card = Bundle.load(folder).identity, read_card(folder)
    known = [
        version
        for version in client.search_model_versions(f"name = '{name}'")
        if version.tags.get(RELEASED_TAG) == identity
    ]
    if known:
        return known[0]
    run.log_artifact(folder, "released/bundle")
    source = f"{client.get_run(run.run_id).info.artifact_uri}/released"
    tags = {
        RELEASED_TAG: identity,
        "card": f"bundle/{CARD}",
        DATASET_TAG: card["data"]["dataset_sha256"],
        COMMIT_TAG: card["commit"],
        "recipe": card["recipe"],
        SPLIT_TAG: json.dumps(card["data"]["split"]),
    }
    note = f"The weights that come with the package, of recipe `{card['recipe']}`; their card is the artifact `{tags['card']}`."
    return client.create_model_version(name, source, run.run_id, tags=tags, description=note)


def package_folder(tags: Mapping[str, str]) -> Path | None:
    """The package's folder, if a version holds the same weights; else it is to be fetched from the registry."""
    folder = released_bundle()
    if folder is None or RELEASED_TAG not in tags or Bundle.load(folder).identity != tags[RELEASED_TAG]:
        return None
    return folder


def fairness(tags: Mapping[str, str], prepared: Path) -> str:
    """Whether the released weights may have seen, in training, topologies of the specifications that they are judged on.

    A topology's place in the split depends on the seed and on itself alone. With the seed of the weights' own data, and a
    share no larger than theirs, what is held out here was held out there.

    Args:
        tags: of a version that `register` made.
        prepared: folder with the held-out specifications and ``report.json``.
    """
    try:
        report: dict[str, Any] = json.loads((prepared / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = {}
    theirs, ours = json.loads(tags[SPLIT_TAG]), report.get("split", {})
    if ours and ours["seed"] == theirs["seed"] and ours["test_share"] <= theirs["test_share"]:
        return "the specifications' topologies were held out from the released weights too"
    return (
        "the released weights were trained on other data, which may have had topologies of these specifications: "
        "the comparison is generous to them"
    )
