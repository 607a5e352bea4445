"""How topologies of low-noise amplifiers are drawn: one to three stages of building blocks.

A stage is a common emitter, a cascode or a common base. The input and output networks are ladders of up to six
elements, the stages are coupled by one of eight networks, and each stage has its own load, degeneration, feedback and
bias. 100,000 draws (seed 1) gave 90,894 distinct topologies; mutation opens the rest of the legal space.
"""

from __future__ import annotations

import numpy as np

from genrf.circuit.blocks import (
    Builder,
    bias_feed,
    bias_source,
    coupling,
    degeneration,
    divider,
    feedback,
    ladder,
    load,
)
from genrf.circuit.drawing import legal_topology
from genrf.circuit.topology import GROUND, SUPPLY, Topology

CIRCUIT_CLASS = "lna"

_STAGES = {1: 5.0, 2: 4.0, 3: 1.0}
_FIRST_STAGE = {"common_emitter": 4.5, "cascode": 4.0, "common_base": 1.5}
_LATER_STAGE = {"common_emitter": 5.5, "cascode": 4.0, "common_base": 0.5}
_LADDER = {0: 0.7, 1: 2.0, 2: 2.5, 3: 2.0, 4: 1.0, 5: 0.4}


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a legal topology, in canonical form."""
    return legal_topology(_draw, rng)


def _draw(rng: np.random.Generator) -> Topology:
    builder = Builder(CIRCUIT_CLASS, rng)
    count = builder.pick(_STAGES)
    source = "in"
    shared: str | None = None
    first_base: str | None = None
    for index in range(count):
        kind = builder.pick(_LATER_STAGE if index else _FIRST_STAGE)
        last = index == count - 1
        control, collector = builder.net(), builder.net()
        if kind == "common_base":
            if not _connect(builder, source, control, GROUND):
                degeneration(builder, control)
            builder.add("hbt", collector, _cascode_base(builder), control)
        else:
            bias = builder.pick({"source": 8.5, "divider": 0.8, "self": 0.7 if kind == "common_emitter" else 0.0})
            supply_net = None
            if bias == "source":
                shared = shared if shared is not None and builder.chance(0.5) else bias_source(builder)
                supply_net = shared
            if not _connect(builder, source, control, supply_net):
                if supply_net is not None:
                    bias_feed(builder, control, supply_net)
                elif bias == "divider":
                    divider(builder, control)
                else:
                    builder.add("resistor", collector, control)
            _transistors(builder, control, collector, kind == "cascode")
            if builder.chance(0.18):
                feedback(builder, collector, control)
            if index == 0:
                first_base = control
            elif last and first_base is not None and builder.chance(0.06):
                feedback(builder, collector, first_base)
        fed = last and ladder(builder, "out", collector, builder.pick(_LADDER), SUPPLY)
        if not fed or builder.chance(0.15):
            load(builder, collector)
        source = collector
    return builder.topology()


def _connect(builder: Builder, source: str, control: str, hot_return: str | None) -> bool:
    """Match the input or the stage before to a stage's controlling net; whether that also feeds the net."""
    if source == "in":
        return ladder(builder, source, control, builder.pick(_LADDER), hot_return)
    return coupling(builder, source, control, hot_return)


def _transistors(builder: Builder, base: str, collector: str, cascode: bool) -> None:
    emitter = GROUND
    if builder.chance(0.6):
        emitter = builder.net()
        degeneration(builder, emitter)
    if not cascode:
        builder.add("hbt", collector, base, emitter)
        return
    middle = builder.net()
    builder.add("hbt", middle, base, emitter)
    if builder.chance(0.25):
        upper = builder.net()
        builder.add("inductor", middle, upper)
        middle = upper
    if builder.chance(0.08):
        builder.add("capacitor", middle, GROUND)
    builder.add("hbt", collector, _cascode_base(builder), middle)


def _cascode_base(builder: Builder) -> str:
    """A base net at signal ground, biased."""
    shape = builder.pick({"source": 6.0, "supply": 0.8, "supply R": 1.5, "source R": 1.2, "divider": 0.7})
    if shape == "source":
        return bias_source(builder)
    if shape == "supply":
        return SUPPLY
    base = builder.net()
    builder.add("capacitor", base, GROUND)
    if shape == "supply R":
        builder.add("resistor", SUPPLY, base)
    elif shape == "source R":
        builder.add("resistor", bias_source(builder), base)
    else:
        builder.add("resistor", SUPPLY, base)
        builder.add("resistor", base, GROUND)
    return base
