"""Small-signal analyses of heated transistors: at the junctions' temperatures, which are held.

ngspice 39 takes charges at ambient temperature in ``.ac``, ``.sp`` and ``.noise``, and conductances at the junction's. Gains
of released amplifiers are up to 1.1 dB off VACASK's at 27 degrees Celsius, noise figures up to 0.2 dB. With the operating point
found first and every card scaled to its junction's temperature 0.01 dB is left of both (`benchmarks/temperature.py`), most
of it at low frequencies, where junctions follow the signal a little.
"""

from __future__ import annotations

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.simulation.testbench import Deck, Simulator
from genrf.technology.base import Technology

ZERO_CELSIUS_K = 273.15


def run_held(
    simulator: Simulator, deck: Deck, circuit: Circuit, conditions: Conditions, technology: Technology
) -> dict[str, float]:
    """Run a deck's small-signal analyses with the junctions where the operating point has them.

    The deck's operating point is found twice, and is the same: results are read as if the deck itself had been run.

    Returns:
        Of every transistor that heats itself the rise of its junction's temperature over the absolute ambient one, as
        `genrf.simulation.vbic_noise` takes it.

    Raises:
        SimulationFailure: if there is no operating point, or an analysis fails.
    """
    nets = technology.thermal_nets(circuit)
    if not nets:
        simulator.run(deck)
        return {}
    simulator.run(Deck(deck.netlist, ("op",), tuple(nets.values())))
    rise_k = {net: float(simulator.vector("op1", net)[0].real) for net in nets.values()}
    netlist, commands = technology.held(deck.netlist, rise_k)
    simulator.run(Deck(tuple(netlist), (*commands, *deck.analyses), deck.saved))
    ambient_k = conditions.temperature_c + ZERO_CELSIUS_K
    return {name: rise_k[net] / ambient_k for name, net in nets.items()}


def heat_expressions(circuit: Circuit, technology: Technology) -> dict[str, str]:
    """The same in ngspice's own language, after `genrf.technology.base.Technology.hold_commands`."""
    return {name: f"unknown1.heat_{name}" for name in technology.thermal_nets(circuit)}
