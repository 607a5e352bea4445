"""How topologies of power amplifiers are drawn: one or two stages of building blocks.

The last stage is a common emitter, a cascode or a stack of two or three transistors whose upper bases are not held at
signal ground but share the swing through capacitors. Its collector is fed through a choke or a tank, may have a trap
for a harmonic, and is matched to the load by a ladder (L, pi, T and longer). A common emitter or a cascode may drive
it. Class A to B is a matter of bias, not of topology.
"""

from __future__ import annotations

import numpy as np

from genrf.circuit.blocks import (
    Builder,
    bias_source,
    chain,
    coupling,
    degeneration,
    feedback,
    ladder,
)
from genrf.circuit.drawing import legal_topology
from genrf.circuit.topology import GROUND, SUPPLY, Topology

CIRCUIT_CLASS = "pa"

_STAGES = {1: 6.0, 2: 4.0}
_LAST_STAGE = {"common_emitter": 4.0, "cascode": 3.5, "stack": 2.5}
_DRIVER = {"common_emitter": 6.0, "cascode": 4.0}
_INPUT_LADDER = {0: 0.3, 1: 1.5, 2: 3.0, 3: 2.5, 4: 1.0}
_OUTPUT_LADDER = {0: 1.0, 1: 2.5, 2: 3.0, 3: 2.0, 4: 0.7}


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a legal topology, in canonical form."""
    return legal_topology(_draw, rng)


def _draw(rng: np.random.Generator) -> Topology:
    builder = Builder(CIRCUIT_CLASS, rng)
    count = builder.pick(_STAGES)
    source = "in"
    shared: str | None = None
    for index in range(count):
        last = index == count - 1
        kind = builder.pick(_LAST_STAGE if last else _DRIVER)
        control, collector = builder.net(), builder.net()
        shared = shared if shared is not None and builder.chance(0.4) else bias_source(builder)
        if index == 0:
            fed = ladder(builder, source, control, builder.pick(_INPUT_LADDER), shared)
        else:
            fed = coupling(builder, source, control, shared)
        if not fed:
            base_feed(builder, control, shared)
        base = control
        if builder.chance(0.2):
            base = builder.net()
            stabiliser(builder, control, base)
        _stage(builder, kind, base, collector)
        if builder.chance(0.1):
            feedback(builder, collector, control)
        if last:
            fed = ladder(builder, "out", collector, builder.pick(_OUTPUT_LADDER), SUPPLY)
            if builder.chance(0.12):
                trap(builder, collector)
        else:
            fed = False
        if not fed:
            collector_feed(builder, collector)
        source = collector
    return builder.topology()


def _stage(builder: Builder, kind: str, base: str, collector: str) -> None:
    emitter = GROUND
    if builder.chance(0.15):
        emitter = builder.net()
        degeneration(builder, emitter)
    height = 1
    if kind == "cascode":
        height = 2
    elif kind == "stack":
        height = builder.pick({2: 3.0, 3: 2.0})
    for level in range(height):
        top = collector if level == height - 1 else builder.net()
        builder.add("hbt", top, base if level == 0 else _upper_base(builder, kind), emitter)
        emitter = top
        if level < height - 1 and builder.chance(0.12):
            # Cancels the capacitance of the net between two transistors.
            emitter = builder.net()
            builder.add("inductor", top, emitter)


def _upper_base(builder: Builder, kind: str) -> str:
    """The base net of an upper transistor: at signal ground in a cascode, on a capacitor of its own in a stack."""
    if kind == "cascode" and builder.chance(0.6):
        return bias_source(builder)
    base = builder.net()
    builder.add("capacitor", base, GROUND)
    # A resistor from the supply alone would have to be so large that it and the capacitor take thousands of periods.
    if builder.chance(0.75):
        builder.add("resistor", bias_source(builder), base)
    else:
        builder.add("resistor", SUPPLY, base)
        builder.add("resistor", base, GROUND)
    return base


def base_feed(builder: Builder, node: str, source: str) -> None:
    """Feed a base from a bias net: stiffly through an inductor, or through a resistor that holds the current back."""
    shape = builder.pick({"R": 4.0, "L": 3.0, "RL": 3.0})
    if shape == "RL":
        chain(builder, ("resistor", "inductor"), source, node)
    else:
        builder.add("resistor" if shape == "R" else "inductor", source, node)


def stabiliser(builder: Builder, before: str, base: str) -> None:
    """Loss in series with a base, bridged by a capacitor so that it acts at low frequencies more than at f0."""
    builder.add("resistor", before, base)
    if builder.chance(0.7):
        builder.add("capacitor", before, base)


def collector_feed(builder: Builder, collector: str) -> None:
    """Direct current for a collector: a choke, a tank, or either with some loss for stability."""
    shape = builder.pick({"L": 5.0, "L||C": 3.0, "L||R": 2.0, "L||C||R": 1.0, "R+L": 1.0})
    if shape == "R+L":
        middle = builder.net()
        builder.add("resistor", SUPPLY, middle)
        builder.add("capacitor", middle, GROUND)
        builder.add("inductor", middle, collector)
        return
    builder.add("inductor", SUPPLY, collector)
    if "C" in shape:
        builder.add("capacitor", collector, GROUND)
    if "R" in shape:
        builder.add("resistor", SUPPLY, collector)


def trap(builder: Builder, collector: str) -> None:
    """A series resonance to ground, which can short a harmonic."""
    chain(builder, ("inductor", "capacitor"), collector, GROUND)
