"""Circuits for refinement to choose from, most of them near those that were simulated.

Sizings of known topologies are drawn in three ways, mixed: the sizing model re-noises and denoises known values under a
specification that asks for more than the circuit reached, two circuits of one topology are blended, and single values are
moved at random. Such harder specifications also give fresh topologies from the generator. All are legal: in the process's
ranges and on its grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from genrf import classes
from genrf.circuit.biasing import fits_supply
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.topology import Topology
from genrf.conditions import Constraint
from genrf.errors import InvalidInputError
from genrf.generation.candidates import normalised_values, read_topology, slots, used_slots
from genrf.generation.design import Design
from genrf.generation.models import Models
from genrf.generation.sampler import sample
from genrf.metrics import Metrics
from genrf.spec import DesignSpec

NOISE_LEVELS = (0.1, 0.3, 1.0)
"""Noise, in normalised values, at which known values are denoised again."""
ASPIRATION = 0.6
"""How far beyond what a circuit reached the sizing model is asked to go with it at most, in standard deviations."""
FRESH_ASPIRATION = 3.0
"""The same for fresh circuits: a loose specification says nothing of how good circuits can be, so the models are asked for
much, and the surrogate says what came of it."""
SCALES = (0.02, 0.06, 0.2)
"""Standard deviations, in normalised values, of values that are moved."""
MOVED = 6
"""About how many values of a circuit are moved at once."""

Proposed = tuple[list[Topology], NDArray[np.float32]]
"""Topologies and normalised values (P, M)."""


class Proposer:
    """Draws legal circuits.

    Args:
        models: whose sizing model is asked, and whose technology decides what is legal.
        spec: what is looked for.
        objectives: metrics to go further in than known circuits; none to go further in the bounds.
    """

    def __init__(self, models: Models, spec: DesignSpec, objectives: Sequence[str], rng: np.random.Generator) -> None:
        self._models = models
        self._spec = spec
        self._objectives = tuple(objectives)
        self._rng = rng
        self._frequency = spec.conditions.frequency_hz
        self._rules = DesignRules(spec.circuit_class, spec.conditions, models.technology)

    def around(self, parents: Sequence[Design], count: int) -> Proposed:
        """About ``count`` sizings, a third each way."""
        share = max(1, count // 3)
        circuits = [parent.circuit for parent in parents]
        known = np.stack([normalised_values(circuit, self._frequency) for circuit in circuits])  # (R, M)
        chosen = self._rng.integers(len(parents), size=3 * share)
        topologies = [circuits[index].topology for index in chosen]
        values = known[chosen]
        kinds, nets = slots(topologies)
        asked = np.stack([self._aspiration(parents[index].metrics, ASPIRATION) for index in chosen[:share]])
        values[:share] = self._denoised(values[:share], kinds[:share], nets[:share], asked)
        for place in range(share, 2 * share):
            mates = [index for index, circuit in enumerate(circuits) if circuit.topology == topologies[place]]
            mate = known[self._rng.choice(mates)]
            values[place] += np.float32(self._rng.uniform(-0.3, 1.3)) * (mate - values[place])
        values[share:] = self._moved(values[share:], kinds[share:], SCALES)
        return topologies, self._rules.on_grid(topologies, kinds, values)

    def fresh(self, parents: Sequence[Design], count: int) -> Proposed:
        """Draws at most ``count`` circuits of topologies from the generator: as many as are legal."""
        backend = self._models.backend
        asked = np.stack(
            [
                self._aspiration(parents[index].metrics, FRESH_ASPIRATION)
                for index in self._rng.integers(len(parents), size=count)
            ]
        )
        latent = self._rng.standard_normal((count, backend.latent_size)).astype(np.float32)
        kind_logits, net_logits = backend.propose(asked, latent)
        topologies, rows = [], []
        for row, (kinds, nets) in enumerate(zip(kind_logits.argmax(axis=-1), net_logits.argmax(axis=-1), strict=True)):
            _, topology = read_topology(kinds, nets, self._spec.circuit_class)
            if topology is not None and fits_supply(topology, self._spec.conditions.supply_v):
                topologies.append(topology)
                rows.append(row)
        kinds, nets = slots(topologies)
        sigma, width = self._models.sampler.sigma_max, used_slots(kinds)
        values = np.zeros(kinds.shape, dtype=np.float32)
        values[:, :width] = sample(
            backend,
            np.float32(sigma) * self._rng.standard_normal((len(kinds), width)).astype(np.float32),
            kinds[:, :width],
            nets[:, :width],
            asked[rows],
            self._models.sampler,
        )
        return topologies, self._rules.on_grid(topologies, kinds, values)

    def near(self, topologies: Sequence[Topology], values: NDArray[np.float32], each: int) -> Proposed:
        """``each`` sizings close to every one of the given (P, M)."""
        repeated = [topology for topology in topologies for _ in range(each)]
        kinds, _ = slots(repeated)
        moved = self._moved(np.repeat(values, each, axis=0), kinds, SCALES[:2])
        return repeated, self._rules.on_grid(repeated, kinds, moved)

    def _moved(
        self, values: NDArray[np.float32], kinds: NDArray[np.int64], scales: Sequence[float]
    ) -> NDArray[np.float32]:
        """Values (P, M) with some of each circuit's moved, (P, M)."""
        present = kinds > 0
        chance = MOVED / np.maximum(present.sum(axis=1, keepdims=True), 1)
        chosen = (self._rng.random(values.shape) < chance) & present
        scale = self._rng.choice(scales, size=(len(values), 1))
        return (values + chosen * scale * self._rng.standard_normal(values.shape)).astype(np.float32)

    def _denoised(
        self,
        values: NDArray[np.float32],
        kinds: NDArray[np.int64],
        nets: NDArray[np.int64],
        specification: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Values (P, M) re-noised and denoised under specifications (P, D)."""
        drawn = values.copy()
        width = used_slots(kinds)
        level = np.arange(len(values)) % len(NOISE_LEVELS)
        for index, sigma in enumerate(NOISE_LEVELS):
            own = level == index
            noise = self._rng.standard_normal((int(own.sum()), width)).astype(np.float32)
            drawn[own, :width] = sample(
                self._models.backend,
                values[own, :width] + np.float32(sigma) * noise,
                kinds[own, :width],
                nets[own, :width],
                specification[own],
                self._models.sampler,
                sigma_start=sigma,
            )
        return drawn

    def _aspiration(self, metrics: Metrics, most: float) -> NDArray[np.float32]:
        """The specification, asking in some metrics for up to ``most`` deviations more than these metrics, (D,)."""
        conditioning, spec = self._models.conditioning, self._spec
        vocabulary = classes.get(spec.circuit_class).metrics
        position = conditioning.classes.index(spec.circuit_class)
        bounds = {(c.metric, c.sense): c for c in spec.constraints}
        for name in self._objectives or tuple(c.metric for c in spec.constraints):
            if name not in conditioning.metrics or self._rng.random() < 0.4:
                continue
            metric = vocabulary[name]
            deviation = conditioning.deviation[position][conditioning.metrics.index(name)]
            wanted = metric.normalise(metrics[name]) + metric.sign * self._rng.uniform(0.0, most) * deviation
            bound = 10.0**wanted if metric.scale == "log" else wanted
            own = bounds.get((name, metric.sense))
            if own is None or own.slack(bound) > 0.0:
                bounds[name, metric.sense] = Constraint(name, metric.sense, float(bound))
        try:
            asked = replace(spec, constraints=tuple(bounds.values()))
        except InvalidInputError:
            # Beyond what is ever measured, or a bound on the other side, which some specifications have.
            asked = spec
        return conditioning.encode_specification(asked)
