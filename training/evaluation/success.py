"""How often methods meet specifications: success@K with intervals, whole curves, and one method held against another.

Intervals are percentiles of a bootstrap over specifications (Efron 1979); methods on the same specifications are resampled
together. Specifications that were not met count as met after infinitely many calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config.schema import Config, per_class
from training.evaluation.trials import Trial

SUCCESS_AT = (1, 8, 16, 64)
PERCENTILES = (2.5, 97.5)
Array = NDArray[np.float64]


def first_met(trials: Iterable[Trial]) -> Array:
    """SPICE calls until each trial met its specification, (N,); infinity where it did not."""
    return np.array([np.inf if trial.first_met is None else trial.first_met for trial in trials], dtype=np.float64)


def resampled(count: int, samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of resampled specifications, (samples, count)."""
    return rng.integers(count, size=(samples, count))


def interval(values: Array) -> list[float]:
    """95 % interval of bootstrapped values."""
    return [float(value) for value in np.percentile(values, PERCENTILES)]


def summarize(trials: Sequence[Trial], config: Config) -> list[dict[str, Any]]:
    """One entry a class, level and method: success@K with 95 % intervals, median calls, wall time, failures."""
    rng = np.random.default_rng((config.seed, 19))
    entries = []
    for circuit_class, level, method in dict.fromkeys((t.circuit_class, t.level, t.method) for t in trials):
        own = [t for t in trials if (t.circuit_class, t.level, t.method) == (circuit_class, level, method)]
        index = resampled(len(own), config.evaluation.bootstrap_samples, rng)
        calls = per_class(config.evaluation.calls, circuit_class)
        head = {"class": circuit_class, "level": level, "method": method}
        entries.append(head | totals(own) | success(first_met(own), [k for k in SUCCESS_AT if k <= calls], index))
    return entries


def totals(trials: Sequence[Trial]) -> dict[str, Any]:
    """How many trials there were, what they cost, and how their circuits failed."""
    first = first_met(trials)
    failed: Counter[str] = Counter()
    for trial in trials:
        failed.update(trial.failed)
    return {
        "specifications": len(trials),
        "median_calls_when_met": float(np.median(first[np.isfinite(first)])) if np.isfinite(first).any() else None,
        "simulated": sum(trial.simulated for trial in trials),
        "failed": dict(sorted(failed.items())),
        "median_seconds": float(np.median([trial.seconds for trial in trials])),
    }


def success(first: Array, calls: Sequence[int], index: NDArray[np.int64]) -> dict[str, Any]:
    """Success@K with its interval for each number of calls K.

    Args:
        first: calls until each specification was met, (N,).
        index: resampled specifications, (samples, N).
    """
    entry: dict[str, Any] = {}
    for k in calls:
        met = first <= k
        entry[f"success_at_{k}"] = float(met.mean())
        entry[f"success_at_{k}_interval"] = interval(met[index].mean(axis=1))
    return entry


def curve(first: Array, calls: int, index: NDArray[np.int64], per_octave: int = 3) -> list[list[float]]:
    """Success against calls: rows of calls, share met, and its interval, at numbers of calls spread evenly in octaves."""
    octaves = np.log2(calls)
    points = np.unique(np.round(2.0 ** np.linspace(0.0, octaves, int(np.ceil(per_octave * octaves)) + 1)))
    met = first[:, None] <= points  # (N, points)
    low, high = np.percentile(met[index].mean(axis=1), PERCENTILES, axis=0)
    return np.stack([points, met.mean(axis=0), low, high], axis=1).tolist()


def calls_to_reach(first: Array, share: Array) -> Array:
    """Fewest calls at which a method meets a share of the specifications; infinity where it never does.

    Args:
        first: calls until each specification was met, (..., N).
        share: share of the specifications, (...).
    """
    ordered = np.sort(first, axis=-1)
    count = ordered.shape[-1]
    # A share that is a ratio of integers must not be rounded up to the next one.
    needed = np.ceil(np.asarray(share) * count - 1e-9).astype(np.int64)
    reached = np.take_along_axis(ordered, np.maximum(needed - 1, 0)[..., None], axis=-1)[..., 0]
    return np.where(needed == 0, 1.0, reached)


def held_against(ours: Array, theirs: Array, calls: int, index: NDArray[np.int64]) -> dict[str, Any]:
    """How much more often our method meets the same specifications than another that may spend other calls.

    Args:
        ours, theirs: calls until each specification was met, (N,), in the same order.
        calls: that ours may spend; the other's own limit is in its infinities.
        index: resampled specifications, (samples, N).

    Returns:
        ``difference`` of success, with its paired interval; ``clear`` if ours is above by more than both intervals; and
        ``calls_to_match``: the calls at which the other method reaches our success at 1, 8, ... calls, with an interval,
        each null where it does not within its limit, and all of them where ours is 0: to reach nothing is no match.
    """
    met, other = ours <= calls, np.isfinite(theirs)
    mine, its = met[index].mean(axis=1), other[index].mean(axis=1)
    matches: dict[str, list[float | None]] = {}
    for k in (k for k in SUCCESS_AT if k <= calls):
        if not (ours <= k).any():
            matches[str(k)] = [None, None, None]
            continue
        reached = float(calls_to_reach(theirs, (ours <= k).mean()))
        again = calls_to_reach(theirs[index], (ours <= k)[index].mean(axis=1))
        low, high = (np.quantile(again, p / 100, method="inverted_cdf") for p in PERCENTILES)
        matches[str(k)] = [float(v) if np.isfinite(v) else None for v in (reached, low, high)]
    return {
        "difference": float(met.mean() - other.mean()),
        "difference_interval": interval(mine - its),
        "clear": bool(interval(mine)[0] > interval(its)[1]),
        "calls_to_match": matches,
    }
