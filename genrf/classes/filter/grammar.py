"""How topologies of filters are drawn: ladders, coupled resonators, and cascades of L, pi and T sections.

A ladder has two to seven branches, alternately in series and to ground, of one response: low-pass, high-pass, band-pass
or band-stop; two of different responses may follow one another. Coupled resonators are tanks to ground that capacitors
or series LC couple (top-C, top-L), or series LC that an element to ground couples. Any branch may become a trap, an LC
that blocks or shorts one frequency, and a resistor may damp a branch.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from genrf.circuit.blocks import Builder, chain
from genrf.circuit.drawing import legal_topology
from genrf.circuit.topology import GROUND, Topology

CIRCUIT_CLASS = "filter"

_FORMS = {"ladder": 3.0, "cascade": 2.0, "tanks": 3.0, "series resonators": 1.0, "sections": 4.0}
_LADDERS = {"low-pass": 2.0, "high-pass": 2.0, "band-pass": 2.0, "band-stop": 1.0}
_ORDERS = {2: 1.0, 3: 3.0, 4: 2.5, 5: 2.0, 6: 1.2, 7: 1.0}
_PARTIAL_ORDERS = {2: 3.0, 3: 3.0, 4: 1.0}
_TANKS = {2: 3.0, 3: 3.0, 4: 1.5, 5: 0.7}
_TRAP = 0.3
"""Share of the branches that become traps, in every second ladder."""
_DAMPED = 0.05
"""Share of filters that a resistor damps."""

# Branches: one element, or two in series (first the one at the net that comes first), or two in parallel.
_L, _C, _LC, _CL, _TANK = ("inductor",), ("capacitor",), ("inductor", "capacitor"), ("capacitor", "inductor"), "tank"
_Branch = tuple[str, ...] | str

_RESPONSES: dict[str, tuple[_Branch, _Branch]] = {
    "low-pass": (_L, _C),
    "high-pass": (_C, _L),
    "band-pass": (_LC, _TANK),
    "band-stop": (_TANK, _LC),
}
"""Series and shunt branch of each response."""


def sample_topology(rng: np.random.Generator) -> Topology:
    """Draw a legal topology, in canonical form."""
    return legal_topology(_draw, rng)


def _draw(rng: np.random.Generator) -> Topology:
    builder = Builder(CIRCUIT_CLASS, rng)
    _FORM[builder.pick(_FORMS)](builder)
    if builder.chance(_DAMPED):
        _damp(builder)
    return builder.topology()


def _branch(builder: Builder, shape: _Branch, start: str, end: str) -> None:
    if shape == _TANK:
        builder.add("inductor", start, end)
        builder.add("capacitor", start, end)
    else:
        chain(builder, tuple(shape), start, end)


def _ladder(builder: Builder) -> None:
    """Branches in series and to ground in turn."""
    _branches(builder, "in", "out", builder.pick(_LADDERS), builder.pick(_ORDERS))


def _cascade(builder: Builder) -> None:
    """Two ladders of different responses: low-pass and high-pass make a wide band-pass."""
    responses = list(_LADDERS)
    builder.rng.shuffle(responses)
    middle = builder.net()
    for response, start, end in ((responses[0], "in", middle), (responses[1], middle, "out")):
        _branches(builder, start, end, response, builder.pick(_PARTIAL_ORDERS))


def _branches(builder: Builder, start: str, end: str, response: str, order: int) -> None:
    """A ladder from net to net."""
    series, shunt = _RESPONSES[response]
    trapped = builder.chance(0.5)
    is_series = builder.chance(0.5)
    in_series = [(position % 2 == 0) == is_series for position in range(order)]
    last = max(position for position, now in enumerate(in_series) if now)
    net = start
    for position, now in enumerate(in_series):
        shape = series if now else shunt
        if trapped and builder.chance(_TRAP):
            shape = _TANK if now else _LC
        if now:
            to = end if position == last else builder.net()
            _branch(builder, shape, net, to)
            net = to
        else:
            _branch(builder, shape, net, GROUND)


def _tanks(builder: Builder) -> None:
    """Tanks to ground, coupled at their tops."""
    count = builder.pick(_TANKS)
    couplings = _COUPLINGS[builder.pick({"C": 4.0, "LC": 2.0, "mixed": 1.5})]
    end = builder.pick({"C": 3.0, "direct": 2.0, "tapped C": 1.0, "tapped L": 1.0, "LC": 1.0})
    other_end = end if builder.chance(0.7) else builder.pick({"C": 3.0, "direct": 2.0, "LC": 1.0})
    nets = [builder.net() for _ in range(count)]
    if end == "direct":
        nets[0] = "in"
    if other_end == "direct":
        nets[-1] = "out"
    bare = builder.chance(0.15)
    for position, net in enumerate(nets):
        port = {0: "in", count - 1: "out"}.get(position)
        shape = end if position == 0 else other_end if port else ""
        if shape == "tapped C" and port is not None:
            builder.add("inductor", net, GROUND)
            builder.add("capacitor", net, port)
            builder.add("capacitor", port, GROUND)
        elif shape == "tapped L" and port is not None:
            builder.add("capacitor", net, GROUND)
            builder.add("inductor", net, port)
            builder.add("inductor", port, GROUND)
        else:
            builder.add("inductor", net, GROUND)
            if not bare or 0 < position < count - 1:
                builder.add("capacitor", net, GROUND)
            if shape == "C" and port is not None:
                builder.add("capacitor", port, net)
            elif shape == "LC" and port is not None:
                chain(builder, _LC, port, net)
    for first, second in pairwise(nets):
        _branch(builder, builder.pick(couplings), first, second)
    if count > 2 and builder.chance(0.25):
        # A capacitor past one or more tanks makes a transmission zero.
        start = int(builder.rng.integers(count - 2))
        builder.add("capacitor", nets[start], nets[int(builder.rng.integers(start + 2, count))])


_COUPLINGS: dict[str, dict[_Branch, float]] = {
    "C": {_C: 1.0},
    "LC": {_LC: 1.0, _CL: 1.0},
    "mixed": {_C: 2.0, _LC: 1.0, _CL: 1.0},
}


def _series_resonators(builder: Builder) -> None:
    """Series LC, coupled by elements to ground."""
    count = builder.pick({2: 3.0, 3: 3.0, 4: 1.5})
    net = "in"
    for position in range(count):
        to = "out" if position == count - 1 else builder.net()
        _branch(builder, builder.pick({_LC: 1.0, _CL: 1.0}), net, to)
        if position < count - 1:
            _branch(builder, builder.pick(_TO_GROUND), to, GROUND)
        net = to


def _sections(builder: Builder) -> None:
    """L, pi and T sections in cascade, of any elements."""
    net = "in"
    count = builder.pick({1: 1.0, 2: 3.0, 3: 3.0, 4: 2.0})
    for position in range(count):
        last = position == count - 1
        shape = builder.pick({"L": 2.0, "reversed L": 2.0, "pi": 2.0, "T": 2.0})
        if shape in ("reversed L", "pi"):
            _branch(builder, builder.pick(_SHUNT), net, GROUND)
        if shape == "T":
            middle = builder.net()
            _branch(builder, builder.pick(_SERIES), net, middle)
            _branch(builder, builder.pick(_SHUNT), middle, GROUND)
            net = middle
        to = "out" if last else builder.net()
        _branch(builder, builder.pick(_SERIES), net, to)
        net = to
        if shape == "L" or (shape == "pi" and (last or builder.chance(0.5))):
            _branch(builder, builder.pick(_SHUNT), net, GROUND)


_TO_GROUND: dict[_Branch, float] = {_L: 3.0, _TANK: 2.0, _LC: 0.5}
_SERIES: dict[_Branch, float] = {_L: 3.0, _C: 3.0, _LC: 1.0, _CL: 1.0, _TANK: 1.0}
_SHUNT: dict[_Branch, float] = {_L: 3.0, _C: 3.0, _LC: 1.0, _TANK: 2.0}
_FORM = {
    "ladder": _ladder,
    "cascade": _cascade,
    "tanks": _tanks,
    "series resonators": _series_resonators,
    "sections": _sections,
}


def _damp(builder: Builder) -> None:
    """A resistor across a device, or from a net to ground."""
    device = builder.devices[int(builder.rng.integers(len(builder.devices)))]
    if builder.chance(0.5):
        builder.add("resistor", *device.nets)
    else:
        net = next(net for net in device.nets if net != GROUND)
        builder.add("resistor", net, GROUND)
