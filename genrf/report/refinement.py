"""What refinement brought, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genrf.generation.design import DesignResult


def refinement_text(result: DesignResult) -> str:
    """How many calls refinement took and what became of the Pareto front, as a sentence without its full stop."""
    start = result.refined_from or 0
    text = f"Refined with {result.simulated - start} calls after the first {start}: "
    if result.hypervolume is None:
        return f"{text}no design meets the specification, so they went to the worst margin"
    before, after = result.hypervolume
    names = ", ".join(result.objectives)
    old, new = len(result.front_before_refinement()), sum(design.pareto for design in result.designs)
    text += f"the front in {names} went from {old} to {new} designs"
    if before > 0.0:
        return f"{text} and dominates {after / before:.3g} times the volume"
    return f"{text}; nothing met the specification before" if old == 0 else text


def front_text(result: DesignResult) -> str:
    """What the mark of a Pareto front says of a design."""
    if not result.objectives:
        return "a design that no other one of this run equals or beats in every metric of the class"
    names = ", ".join(result.objectives)
    if any(design.met for design in result.designs):
        return f"a design that meets the specification and that no other such design equals or beats in all of {names}"
    return f"a design that no other one of this run equals or beats in all of {names}"
