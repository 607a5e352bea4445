"""Building blocks of RF circuits: networks and bias that any class's grammar is put together from.

A `Builder` collects devices; a block is a function that adds some between given nets, drawing its shape at random.
The "cold" side of a network sits at 0 V (a port), the "hot" side at a transistor's DC voltage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from genrf.circuit.topology import GROUND, SUPPLY, Device, Topology

Choice = TypeVar("Choice")


class Builder:
    """Collects the devices of a topology and hands out fresh nets."""

    def __init__(self, circuit_class: str, rng: np.random.Generator) -> None:
        self.circuit_class = circuit_class
        self.rng = rng
        self.devices: list[Device] = []
        self._nets = 0

    def net(self) -> str:
        """A net that nothing is on yet."""
        self._nets += 1
        return f"n{self._nets}"

    def add(self, kind: str, *nets: str) -> None:
        """Add a device."""
        self.devices.append(Device(kind, nets))

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def pick(self, weights: dict[Choice, float]) -> Choice:
        """One of the keys, with probability in proportion to its weight."""
        point = self.rng.random() * sum(weights.values())
        for choice, weight in weights.items():
            point -= weight
            if point < 0.0:
                return choice
        return next(reversed(weights))

    def topology(self) -> Topology:
        """The topology built so far."""
        return Topology(self.circuit_class, tuple(self.devices))


def chain(builder: Builder, kinds: Sequence[str], start: str, end: str) -> None:
    """Devices in series from one net to another."""
    at = start
    for position, kind in enumerate(kinds):
        to = end if position == len(kinds) - 1 else builder.net()
        builder.add(kind, at, to)
        at = to


def bias_source(builder: Builder) -> str:
    """A new net held by a bias source."""
    net = builder.net()
    builder.add("bias_voltage", net)
    return net


def ladder(builder: Builder, cold: str, hot: str, elements: int, hot_return: str | None) -> bool:
    """A matching network of alternate series and shunt elements from a port to a transistor, DC block included.

    L, pi, T and longer ladders are the ladders of two, three and more elements. One series capacitor at least blocks
    direct current. Shunt inductors go to ground on the cold side of the block, and to `hot_return` on its hot side
    (never, if None).

    Args:
        builder: where to add the devices.
        cold: net at 0 V, a port.
        hot: net at a transistor's DC voltage.
        elements: number of elements besides a block that has to be added.
        hot_return: net that feeds the hot side with direct current through an inductor.

    Returns:
        Whether a shunt inductor on the hot net itself connects it to `hot_return`, and feeds it.
    """
    series: list[bool] = []
    is_series = builder.chance(0.5)
    for _ in range(elements):
        series.append(is_series)
        is_series = not is_series
    kinds = [builder.pick({"inductor": 1.0, "capacitor": 1.0}) for _ in series]
    if not any(now and kind == "capacitor" for now, kind in zip(series, kinds, strict=True)):
        # The block goes anywhere, also beside a series inductor.
        at = int(builder.rng.integers(len(series) + 1))
        series.insert(at, True)
        kinds.insert(at, "capacitor")
    last_series = max(index for index, now in enumerate(series) if now)
    net, warm, fed = cold, False, False
    for index, (now, kind) in enumerate(zip(series, kinds, strict=True)):
        if now:
            to = hot if index == last_series else builder.net()
            builder.add(kind, net, to)
            net = to
            if kind == "capacitor":
                warm, fed = True, False
        elif kind == "capacitor" or not warm:
            builder.add(kind, net, GROUND)
        elif hot_return is not None and not fed:
            builder.add(kind, net, hot_return)
            fed = True
        else:
            builder.add("capacitor", net, GROUND)
    return fed


def bias_feed(builder: Builder, node: str, source: str) -> None:
    """Feed a base with direct current from a bias net, keeping the signal off it."""
    shape = builder.pick({"R": 5.0, "L": 3.0, "RL": 1.0, "RCL": 1.0, "RCR": 1.0})
    if shape == "R":
        builder.add("resistor", source, node)
    elif shape == "L":
        builder.add("inductor", source, node)
    elif shape == "RL":
        chain(builder, ("resistor", "inductor"), source, node)
    else:
        middle = builder.net()
        builder.add("resistor", source, middle)
        builder.add("capacitor", middle, GROUND)
        builder.add("inductor" if shape == "RCL" else "resistor", middle, node)


def divider(builder: Builder, node: str) -> None:
    """Bias a base by two resistors between supply and ground."""
    if builder.chance(0.7):
        builder.add("resistor", SUPPLY, node)
        builder.add("resistor", node, GROUND)
        return
    middle = builder.net()
    builder.add("resistor", SUPPLY, middle)
    builder.add("resistor", middle, GROUND)
    if builder.chance(0.6):
        builder.add("capacitor", middle, GROUND)
    builder.add("resistor", middle, node)


def load(builder: Builder, node: str) -> None:
    """A collector load to the supply."""
    shape = builder.pick(
        {
            "L": 4.0,
            "L||C": 2.0,
            "R": 2.5,
            "R||L": 2.0,
            "R+L": 2.5,
            "R||L||C": 1.0,
            "R+L||C": 0.7,
            "L+R||C": 0.7,
            "R+L+L": 0.7,
        }
    )
    if shape in ("R+L", "R+L||C"):
        chain(builder, ("resistor", "inductor"), SUPPLY, node)
    elif shape == "L+R||C":
        # A decoupled supply: resistor, bypass, then the inductive load.
        middle = builder.net()
        builder.add("resistor", SUPPLY, middle)
        builder.add("capacitor", middle, GROUND)
        builder.add("inductor", middle, node)
    elif shape == "R+L+L":
        # A resistor at the tap of two inductors: bridged peaking.
        middle = builder.net()
        builder.add("resistor", SUPPLY, middle)
        builder.add("inductor", middle, node)
        builder.add("capacitor", middle, node)
    else:
        if "L" in shape:
            builder.add("inductor", SUPPLY, node)
        if "R" in shape:
            builder.add("resistor", SUPPLY, node)
    if shape in ("L||C", "R||L||C", "R+L||C"):
        builder.add("capacitor", node, builder.pick({SUPPLY: 1.0, GROUND: 1.0}))


def degeneration(builder: Builder, emitter: str) -> None:
    """Connect an emitter net to ground."""
    shape = builder.pick({"L": 5.0, "R": 1.5, "R||C": 1.0, "R+L": 1.0, "L||C": 0.7, "R+L||C": 0.5})
    if shape == "R+L":
        chain(builder, ("resistor", "inductor"), emitter, GROUND)
    elif shape == "R+L||C":
        # Resistor for the bias, bypassed behind a degeneration inductor.
        middle = builder.net()
        builder.add("inductor", emitter, middle)
        builder.add("resistor", middle, GROUND)
        builder.add("capacitor", middle, GROUND)
    else:
        builder.add("inductor" if "L" in shape else "resistor", emitter, GROUND)
        if "C" in shape:
            builder.add("capacitor", emitter, GROUND)


def feedback(builder: Builder, output: str, source: str) -> None:
    """Shunt feedback from a collector back to a base, without direct current."""
    chain(
        builder,
        builder.pick(
            {
                ("resistor", "capacitor"): 4.0,
                ("capacitor",): 1.0,
                ("inductor", "capacitor"): 1.0,
                ("resistor", "inductor", "capacitor"): 1.5,
            }
        ),
        output,
        source,
    )


def coupling(builder: Builder, first: str, second: str, hot_return: str | None) -> bool:
    """Interstage match from one transistor's DC voltage to another's.

    Returns:
        Whether a shunt inductor connects `second` to `hot_return`, and feeds it.
    """
    shape = builder.pick(
        {
            "C": 4.0,
            "LC": 1.5,
            "CL": 1.5,
            "C-shunt C": 1.0,
            "shunt C-LC": 0.7,
            "C-shunt L": 2.0,
            "LC-shunt L": 1.0,
            "C-shunt L-C": 0.8,
        }
    )
    if shape in ("C", "C-shunt C", "C-shunt L"):
        builder.add("capacitor", first, second)
    elif shape in ("LC", "shunt C-LC", "LC-shunt L"):
        chain(builder, ("inductor", "capacitor"), first, second)
    elif shape == "CL":
        chain(builder, ("capacitor", "inductor"), first, second)
    else:
        middle = builder.net()
        builder.add("capacitor", first, middle)
        builder.add("inductor", middle, GROUND)
        builder.add("capacitor", middle, second)
        return False
    if shape == "C-shunt C":
        builder.add("capacitor", second, GROUND)
    elif shape == "shunt C-LC":
        builder.add("capacitor", first, GROUND)
    elif shape.endswith("shunt L") and hot_return is not None:
        builder.add("inductor", hot_return, second)
        return True
    return False
