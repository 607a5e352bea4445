"""How a search divides its effort."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the search divides its effort."""

    latents: int = 64
    """Topologies drawn from the generator."""
    topologies: int = 32
    """Legal, distinct topologies that are sized."""
    sizings: int = 4
    """Values drawn a topology."""
    sizings_when_met: int = 1
    """The same if a precedent already meets the specification, and the generator is asked for others to choose from."""
    batch: int = 4
    """SPICE calls between two looks at the results."""
    batch_when_met: int = 20
    """The same once the specification is met, and what is left is spent on designs with more margin."""
    parents: int = 4
    """Simulated circuits that later batches start from."""
    variations: int = 9
    """Values drawn around each parent."""
    generations: int = 3
    """Times that variations are bred on, by the surrogate alone, until the specification is met."""
    survivors: int = 32
    """Variations that are bred from."""
    children: int = 64
    noise_levels: tuple[float, ...] = (0.02, 0.05, 0.15)
    """Noise, in normalised values, at which parents are re-denoised."""
    precedents: int = 64
    """Nearest precedents that are considered."""
    per_topology: int = 2
    """Most candidates of one topology in the first batch, and to descend from at once."""
    descend: bool = True
    """Whether candidates are simulated and descend, where a class is measured in small signal alone, instead of being
    predicted by the surrogate."""
    starts: int = 16
    """Candidates that descend at once, where a class is measured in small signal alone."""
    descents: int = 10
    """Steps that each takes at most."""
    descents_when_met: int = 4
    """The same once the specification is met, for more margin."""
    descents_again: int = 25
    """The same where nothing has met the specification yet, from three times as many candidates."""
    enough: int = 4
    """Of them that have what is wanted, with which the others stop; one, where the search ends with the first that meets."""
    aim: float = 0.03
    """Relative margin that a descent aims at; 1 is 10 dB, or a decade."""
    rounds: int = 1
    """Times that the best designs are varied for more margin."""
    fresh_share: float = 0.25
    """Share of each later batch given to candidates that descend from no simulated circuit."""
