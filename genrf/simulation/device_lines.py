"""The lines of a netlist that a technology writes."""

from __future__ import annotations

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.simulation.testbench import SimulationFailure
from genrf.technology.base import Technology


def device_lines(circuit: Circuit, conditions: Conditions, technology: Technology) -> tuple[list[str], list[str]]:
    """SPICE lines of the circuit's devices, and of the models that they refer to.

    Raises:
        SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
    """
    try:
        devices = technology.instances(circuit, conditions.corner, conditions.temperature_c)
        models = technology.models(circuit, conditions.corner, conditions.temperature_c)
    except InvalidInputError as error:
        raise SimulationFailure("invalid_value", str(error)) from error
    return devices, models


def thermal_ohm(circuit: Circuit, conditions: Conditions, technology: Technology) -> dict[str, float]:
    """Thermal nets among the lines of `device_lines`, and the thermal resistance in K/W at each."""
    return technology.thermal_resistances(circuit, conditions.corner, conditions.temperature_c)
