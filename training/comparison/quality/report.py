"""What many trials say together: success with intervals, curves, the generator against every method, hypervolumes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrf.conditioning import Conditioning
from genrf.files import written_whole
from training.comparison.quality.journal import Entry
from training.comparison.quality.tasks import Group, Task
from training.data.rows import Rows
from training.evaluation.hypervolume import TrainingFront
from training.evaluation.methods import GENERATOR
from training.evaluation.success import SUCCESS_AT, curve, first_met, held_against, resampled, success, totals

Decided = dict[Group, list[Entry]]


def decided(tasks: Sequence[Task], entries: Mapping[str, Entry]) -> Decided:
    """The trials of each group that are over, in order, up to the first that is not.

    Trials are started in order, and those that succeed end first: what ended after one that is still going on would show
    the method better than it is.
    """
    groups: Decided = {}
    open_groups = set()
    for task in tasks:
        own = groups.setdefault(task.group, [])
        if task.key not in entries:
            open_groups.add(task.group)
        elif task.group not in open_groups:
            own.append(entries[task.key])
    return {group: own for group, own in groups.items() if own}


def summary(groups: Decided, samples: int, seed: int) -> list[dict[str, Any]]:
    """One entry a group: success@K with intervals, the curve of success against calls, what it cost."""
    rng = np.random.default_rng((seed, 19))
    lines = []
    for (circuit_class, level, method, calls), own in groups.items():
        trials = [entry.trial() for entry in own]
        first = first_met(trials)
        index = resampled(len(own), samples, rng)
        at = sorted({*(k for k in SUCCESS_AT if k <= calls), calls})
        lines.append(
            {"class": circuit_class, "level": level, "method": method, "calls": calls}
            | totals(trials)
            | {"gave_up": sum(entry.error is not None for entry in own)}
            | success(first, at, index)
            | {"curve": _rounded(curve(first, calls, index))}
        )
    return lines


def comparisons(groups: Decided, samples: int, seed: int) -> list[dict[str, Any]]:
    """The generator against every other method on the specifications that both tried."""
    rng = np.random.default_rng((seed, 29))
    lines = []
    for (circuit_class, level, method, calls), theirs in groups.items():
        pair = _pair(groups, (circuit_class, level), theirs)
        if method == GENERATOR or pair is None:
            continue
        ours, same = pair
        index = resampled(len(ours), samples, rng)
        first = [first_met(entry.trial() for entry in own) for own in (ours, same)]
        lines.append(
            {"class": circuit_class, "level": level, "method": method, "calls": calls, "specifications": len(ours)}
            | {"generator_calls": ours[0].calls}
            | held_against(first[0], first[1], ours[0].calls, index)
        )
    return lines


def overall(groups: Decided, samples: int, seed: int) -> list[dict[str, Any]]:
    """The generator against each method with as many calls, over all classes and levels that both tried."""
    rng = np.random.default_rng((seed, 31))
    tried: dict[str, list[tuple[list[Entry], list[Entry]]]] = {}
    for (circuit_class, level, method, calls), theirs in groups.items():
        pair = _pair(groups, (circuit_class, level), theirs)
        if method != GENERATOR and pair is not None and pair[0][0].calls == calls:
            tried.setdefault(method, []).append(pair)
    lines = []
    for method, pairs in tried.items():
        ours, its = (first_met(entry.trial() for own in side for entry in own) for side in zip(*pairs, strict=True))
        most = max(own[0].calls for own, _ in pairs)
        index = resampled(len(ours), samples, rng)
        lines.append(
            {"method": method, "specifications": len(ours), "generator_success": float(np.isfinite(ours).mean())}
            | {"success": float(np.isfinite(its).mean())}
            | held_against(ours, its, most, index)
        )
    return lines


def hypervolumes(groups: Decided, rows: Mapping[str, Rows], conditioning: Conditioning) -> list[dict[str, Any]]:
    """Hypervolume of what each method simulated on the way, over all levels, relative to the training data's.

    Beside it the generator's on the same specifications. Trials end once their specification is met, so a method that needs
    fewer calls has had fewer chances to extend the front: ``simulated`` says how many.
    """
    lines = []
    for circuit_class in dict.fromkeys(group[0] for group in groups):
        front = TrainingFront.of(circuit_class, rows[circuit_class], conditioning)
        if front is None:
            continue
        merged: dict[tuple[str, int], list[tuple[list[Entry], list[Entry]]]] = {}
        base = min(group[3] for group in groups if group[0] == circuit_class)
        for (name, level, method, calls), theirs in groups.items():
            pair = _pair(groups, (name, level), theirs)
            if name == circuit_class and pair is not None:
                merged.setdefault((method, max(1, round(calls / base))), []).append(pair)
        for (method, factor), pairs in merged.items():
            line: dict[str, Any] = {"class": circuit_class, "method": method, "calls": factor * base}
            for key, side in (("", 1), ("generator_", 0)):
                own = [entry for pair in pairs for entry in pair[side]]
                gains = [np.array(entry.gains) for entry in own if entry.gains]
                volume = front.relative(np.concatenate(gains)) if gains else 0.0
                line |= {f"{key}hypervolume": round(volume, 4), f"{key}simulated": sum(e.simulated for e in own)}
            lines.append(line | {"specifications": sum(len(theirs) for _, theirs in pairs)})
    return lines


def write_result(result: Mapping[str, Any], path: Path) -> None:
    """Write the result as JSON with one entry a line, so that it stays short and a difference can be read."""
    parts = []
    for key, value in result.items():
        if isinstance(value, list):
            lines = ",\n".join(f"    {json.dumps(item, allow_nan=False)}" for item in value)
            parts.append(f"  {json.dumps(key)}: [\n{lines}\n  ]" if value else f"  {json.dumps(key)}: []")
        else:
            parts.append(f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
    with written_whole(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _pair(groups: Decided, where: tuple[str, str], theirs: Sequence[Entry]) -> tuple[list[Entry], list[Entry]] | None:
    """The generator's trials and another method's on the specifications that both tried; none if there are none."""
    circuit_class, level = where
    ours = {
        entry.name: entry
        for group, own in groups.items()
        if group[:3] == (circuit_class, level, GENERATOR)
        for entry in own
    }
    same = [entry for entry in theirs if entry.name in ours]
    return ([ours[entry.name] for entry in same], same) if same else None


def _rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[int(k), *(round(value, 4) for value in rest)] for k, *rest in rows]
