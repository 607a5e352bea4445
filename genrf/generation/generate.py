"""From a specification to verified designs.

The calls to SPICE are spent in batches. Before the first batch the topology generator proposes graphs, the sizing model
draws values for each and the surrogate picks the candidates that are predicted to meet the specification best. Each later
batch also learns from what was simulated: the best circuits are partly re-noised and denoised again at several noise levels,
and the surrogate predicts only the *change* from the parent, whose metrics are known from SPICE.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrf import __version__, technology
from genrf.circuit.canonical import canonical
from genrf.circuit.normalise import denormalise, normalise
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES, Tokens, decode, encode
from genrf.circuit.topology import Circuit, Topology
from genrf.conditioning import Conditioning
from genrf.generation.backend import Backend
from genrf.generation.design import Design, DesignResult, ranked
from genrf.generation.sampler import SamplerSettings, sample
from genrf.simulation.pool import Outcome, Simulation, SimulatorPool
from genrf.spec import DesignSpec

Progress = Callable[[int, int], None]
"""Called with the calls spent and the calls allowed."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the search divides its effort."""

    latents: int = 192
    """Topologies drawn from the generator."""
    topologies: int = 48
    """Legal, distinct topologies that are sized."""
    sizings: int = 6
    """Values drawn a topology."""
    batch: int = 16
    """SPICE calls between two looks at the results."""
    parents: int = 8
    """Simulated circuits that later batches start from."""
    variations: int = 24
    """Values drawn around each parent."""
    noise_levels: tuple[float, ...] = (0.05, 0.12, 0.3)
    """Noise, in normalised values, at which parents are re-denoised."""
    per_topology: int = 4
    """Most candidates of one topology in the first batch."""
    fresh_share: float = 0.25
    """Share of each later batch given to candidates that descend from no simulated circuit."""


@dataclass
class _Pool:
    """Candidates of one stage as arrays; P candidates, M slots."""

    topologies: list[Topology]
    kinds: NDArray[np.int64]
    nets: NDArray[np.int64]
    values: NDArray[np.float32]
    source: list[str]
    margin: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.topologies)


class Designer:
    """Holds the models and a warm simulator pool, and searches designs for one specification after another.

    A context manager. Not safe for use by several threads at once.

    Args:
        backend: the trained models.
        conditioning: how they encode specifications.
        sampler: the diffusion sampler's settings.
        settings: how the search divides its effort.
        workers: simulator processes; by default one a core.
        seed: default for `design`; all randomness comes from it.
        provenance: recorded with every design, for example the bundle's hash.
    """

    def __init__(
        self,
        backend: Backend,
        conditioning: Conditioning,
        sampler: SamplerSettings,
        *,
        settings: SearchSettings | None = None,
        technology_name: str = "sg13g2",
        workers: int | None = None,
        seed: int = 0,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self._backend = backend
        self._conditioning = conditioning
        self._sampler = sampler
        self._settings = settings or SearchSettings()
        self._technology = technology.get(technology_name)
        self._pool = SimulatorPool(workers=workers, technology=technology_name)
        self._seed = seed
        self._provenance = {"genrf": __version__, "technology": technology_name, **(provenance or {})}

    def __enter__(self) -> Designer:
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)

    @property
    def circuit_classes(self) -> tuple[str, ...]:
        """Classes that the models were trained on."""
        return self._conditioning.classes

    def design(
        self,
        spec: DesignSpec,
        *,
        calls: int = 64,
        seed: int | None = None,
        stop_when_met: bool = False,
        progress: Progress | None = None,
    ) -> DesignResult:
        """Search with at most ``calls`` SPICE calls.

        Args:
            stop_when_met: end after the batch in which the specification is first met, instead of using every call to
                find designs with more margin.

        Raises:
            InvalidInputError: if the models do not know the specification's class.
        """
        seed = self._seed if seed is None else seed
        search = _Search(self, spec, np.random.default_rng((seed, 11)), seed)
        return search.run(calls, stop_when_met, progress)

    def simulate(self, simulations: Sequence[Simulation], *, curves: bool = False) -> list[Outcome]:
        """Simulate circuits on the same warm workers, in order; with ``curves`` the outcomes carry them for plots."""
        return self._pool.run(simulations, curves=curves)

    def topologies(
        self, spec: DesignSpec, count: int, rng: np.random.Generator
    ) -> list[tuple[Tokens, Topology | None]]:
        """Draw ``count`` token sequences from the generator, each with its topology or none if it is not legal."""
        specification = np.repeat(self._conditioning.encode_specification(spec)[None], count, axis=0)
        latent = rng.standard_normal((count, self._backend.latent_size)).astype(np.float32)
        kind_logits, net_logits = self._backend.propose(specification, latent)
        kinds = kind_logits.argmax(axis=-1)  # (count, M)
        nets = net_logits.argmax(axis=-1)  # (count, M, 3)
        return [_read(k, n, spec.circuit_class) for k, n in zip(kinds, nets, strict=True)]

    def size(self, spec: DesignSpec, topologies: list[Topology], rng: np.random.Generator) -> list[Circuit]:
        """Draw one set of values for each topology."""
        search = _Search(self, spec, rng, self._seed)
        pool = search.sized(topologies)
        return [search.circuit(topology, values) for topology, values in zip(topologies, pool.values, strict=True)]


class _Search:
    """The state of one call to `Designer.design`."""

    def __init__(self, designer: Designer, spec: DesignSpec, rng: np.random.Generator, seed: int) -> None:
        self._designer = designer
        self._settings = designer._settings
        self._conditioning = designer._conditioning
        self._spec = spec
        self._rng = rng
        self._seed = seed
        self._conditions = self._conditioning.encode_conditions(spec.circuit_class, spec.conditions)
        self._specification = self._conditioning.encode_specification(spec)
        self._seconds: dict[str, float] = {}
        self._designs: list[Design] = []
        self._failed: Counter[str] = Counter()
        self._simulated = 0
        self._first_met: int | None = None
        self._seen: set[Circuit] = set()
        self._metrics_of: dict[int, NDArray[np.float32]] = {}

    def run(self, calls: int, stop_when_met: bool, progress: Progress | None) -> DesignResult:
        fresh = self._propose()
        while self._simulated < calls:
            count = min(self._settings.batch, calls - self._simulated)
            before = self._simulated
            self._simulate(self._choose(fresh, count), progress, calls)
            if self._simulated == before or (stop_when_met and self._first_met is not None):
                break
        return DesignResult(
            spec=self._spec,
            designs=ranked(self._designs, self._spec),
            simulated=self._simulated,
            failed=dict(self._failed),
            first_met=self._first_met,
            seconds=self._seconds,
        )

    def _propose(self) -> _Pool:
        """Topologies from the generator, sized and rated by the surrogate."""
        with self._timed("topologies"):
            drawn = self._designer.topologies(self._spec, self._settings.latents, self._rng)
            legal = {topology.fingerprint: topology for _, topology in drawn if topology is not None}
            chosen = list(legal.values())[: self._settings.topologies]
        pool = self.sized([topology for topology in chosen for _ in range(self._settings.sizings)])
        if not len(pool):
            return pool
        with self._timed("ranking"):
            mean, deviation = self._predict(pool)
            pool.margin = self._conditioning.predicted_margin(self._spec, mean, deviation)
        return pool

    def sized(self, topologies: list[Topology]) -> _Pool:
        """Values drawn by the sizing model from pure noise, one set for each topology."""
        if not topologies:
            return _Pool([], *_no_slots(), np.zeros((0, MAX_DEVICES), np.float32), [])
        kinds, nets = _tokens(topologies)
        sigma = self._designer._sampler.sigma_max
        with self._timed("sizing"):
            noise = self._rng.standard_normal(kinds.shape).astype(np.float32)
            values = self._denoise(noise * sigma, kinds, nets, sigma)
        return self._legalised(_Pool(topologies, kinds, nets, values, ["generator"] * len(topologies)))

    def _vary(self) -> _Pool:
        """Re-noised versions of the best simulated circuits, rated by their predicted change."""
        parents = ranked(self._designs, self._spec)[: self._settings.parents]
        each = self._settings.variations
        topologies = [parent.circuit.topology for parent in parents for _ in range(each)]
        kinds, nets = _tokens(topologies)
        start = np.repeat(
            np.stack([self._normalised(parent.circuit) for parent in parents]), each, axis=0
        )  # (P * each, M)
        levels = self._settings.noise_levels
        level = np.arange(len(topologies)) % len(levels)
        values = np.empty_like(start)
        with self._timed("sizing"):
            noise = self._rng.standard_normal(start.shape).astype(np.float32)
            for index, sigma in enumerate(levels):
                chosen = level == index
                noisy = start[chosen] + sigma * noise[chosen] * (kinds[chosen] > 0)
                values[chosen] = self._denoise(noisy, kinds[chosen], nets[chosen], sigma)
        pool = self._legalised(_Pool(topologies, kinds, nets, values, ["variation"] * len(topologies)))
        with self._timed("ranking"):
            mean, deviation = self._predict(pool)
            own_kinds, own_nets = _tokens([parent.circuit.topology for parent in parents])
            own = np.stack([self._normalised(parent.circuit) for parent in parents])
            predicted, _ = self._predict(_Pool([p.circuit.topology for p in parents], own_kinds, own_nets, own, []))
            measured = np.stack(
                [self._conditioning.encode_metrics(self._spec.circuit_class, parent.metrics) for parent in parents]
            )
            change = mean - np.repeat(predicted, each, axis=0)
            pool.margin = self._conditioning.predicted_margin(
                self._spec, np.repeat(measured, each, axis=0) + change, deviation
            )
        return pool

    def _choose(self, fresh: _Pool, count: int) -> list[tuple[Circuit, str]]:
        if not self._designs:
            return self._best(fresh, count, self._settings.per_topology)
        reserved = min(len(fresh), round(self._settings.fresh_share * count))
        chosen = self._best(self._vary(), count - reserved, count)
        return chosen + self._best(fresh, count - len(chosen), count)

    def _best(self, pool: _Pool, count: int, per_topology: int) -> list[tuple[Circuit, str]]:
        """The candidates with the best predicted margins that were not simulated yet."""
        chosen: list[tuple[Circuit, str]] = []
        used: Counter[str] = Counter()
        for index in np.argsort(-pool.margin, kind="stable"):
            if len(chosen) == count:
                break
            topology = pool.topologies[index]
            circuit = self.circuit(topology, pool.values[index])
            if circuit in self._seen or used[topology.fingerprint] >= per_topology:
                continue
            self._seen.add(circuit)
            used[topology.fingerprint] += 1
            chosen.append((circuit, pool.source[index]))
        return chosen

    def _simulate(self, chosen: list[tuple[Circuit, str]], progress: Progress | None, calls: int) -> None:
        with self._timed("spice"):
            jobs = [Simulation(circuit, self._spec.conditions) for circuit, _ in chosen]
            for (circuit, source), outcome in zip(chosen, self._designer._pool.run_iter(jobs), strict=True):
                self._simulated += 1
                if outcome.metrics is None:
                    assert outcome.failure is not None
                    self._failed[outcome.failure.cause] += 1
                else:
                    met = self._spec.meets(outcome.metrics)
                    if met and self._first_met is None:
                        self._first_met = self._simulated
                    self._designs.append(
                        Design(
                            circuit=circuit,
                            metrics=outcome.metrics,
                            met=met,
                            margin=self._spec.worst_margin(outcome.metrics),
                            provenance={
                                **self._designer._provenance,
                                "seed": self._seed,
                                "order": self._simulated,
                                "source": source,
                            },
                        )
                    )
                if progress is not None:
                    progress(self._simulated, calls)

    def _denoise(
        self, noisy: NDArray[np.float32], kinds: NDArray[np.int64], nets: NDArray[np.int64], sigma: float
    ) -> NDArray[np.float32]:
        width = int((kinds > 0).sum(axis=1).max())
        specification = np.repeat(self._specification[None], len(kinds), axis=0)
        values = np.zeros_like(noisy)
        values[:, :width] = sample(
            self._designer._backend,
            noisy[:, :width],
            kinds[:, :width],
            nets[:, :width],
            specification,
            self._designer._sampler,
            sigma_start=sigma,
        )
        return values

    def _predict(self, pool: _Pool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        width = int((pool.kinds > 0).sum(axis=1).max())
        conditions = np.repeat(self._conditions[None], len(pool), axis=0)
        mean, log_variance = self._designer._backend.predict(
            pool.values[:, :width], pool.kinds[:, :width], pool.nets[:, :width], conditions
        )
        return mean, np.exp(0.5 * log_variance)

    def _legalised(self, pool: _Pool) -> _Pool:
        """Values as they would be built, so that the surrogate rates what SPICE would simulate."""
        frequency = self._spec.conditions.frequency_hz
        legal = denormalise(pool.kinds, pool.values, frequency, self._designer._technology)
        pool.values = normalise(pool.kinds, legal, frequency).astype(np.float32)
        return pool

    def circuit(self, topology: Topology, values: NDArray[np.float32]) -> Circuit:
        """The circuit of normalised values (M,)."""
        count = len(topology.devices)
        kinds, _ = _tokens([topology])
        legal = denormalise(kinds, values[None], self._spec.conditions.frequency_hz, self._designer._technology)
        return Circuit(topology, tuple(float(v) for v in legal[0, :count]))

    def _normalised(self, circuit: Circuit) -> NDArray[np.float32]:
        kinds, _ = _tokens([circuit.topology])
        values = np.zeros((1, MAX_DEVICES))
        values[0, : len(circuit.values)] = circuit.values
        return normalise(kinds, values, self._spec.conditions.frequency_hz)[0].astype(np.float32)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - start


def _read(kinds: NDArray[np.int64], nets: NDArray[np.int64], circuit_class: str) -> tuple[Tokens, Topology | None]:
    tokens = Tokens(kinds.astype(np.int8), nets.astype(np.int8))
    try:
        topology = decode(tokens, circuit_class)
    except ValueError:
        return tokens, None
    if not is_legal(topology):
        return tokens, None
    return tokens, canonical(topology)[0]


def _tokens(topologies: list[Topology]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    encoded = [encode(topology) for topology in topologies]
    return (
        np.stack([tokens.kinds for tokens in encoded]).astype(np.int64),
        np.stack([tokens.nets for tokens in encoded]).astype(np.int64),
    )


def _no_slots() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.zeros((0, MAX_DEVICES), dtype=np.int64), np.zeros((0, MAX_DEVICES, 3), dtype=np.int64)
