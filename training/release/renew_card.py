"""Figures measured on released weights, put into their card in place of those from before the release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genrf.errors import InvalidInputError
from genrf.generation.released import read_card, released_folder
from training.release.model_card import write_card
from training.release.publish import kept_of, read_report, value_of


def renew_card(design_quality: Path, topologies: Path | None = None, target: Path | None = None) -> dict[str, Any]:
    """Write the card and the model card of released weights with what benchmarks say of these very files.

    Args:
        design_quality: result of ``benchmarks/design_quality.py``; of methods with several budgets the smallest is kept.
        topologies: result of ``benchmarks/topologies.py``; without it the card keeps what it says.
        target: folder of the weights; by default the package's.

    Returns:
        The card.

    Raises:
        InvalidInputError: if a result is missing, or is of other weights.
        CheckpointError: if there are no released weights or their card is damaged.
    """
    target = target or released_folder()
    card = read_card(target)
    quality = _of_these_weights(design_quality, card)
    budgets: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in value_of(quality, "entries", design_quality):
        key = (entry["class"], entry["level"], entry["method"])
        if key not in budgets or entry["calls"] < budgets[key]["calls"]:
            budgets[key] = entry
    card["evaluation"] = {
        "file": design_quality.name,
        "bundle": card["identity"],
        "commit": quality["commit"],
        "hardware": "; ".join(quality["machines"]),
        "methods": [kept_of(entry) for entry in budgets.values()],
    }
    if topologies is not None:
        card["topologies"] = value_of(_of_these_weights(topologies, card), "classes", topologies)
    write_card(target, card)
    return card


def _of_these_weights(path: Path, card: dict[str, Any]) -> dict[str, Any]:
    result = read_report(path, "run the benchmark")
    identity = value_of(result, "bundle", path).get("identity", "")
    if not identity or not card["identity"].startswith(identity):
        raise InvalidInputError(
            f"{path}: bundle.identity: is {identity or 'none'}, the released weights are {card['identity'][:16]}; "
            "run the benchmark on these"
        )
    return result
