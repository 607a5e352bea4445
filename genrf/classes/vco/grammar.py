"""How topologies of voltage-controlled oscillators are drawn.

A core (cross-coupled pair, Colpitts in common base or common collector, Hartley), its resonator, one or two branches with
varactors, and an output that is taken off by a capacitor or through a buffer.
4,000 draws (seed 1) gave 3,661 distinct topologies.
"""

from __future__ import annotations

import numpy as np

from genrf.circuit.blocks import Builder, bias_feed, bias_source, chain, divider
from genrf.circuit.drawing import legal_topology
from genrf.circuit.topology import GROUND, SUPPLY, Topology

CIRCUIT_CLASS = "vco"
TUNE = "tune"

_CORES = {"cross-coupled": 5.0, "common base": 2.5, "common collector": 3.0, "hartley": 0.8}


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a legal topology, in canonical form."""
    return legal_topology(_draw, rng, twins=True)


def _draw(rng: np.random.Generator) -> Topology:
    builder = Builder(CIRCUIT_CLASS, rng)
    core = builder.pick(_CORES)
    if core == "cross-coupled":
        taps = _cross_coupled(builder)
    elif core == "common base":
        taps = [_common_base(builder)]
    elif core == "common collector":
        taps = [_common_collector(builder)]
    else:
        taps = [_hartley(builder)]
    tap = taps[int(rng.integers(len(taps)))]
    _output(builder, tap)
    return builder.topology()


def _cross_coupled(builder: Builder) -> list[str]:
    left, right = builder.net(), builder.net()
    sides = (left, right)
    # The resonator: an inductor to the supply on each side, or one across both and resistors to the supply.
    feed = SUPPLY
    if builder.chance(0.25):
        feed = builder.net()
        builder.add("resistor", SUPPLY, feed)
        if builder.chance(0.6):
            builder.add("capacitor", feed, GROUND)
    across = builder.chance(0.15)
    for side in sides:
        builder.add("resistor" if across else "inductor", feed, side)
    if across:
        builder.add("inductor", left, right)
    fixed = builder.pick({"none": 3.0, "each": 2.0, "across": 2.0})
    if fixed == "each":
        for side in sides:
            builder.add("capacitor", side, GROUND)
    elif fixed == "across":
        builder.add("capacitor", left, right)
    # Bases: on the opposite collector, or behind a capacitor with a bias of their own, or a capacitive divider.
    emitter = builder.net()
    coupling = builder.pick({"direct": 4.0, "capacitor": 4.0, "divider": 1.5, "resistor": 0.7})
    bases = (right, left)
    if coupling != "direct":
        bases = (builder.net(), builder.net())
        for base, opposite in zip(bases, (right, left), strict=True):
            builder.add("resistor" if coupling == "resistor" else "capacitor", opposite, base)
            if coupling == "divider":
                builder.add("capacitor", base, GROUND)
        if coupling != "resistor":
            bias = builder.pick({"source": 4.0, "supply": 1.0, "middle": 1.5})
            source = SUPPLY if bias == "supply" else bias_source(builder)
            if bias == "middle":
                middle = builder.net()
                builder.add("resistor", source, middle)
                builder.add("capacitor", middle, GROUND)
                source = middle
            kind = builder.pick({"resistor": 3.0, "inductor": 1.0})
            for base in bases:
                builder.add(kind, source, base)
    split = builder.chance(0.12)
    emitters = (emitter, builder.net()) if split else (emitter, emitter)
    for side, base, low in zip(sides, bases, emitters, strict=True):
        builder.add("hbt", side, base, low)
    if split:
        # Each side its own tail, the signal across by a capacitor.
        builder.add("capacitor", *emitters)
        kind = builder.pick({"R": 2.0, "R+L": 1.0})
        for low in emitters:
            chain(builder, ("resistor",) if kind == "R" else ("resistor", "inductor"), low, GROUND)
    else:
        _tail(builder, emitter)
    _varactors(builder, sides)
    return [left, right]


def _common_base(builder: Builder) -> str:
    """Colpitts with the base at signal ground: tank at the collector, capacitive divider to the emitter."""
    collector, emitter = builder.net(), builder.net()
    top = SUPPLY
    if builder.chance(0.25):
        top = builder.net()
        builder.add("resistor", SUPPLY, top)
        builder.add("capacitor", top, GROUND)
    builder.add("inductor", top, collector)
    if builder.chance(0.3):
        builder.add("capacitor", collector, GROUND)
    if builder.chance(0.2):
        builder.add("resistor", SUPPLY, collector)
    builder.add("capacitor", collector, emitter)
    if builder.chance(0.85):
        builder.add("capacitor", emitter, GROUND)
    builder.add("hbt", collector, _quiet_base(builder), emitter)
    _tail(builder, emitter)
    _varactors(builder, (collector,), (emitter,))
    return builder.pick({collector: 3.0, emitter: 1.0})


def _common_collector(builder: Builder) -> str:
    """Colpitts with the collector at signal ground: inductor at the base, capacitors base to emitter to ground."""
    base, emitter = builder.net(), builder.net()
    collector, tap = SUPPLY, emitter
    shape = builder.pick({"supply": 4.0, "R": 1.0, "L": 1.5, "R||L": 0.7})
    if shape != "supply":
        collector = builder.net()
        for kind in ("resistor", "inductor"):
            if kind[0].upper() in shape.replace("L", "I"):
                builder.add(kind, SUPPLY, collector)
        tap = builder.pick({collector: 3.0, emitter: 1.0})
    resonance = builder.pick({"shunt": 4.0, "clapp": 2.0, "series": 1.5})
    nodes: tuple[str, ...] = (base,)
    if resonance == "shunt":
        # The inductor also carries the bias, from a bypassed net or a source.
        source = SUPPLY if builder.chance(0.15) else bias_source(builder)
        if builder.chance(0.4):
            quiet = builder.net()
            builder.add("resistor", source, quiet)
            builder.add("capacitor", quiet, GROUND)
            source = quiet
        builder.add("inductor", source, base)
    else:
        if builder.chance(0.3):
            divider(builder, base)
        else:
            bias_feed(builder, base, bias_source(builder))
        middle = builder.net()
        if resonance == "clapp":
            builder.add("capacitor", base, middle)
            builder.add("inductor", middle, GROUND)
            nodes = (base, middle)
        else:
            builder.add("inductor", base, middle)
            builder.add("capacitor", middle, GROUND)
            nodes = (base, middle)
    if builder.chance(0.85):
        builder.add("capacitor", base, emitter)
    if builder.chance(0.9):
        builder.add("capacitor", emitter, GROUND)
    builder.add("hbt", collector, base, emitter)
    _tail(builder, emitter)
    _varactors(builder, (nodes[int(builder.rng.integers(len(nodes)))],), (emitter,))
    return tap


def _hartley(builder: Builder) -> str:
    """The collector's inductor is tapped: the emitter is fed from a part of it through a capacitor."""
    collector, tap, emitter = builder.net(), builder.net(), builder.net()
    builder.add("inductor", SUPPLY, tap)
    builder.add("inductor", tap, collector)
    builder.add("capacitor", tap, emitter)
    if builder.chance(0.7):
        builder.add("capacitor", collector, GROUND)
    builder.add("hbt", collector, _quiet_base(builder), emitter)
    _tail(builder, emitter)
    _varactors(builder, (collector,))
    return builder.pick({collector: 2.0, emitter: 1.0})


def _quiet_base(builder: Builder) -> str:
    """A base net at signal ground, biased."""
    shape = builder.pick({"source": 4.0, "source R": 2.0, "divider": 1.5, "supply": 0.5})
    if shape == "source":
        return bias_source(builder)
    if shape == "supply":
        return SUPPLY
    base = builder.net()
    builder.add("capacitor", base, GROUND)
    if shape == "source R":
        builder.add("resistor", bias_source(builder), base)
    else:
        divider(builder, base)
    return base


def _tail(builder: Builder, emitter: str) -> None:
    """Return an emitter to ground with its current set."""
    shape = builder.pick({"R": 4.0, "R+L": 2.0, "L": 0.6, "source": 2.0, "source R": 1.0, "R||C": 0.4})
    if shape == "R+L":
        chain(builder, ("resistor", "inductor"), emitter, GROUND)
    elif shape in ("source", "source R"):
        base, low = builder.net(), GROUND
        builder.add("resistor", bias_source(builder), base)
        if builder.chance(0.4):
            builder.add("capacitor", base, GROUND)
        if shape == "source R":
            low = builder.net()
            builder.add("resistor", low, GROUND)
        builder.add("hbt", emitter, base, low)
    else:
        builder.add("inductor" if shape == "L" else "resistor", emitter, GROUND)
        if shape == "R||C":
            builder.add("capacitor", emitter, GROUND)


def _varactors(builder: Builder, nodes: tuple[str, ...], others: tuple[str, ...] = ()) -> None:
    """A varactor at each node; a branch at another node as well, now and then."""
    shape = builder.pick({"direct": 4.0, "resistor": 2.0, "anode": 2.0, "cathode": 2.0, "cathode shared": 1.5})
    if shape == "direct":
        # The nodes are at the supply or near it: cathodes there, anodes at the tuning voltage.
        for node in nodes:
            builder.add("varactor", TUNE, node)
    elif shape == "resistor":
        middle = builder.net()
        builder.add("resistor", TUNE, middle)
        for node in nodes:
            builder.add("varactor", middle, node)
        if len(nodes) == 1 or builder.chance(0.3):
            builder.add("capacitor", middle, GROUND)
    elif shape == "cathode shared" and len(nodes) > 1:
        # Anodes at ground through resistors, common cathode at the tuning voltage.
        for node in nodes:
            anode = builder.net()
            builder.add("capacitor", node, anode)
            builder.add("resistor", anode, GROUND)
            builder.add("varactor", anode, TUNE)
    else:
        for node in nodes:
            warm = builder.net()
            builder.add("capacitor", node, warm)
            if shape == "anode":
                # Cathode at the supply for direct current, anode at the tuning voltage.
                builder.add("resistor", SUPPLY, warm)
                builder.add("varactor", TUNE, warm)
            else:
                builder.add("resistor", TUNE, warm)
                builder.add("varactor", GROUND, warm)
    if others and builder.chance(0.25):
        warm = builder.net()
        builder.add("capacitor", others[0], warm)
        builder.add("resistor", TUNE, warm)
        builder.add("varactor", GROUND, warm)


def _output(builder: Builder, tap: str) -> None:
    """Take the output off a net."""
    shape = builder.pick({"capacitor": 4.0, "capacitor L": 1.5, "follower": 2.5, "common emitter": 2.0})
    if shape.startswith("capacitor"):
        if shape == "capacitor":
            builder.add("capacitor", tap, "out")
        else:
            middle = builder.net()
            builder.add("capacitor", tap, middle)
            builder.add("inductor", middle, "out")
        if builder.chance(0.15):
            builder.add(builder.pick({"capacitor": 1.0, "inductor": 1.0}), "out", GROUND)
        return
    base = builder.net()
    builder.add("capacitor", tap, base)
    bias_feed(builder, base, bias_source(builder))
    if shape == "follower":
        emitter = builder.net()
        builder.add("hbt", SUPPLY, base, emitter)
        kind = builder.pick({"R": 3.0, "R+L": 1.0})
        chain(builder, ("resistor",) if kind == "R" else ("resistor", "inductor"), emitter, GROUND)
        builder.add("capacitor", emitter, "out")
        return
    collector, low = builder.net(), GROUND
    if builder.chance(0.4):
        low = builder.net()
        builder.add("resistor", low, GROUND)
    builder.add("hbt", collector, base, low)
    kind = builder.pick({"L": 3.0, "R": 1.5, "R+L": 1.0})
    chain(builder, {"L": ("inductor",), "R": ("resistor",), "R+L": ("resistor", "inductor")}[kind], SUPPLY, collector)
    builder.add("capacitor", collector, "out")
    if builder.chance(0.2):
        builder.add("capacitor", "out", GROUND)
