"""The released precedents anew: within the design rules as they are now, and as the judge now measures them.

Rules and judge change sooner than weights are trained again. Every precedent is brought within the rules, simulated, and
kept if it is still of use and none of the topologies that were held out from training. The weights stay as they are.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genrf import classes, technology
from genrf.circuit.canonical import fingerprint
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.tokens import encode
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.files import replace_folder, write_json
from genrf.generation.bundle import Bundle, write_manifest
from genrf.generation.candidates import normalised_values
from genrf.generation.precedents import Precedents, file_name, precedents_in
from genrf.generation.released import read_card, released_folder
from genrf.progress import progress_bar
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Outcome, Simulation
from genrf.technology.base import Technology
from training.data.breeding import within_rules
from training.data.split import place
from training.release.model_card import write_card

CHUNK = 2000
"""Precedents that are simulated before what is known of them is written down."""
Kept = tuple[Circuit, Conditions, dict[str, float]]


def renew_precedents(
    work: Path,
    names: tuple[str, ...] = (),
    *,
    most: int | None = None,
    workers: int | None = None,
    target: Path | None = None,
) -> dict[str, Any]:
    """Simulate the precedents of released weights again and, once every class is done, put them in place of the old ones.

    What was done of the same weights before a kill is not done again: delete ``work`` to start anew.

    Args:
        work: folder where new precedents are kept, some at a time, until all are there.
        names: classes to do now; all by default.
        most: precedents of a class at most, drawn at random; the others leave the weights. All by default.
        workers: simulators at once; by default one a core.
        target: folder of the weights; by default the package's.

    Returns:
        Of each class that is done how many precedents there were, how many were kept, and what became of the others.

    Raises:
        InvalidInputError: if a class is not one of the bundle's.
        CheckpointError: if there are no released weights, or they are damaged.
    """
    target = target or released_folder()
    card, bundle = read_card(target), Bundle.load(target)
    known = bundle.conditioning.classes
    for name in names:
        if name not in known:
            raise InvalidInputError(f"--class {name}: not one of the bundle's, which are {', '.join(known)}")
    work.mkdir(parents=True, exist_ok=True)
    process = technology.get(technology.DEFAULT)
    with Judge(workers=workers, technology=process.name) as pool, progress_bar() as progress:
        for name in names or known:
            before = precedents_in(target)(name)
            if before is None:
                raise InvalidInputError(f"{target / file_name(name)}: missing; export the models again")
            chosen = np.random.default_rng(card["data"]["split"]["seed"]).permutation(len(before))[:most]
            task = progress.add_task(f"{name} precedents", total=len(chosen))
            parts, counts = [], Counter(before=len(before))
            for start in range(0, len(chosen), CHUNK):
                own = before.take(chosen[start : start + CHUNK])
                path = work / f"{name}-{bundle.identity[:10]}-{start:06d}-{len(own)}.npz"
                if not (path.is_file() and path.with_suffix(".json").is_file()):
                    kept, found = renewed(own, name, bundle.conditioning, process, pool, **card["data"]["split"])
                    write_json(path.with_suffix(".json"), found)
                    kept.save(path, compressed=True)
                parts.append(Precedents.load(path))
                counts.update(json.loads(path.with_suffix(".json").read_text()))
                progress.update(task, completed=start + len(own))
            Precedents.joined(parts).save(work / file_name(name), compressed=True)
            write_json(_report(work, bundle, name), dict(counts))
    reports = {name: _report(work, bundle, name) for name in known}
    done = {name: json.loads(path.read_text()) for name, path in reports.items() if path.is_file()}
    if len(done) == len(known):
        _put_in_place(target, work, bundle, card, done)
    return done


def renewed(
    before: Precedents,
    circuit_class: str,
    conditioning: Conditioning,
    process: Technology,
    pool: Judge,
    *,
    seed: int,
    test_share: float,
) -> tuple[Precedents, dict[str, int]]:
    """Precedents of one class as they come out, and what became of each.

    Args:
        seed: of the split of the weights' data.
        test_share: share of topologies that were held out from them.
    """
    counts: Counter[str] = Counter(simulated=len(before))
    asked: list[tuple[Circuit, Conditions]] = []

    def simulations() -> Iterator[Simulation]:
        for circuit, conditions in before.circuits(circuit_class, conditioning, process):
            broken = DesignRules(circuit_class, conditions, process).broken(circuit)
            counts["broke_a_rule"] += bool(broken)
            counts.update({breach.rule for breach in broken})
            kept = within_rules(circuit, conditions, process)
            asked.append((kept, conditions))
            yield Simulation(kept, conditions)

    kept: list[Kept] = []
    seen: set[Circuit] = set()
    for index, outcome in enumerate(pool.run_iter(simulations())):
        circuit, conditions = asked[index]
        if outcome.metrics is None or outcome.failure is not None:
            counts[_cause(outcome)] += 1
        elif circuit in seen:
            counts["became_equal"] += 1
        elif place(fingerprint(circuit.topology), seed) < test_share:
            counts["became_held_out"] += 1
        else:
            conditions, metrics = _at_own_frequency(circuit_class, conditions, dict(outcome.metrics))
            if classes.get(circuit_class).is_useful(metrics):
                seen.add(circuit)
                kept.append((circuit, conditions, metrics))
            else:
                counts["no_longer_useful"] += 1
    counts["kept"] = len(kept)
    return _table(kept, circuit_class, conditioning), dict(counts)


def _cause(outcome: Outcome) -> str:
    """Why a circuit failed: of broken device limits, whether it was one of the two that are judged since they were chosen."""
    failure = outcome.failure
    if failure is None:
        return "failed_unknown"
    for word, name in (("saturates", "failed_saturated"), ("breaks down", "failed_breakdown")):
        if word in failure.detail:
            return name
    return f"failed_{failure.cause}"


def _at_own_frequency(
    circuit_class: str, conditions: Conditions, metrics: dict[str, float]
) -> tuple[Conditions, dict[str, float]]:
    """What an oscillator was asked for and measured, had it been asked for the frequency that it has."""
    own = classes.get(circuit_class).own_frequency
    if own is None:
        return conditions, metrics
    return replace(conditions, frequency_hz=metrics[own.metric]), metrics | {own.error_percent: 0.0}


def _table(kept: list[Kept], circuit_class: str, conditioning: Conditioning) -> Precedents:
    tokens = [encode(circuit.topology) for circuit, _, _ in kept]
    values = [normalised_values(circuit, conditions.frequency_hz) for circuit, conditions, _ in kept]
    metrics = [conditioning.encode_metrics(circuit_class, measured) for _, _, measured in kept]
    conditions = [conditioning.encode_conditions(circuit_class, conditions) for _, conditions, _ in kept]
    return Precedents(
        kinds=np.array([token.kinds for token in tokens], dtype=np.int8),
        nets=np.array([token.nets for token in tokens], dtype=np.int8),
        values=np.array(values, dtype=np.float16),
        metrics=np.array(metrics, dtype=np.float16),
        conditions=np.array(conditions, dtype=np.float32),
    )


def _report(work: Path, bundle: Bundle, circuit_class: str) -> Path:
    return work / f"renewed-{circuit_class}-{bundle.identity[:10]}.json"


def _put_in_place(target: Path, work: Path, bundle: Bundle, card: dict[str, Any], done: dict[str, Any]) -> None:
    """Write the weights' folder with the new precedents, its manifest and its card, whole or not at all."""
    fresh = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(target, fresh)
    try:
        for name in done:
            shutil.copyfile(work / file_name(name), fresh / file_name(name))
        for name in ("card.json", "README.md"):
            (fresh / name).unlink(missing_ok=True)
        sealed = write_manifest(
            fresh,
            precision=bundle.precision,
            models=bundle.models,
            sampler=bundle.sampler,
            latent_size=bundle.latent_size,
        )
        card |= {"identity": sealed.identity, "precedents": done}
        card["bytes"] = sum(path.stat().st_size for path in fresh.iterdir())
        write_card(fresh, card)
        replace_folder(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
