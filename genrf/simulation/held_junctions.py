"""Small-signal analyses of heated transistors: at the junctions' temperatures, which are held.

ngspice 39 takes charges at ambient temperature in ``.ac``, ``.sp`` and ``.noise``, and conductances at the junction's. On 30
amplifiers gain was up to 0.84 dB off, S11 up to 4 dB, the noise figure up to 0.19 dB; with the operating point found
first and every card scaled to its junction's temperature, 0.015 dB in gain and 0.01 dB in noise figure are left, most of
it at 2 to 4 GHz, where junctions follow the signal a little (VACASK, 30 of the released precedents).
"""

from __future__ import annotations

from collections.abc import Mapping

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.simulation.device_lines import thermal_ohm
from genrf.simulation.testbench import Deck, Simulator
from genrf.technology.base import Technology

ZERO_CELSIUS_K = 273.15


def run_held(
    simulator: Simulator, deck: Deck, circuit: Circuit, conditions: Conditions, technology: Technology
) -> Mapping[str, float]:
    """Run a deck's small-signal analyses with the junctions where the operating point has them.

    The deck's operating point is found twice, and is the same: results are read as if the deck itself had been run.

    Returns:
        Rise of each thermal net above ambient temperature, in K.

    Raises:
        SimulationFailure: if there is no operating point, or an analysis fails.
    """
    nets = tuple(thermal_ohm(circuit, conditions, technology))
    if not nets:
        simulator.run(deck)
        return {}
    simulator.run(Deck(deck.netlist, ("op",), nets))
    rise_k = {net: float(simulator.vector("op1", net)[0].real) for net in nets}
    simulator.run(Deck(tuple(technology.held(deck.netlist, rise_k)), deck.analyses, deck.saved))
    return rise_k


def heat(rise_k: Mapping[str, float], conditions: Conditions) -> dict[str, float]:
    """Rise over absolute ambient temperature by transistor, as `genrf.simulation.vbic_noise` takes it."""
    ambient_k = conditions.temperature_c + ZERO_CELSIUS_K
    return {_transistor(net): rise / ambient_k for net, rise in rise_k.items()}


def heat_expressions(circuit: Circuit, conditions: Conditions, technology: Technology) -> dict[str, str]:
    """The same in ngspice's own language, after `genrf.technology.base.Technology.hold_commands`."""
    transistors = [_transistor(net) for net in thermal_ohm(circuit, conditions, technology)]
    return {name: f"unknown1.heat_{name}" for name in transistors}


def _transistor(thermal_net: str) -> str:
    return thermal_net.removesuffix("_t")
