"""Champion and challenger try the same specifications, in SPICE: those held out, and requests that neither was trained on."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from genrf.feedback.evidence import Tally, tallied
from genrf.generation.backend import OnnxBackend
from genrf.generation.bundle import Bundle
from training.config.schema import Config
from training.data.specifications import SPECIFICATIONS_FILE, HeldOutSpecification, read_specifications
from training.evaluation.headline import LEVEL
from training.evaluation.trials import Trial, bundle_designer, generator_trials
from training.nights.need import specification_id
from training.nights.records import (
    CHALLENGER_FOLDER,
    CHAMPION_FOLDER,
    Compared,
    Need,
    write_comparison,
)
from training.running.tracking import log_artifact

REQUESTED, HELD_OUT = "requested", "held out"


def judge_challenger(config: Config, need: Path, prepared: Path, bundle: Path, output: Path) -> dict[str, Any]:
    """Compare a new challenger with the champion; writes ``comparison.json``.

    Args:
        need: folder of the night's decision, with the champion's bundle and the requests that judge.
        prepared: folder with the held-out specifications.
        bundle: the challenger.

    Returns:
        Counts by class and over all, see `Tally`, and what each simulated.
    """
    held_out = [item for item in read_specifications(prepared / SPECIFICATIONS_FILE) if item.level == LEVEL]
    return _compare(config, need, held_out, bundle, output)


def judge_held(config: Config, need: Path, output: Path) -> dict[str, Any]:
    """Compare the challenger that is held with the champion, on requests that it has not been judged on; else the same."""
    return _compare(config, need, [], need / CHALLENGER_FOLDER, output)


def tallies(compared: Iterable[Compared]) -> dict[str, Tally]:
    """Outcomes counted by class."""
    return tallied((item.circuit_class, item.outcome) for item in compared)


def _compare(
    config: Config, need: Path, held_out: Sequence[HeldOutSpecification], challenger: Path, output: Path
) -> dict[str, Any]:
    output.mkdir(parents=True, exist_ok=True)
    decided = Need.read(need)
    # Not the draws of the searches that were logged, which were selected for what they missed.
    config = dataclasses.replace(config, seed=config.seed + 1 + zlib.crc32(decided.night.encode()) % 1_000_000)
    judged = set((decided.challenger or {}).get("judged", ()))
    requested = [
        HeldOutSpecification(level=REQUESTED, row=-1, spec=spec)
        for specs in decided.judges.values()
        for spec in specs
        if spec.name not in judged
    ]
    specifications = [*requested, *held_out]
    bundles = {"champion": Bundle.load(need / CHAMPION_FOLDER), "challenger": Bundle.load(challenger)}
    trials = {name: _trials(config, bundle, specifications, name) for name, bundle in bundles.items()}
    compared = [
        Compared(
            id=specification_id(item.spec.to_dict()),
            circuit_class=item.spec.circuit_class,
            origin=REQUESTED if item.level == REQUESTED else HELD_OUT,  # type: ignore[arg-type]
            champion=ours.first_met,
            challenger=theirs.first_met,
        )
        for item, ours, theirs in zip(specifications, trials["champion"], trials["challenger"], strict=True)
    ]
    write_comparison(output, compared, {name: bundle.identity for name, bundle in bundles.items()})
    log_artifact(output, "comparison")
    counts = tallies(compared)
    total = sum(counts.values(), Tally())
    return {
        **total.content(),
        **{f"{key}/{name}": count for name, tally in counts.items() for key, count in tally.content().items()},
        "requested": len(requested),
        "held_out": len(held_out),
        **{f"simulated_{name}": sum(trial.simulated for trial in own) for name, own in trials.items()},
    }


def _trials(
    config: Config, bundle: Bundle, specifications: Sequence[HeldOutSpecification], description: str
) -> list[Trial]:
    """How a bundle does; what it was not trained on it does not meet."""
    known = [item for item in specifications if item.spec.circuit_class in bundle.conditioning.classes]
    if not known:
        return [_untried(item) for item in specifications]
    # Said here once, rather than by every process that tries.
    OnnxBackend(bundle, threads=1)
    found = iter(
        generator_trials(
            partial(bundle_designer, config, bundle), known, config.evaluation.calls, description=description
        )
    )
    return [
        next(found) if item.spec.circuit_class in bundle.conditioning.classes else _untried(item)
        for item in specifications
    ]


def _untried(item: HeldOutSpecification) -> Trial:
    return Trial(
        method="untrained",
        circuit_class=item.spec.circuit_class,
        level=item.level,
        name=item.spec.name,
        first_met=None,
        simulated=0,
        failed={},
        seconds=0.0,
    )
