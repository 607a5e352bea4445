"""Candidates bred on by what the surrogate predicts, without simulating any of them: differential evolution.

A child is a parent moved along the difference of two others of its topology (Storn and Price, "Differential evolution", 1997),
with a little noise. The likeliest of parents and children are the parents of the next generation.
"""

from __future__ import annotations

import numpy as np

from genrf.generation.candidates import Candidates, slots
from genrf.generation.ranking import Ranking
from genrf.generation.settings import SearchSettings
from genrf.generation.sources import Sources

NOISE = 0.03
"""Standard deviation, in normalised values, of what a child differs in besides."""


def bred(
    candidates: Candidates, sources: Sources, ranking: Ranking, settings: SearchSettings, rng: np.random.Generator
) -> Candidates:
    """Candidates after some generations."""
    for _ in range(settings.generations):
        best = candidates.take(ranking.best(candidates, settings.survivors))
        candidates = best.joined(_children(best, sources, settings.children, rng))
    return candidates


def _children(best: Candidates, sources: Sources, count: int, rng: np.random.Generator) -> Candidates:
    values = best.values
    names = np.array(best.fingerprints)
    kinds, nets = slots(best.topologies)
    base = rng.integers(len(best), size=count)
    moved = np.empty((len(base), values.shape[1]), dtype=np.float32)
    for child, parent in enumerate(base):
        relatives = np.flatnonzero(names == names[parent])
        first, second = rng.choice(relatives, 2)
        step = rng.uniform(0.3, 1.0) * (values[first] - values[second])
        noise = NOISE * rng.standard_normal(values.shape[1])
        moved[child] = values[parent] + (step + noise) * (kinds[parent] > 0)
    return sources.rated([best.topologies[index] for index in base], kinds[base], nets[base], moved, "variation")
