"""Random legal changes of topologies and values. Everything is determined by the generator passed in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genrf.circuit.canonical import canonical, canonical_circuit
from genrf.circuit.devices import KINDS
from genrf.circuit.rules import is_legal
from genrf.circuit.tokens import MAX_DEVICES
from genrf.circuit.topology import GROUND, SUPPLY, Circuit, Device, Topology
from genrf.technology.base import Technology

ATTEMPTS = 100
"""Changes tried before a topology is given back as it was; about every second one is legal."""
_PASSIVES = ("resistor", "inductor", "capacitor")
_BIAS_STEP_V = 0.06
"""Change of a bias voltage that goes with a factor e in a value: about a factor e in current."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A device, and where its value comes from."""

    kind: str
    nets: tuple[str, ...]
    origin: int | None
    """Index in the topology before the change; None for a new device."""


_Parts = list[_Part]
_Change = Callable[[_Parts, np.random.Generator, tuple[str, ...]], _Parts | None]


def mutate(topology: Topology, rng: np.random.Generator) -> Topology:
    """A legal topology one or a few random changes away, in canonical form.

    If no legal change is found in `ATTEMPTS` tries, the topology itself in canonical form.
    """
    changed = _mutated(topology, rng)
    return changed[0] if changed else canonical(topology)[0]


def mutate_circuit(circuit: Circuit, rng: np.random.Generator, technology: Technology) -> Circuit:
    """The circuit with its topology mutated, canonical: kept devices keep their values, new ones get plausible ones."""
    changed = _mutated(circuit.topology, rng)
    if changed is None:
        return canonical_circuit(circuit)
    topology, origins = changed
    values = []
    for device, origin in zip(topology.devices, origins, strict=True):
        if origin is not None and circuit.topology.devices[origin].kind == device.kind:
            values.append(circuit.values[origin])
            continue
        before = (circuit.topology.devices[origin].kind, circuit.values[origin]) if origin is not None else None
        values.append(_legal(technology, device.kind, _new_value(device, before, circuit, rng)))
    return Circuit(topology, tuple(values))


def vary(circuit: Circuit, rng: np.random.Generator, spread: float, technology: Technology) -> Circuit:
    """Change a random subset of the values: log-normally with standard deviation `spread`, bias voltages linearly."""
    share = rng.uniform(0.2, 1.0)
    chosen = rng.random(len(circuit.values)) < share
    steps = rng.normal(0.0, spread, len(circuit.values))
    values = []
    for device, value, step, change in zip(circuit.topology.devices, circuit.values, steps, chosen, strict=True):
        if change:
            linear = KINDS[device.kind].scale == "linear"
            value = _legal(technology, device.kind, value + _BIAS_STEP_V * step if linear else value * math.exp(step))
        values.append(value)
    return circuit.with_values(values)


def cross(first: Circuit, second: Circuit, rng: np.random.Generator, technology: Technology) -> Circuit:
    """Mix the values of two circuits of one topology: one value from either, a blend, or one's first and other's last.

    Raises:
        ValueError: if the topologies differ.
    """
    if first.topology.devices != second.topology.devices:
        raise ValueError("only circuits of the same topology, with devices in the same order, can be crossed")
    count = len(first.values)
    style = int(rng.integers(3))
    if style == 0:
        weights = (rng.random(count) < 0.5).astype(float)
    elif style == 1:
        weights = np.full(count, rng.uniform(-0.2, 1.2))
    else:
        # Devices are in the order of the signal path: the input side of one circuit, the output side of the other.
        weights = (np.arange(count) < rng.integers(1, count) if count > 1 else np.ones(1)).astype(float)
    values = []
    for device, one, other, weight in zip(first.topology.devices, first.values, second.values, weights, strict=True):
        if KINDS[device.kind].scale == "linear":
            mixed = weight * one + (1.0 - weight) * other
        else:
            mixed = math.exp(weight * math.log(one) + (1.0 - weight) * math.log(other))
        values.append(one if one == other else _legal(technology, device.kind, mixed))
    return first.with_values(values)


def _legal(technology: Technology, kind: str, value: float) -> float:
    low, high = technology.value_range(kind)
    return technology.snap(kind, min(max(value, low), high))


def _mutated(topology: Topology, rng: np.random.Generator) -> tuple[Topology, list[int | None]] | None:
    """A changed legal topology, canonical, and each device's index in the old one; None if none was found."""
    before, order = canonical(topology)
    original = [_Part(device.kind, device.nets, index) for device, index in zip(before.devices, order, strict=True)]
    for _ in range(ATTEMPTS):
        parts: _Parts | None = original
        for _ in range((1, 1, 1, 2, 3)[_pick(rng, 5)]):
            change = _CHANGES[int(np.searchsorted(_CUMULATIVE, rng.random(), side="right"))]
            parts = change(parts, rng, _names(parts)) if parts else None
        if not parts:
            continue
        parts = _without_idle_sources(parts)
        if len(parts) > MAX_DEVICES or _has_twins(parts):
            continue
        changed = Topology(topology.circuit_class, tuple([Device(part.kind, part.nets) for part in parts]))
        if not is_legal(changed):
            continue
        form, places = canonical(changed)
        if form != before:
            return form, [parts[place].origin for place in places]
    return None


def _names(parts: _Parts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(net for part in parts for net in part.nets))


def _has_twins(parts: _Parts) -> bool:
    """Whether two passives of one kind lie in parallel, and might as well be one."""
    passives = [(part.kind, frozenset(part.nets)) for part in parts if part.kind in _PASSIVES]
    return len(set(passives)) < len(passives)


def _without_idle_sources(parts: _Parts) -> _Parts:
    """Without bias sources that nothing else is connected to."""
    count: dict[str, int] = {}
    for part in parts:
        for net in part.nets:
            count[net] = count.get(net, 0) + 1
    return [part for part in parts if part.kind != "bias_voltage" or count[part.nets[0]] > 1]


def _fresh(names: tuple[str, ...]) -> str:
    number = len(names)
    while f"m{number}" in names:
        number += 1
    return f"m{number}"


def _pick(rng: np.random.Generator, count: int) -> int:
    return int(rng.random() * count)


def _passive(rng: np.random.Generator) -> str:
    return _PASSIVES[_pick(rng, 3)]


def _held_nets(parts: _Parts) -> set[str]:
    return {GROUND, SUPPLY} | {part.nets[0] for part in parts if part.kind == "bias_voltage"}


def _insert_series(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """Cut one terminal off its net and put a passive between."""
    index = _pick(rng, len(parts))
    part = parts[index]
    if part.kind == "bias_voltage":
        return None
    terminal = _pick(rng, len(part.nets))
    net = _fresh(names)
    nets = (*part.nets[:terminal], net, *part.nets[terminal + 1 :])
    added = _Part(_passive(rng), (part.nets[terminal], net), None)
    return [*parts[:index], _Part(part.kind, nets, part.origin), *parts[index + 1 :], added]


def _insert_shunt(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """A passive, or a series pair with a capacitor, from a net to ground or supply."""
    held = _held_nets(parts)
    live = [net for net in names if net not in held]
    net = live[_pick(rng, len(live))]
    to = GROUND if rng.random() < 0.75 else SUPPLY
    if rng.random() < 0.75:
        return [*parts, _Part(_passive(rng), (net, to), None)]
    middle = _fresh(names)
    first = _PASSIVES[_pick(rng, 2)]
    return [*parts, _Part(first, (net, middle), None), _Part("capacitor", (middle, to), None)]


def _insert_bridge(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """A passive, or a resistor and a capacitor in series, between two nets."""
    first, second = names[_pick(rng, len(names))], names[_pick(rng, len(names))]
    if first == second:
        return None
    if rng.random() < 0.5:
        return [*parts, _Part(_passive(rng), (first, second), None)]
    middle = _fresh(names)
    return [*parts, _Part("resistor", (first, middle), None), _Part("capacitor", (middle, second), None)]


def _insert_parallel(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """A passive across another."""
    part = parts[_pick(rng, len(parts))]
    return [*parts, _Part(_passive(rng), part.nets, None)] if part.kind in _PASSIVES else None


def _insert_cascode(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """A transistor with its base on a new bias source, between a collector and what it drives."""
    index = _pick(rng, len(parts))
    part = parts[index]
    if part.kind != "hbt":
        return None
    collector, base, emitter = part.nets
    middle = _fresh(names)
    bias = _fresh((*names, middle))
    return [
        *parts[:index],
        _Part("hbt", (middle, base, emitter), part.origin),
        *parts[index + 1 :],
        _Part("hbt", (collector, bias, middle), None),
        _Part("bias_voltage", (bias,), None),
    ]


def _delete_open(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """Leave a passive out."""
    index = _pick(rng, len(parts))
    return [*parts[:index], *parts[index + 1 :]] if parts[index].kind in _PASSIVES else None


def _delete_short(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """Leave a passive out, or a transistor, and merge its first and last net."""
    index = _pick(rng, len(parts))
    part = parts[index]
    if part.kind == "bias_voltage":
        return None
    kept, gone = part.nets[0], part.nets[-1]
    if not _is_internal(gone):
        kept, gone = gone, kept
    if not _is_internal(gone):
        return None
    rest = [*parts[:index], *parts[index + 1 :]]
    return [_Part(p.kind, tuple([kept if net == gone else net for net in p.nets]), p.origin) for p in rest]


def _is_internal(net: str) -> bool:
    """Whether a net of a canonical topology, or one of `_fresh`, is none of ground, supply and ports."""
    return net[0] in "nm" and net[1:].isdigit()


def _replace(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """Another kind of passive in a passive's place."""
    index = _pick(rng, len(parts))
    part = parts[index]
    if part.kind not in _PASSIVES:
        return None
    return [*parts[:index], _Part(_passive(rng), part.nets, part.origin), *parts[index + 1 :]]


def _rewire(parts: _Parts, rng: np.random.Generator, names: tuple[str, ...]) -> _Parts | None:
    """Move one terminal to another net."""
    index = _pick(rng, len(parts))
    part = parts[index]
    terminal = _pick(rng, len(part.nets))
    nets = (*part.nets[:terminal], names[_pick(rng, len(names))], *part.nets[terminal + 1 :])
    return [*parts[:index], _Part(part.kind, nets, part.origin), *parts[index + 1 :]]


# Deletions are legal less often than insertions; with these weights a long chain of mutations keeps its size.
_WEIGHTED: dict[_Change, float] = {
    _insert_series: 1.5,
    _insert_shunt: 1.3,
    _insert_bridge: 0.5,
    _insert_parallel: 0.5,
    _insert_cascode: 0.8,
    _delete_open: 5.0,
    _delete_short: 7.0,
    _replace: 2.0,
    _rewire: 1.5,
}
_CHANGES = tuple(_WEIGHTED)
_CUMULATIVE = np.cumsum(list(_WEIGHTED.values())) / sum(_WEIGHTED.values())


def _new_value(device: Device, before: tuple[str, float] | None, circuit: Circuit, rng: np.random.Generator) -> float:
    """A value for a device that is new or has changed its kind (`before`: what it was, and its value)."""
    omega = _angular_frequency(circuit)
    kind = device.kind
    if kind == "hbt":
        emitters = [value for one, value in _kinds_and_values(circuit) if one == "hbt"]
        return emitters[_pick(rng, len(emitters))] if emitters else 8.0
    if kind == "bias_voltage":
        # The next level of a stack sits about one base-emitter voltage above the levels that there are.
        levels = [value for one, value in _kinds_and_values(circuit) if one == "bias_voltage"]
        return max(levels, default=0.85) + float(rng.uniform(0.5, 1.0))
    if before is not None and before[0] in _PASSIVES:
        was, value = before
        impedance = {"resistor": value, "inductor": omega * value, "capacitor": 1.0 / (omega * value)}[was]
    else:
        impedance = math.exp(rng.normal(math.log(60.0), 1.1))
    impedance = min(max(impedance, 1.0), 2e3) * math.exp(rng.normal(0.0, 0.3))
    return {"resistor": impedance, "inductor": impedance / omega, "capacitor": 1.0 / (omega * impedance)}[kind]


def _kinds_and_values(circuit: Circuit) -> list[tuple[str, float]]:
    return [(device.kind, value) for device, value in zip(circuit.topology.devices, circuit.values, strict=True)]


def _angular_frequency(circuit: Circuit) -> float:
    """The angular frequency in rad/s that a circuit seems made for: its reactances are then tens of Ohm."""
    logs = []
    for kind, value in _kinds_and_values(circuit):
        if kind == "inductor":
            logs.append(math.log(60.0 / value))
        elif kind == "capacitor":
            logs.append(-math.log(40.0 * value))
    return math.exp(float(np.median(logs))) if logs else 2.0 * math.pi * 20e9
