"""What pool and workers say to each other, as plain tuples: pickling the domain's classes takes a quarter of a
simulation's time."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from genrf.circuit.topology import Circuit, Device, Topology
from genrf.conditions import Conditions
from genrf.errors import GenRFError
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.technology.variation import Variation

Task = tuple[int, Simulation, bool]
"""Number, what to simulate, whether curves are wanted."""


def pack_tasks(tasks: Iterable[Task]) -> bytes:
    """Tasks for a worker."""
    return pickle.dumps([(number, *_pack_simulation(simulation), curves) for number, simulation, curves in tasks], 5)


def unpack_tasks(message: bytes) -> list[Task]:
    """Inverse of `pack_tasks`."""
    tasks = []
    for number, topology, values, conditions, signoff, varied, second, curves in pickle.loads(message):
        circuit = Circuit(_topology(*topology), values)
        variation = None if varied is None else Variation(*varied)
        tasks.append((number, Simulation(circuit, _conditions(conditions), signoff, variation, second), curves))
    return tasks


READY = pickle.dumps(None, 5)
"""A worker's first message: its simulator is loaded."""


def pack_error(error: GenRFError) -> bytes:
    """A worker's last message: what it lacks, and no circuit is to blame for."""
    return pickle.dumps(error, 5)


def pack_answers(answers: Iterable[tuple[int, Outcome]]) -> bytes:
    """Outcomes for the pool, by number."""
    plain: list[Any] = []
    for number, outcome in answers:
        metrics = None if outcome.metrics is None else (tuple(outcome.metrics), tuple(outcome.metrics.values()))
        failure = None if outcome.failure is None else (outcome.failure.cause, outcome.failure.detail)
        plain.append((number, metrics, failure, dict(outcome.curves), outcome.notes))
    return pickle.dumps(plain, 5)


def unpack_answers(message: bytes) -> list[tuple[int, Outcome]] | None:
    """Inverse of `pack_answers`; None for `READY`.

    Raises:
        GenRFError: the one that the worker has sent.
    """
    content = pickle.loads(message)
    if content is None:
        return None
    if isinstance(content, GenRFError):
        raise content
    answers = []
    for number, metrics, failure, curves, notes in content:
        measured = None if metrics is None else Metrics(dict(zip(*metrics, strict=True)))
        answers.append((number, Outcome(measured, None if failure is None else Failure(*failure), curves, notes)))
    return answers


def _pack_simulation(simulation: Simulation) -> tuple[Any, ...]:
    topology, conditions = simulation.circuit.topology, simulation.conditions
    variation = simulation.variation
    return (
        (topology.circuit_class, tuple((device.kind, device.nets) for device in topology.devices)),
        simulation.circuit.values,
        (
            conditions.frequency_hz,
            conditions.supply_v,
            conditions.source_ohm,
            conditions.load_ohm,
            conditions.temperature_c,
            conditions.corner,
            conditions.tone_spacing_hz,
        ),
        simulation.signoff,
        None if variation is None else (variation.process, variation.mismatch),
        simulation.second,
    )


@lru_cache(maxsize=1024)
def _topology(circuit_class: str, devices: tuple[tuple[str, tuple[str, ...]], ...]) -> Topology:
    return Topology(circuit_class, tuple(Device(kind, nets) for kind, nets in devices))


@lru_cache(maxsize=1024)
def _conditions(values: tuple[Any, ...]) -> Conditions:
    frequency_hz, supply_v, source_ohm, load_ohm, temperature_c, corner, spacing_hz = values
    return Conditions(
        frequency_hz=frequency_hz,
        supply_v=supply_v,
        source_ohm=source_ohm,
        load_ohm=load_ohm,
        temperature_c=temperature_c,
        corner=corner,
        tone_spacing_hz=spacing_hz,
    )
