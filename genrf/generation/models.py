"""The trained models and what is needed to ask them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genrf.circuit.topology import Topology
from genrf.conditioning import Conditioning
from genrf.generation.backend import Backend
from genrf.generation.precedents import PrecedentSource
from genrf.generation.sampler import SamplerSettings
from genrf.spec import DesignSpec
from genrf.technology.base import Technology

TopologySource = Callable[[DesignSpec, int, np.random.Generator], list[Topology]]
"""Gives legal, distinct topologies for a specification, at most as many as asked for, in canonical form."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Models that propose, size and rank, with the process that their circuits are made in."""

    backend: Backend
    conditioning: Conditioning
    """How they encode specifications."""
    sampler: SamplerSettings
    """How values are drawn."""
    technology: Technology
    topology_source: TopologySource | None = None
    """Where topologies come from instead of from the generator; to measure what the generator is worth."""
    precedents: PrecedentSource | None = None
    """What was simulated before, if that is known."""
