"""How topologies of mixers are drawn.

sort        devices that mix
gilbert     a transconductor and a switching pair, or a differential transconductor and two pairs that share loads
active      one transistor that RF and LO drive at base or emitter, or a cascode with the LO at the upper base
diode       one diode, two between the LO's phases, or a ring of four, with or without a bias that opens them halfway

Each has its own networks at RF, LO and IF, loads, degeneration and bias; mutation opens the rest of the legal space.
20,000 draws (seed 1) gave 16,252 distinct topologies.
"""

from __future__ import annotations

import numpy as np

from genrf.circuit.blocks import Builder, bias_source, chain, divider, ladder
from genrf.circuit.drawing import legal_topology
from genrf.circuit.topology import GROUND, SUPPLY, Topology

CIRCUIT_CLASS = "mixer"

_SORTS = {"double": 3.0, "single": 3.5, "active": 2.5, "diode": 2.0}
_RF_LADDER = {0: 2.5, 1: 2.5, 2: 2.5, 3: 1.0, 4: 0.4}


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a legal topology, in canonical form."""
    return legal_topology(_draw, rng)


def _draw(rng: np.random.Generator) -> Topology:
    builder = Builder(CIRCUIT_CLASS, rng)
    sort = builder.pick(_SORTS)
    if sort == "double":
        _double_balanced(builder)
    elif sort == "single":
        _single_balanced(builder)
    elif sort == "active":
        _active(builder)
    else:
        _diodes(builder)
    return builder.topology()


def _single_balanced(builder: Builder) -> None:
    """A transconductor under one switching pair."""
    current = builder.net()
    _transconductor(builder, current)
    positive, negative = builder.net(), builder.net()
    phases = _lo_bases(builder)
    # Two orders of the phases: with one output they differ in sign only, so one is enough.
    builder.add("hbt", positive, phases[0], current)
    builder.add("hbt", negative, phases[1], current)
    _loads_and_output(builder, positive, negative)


def _double_balanced(builder: Builder) -> None:
    """A differential transconductor, its second input at signal ground, under two switching pairs."""
    left, right = builder.net(), builder.net()
    bias = bias_source(builder)
    base, other = builder.net(), builder.net()
    feed = builder.pick({"resistor": 3.0, "inductor": 1.0})
    if not ladder(builder, "rf", base, builder.pick(_RF_LADDER), bias):
        builder.add(feed, bias, base)
    if builder.chance(0.5):
        other = bias
    else:
        builder.add("resistor", bias, other)
        builder.add("capacitor", other, GROUND)
    tail = builder.net()
    emitters = [tail, tail]
    degeneration = builder.pick({"": 3.0, "resistor": 4.0, "inductor": 2.0})
    if degeneration:
        emitters = [builder.net(), builder.net()]
        for emitter in emitters:
            builder.add(degeneration, emitter, tail)
    _tail(builder, tail)
    builder.add("hbt", left, base, emitters[0])
    builder.add("hbt", right, other, emitters[1])
    if builder.chance(0.15):
        left, right = (_series_peaking(builder, net) for net in (left, right))
    phases = _lo_bases(builder)
    positive, negative = builder.net(), builder.net()
    builder.add("hbt", positive, phases[0], left)
    builder.add("hbt", negative, phases[1], left)
    builder.add("hbt", positive, phases[1], right)
    builder.add("hbt", negative, phases[0], right)
    _loads_and_output(builder, positive, negative)


def _series_peaking(builder: Builder, net: str) -> str:
    upper = builder.net()
    builder.add("inductor", net, upper)
    return upper


def _tail(builder: Builder, net: str) -> None:
    """What carries the current of a differential pair."""
    shape = builder.pick({"R": 4.0, "R+L": 1.5, "Q": 2.0, "QR": 1.0})
    if shape == "R":
        builder.add("resistor", net, GROUND)
    elif shape == "R+L":
        chain(builder, ("inductor", "resistor"), net, GROUND)
    else:
        emitter = GROUND
        if shape == "QR":
            emitter = builder.net()
            builder.add("resistor", emitter, GROUND)
        builder.add("hbt", net, bias_source(builder), emitter)


def _transconductor(builder: Builder, collector: str) -> None:
    """A transistor that turns RF voltage into current, at its emitter or its base."""
    if builder.chance(0.25):
        emitter = builder.net()
        if not ladder(builder, "rf", emitter, builder.pick(_RF_LADDER), GROUND):
            builder.add(builder.pick({"resistor": 1.0, "inductor": 2.0}), emitter, GROUND)
        builder.add("hbt", collector, bias_source(builder), emitter)
        return
    base, emitter = builder.net(), GROUND
    _biased_input(builder, "rf", base, builder.pick(_RF_LADDER))
    if builder.chance(0.65):
        emitter = builder.net()
        _degeneration(builder, emitter)
    builder.add("hbt", collector, base, emitter)


def _biased_input(builder: Builder, port: str, base: str, elements: int) -> None:
    """Match a port to a base and bias that."""
    if builder.chance(0.15):
        ladder(builder, port, base, elements, None)
        divider(builder, base)
        return
    bias = bias_source(builder)
    if not ladder(builder, port, base, elements, bias):
        _feed(builder, bias, base)


def _feed(builder: Builder, bias: str, base: str) -> None:
    """Direct current to a base."""
    shape = builder.pick({"R": 5.0, "L": 2.0, "RL": 1.0})
    if shape == "RL":
        chain(builder, ("resistor", "inductor"), bias, base)
    else:
        builder.add("resistor" if shape == "R" else "inductor", bias, base)


def _degeneration(builder: Builder, emitter: str) -> None:
    shape = builder.pick({"R": 3.0, "L": 4.0, "R||C": 0.7, "R+L": 1.0})
    if shape == "R+L":
        chain(builder, ("resistor", "inductor"), emitter, GROUND)
        return
    builder.add("inductor" if shape == "L" else "resistor", emitter, GROUND)
    if shape == "R||C":
        builder.add("capacitor", emitter, GROUND)


def _lo_bases(builder: Builder) -> tuple[str, str]:
    """Bases of a switching pair: the LO coupled in, and their bias."""
    bases = (builder.net(), builder.net())
    differential = builder.chance(0.85)
    network = builder.pick({"C": 6.0, "LC": 2.0, "C-shunt C": 1.0})
    feed = builder.pick({"source R": 5.0, "source L": 2.0, "supply R": 0.8, "divider": 0.7})
    source = SUPPLY
    if feed.startswith("source"):
        source = bias_source(builder)
    if feed == "divider":
        source = builder.net()
        builder.add("resistor", SUPPLY, source)
        builder.add("resistor", source, GROUND)
        builder.add("capacitor", source, GROUND)
    for port, base in zip(("lop", "lon"), bases, strict=True):
        builder.add("inductor" if feed == "source L" else "resistor", source, base)
        if port == "lon" and not differential:
            builder.add("capacitor", base, GROUND)
        elif network == "LC":
            chain(builder, ("inductor", "capacitor"), port, base)
        else:
            builder.add("capacitor", port, base)
            if network == "C-shunt C":
                builder.add("capacitor", base, GROUND)
    if differential and builder.chance(0.15):
        builder.add(builder.pick({"resistor": 1.0, "inductor": 1.0}), "lop", "lon")
    return bases


def _loads_and_output(builder: Builder, positive: str, negative: str) -> None:
    """The same load at both collectors of a switching pair, and the IF taken at one of them."""
    shape = builder.pick({"R": 4.0, "R||C": 3.0, "L": 0.7, "L||C": 1.5, "R||L||C": 1.5, "R+L": 1.0})
    both = builder.chance(0.8)
    for collector in (positive, negative) if both else (positive,):
        _load(builder, collector, shape)
    if not both:
        # The other half of the current goes to the supply without doing anything.
        builder.devices = [
            type(device)(device.kind, tuple(SUPPLY if net == negative else net for net in device.nets))
            for device in builder.devices
        ]
    elif builder.chance(0.35):
        builder.add("capacitor", positive, negative)
    _output(builder, positive)


def _load(builder: Builder, collector: str, shape: str) -> None:
    if shape == "R+L":
        chain(builder, ("resistor", "inductor"), SUPPLY, collector)
        return
    if "L" in shape:
        builder.add("inductor", SUPPLY, collector)
    if "R" in shape:
        builder.add("resistor", SUPPLY, collector)
    if "C" in shape:
        builder.add("capacitor", collector, SUPPLY)


def _output(builder: Builder, collector: str) -> None:
    """The IF from a collector to the load, through a follower or not."""
    if builder.chance(0.25):
        emitter = builder.net()
        builder.add("hbt", SUPPLY, collector, emitter)
        builder.add("resistor", emitter, GROUND)
        collector = emitter
    shape = builder.pick({"C": 4.0, "LC": 2.0, "C-shunt C": 1.5, "LC-shunt C": 1.5, "CR": 0.5})
    if shape == "CR":
        chain(builder, ("resistor", "capacitor"), collector, "out")
    elif shape.startswith("LC"):
        chain(builder, ("inductor", "capacitor"), collector, "out")
    else:
        builder.add("capacitor", collector, "out")
    if shape.endswith("shunt C"):
        builder.add("capacitor", "out", GROUND)


def _active(builder: Builder) -> None:
    """One transistor, or two in cascode, that RF and LO drive together."""
    base, collector, emitter = builder.net(), builder.net(), GROUND
    where = builder.pick({"base": 3.0, "emitter": 3.0, "upper base": 3.0})
    if where == "emitter" or builder.chance(0.4):
        emitter = builder.net()
        _degeneration(builder, emitter)
    swap = where == "emitter" and builder.chance(0.4)
    first, second = ("lop", "rf") if swap else ("rf", "lop")
    _biased_input(builder, first, base, builder.pick(_RF_LADDER))
    if where == "upper base":
        middle, upper = builder.net(), builder.net()
        builder.add("hbt", middle, base, emitter)
        builder.add("hbt", collector, upper, middle)
        _biased_input(builder, "lop", upper, builder.pick({0: 2.0, 1: 1.0, 2: 1.0}))
    else:
        builder.add("hbt", collector, base, emitter)
        ladder(builder, second, base if where == "base" else emitter, builder.pick({0: 3.0, 1: 1.0, 2: 1.0}), None)
    _load(builder, collector, builder.pick({"R": 3.0, "R||C": 3.0, "L||C": 2.0, "R||L||C": 2.0, "R+L": 1.0, "L": 0.7}))
    if builder.chance(0.35):
        # A series trap shorts RF and LO at the collector.
        chain(builder, ("inductor", "capacitor"), collector, GROUND)
    _output(builder, collector)


def _diodes(builder: Builder) -> None:
    """One, two or four diodes."""
    shape = builder.pick({"one": 2.0, "two": 4.0, "ring": 2.0})
    biased = builder.chance(0.88)
    source = bias_source(builder) if biased else GROUND
    feed = builder.pick({"resistor": 2.0, "inductor": 2.0})
    elements = builder.pick(_RF_LADDER)
    middle = builder.net()
    if shape == "one":
        # RF and LO at the anode, IF behind a filter.
        ladder(builder, "rf", middle, elements, None)
        builder.add("capacitor", "lop", middle)
        builder.add(feed, source, middle)
        if builder.chance(0.5):
            builder.add("diode", middle, GROUND)
            _if_filter(builder, middle, biased)
        else:
            cathode = builder.net()
            builder.add("diode", middle, cathode)
            builder.add(builder.pick({"resistor": 2.0, "inductor": 1.0}), cathode, GROUND)
            _if_filter(builder, cathode, biased)
        return
    anode, cathode = builder.net(), builder.net()
    for port, end in (("lop", anode), ("lon", cathode)):
        builder.add("capacitor", port, end)
    builder.add(feed, source, anode)
    builder.add(feed if biased else "resistor", cathode, GROUND)
    if shape == "two":
        # The diodes are in series between the phases, whose sum is zero where they meet.
        builder.add("diode", anode, middle)
        builder.add("diode", middle, cathode)
        ladder(builder, "rf", middle, elements, None)
        _if_filter(builder, middle, biased)
        return
    # Both ways from one phase to the other: a bias opens both. A ring proper has one of them reversed, and no bias.
    far = builder.net()
    pairs = [(anode, middle), (middle, cathode), (anode, far), (far, cathode)]
    if not biased and builder.chance(0.6):
        pairs = [(anode, middle), (middle, cathode), (cathode, far), (far, anode)]
    for one, other in pairs:
        builder.add("diode", one, other)
    ladder(builder, "rf", middle, elements, None)
    _if_filter(builder, far, biased)


def _if_filter(builder: Builder, net: str, biased: bool) -> None:
    """The IF out of a passive mixer: RF and LO kept off the load."""
    shape = builder.pick({"C": 1.5, "LC": 4.0, "LC-shunt C": 3.0, "C-shunt C": 1.0})
    if not biased and builder.chance(0.5):
        builder.add("inductor" if "L" in shape else "resistor", net, "out")
    elif shape.startswith("LC"):
        chain(builder, ("inductor", "capacitor"), net, "out")
    else:
        builder.add("capacitor", net, "out")
    if shape.endswith("shunt C"):
        builder.add("capacitor", "out", GROUND)
