"""From a chain's specification to simulated blocks, and to the whole chain simulated as one netlist."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from genrf.chain.budget import Figures, cascade, friis_nf_db, passive_nf_db
from genrf.chain.differences import differences
from genrf.chain.joining import joined
from genrf.chain.spec import ChainSpec
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError, SpecificationNotMetError
from genrf.generation.design import Design, DesignResult
from genrf.generation.designer import Designer
from genrf.simulation.outcome import Outcome, Simulation
from genrf.spec import DesignSpec

MIXER_NOISE_NOTE = (
    "nf_db of the whole: simulated up to the mixer, with the mixer's budgeted noise figure after it; ngspice cannot "
    "simulate the noise of a mixer"
)

MIXER_INTERCEPT_NOTE = (
    "iip3_dbm of the whole: the mixer's two tones are 1/30 of the frequency apart; an IF network narrower than that "
    "weakens their products and flatters the figure"
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One generated block."""

    spec: DesignSpec
    budget: Figures
    result: DesignResult
    figures: Figures
    """Metrics simulated alone, between the conditions' source and load."""

    @property
    def design(self) -> Design:
        """The design that is in the chain: the best of its search."""
        return self.result.designs[0]


@dataclass(frozen=True, kw_only=True)
class ChainResult:
    """A generated chain."""

    spec: ChainSpec
    blocks: tuple[Block, ...]
    circuit: Circuit
    """All blocks joined."""
    from_blocks: Figures
    """What the cascade's formulas make of the blocks' simulated figures; a mixer's noise figure is its budget."""
    simulated: Figures | None
    """The joined netlist's figures; none if it does not simulate."""
    failure: str | None
    """Why it does not."""
    notes: tuple[str, ...] = ()

    @property
    def missed(self) -> list[str]:
        """Figures of the whole that the joined netlist misses, as text."""
        if self.simulated is None:
            return [self.failure or "not simulated"]
        asked, got = self.spec.total, self.simulated
        missed = []
        for name, higher in (("gain_db", True), ("nf_db", False), ("iip3_dbm", True), ("power_w", False)):
            bound, value = getattr(asked, name), getattr(got, name)
            if bound is None:
                continue
            if value is None or (value < bound if higher else value > bound):
                reached = "not simulated" if value is None else f"reached {value:.4g}"
                missed.append(f"{name} {'>=' if higher else '<='} {bound:.4g} ({reached})")
        return missed


def generate_chain(
    designer: Designer,
    spec: ChainSpec,
    *,
    calls: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ChainResult:
    """Generate each block to its share of what the blocks before it left, join the best ones, and simulate them together.

    Args:
        calls: SPICE calls a block.
        progress: told calls spent and calls allowed over all blocks.

    Raises:
        InvalidInputError: if the models do not know a block's class.
        SpecificationNotMetError: if no circuit of a block could be simulated.
    """
    unknown = [block.circuit_class for block in spec.blocks if block.circuit_class not in designer.circuit_classes]
    if unknown:
        known = ", ".join(designer.circuit_classes)
        raise InvalidInputError(f"blocks: the models were not trained on class {unknown[0]}; they know {known}")
    blocks: list[Block] = []
    budget = spec.budget()
    for index, block in enumerate(spec.blocks):
        # A block that misses its share may leave nothing to the others: they keep theirs then, and the chain misses.
        with suppress(InvalidInputError):
            budget = spec.budget([done.figures for done in blocks])
        if block.circuit_class == "mixer":
            # What nothing measures is not made easier by what the blocks before it left.
            budget[index] = replace(budget[index], nf_db=spec.budget()[index].nf_db)
        block_spec = spec.block_specs(budget)[index]

        def advance(spent: int, allowed: int, design: Design | None = None, *, before: int = index * calls) -> None:
            if progress is not None:
                progress(before + spent, calls * len(spec.blocks))

        result = designer.design(block_spec, calls=calls, seed=seed + index, progress=advance)
        if not result.designs:
            raise SpecificationNotMetError(f"{block_spec.name}: no circuit could be simulated")
        metrics = result.designs[0].metrics
        figures = block_figures(block_spec.circuit_class, metrics, spec.conditions)
        blocks.append(Block(spec=block_spec, budget=budget[index], result=result, figures=figures))
    return assemble(designer, spec, blocks)


def assemble(designer: Designer, spec: ChainSpec, blocks: list[Block]) -> ChainResult:
    """Join the blocks' best designs and simulate the whole: as a mixer if the last is one, as an amplifier otherwise.

    A mixer's testbench gives no noise figure. The part before the mixer is simulated as an amplifier for it.
    """
    circuits = [block.design.circuit for block in blocks]
    mixes = blocks[-1].spec.circuit_class == "mixer"
    whole = joined(circuits, "mixer" if mixes else "lna")
    jobs = [Simulation(whole, spec.conditions, signoff=True)]
    if mixes:
        jobs.append(Simulation(joined(circuits[:-1], "lna"), spec.conditions))
    outcome, *front = designer.simulate(jobs)
    single = [block.figures for block in blocks]
    notes = []
    if mixes:
        single[-1] = Figures(
            gain_db=single[-1].gain_db,
            nf_db=blocks[-1].budget.nf_db,
            iip3_dbm=single[-1].iip3_dbm,
            power_w=single[-1].power_w,
        )
        notes += [MIXER_NOISE_NOTE, MIXER_INTERCEPT_NOTE]
    before = front[0] if front else None
    simulated, failure = _simulated(outcome, before, single[-1], spec.conditions)
    from_blocks = cascade(single)
    if simulated is not None:
        names = [f"{number} {block.spec.circuit_class}" for number, block in enumerate(blocks, start=1)]
        quiet = (
            None if before is None or before.metrics is None else block_figures("lna", before.metrics, spec.conditions)
        )
        notes += differences(names, single, from_blocks, simulated, quiet)
    return ChainResult(
        spec=spec,
        blocks=tuple(blocks),
        circuit=whole,
        from_blocks=from_blocks,
        simulated=simulated,
        failure=failure,
        notes=tuple(notes),
    )


def _simulated(
    outcome: Outcome, front: Outcome | None, last: Figures, conditions: Conditions
) -> tuple[Figures | None, str | None]:
    for one, what in ((outcome, "the chain"), (front, "the part before the mixer")):
        if one is not None and one.failure is not None:
            return None, f"{what} does not simulate: {one.failure.cause}: {one.failure.detail}"
    if outcome.metrics is None:
        return None, "the chain does not simulate"
    if front is None or front.metrics is None or last.nf_db is None:
        return block_figures("lna", outcome.metrics, conditions), None
    figures = block_figures("mixer", outcome.metrics, conditions)
    noise = friis_nf_db([(front.metrics["gain_db"], front.metrics["nf_db"]), (last.gain_db, last.nf_db)])
    return (
        Figures(gain_db=figures.gain_db, nf_db=noise, iip3_dbm=figures.iip3_dbm, power_w=figures.power_w),
        None,
    )


def block_figures(circuit_class: str, metrics: Mapping[str, float], conditions: Conditions) -> Figures:
    """A block's metrics in a chain's terms; a filter's noise figure is that of its loss, for it is matched."""
    if circuit_class == "filter":
        loss = metrics["insertion_loss_db"]
        noise = passive_nf_db(loss, conditions.temperature_c + 273.15)
        return Figures(gain_db=-loss, nf_db=noise, iip3_dbm=math.inf, power_w=0.0)
    gain = metrics["conversion_gain_db"] if circuit_class == "mixer" else metrics["gain_db"]
    return Figures(
        gain_db=gain, nf_db=metrics.get("nf_db"), iip3_dbm=metrics.get("iip3_dbm"), power_w=metrics.get("power_w")
    )
