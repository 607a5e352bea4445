"""How good the topologies are that the generator writes, as written, before any repair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from genrf import classes
from genrf.circuit.canonical import fingerprint
from genrf.circuit.topology import Topology
from genrf.generation.designer import Designer
from genrf.progress import progress_bar
from genrf.simulation.judge import Judge
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec
from training.config.schema import Config, per_class
from training.data.rows import Rows
from training.data.specifications import HeldOutSpecification

SIZINGS = 4
"""Sets of values that a topology is given to show that it can be simulated."""
DRAWS = 16
"""Candidates that the surrogate chooses each set from."""


TopologyDraw = Callable[[DesignSpec, int, np.random.Generator], Sequence[Topology | None]]
"""Draws so many topologies for a specification; none for one that breaks a rule."""


def topology_quality(
    designer: Designer,
    config: Config,
    specifications: Sequence[HeldOutSpecification],
    train: Rows,
    draw: TopologyDraw | None = None,
) -> dict[str, dict[str, float]]:
    """Quality of topologies drawn for the held-out specifications, a class.

    Args:
        designer: sizes them.
        draw: where they come from; by default the designer's generator.

    Returns:
        For each class: ``drawn``, how many; of those, the shares that are ``valid`` (pass the electrical rules), that
        ``simulates`` (are valid, and one of a few sizings by the sizing model gives metrics) and that are ``unique`` (distinct
        fingerprints of valid ones); and of the unique ones the share that is ``novel`` (not in the training set).
    """
    return {name: quality_of_class(designer, config, specifications, train, name, draw) for name in config.classes}


def quality_of_class(
    designer: Designer,
    config: Config,
    specifications: Sequence[HeldOutSpecification],
    train: Rows,
    name: str,
    draw: TopologyDraw | None = None,
) -> dict[str, float]:
    """The same of one class, which does not depend on the others."""
    draw = draw or partial(_written, designer)
    rng = np.random.default_rng((config.seed, 17, classes.names().index(name)))
    known = set(train.fingerprint.tolist())
    specs = [item.spec for item in specifications if item.spec.circuit_class == name and item.level == "exact"]
    count = per_class(config.evaluation.topologies, name)
    drawn: list[tuple[DesignSpec, Topology | None]] = []
    for index, spec in enumerate(specs):
        # As even a share of the whole number for each specification as integers allow.
        share = count * (index + 1) // len(specs) - count * index // len(specs)
        if share:
            drawn += [(spec, topology) for topology in draw(spec, share, rng)]
    valid = [(spec, topology) for spec, topology in drawn if topology is not None]
    fingerprints = {fingerprint(topology) for _, topology in valid}
    return {
        "drawn": len(drawn),
        "valid": len(valid) / max(1, len(drawn)),
        "simulates": _simulating(designer, config, valid, rng, f"{name} topologies") / max(1, len(drawn)),
        "unique": len(fingerprints) / max(1, len(drawn)),
        "novel": len(fingerprints - known) / max(1, len(fingerprints)),
    }


def _written(designer: Designer, spec: DesignSpec, count: int, rng: np.random.Generator) -> Sequence[Topology | None]:
    """What the designer's generator writes."""
    return [topology for _, topology in designer.topologies(spec, count, rng)]


def _simulating(
    designer: Designer,
    config: Config,
    valid: Sequence[tuple[DesignSpec, Topology]],
    rng: np.random.Generator,
    description: str,
) -> int:
    """How many of the topologies give metrics with at least one of their sizings."""
    by_spec: dict[str, tuple[DesignSpec, list[Topology]]] = {}
    for spec, topology in valid:
        by_spec.setdefault(spec.name, (spec, []))[1].append(topology)
    failing = list(by_spec.values())
    simulating = 0
    with Judge(technology=config.technology) as pool, progress_bar() as progress:
        # One sizing each, and again only where none has worked yet.
        for _ in range(SIZINGS):
            count = sum(len(topologies) for _, topologies in failing)
            if not count:
                break
            jobs = (
                Simulation(circuit, spec.conditions)
                for spec, topologies in failing
                if topologies
                for circuit in designer.size(spec, topologies, rng, DRAWS)
            )
            outcomes = iter(list(progress.track(pool.run_iter(jobs), total=count, description=description)))
            remaining = [
                (spec, [topology for topology in topologies if next(outcomes).metrics is None])
                for spec, topologies in failing
            ]
            simulating += count - sum(len(topologies) for _, topologies in remaining)
            failing = remaining
    return simulating
