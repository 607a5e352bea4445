"""Rank the best designs of a search by how they hold at the process corners."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from genrf import technology
from genrf.generation.design import Design, DesignResult
from genrf.simulation.outcome import Outcome, Simulation

CANDIDATES = 8
"""Designs that are simulated at every corner."""


@dataclass(frozen=True, slots=True)
class CornerVerdict:
    """How one design holds at the corners."""

    margins: dict[str, float]
    """Worst relative slack over the constraints at each corner; minus infinity where it does not simulate."""

    @property
    def met(self) -> int:
        """Corners at which it meets the specification."""
        return sum(margin >= 0.0 for margin in self.margins.values())

    @property
    def margin(self) -> float:
        """Worst relative slack over constraints and corners."""
        return min(self.margins.values())

    def content(self) -> dict[str, object]:
        """Plain data; a margin that is not finite is none."""
        return {
            "met": self.met,
            "of": len(self.margins),
            "missed": [corner for corner, margin in self.margins.items() if margin < 0.0],
            "margin": self.margin if math.isfinite(self.margin) else None,
        }


def ranked_by_corners(
    result: DesignResult,
    simulate: Callable[[Sequence[Simulation]], list[Outcome]],
    candidates: int = CANDIDATES,
) -> DesignResult:
    """The result with its best ``candidates`` reordered: by corners met, then by worst margin over corners.

    A design that misses the specification under its own conditions stays behind all that meet it, whatever it does at
    corners. Each of them carries its verdict in ``provenance["corners"]``; the designs behind them keep their order. The calls
    spent here are not counted as the search's.
    """
    chosen, rest = result.designs[:candidates], result.designs[candidates:]
    corners = technology.get(chosen[0].technology if chosen else technology.DEFAULT).corners
    spec = result.spec
    outcomes = simulate(
        [
            Simulation(
                design.circuit,
                replace(spec.conditions, corner=corner),
                spec.needs_signoff,
                second=bool(spec.second_metrics),
            )
            for design in chosen
            for corner in corners
        ]
    )
    judged: list[tuple[CornerVerdict, Design]] = []
    for number, design in enumerate(chosen):
        own = outcomes[number * len(corners) : (number + 1) * len(corners)]
        margins = [spec.worst_margin(o.metrics) if o.metrics is not None else -math.inf for o in own]
        verdict = CornerVerdict(dict(zip(corners, margins, strict=True)))
        judged.append((verdict, replace(design, provenance={**design.provenance, "corners": verdict.content()})))
    judged.sort(key=lambda pair: (not pair[1].met, -pair[0].met, -pair[0].margin))
    return replace(result, designs=(*(design for _, design in judged), *rest))
