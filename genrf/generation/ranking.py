"""Which candidates most likely work and meet the specification, by the surrogate as corrected by what was simulated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.canonical import fingerprint
from genrf.conditioning import Conditioning
from genrf.generation.candidates import Candidates
from genrf.generation.posterior import Feasibility, Posterior
from genrf.generation.precedents import condition_coordinates
from genrf.spec import DesignSpec

Array = NDArray[np.float32]


class Ranking:
    """What is known so far of one specification's circuits.

    Args:
        conditioning: how metrics are standardised.
        spec: what circuits are ranked for.
        conditions: the specification's conditions vector, (C,).
    """

    def __init__(self, conditioning: Conditioning, spec: DesignSpec, conditions: Array) -> None:
        self._conditioning = conditioning
        self._spec = spec
        self._conditions = conditions
        self._posterior = Posterior()
        self._feasibility = Feasibility()

    def observe_precedents(self, candidates: Candidates, conditions: Array, measured: Array) -> None:
        """Learn from circuits simulated before, under conditions (P, C) of their own, with metrics (P, n)."""
        for index, (name, at) in enumerate(
            zip(candidates.fingerprints, self._coordinates(candidates.values, conditions), strict=True)
        ):
            mean, deviation = candidates.mean[index], candidates.deviation[index]
            self._posterior.observe(name, at, mean, deviation, measured[index])

    def observe(self, candidates: Candidates, index: int, metrics: Array | None) -> None:
        """Learn what a simulation gave, (n,) standardised; none if the circuit failed."""
        name = fingerprint(candidates.topologies[index])
        at = self._coordinates(candidates.values[index], self._conditions)
        self._feasibility.observe(name, at, feasible=metrics is not None)
        if metrics is not None:
            self._posterior.observe(name, at, candidates.mean[index], candidates.deviation[index], metrics)

    def log_chance(self, candidates: Candidates) -> Array:
        """Logarithm of the chance that each candidate works and meets the specification, (P,)."""
        names, at = candidates.fingerprints, self._coordinates(candidates.values, self._conditions)
        mean, deviation = self._posterior.correct(names, at, candidates.mean, candidates.deviation)
        met = self._conditioning.log_probability_met(self._spec, mean, deviation)
        return met + self._feasibility.log_probability(names, at, candidates.feasible)

    def best(self, candidates: Candidates, count: int) -> NDArray[np.int64]:
        """The likeliest of the candidates, as an index (count,)."""
        return np.argsort(-self.log_chance(candidates), kind="stable")[:count]

    def ordered(self, pools: list[Candidates]) -> list[tuple[Candidates, int]]:
        """All candidates, each by its pool and its place in it, the likeliest first."""
        everything = [(candidates, index) for candidates in pools for index in range(len(candidates))]
        chance = np.concatenate([self.log_chance(candidates) for candidates in pools])
        return [everything[index] for index in np.argsort(-chance, kind="stable").tolist()]

    def expects_success(self, pools: list[Candidates]) -> bool:
        """Whether one of the candidates will sooner meet the specification than not."""
        return any(self.log_chance(candidates).max(initial=-np.inf) > np.log(0.5) for candidates in pools)

    def _coordinates(self, values: Array, conditions: Array) -> Array:
        """Where circuits (..., M) under conditions (C,) or (..., C) lie for the correction of predictions: (..., M + 4)."""
        own = condition_coordinates(conditions)
        own = np.broadcast_to(own, (*values.shape[:-1], own.shape[-1]))
        return np.concatenate([values, own], axis=-1).astype(np.float32)
