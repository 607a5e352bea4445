"""What there is to try: one method with so many SPICE calls on one held-out specification."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from genrf.generation.search import VERSION as GENERATOR_VERSION
from training.comparison.botorch_search import METHOD as BOTORCH
from training.comparison.cma_search import METHOD as CMA_ES
from training.comparison.searches import VERSION as SEARCH_VERSION
from training.data.specifications import HeldOutSpecification
from training.evaluation.methods import GENERATOR, RANDOM, RETRIEVAL

TRAINING_TOPOLOGIES = "training topologies"
"""The generator with topologies drawn from the training data instead of by the GAN."""
WITHOUT_PRECEDENTS = "without precedents"
"""The generator's models alone: searches start from no circuit that was simulated before."""
TRAINING_TOPOLOGIES_ALONE = "training topologies, without precedents"
PRECEDENTS_ALONE = "precedents alone"
"""The generator without the GAN: only topologies that were simulated before and came nearest to the specification."""
PREDICTED = "predicted"
"""The generator where candidates are predicted by the surrogate in every class, and none descends in the simulator."""
NEEDS_BUNDLE = (
    GENERATOR,
    PREDICTED,
    PRECEDENTS_ALONE,
    TRAINING_TOPOLOGIES,
    WITHOUT_PRECEDENTS,
    TRAINING_TOPOLOGIES_ALONE,
)
FROM_TRAINING = (TRAINING_TOPOLOGIES, TRAINING_TOPOLOGIES_ALONE)
"""Those whose topologies the training data gives."""
NEEDS_ROWS = (*FROM_TRAINING, RETRIEVAL)
SEARCHES = (CMA_ES, BOTORCH)
"""Methods that also get larger budgets, and whose trials can be interrupted."""
METHODS = (*NEEDS_BUNDLE, RETRIEVAL, RANDOM, *SEARCHES)
Group = tuple[str, str, str, int]
"""Class, level, method, and the SPICE calls that it may spend."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One trial that is to be made."""

    item: HeldOutSpecification
    method: str
    calls: int
    """SPICE calls that the method may spend."""
    identity: str
    """What else its outcome depends on: the bundle, the training data, the versions of searches."""

    @property
    def group(self) -> Group:
        """What it is compared within."""
        return self.item.spec.circuit_class, self.item.level, self.method, self.calls

    @cached_property
    def key(self) -> str:
        """Names the trial, the same in every run in which it would have the same outcome."""
        content = [*self.group, self.item.spec.to_dict(), self.identity]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def plan(
    specifications: Sequence[HeldOutSpecification],
    *,
    methods: Sequence[str],
    factors: Sequence[int],
    calls: Mapping[str, int],
    count: int,
    bundle: str,
    dataset: str,
    technology: str,
    seed: int,
) -> list[Task]:
    """All trials, those of a group in the order in which they are to be made.

    Args:
        specifications: to choose from; the first of each class and level are taken.
        factors: multiples of the calls that searches get, each a trial of its own.
        calls: SPICE calls for each class.
        count: specifications a class and level.
        bundle: identity of the generator's models.
        dataset: identity of the training data.
        technology: version of what circuits are simulated in.
        seed: of all randomness.
    """
    chosen: dict[tuple[str, str], list[HeldOutSpecification]] = {}
    for item in specifications:
        own = chosen.setdefault((item.spec.circuit_class, item.level), [])
        if len(own) < count:
            own.append(item)
    tasks = []
    for (circuit_class, _), items in chosen.items():
        for method in methods:
            identity = [technology, str(seed)]
            identity += [f"{bundle} generator {GENERATOR_VERSION}"] if method in NEEDS_BUNDLE else []
            identity += [dataset] if method in NEEDS_ROWS else []
            identity += [f"search {SEARCH_VERSION}"] if method in SEARCHES else []
            for factor in factors if method in SEARCHES else (1,):
                tasks += [
                    Task(item=item, method=method, calls=factor * calls[circuit_class], identity=" ".join(identity))
                    for item in items
                ]
    return tasks
