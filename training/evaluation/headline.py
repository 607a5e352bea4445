"""An evaluation in a dozen figures, the same names for every run, so that runs can be compared by them.

Each is an average over the circuit classes; the figures of one class are in ``evaluation.json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.evaluation.methods import GENERATOR, RANDOM, RETRIEVAL

LEVEL = "exact"
"""Level of held-out specifications by which generators are compared."""
OTHER_LEVELS = ("relaxed", "tightened", "frontier")
QUALITY = ("valid", "simulates", "novel")
CRITERION = re.compile(r"success_at_(\d+)")


def headline(result: Mapping[str, Any]) -> dict[str, float]:
    """The dozen figures of an ``evaluation.json``.

    Returns:
        ``success_at_K`` of the generator at level `LEVEL`; ``success_LEVEL`` and ``success_BASELINE``, each with all calls that a
        class has; ``topologies_QUALITY``.
    """
    methods = result["methods"]
    figures = average(methods, LEVEL, GENERATOR)
    figures |= {f"success_{level}": _most(methods, level, GENERATOR) for level in OTHER_LEVELS}
    figures |= {f"success_{method}": _most(methods, LEVEL, method) for method in (RETRIEVAL, RANDOM)}
    for name in QUALITY:
        shares = [quality[name] for quality in result["topologies"].values() if name in quality]
        figures[f"topologies_{name}"] = _mean(shares)
    return {name: value for name, value in figures.items() if value is not None}


def average(methods: Sequence[Mapping[str, Any]], level: str, method: str) -> dict[str, Any]:
    """``success_at_K`` of a method at a level, averaged over the classes that have as many calls; most calls first."""
    own = [entry for entry in methods if entry["level"] == level and entry["method"] == method]
    names = criteria(key for entry in own for key in entry)
    # Classes that simulate slowly are judged with fewer calls, and have no say in a figure of more.
    return {name: _mean([entry[name] for entry in own if name in entry]) for name in names}


def criteria(names: Iterable[str]) -> list[str]:
    """Those of the names that are ``success_at_K``, the most calls first."""
    found = {int(match[1]): name for name in names if (match := CRITERION.fullmatch(name))}
    return [found[calls] for calls in sorted(found, reverse=True)]


def _most(methods: Sequence[Mapping[str, Any]], level: str, method: str) -> float | None:
    own = [entry for entry in methods if entry["level"] == level and entry["method"] == method]
    return _mean([entry[criteria(entry)[0]] for entry in own if criteria(entry)])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
