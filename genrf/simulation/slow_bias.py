"""Capacitors whose voltage follows the drive more slowly than a transient can wait for.

symbol  variable    meaning                                                                       unit
R       ohm         what the circuit at rest shows a capacitor at direct current                  Ohm
C       -           the capacitor                                                                 F

A drive that is rectified changes the mean current of a transistor, and with it the voltages of the capacitors at its
bias, each in its time R C. Where that is many periods, a source of direct voltage stands in series with the capacitor:
the sources are set so that no capacitor carries a mean current, which is what they all come to in the end
(`genrf.simulation.transient.Transient`). For signals the source is a wire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genrf.circuit.topology import GROUND, Circuit, Device, Topology
from genrf.simulation.testbench import Deck, Simulator

_PROBE_A = 1e-7


def with_slow_capacitors_held(
    simulator: Simulator, netlist: Callable[[Circuit], list[str]], circuit: Circuit, slowest_s: float
) -> tuple[list[str], dict[str, float]]:
    """Find the slow capacitors of a circuit at its operating point and put sources in series with them.

    Args:
        netlist: makes the lines of a circuit with these devices.
        slowest_s: time constant in s from which a capacitor is slow.

    Returns:
        The lines, the sources among them, and R of each source's capacitor by the source's name.

    Raises:
        SimulationFailure: if there is no operating point.
    """
    plain = netlist(circuit)
    devices = list(circuit.topology.devices)
    capacitors = [index for index, device in enumerate(devices) if device.kind == "capacitor"]
    ohm = resistances_at_rest(simulator, plain, [devices[index].nets for index in capacitors])
    lines, sources = [], {}
    for index, resistance in zip(capacitors, ohm, strict=True):
        if resistance * circuit.values[index] <= slowest_s:
            continue
        near, far = devices[index].nets
        name = f"held{circuit.topology.designators[index].lower()}"
        devices[index] = Device("capacitor", (near, name))
        lines.append(f"v_{name} {name} {far} 0")
        sources[f"v_{name}"] = resistance
    if not sources:
        return plain, {}
    held = Circuit(Topology(circuit.topology.circuit_class, tuple(devices)), circuit.values)
    return [*netlist(held), *lines], sources


def resistances_at_rest(simulator: Simulator, netlist: Sequence[str], pairs: Sequence[tuple[str, ...]]) -> list[float]:
    """R between each pair of nets in Ohm, from the operating point with and without a small current into the pair.

    Raises:
        SimulationFailure: if there is no operating point.
    """
    if not pairs:
        return []
    probes = [f"i_probe{number} {far} {near} 0" for number, (near, far) in enumerate(pairs)]
    nets = tuple(dict.fromkeys(net for pair in pairs for net in pair if net != GROUND))
    simulator.run(Deck((*netlist, *probes), ("op",), nets))
    runs = 1

    def voltage(near: str, far: str) -> float:
        first, second = (
            0.0 if net == GROUND else float(simulator.vector(f"op{runs}", net)[0].real) for net in (near, far)
        )
        return first - second

    rest = [voltage(near, far) for near, far in pairs]
    found = []
    for number, (near, far) in enumerate(pairs):
        simulator.command(f"alter i_probe{number} dc={_PROBE_A:g}", "op")
        runs += 1
        found.append(abs(voltage(near, far) - rest[number]) / _PROBE_A)
        simulator.command(f"alter i_probe{number} dc=0")
    return found
