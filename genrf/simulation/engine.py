"""Measure one circuit with the library of this process."""

from __future__ import annotations

from collections.abc import Mapping

from genrf import classes, technology
from genrf.metrics import Metric, Metrics
from genrf.simulation.library import Library
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.simulation.testbench import SimulationFailure
from genrf.technology.base import Technology
from genrf.technology.varied import VariedTechnology


def measure(library: Library, simulation: Simulation, technology_name: str, curves: bool = False) -> Outcome:
    """Simulate one circuit; whatever is wrong with it becomes the outcome's failure.

    Raises:
        MissingToolError: if VACASK is needed and not installed.
    """
    circuit, conditions = simulation.circuit, simulation.conditions
    process: Technology = technology.get(technology_name)
    if simulation.variation is not None:
        process = VariedTechnology(process, simulation.variation)
    definition = classes.get(circuit.topology.circuit_class)
    try:
        measurement = definition.testbench.simulate(
            library, circuit, conditions, process, curves=curves, signoff=simulation.signoff
        )
        if simulation.second:
            other = definition.second_opinion(circuit, conditions, process)
            return Outcome(
                with_second(definition.metrics, measurement.metrics, other.metrics),
                None,
                measurement.curves,
                (*measurement.notes, *other.notes),
            )
    except SimulationFailure as failure:
        return Outcome(None, Failure(failure.cause, failure.detail))
    return Outcome(measurement.metrics, None, measurement.curves, measurement.notes)


def with_second(vocabulary: Mapping[str, Metric], first: Metrics, second: Metrics) -> Metrics:
    """ngspice's metrics and, of VACASK's, those that only it measures."""
    return Metrics({**first, **{name: value for name, value in second.items() if vocabulary[name].second}})
