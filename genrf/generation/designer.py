"""From specifications to verified designs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from genrf import __version__, classes, technology
from genrf.circuit.tokens import Tokens
from genrf.circuit.topology import Circuit, Topology
from genrf.conditioning import Conditioning
from genrf.fields import quantity_text
from genrf.generation.backend import Backend
from genrf.generation.design import DesignResult
from genrf.generation.front_descent import FrontDescent
from genrf.generation.models import Models, TopologySource
from genrf.generation.objectives import choose_objectives, in_small_signal
from genrf.generation.precedents import PrecedentSource
from genrf.generation.record import Progress
from genrf.generation.refine import Refinement
from genrf.generation.sampler import SamplerSettings
from genrf.generation.search import Search
from genrf.generation.settings import SearchSettings
from genrf.generation.small_signal_search import SmallSignalSearch
from genrf.signoff import require_second_simulator
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Outcome, Simulation
from genrf.spec import DesignSpec, label_constraints

_NEAR = 0.05
"""Share of a quantity by which it may be beyond what is known and still be much like it."""


class Designer:
    """Holds the models and a warm simulator pool, and searches designs for one specification after another.

    A context manager. Not safe for use by several threads at once.

    Args:
        backend: the trained models.
        conditioning: how they encode specifications.
        sampler: the diffusion sampler's settings.
        settings: how the search divides its effort.
        topology_source: where topologies come from instead of from the generator.
        precedents: what was simulated before, which searches also start from.
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
        technology_name: str = technology.DEFAULT,
        topology_source: TopologySource | None = None,
        precedents: PrecedentSource | None = None,
        workers: int | None = None,
        seed: int = 0,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self._models = Models(
            backend=backend,
            conditioning=conditioning,
            sampler=sampler,
            technology=technology.get(technology_name),
            topology_source=topology_source,
            precedents=precedents,
        )
        self._settings = settings or SearchSettings()
        self._pool = Judge(workers=workers, technology=technology_name)
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
        return self._models.conditioning.classes

    @property
    def provenance(self) -> dict[str, Any]:
        """What is recorded with every design: version, process and, of a bundle's models, ``bundle`` and ``precision``."""
        return dict(self._provenance)

    def beyond_precedents(self, spec: DesignSpec) -> list[str]:
        """What a specification asks for that no known circuit of its class was simulated under, a sentence each.

        The models have seen nothing like it either, so a search may spend all of its calls in vain.

        Raises:
            InvalidInputError: if the models do not know the specification's class.
        """
        self._models.conditioning.encode_conditions(spec.circuit_class, spec.conditions)
        known = None if self._models.precedents is None else self._models.precedents(spec.circuit_class)
        if known is None or not len(known):
            return []
        ranges = self._models.conditioning.decode_condition_rows(known.conditions)
        conditions = spec.conditions
        asked = (
            ("frequency", conditions.frequency_hz, "Hz"),
            ("supply", conditions.supply_v, "V"),
            ("source impedance", conditions.source_ohm, "Ohm"),
            ("load impedance", conditions.load_ohm, "Ohm"),
        )
        return [
            f"{name}: {quantity_text(value, unit, 3)} is outside {quantity_text(float(seen.min()), unit, 3)} to "
            f"{quantity_text(float(seen.max()), unit, 3)}, where all circuits of class {spec.circuit_class} lie that the "
            "models know; the search may find nothing"
            for (name, value, unit), seen in zip(asked, ranges, strict=True)
            if not (1.0 - _NEAR) * seen.min() <= value <= (1.0 + _NEAR) * seen.max()
        ]

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
            MissingToolError: if it bounds what only the second simulator measures, which is not installed.
        """
        require_second_simulator(spec)
        seed = self._seed if seed is None else seed
        return self._strategy(spec)(self._models, self._settings, spec, np.random.default_rng((seed, 11))).run(
            self._pool,
            calls,
            stop_when_met=stop_when_met,
            progress=progress,
            provenance={**self._provenance, "seed": seed},
        )

    def refine(
        self,
        result: DesignResult,
        *,
        calls: int,
        objectives: Sequence[str] = (),
        seed: int | None = None,
        descend: bool = True,
        progress: Progress | None = None,
    ) -> DesignResult:
        """Go on from what a search found with at most ``calls`` further SPICE calls, for a better trade-off.

        Args:
            objectives: metrics whose trade-off is wanted; by default those that designers of the class trade.
            descend: whether by descents where small-signal analyses measure all that is asked for; otherwise, and for all
                else, by Bayesian optimization.

        Raises:
            InvalidInputError: if an objective is not a metric of the class, or there are too few or too many.
            MissingToolError: if Bayesian optimization needs BoTorch, which is not installed.
        """
        seed = self._seed if seed is None else seed
        chosen = choose_objectives(result.spec, objectives)
        rng = np.random.default_rng((seed, 17))
        refinement: FrontDescent | Refinement
        if descend and in_small_signal(result.spec, chosen):
            refinement = FrontDescent(self._models, result, chosen, rng, self._settings)
        else:
            refinement = Refinement(self._models, result, chosen, rng)
        return refinement.run(self._pool, calls, progress=progress, provenance={**self._provenance, "seed": seed})

    def simulate(self, simulations: Sequence[Simulation], *, curves: bool = False) -> list[Outcome]:
        """Simulate circuits on the same warm workers, in order; with ``curves`` the outcomes carry them for plots."""
        return self._pool.run(simulations, curves=curves)

    def topologies(
        self, spec: DesignSpec, count: int, rng: np.random.Generator
    ) -> list[tuple[Tokens, Topology | None]]:
        """Draw ``count`` token sequences from the generator, each with its topology or none if it is not legal."""
        return self._search(spec, rng).topologies(count)

    def size(
        self, spec: DesignSpec, topologies: list[Topology], rng: np.random.Generator, draws: int = 1
    ) -> list[Circuit]:
        """Values for each topology: of so many draws, those that the surrogate gives the best chance to work."""
        return self._search(spec, rng).sized(topologies, draws)

    def _strategy(self, spec: DesignSpec) -> type[Search | SmallSignalSearch]:
        """How the calls are spent: what simulates faster than it is predicted is not predicted."""
        small_signal = classes.get(spec.circuit_class).small_signal is not None and label_constraints(spec)
        return SmallSignalSearch if small_signal and self._settings.descend else Search

    def _search(self, spec: DesignSpec, rng: np.random.Generator) -> Search:
        return Search(self._models, self._settings, spec, rng)
