"""Where a search's candidates come from: precedents, the topology generator with the sizing model, and variations of circuits.

All of them are legal circuits, on the process's grid, with what the surrogate predicts of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.biasing import fits_supply
from genrf.circuit.canonical import fingerprint
from genrf.circuit.design_rules import DesignRules
from genrf.circuit.tokens import MAX_DEVICES, Tokens
from genrf.circuit.topology import Circuit, Topology
from genrf.generation.candidates import Candidates, read_topology, slots, used_slots
from genrf.generation.models import Models
from genrf.generation.precedents import Precedents
from genrf.generation.record import Record
from genrf.generation.sampler import sample
from genrf.generation.settings import SearchSettings
from genrf.spec import DesignSpec

Array = NDArray[np.float32]


class Sources:
    """Draws candidates for one specification.

    Args:
        models: which propose, size and rank.
        settings: how many of each.
        spec: what to look for.
        rng: source of all randomness.
        record: where the time that it takes is written down.
        rates: whether the surrogate predicts how candidates will do.
    """

    def __init__(
        self,
        models: Models,
        settings: SearchSettings,
        spec: DesignSpec,
        rng: np.random.Generator,
        record: Record,
        *,
        rates: bool = True,
    ) -> None:
        self._rates = rates
        self._models = models
        self._settings = settings
        self._spec = spec
        self._rng = rng
        self._record = record
        self.conditions = models.conditioning.encode_conditions(spec.circuit_class, spec.conditions)
        """Conditions vector, (C,)."""
        self.rules = DesignRules(spec.circuit_class, spec.conditions, models.technology)
        self._specification = models.conditioning.encode_specification(spec)

    def precedents(self) -> Precedents | None:
        """The circuits simulated before that come nearest to the specification, nearest first; none if none are known."""
        source = self._models.precedents
        known = source(self._spec.circuit_class) if source is not None else None
        if known is None or len(known) == 0:
            return None
        return known.nearest(self._models.conditioning, self._spec, self._settings.precedents)

    def recalled(self) -> list[Circuit]:
        """The nearest precedents as they would be built."""
        near = self.precedents()
        if near is None:
            return []
        return self.circuits(near.topologies(self._spec.circuit_class), near.values.astype(np.float32))

    def topologies(self, count: int) -> list[tuple[Tokens, Topology | None]]:
        """Token sequences drawn from the generator, each with its topology or none if it is not legal."""
        backend = self._models.backend
        specification = np.repeat(self._specification[None], count, axis=0)
        latent = self._rng.standard_normal((count, backend.latent_size)).astype(np.float32)
        kind_logits, net_logits = backend.propose(specification, latent)
        kinds = kind_logits.argmax(axis=-1)  # (count, M)
        nets = net_logits.argmax(axis=-1)  # (count, M, 3)
        return [read_topology(k, n, self._spec.circuit_class) for k, n in zip(kinds, nets, strict=True)]

    def proposed(self, sizings: int) -> Candidates:
        """Topologies from the generator, with so many sets of values each."""
        with self._record.timed("topologies"):
            if self._models.topology_source is not None:
                chosen = self._models.topology_source(self._spec, self._settings.topologies, self._rng)
            else:
                drawn = self.topologies(self._settings.latents)
                legal = {fingerprint(topology): topology for _, topology in drawn if topology is not None}
                supply = self._spec.conditions.supply_v
                fitting = [topology for topology in legal.values() if fits_supply(topology, supply)]
                chosen = (fitting or list(legal.values()))[: self._settings.topologies]
        return self.sized([topology for topology in chosen for _ in range(sizings)], "generator")

    def sized(self, topologies: list[Topology], source: str) -> Candidates:
        """Topologies with values drawn from pure noise."""
        kinds, nets = slots(topologies)
        sigma = self._models.sampler.sigma_max
        noise = self._rng.standard_normal(kinds.shape).astype(np.float32)
        values = self._denoised(noise * np.float32(sigma), kinds, nets, sigma)
        return self.rated(topologies, kinds, nets, values, source)

    def around(self, parents: list[Topology], parent_values: Array) -> Candidates:
        """Circuits with normalised values (P, M) noised a little and denoised again, at several noise levels."""
        levels = self._settings.noise_levels
        topologies = [parent for parent in parents for _ in range(self._settings.variations)]
        kinds, nets = slots(topologies)
        start = np.repeat(parent_values, self._settings.variations, axis=0)
        level = np.arange(len(topologies)) % len(levels)
        values = np.empty_like(start)
        noise = self._rng.standard_normal(start.shape).astype(np.float32)
        for index, sigma in enumerate(levels):
            own = level == index
            noisy = start[own] + sigma * noise[own] * (kinds[own] > 0)
            values[own] = self._denoised(noisy, kinds[own], nets[own], sigma)
        return self.rated(topologies, kinds, nets, values, "variation")

    def rated(
        self,
        topologies: list[Topology],
        kinds: NDArray[np.int64],
        nets: NDArray[np.int64],
        values: Array,
        source: str,
    ) -> Candidates:
        """Candidates of values (P, M), brought within the design rules, with the surrogate's prediction under the
        specification's conditions: it rates what SPICE would simulate."""
        values = self.rules.on_grid(topologies, kinds, values)
        with self._record.timed("ranking"):
            conditions = np.repeat(self.conditions[None], len(kinds), axis=0)
            mean, deviation, feasible = self.predicted(values, kinds, nets, conditions)
        return Candidates(
            topologies=topologies, values=values, mean=mean, deviation=deviation, feasible=feasible, source=source
        )

    def predicted(
        self, values: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], conditions: Array
    ) -> tuple[Array, Array, Array]:
        """The surrogate's mean and deviation of the standardised metrics, (P, n) each, and its logit that a circuit can be
        simulated within its devices' limits, (P,)."""
        if len(kinds) == 0 or not self._rates:
            nothing = np.zeros((len(kinds), len(self._models.conditioning.metrics)), dtype=np.float32)
            return nothing, nothing, np.zeros(len(kinds), dtype=np.float32)
        width = used_slots(kinds)
        mean, log_variance, feasible = self._models.backend.predict(
            values[:, :width], kinds[:, :width], nets[:, :width], conditions
        )
        return mean, np.exp(0.5 * log_variance), feasible

    def circuit(self, topology: Topology, values: Array) -> Circuit:
        """The circuit of normalised values (M,)."""
        return self.rules.sized(topology, values)

    def circuits(self, topologies: Sequence[Topology], values: Array) -> list[Circuit]:
        """The circuits of normalised values (P, M)."""
        return [self.circuit(topology, own) for topology, own in zip(topologies, values, strict=True)]

    def _denoised(self, noisy: Array, kinds: NDArray[np.int64], nets: NDArray[np.int64], sigma: float) -> Array:
        """Values (P, M) from noisy ones."""
        with self._record.timed("sizing"):
            width = used_slots(kinds)
            values: NDArray[np.floating] = np.zeros((len(kinds), MAX_DEVICES))
            values[:, :width] = sample(
                self._models.backend,
                noisy[:, :width],
                kinds[:, :width],
                nets[:, :width],
                np.repeat(self._specification[None], len(kinds), axis=0),
                self._models.sampler,
                sigma_start=sigma,
            )
            return values.astype(np.float32)
