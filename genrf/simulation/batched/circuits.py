"""Circuits as arrays for the kernels.

Circuits of a batch may differ in topology: lists of elements are padded, counts say how many are meant. Of a circuit's nodes
those whose voltage is unknown come first, with few neighbours before many, the input and the output last; the nodes that ground
or a source holds follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.topology import GROUND, SUPPLY, Topology
from genrf.errors import InvalidInputError
from genrf.simulation.batched import vbic
from genrf.simulation.outcome import Failure, Simulation
from genrf.simulation.testbench import SimulationFailure
from genrf.technology.base import Process

KINDS = ("resistor", "inductor", "capacitor")

_Setting = tuple[str, float, tuple[tuple[str, float], ...]]
"""Corner, temperature in degrees Celsius, factors of process variation."""


class Circuits(NamedTuple):
    """A batch of B circuits."""

    unknowns: NDArray[np.int32]
    """Nodes whose voltage is unknown, (B,)."""
    counts: NDArray[np.int32]
    """Resistors, inductors, capacitors and transistors, (B, 4)."""
    held: NDArray[np.float64]
    """Voltages in V of the nodes after the unknown ones, (B, H); the first is ground."""
    resistor_nodes: NDArray[np.int32]
    resistors: NDArray[np.float64]
    """Resistances in Ohm, (B, R), between nodes (B, R, 2)."""
    inductor_nodes: NDArray[np.int32]
    inductors: NDArray[np.float64]
    """Inductance in H, series and parallel resistance in Ohm, capacitance to ground at each end in F, (B, L, 4)."""
    capacitor_nodes: NDArray[np.int32]
    capacitors: NDArray[np.float64]
    """Capacitance in F, series resistance in Ohm, capacitance to ground at each end in F, (B, C, 3)."""
    transistor_nodes: NDArray[np.int32]
    """Collector, base and emitter, (B, Q, 3)."""
    cards: NDArray[np.int32]
    """Row of each transistor's card, (B, Q)."""
    multiplicities: NDArray[np.float64]
    """Transistors in parallel, times the factor on their area, (B, Q)."""
    ports: NDArray[np.float64]
    """Source and load resistance, in Ohm, (B, 2)."""
    ambient_k: NDArray[np.float64]
    """Ambient temperature, in K, (B,)."""


@dataclass(frozen=True)
class Packed:
    """A batch, and what could not be put into it."""

    circuits: Circuits
    cards: NDArray[np.float64]
    """Parameters of `genrf.simulation.batched.vbic.PARAMETERS`, (cards, P)."""
    numbers: NDArray[np.int64]
    """Which of the simulations each circuit is, (B,)."""
    transistors: list[tuple[int, ...]]
    """Devices of each circuit that its transistors make."""
    refused: dict[int, Failure]
    """By the simulation's number."""


@dataclass(frozen=True)
class _Plan:
    """Where the devices of a topology go."""

    unknowns: int
    nodes: dict[str, int]
    biases: tuple[int, ...]
    """Devices that hold the nodes after ground and supply."""
    devices: tuple[tuple[int, ...], ...]
    """Resistors, inductors, capacitors and transistors among the devices."""
    terminals: tuple[NDArray[np.int32], ...]
    """Their nodes."""
    grounded: NDArray[np.bool_]
    """Of each capacitor: whether an end is ground."""
    overlaps: NDArray[np.int32]
    """Nodes of the transistors' overlap capacitances, (2 Q, 2): base-emitter and base-collector."""


def pack(simulations: Sequence[Simulation], technology: Process) -> Packed:
    """Put simulations into arrays; those that the technology refuses, or whose sources contradict each other, are named."""
    plans: list[_Plan] = []
    kept: list[int] = []
    refused: dict[int, Failure] = {}
    for number, simulation in enumerate(simulations):
        try:
            technology.check(simulation.circuit, simulation.conditions.corner, simulation.variation)
            plans.append(_plan(simulation.circuit.topology, technology.transistor_kinds))
            kept.append(number)
        except InvalidInputError as error:
            refused[number] = Failure("invalid_value", str(error))
        except SimulationFailure as failure:
            refused[number] = Failure(failure.cause, failure.detail)
    return _filled([simulations[number] for number in kept], plans, np.array(kept, np.int64), refused, technology)


@lru_cache(maxsize=65536)
def _plan(topology: Topology, transistor_kinds: frozenset[str]) -> _Plan:
    biases = [index for index, device in enumerate(topology.devices) if device.kind == "bias_voltage"]
    held = [GROUND, SUPPLY, *(topology.devices[index].nets[0] for index in biases)]
    if len(set(held)) < len(held):
        raise SimulationFailure("singular_matrix", "two voltage sources hold one net")
    if "in" in held or "out" in held:
        raise SimulationFailure("not_measurable", "a voltage source holds a port")
    neighbours: dict[str, set[str]] = {}
    for device in topology.devices:
        for net in device.nets:
            neighbours.setdefault(net, set()).update(device.nets)
    free = sorted((net for net in neighbours if net not in (*held, "in", "out")), key=lambda net: len(neighbours[net]))
    nodes = {net: number for number, net in enumerate([*free, "in", "out", *held])}
    devices: list[tuple[int, ...]] = [
        tuple(index for index, device in enumerate(topology.devices) if device.kind == kind) for kind in KINDS
    ]
    devices.append(tuple(i for i, device in enumerate(topology.devices) if device.kind in transistor_kinds))
    ends = [
        np.array([[nodes[net] for net in topology.devices[index].nets] for index in chosen], np.int32).reshape(-1, 2)
        for chosen in devices[:3]
    ]
    joined = np.array([_terminals(topology, index, nodes) for index in devices[3]], np.int32).reshape(-1, 3)
    return _Plan(
        unknowns=len(free) + 2,
        nodes=nodes,
        biases=tuple(biases),
        devices=tuple(devices),
        terminals=(*ends, joined),
        grounded=np.array([GROUND in topology.devices[index].nets for index in devices[2]], np.bool_),
        overlaps=np.stack([joined[:, [1, 2]], joined[:, [1, 0]]], axis=1).reshape(-1, 2),
    )


def _terminals(topology: Topology, index: int, nodes: dict[str, int]) -> list[int]:
    """Collector, base and emitter of the transistor that makes a device."""
    device = topology.devices[index]
    if device.kind == "diode":
        anode, cathode = device.nets
        return [nodes[anode], nodes[anode], nodes[cathode]]
    if device.kind == "varactor":
        anode, cathode = device.nets
        return [nodes[cathode], nodes[anode], nodes[anode]]
    return [nodes[net] for net in device.nets]


def _filled(
    simulations: Sequence[Simulation],
    plans: Sequence[_Plan],
    numbers: NDArray[np.int64],
    refused: dict[int, Failure],
    technology: Process,
) -> Packed:
    batch = len(plans)
    counts = np.array([[len(chosen) for chosen in plan.devices] for plan in plans], np.int32).reshape(-1, 4)
    own_capacitors = counts[:, 2].copy()
    counts[:, 2] += 2 * counts[:, 3]
    most = np.maximum(counts.max(axis=0, initial=0), 1)
    conditions = [simulation.conditions for simulation in simulations]
    held = np.zeros((batch, max((2 + len(plan.biases) for plan in plans), default=2)))
    if batch:
        held[:, 1] = [condition.supply_v for condition in conditions]
    nodes = [np.zeros((batch, most[k], 2), np.int32) for k in range(3)]
    joined = np.zeros((batch, most[3], 3), np.int32)
    grounded = np.zeros((batch, most[2]), np.bool_)
    for row, (plan, simulation) in enumerate(zip(plans, simulations, strict=True)):
        for k in (0, 1):
            nodes[k][row, : counts[row, k]] = plan.terminals[k]
        own = own_capacitors[row]
        nodes[2][row, :own] = plan.terminals[2]
        grounded[row, :own] = plan.grounded
        nodes[2][row, own : counts[row, 2]] = plan.overlaps
        joined[row, : counts[row, 3]] = plan.terminals[3]
        for place, index in enumerate(plan.biases):
            held[row, 2 + place] = simulation.circuit.values[index]
    values = _values(simulations, plans, technology)
    places = [np.nonzero(np.arange(most[k]) < counts[:, k : k + 1]) for k in (0, 1, 3)]
    at_capacitor = np.nonzero(np.arange(most[2]) < own_capacitors[:, None])
    resistors = np.ones((batch, most[0]))
    resistors[places[0]] = values["resistor"][:, 0]
    inductors = np.ones((batch, most[1], 4))
    inductors[places[1]] = values["inductor"]
    capacitors = np.zeros((batch, most[2], 3))
    capacitors[at_capacitor] = values["capacitor"]
    capacitors[..., 2] *= ~grounded
    of_circuit, place_in_it = places[2]
    cards = np.zeros((batch, most[3]), np.int32)
    multiplicities = np.ones((batch, most[3]))
    many, card, overlaps = values["many"], values["card"], values["overlaps"]
    cards[of_circuit, place_in_it] = card
    multiplicities[of_circuit, place_in_it] = many
    for k in range(2):
        capacitors[of_circuit, own_capacitors[of_circuit] + 2 * place_in_it + k, 0] = overlaps[:, k] * many
    # A capacitor between joined terminals does nothing: its entries cancel.
    packed = Circuits(
        unknowns=np.array([plan.unknowns for plan in plans], np.int32),
        counts=counts,
        held=held,
        resistor_nodes=nodes[0],
        resistors=resistors,
        inductor_nodes=nodes[1],
        inductors=inductors,
        capacitor_nodes=nodes[2],
        capacitors=capacitors,
        transistor_nodes=joined,
        cards=cards,
        multiplicities=multiplicities,
        ports=np.array([[c.source_ohm, c.load_ohm] for c in conditions]).reshape(-1, 2),
        ambient_k=np.array([c.temperature_c + 273.15 for c in conditions]),
    )
    return Packed(packed, values["cards"], numbers, [plan.devices[3] for plan in plans], refused)


def _values(
    simulations: Sequence[Simulation], plans: Sequence[_Plan], technology: Process
) -> dict[str, NDArray[np.float64]]:
    """Values of all devices of a kind, circuit after circuit, as the technology makes them."""
    found: dict[str, NDArray[np.float64]] = {}
    settings: list[_Setting] = [
        (s.conditions.corner, s.conditions.temperature_c, s.variation.process if s.variation is not None else ())
        for s in simulations
    ]
    for k, kind in enumerate((*KINDS, "transistor")):
        designed = [[s.circuit.values[i] for i in p.devices[k]] for s, p in zip(simulations, plans, strict=True)]
        sizes = np.array([len(row) for row in designed], np.int64)
        flat = np.array([value for row in designed for value in row])
        factors = np.array(
            [
                (s.variation.mismatch[i] if s.variation is not None and s.variation.mismatch else 1.0)
                for s, p in zip(simulations, plans, strict=True)
                for i in p.devices[k]
            ]
        )
        where = np.repeat(np.arange(len(sizes)), sizes)
        if kind == "transistor":
            found |= _transistors(flat, factors, where, settings, technology)
            continue
        widths = {"resistor": 1, "inductor": 4, "capacitor": 3}
        rows = np.empty((len(flat), widths[kind]))
        for (corner, temperature_c, process), chosen in _by_setting(settings, where):
            rows[chosen] = technology.elements(kind, flat[chosen], corner, temperature_c, process, factors[chosen])
        found[kind] = rows
    return found


def _transistors(
    flat: NDArray[np.float64],
    factors: NDArray[np.float64],
    where: NDArray[np.int64],
    settings: Sequence[_Setting],
    technology: Process,
) -> dict[str, NDArray[np.float64]]:
    many, card = np.ones(len(flat)), np.zeros(len(flat), np.int64)
    overlaps = np.zeros((len(flat), 2))
    rows: list[list[float]] = []
    for (corner, temperature_c, process), chosen in _by_setting(settings, where):
        values, inverse = np.unique(flat[chosen], return_inverse=True)
        made = [technology.transistor(value, corner, temperature_c, process) for value in values.tolist()]
        card[chosen] = len(rows) + inverse
        many[chosen] = np.array([t.transistors for t in made], float)[inverse] * factors[chosen]
        overlaps[chosen] = np.array([t.overlaps_f for t in made]).reshape(-1, 2)[inverse]
        rows += [card_row(transistor.parameters) for transistor in made]
    cards = np.array(rows).reshape(-1, len(vbic.PARAMETERS))
    return {"many": many, "card": card, "overlaps": overlaps, "cards": cards}


def card_row(parameters: Mapping[str, float]) -> list[float]:
    """A transistor's card in the order of `vbic.PARAMETERS`.

    Raises:
        InvalidInputError: if it uses more of VBIC than is known here.
    """
    for name, known in vbic.UNUSED.items():
        if parameters.get(name, known) != known:
            raise InvalidInputError(
                f"VBIC's {name} is {parameters[name]:g} in the transistor's card; the batched simulator knows {known:g} only"
            )
    whole = {**vbic.DEFAULTS, **parameters}
    return [whole[name] for name in vbic.PARAMETERS]


def _by_setting(settings: Sequence[_Setting], where: NDArray[np.int64]) -> Iterator[tuple[_Setting, NDArray[np.int64]]]:
    """Each setting, and the devices that are made so."""
    groups: dict[_Setting, list[int]] = {}
    for row, setting in enumerate(settings):
        groups.setdefault(setting, []).append(row)
    for setting, rows in groups.items():
        yield setting, np.flatnonzero(np.isin(where, rows))
