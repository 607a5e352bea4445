"""A circuit in VACASK's language: the technology's own SPICE lines translated, and its cards as VBIC 1.3.

So both simulators have the same devices and parasitics. What VACASK reads differently:

- ``4/8`` of integers is 0 and large integers wrap, so every number is written as a real;
- VBIC scales to the ambient temperature from the card's ``tnom``, so cards are written unscaled;
- fixed overlap capacitances are capacitors in the technology's lines, and 0 in the cards: they count once;
- its VBIC has neither ``area`` nor an output for the collector current: area and multiplier are ``$mfactor``, and a source
  of 0 V in front of every collector carries its current.
"""

from __future__ import annotations

from collections.abc import Sequence

from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.simulation.testbench import SimulationFailure
from genrf.technology.base import Technology

GROUND = "0"
MODULES = ("resistor", "capacitor", "inductor", "vbic_1p3_5t")
"""Compiled device models that come with the program: nothing is compiled for a circuit."""
PREAMBLE = (
    "ground 0",
    *(f'load "{module}.osdi"' for module in MODULES),
    "model resistor resistor",
    "model quiet resistor noisy=0",
    "model capacitor capacitor",
    "model inductor inductor",
    "model vsource vsource",
)
"""What every netlist begins with, after its title."""
_VALUES = {"r": ("resistor", "r"), "c": ("capacitor", "c"), "l": ("inductor", "l"), "v": ("vsource", "dc")}
"""First letter of a SPICE element -> VACASK's model and the parameter that has the value."""


def number(value: float) -> str:
    """A number that VACASK takes for a real one."""
    return f"{value:.12e}"


def name(text: str) -> str:
    """A net or instance in quotes, because a net may be called ``model``."""
    return text if text == GROUND else f"'{text}'"


def meter(transistor: str) -> str:
    """The source of 0 V through which a transistor's collector current flows."""
    return f"vm_{transistor}"


def thermal_net(transistor: str) -> str:
    """The net whose voltage is a transistor's temperature rise in K."""
    return f"{transistor}_t"


def circuit_lines(
    circuit: Circuit,
    conditions: Conditions,
    technology: Technology,
    *,
    metered: bool = False,
    excess_phase: bool = False,
) -> list[str]:
    """Cards, devices and parasitics of a circuit, without `PREAMBLE`, ports and supply.

    Args:
        circuit: any circuit of the technology.
        conditions: give corner and temperature.
        technology: one manufactured copy too (`genrf.technology.varied.VariedTechnology`).
        metered: whether every collector has its `meter`.
        excess_phase: whether the collector current is delayed (``td``). The PDK's cards for ngspice and for VACASK have
            it switched off and its card for Xyce has it always on (0.28 ps); off here, so that both simulators judge the
            same transistor.

    Raises:
        SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
    """
    try:
        lines = technology.instances(circuit, conditions.corner, conditions.temperature_c)
        cards = technology.vbic_cards(circuit, conditions.corner, conditions.temperature_c, excess_phase=excess_phase)
    except InvalidInputError as error:
        raise SimulationFailure("invalid_value", str(error)) from error
    models = [
        f"model {model} vbic13_5t type=1 " + " ".join(f"{key}={number(value)}" for key, value in card.items())
        for model, card in cards.items()
    ]
    devices = [translated for line in lines for translated in _translated(line, metered)]
    return [*models, *devices]


def instance(designator: str, nets: Sequence[str], model: str, **values: float) -> str:
    """One device; ``mfactor`` stands for ``$mfactor``."""
    assigned = " ".join(f"{'$mfactor' if key == 'mfactor' else key}={number(v)}" for key, v in values.items())
    return f"{name(designator)} ({' '.join(name(net) for net in nets)}) {model} {assigned}"


def _translated(line: str, metered: bool) -> list[str]:
    """One SPICE line of a technology; they are plain ones, without expressions and scale factors."""
    designator, *words = line.split()
    if designator[0] == "q":
        nets, model, options = words[:5], words[5], dict(word.split("=") for word in words[6:])
        many = float(options.get("m", 1.0)) * float(options.get("area", 1.0))
        if not metered:
            return [instance(designator, nets, model, mfactor=many)]
        collector = f"{designator}_c"
        return [
            instance(designator, [collector, *nets[1:]], model, mfactor=many),
            instance(meter(designator), [nets[0], collector], "vsource", dc=0.0),
        ]
    model, parameter = _VALUES[designator[0]]
    first, second, value = words
    return [instance(designator, [first, second], model, **{parameter: float(value)})]


def options(conditions: Conditions, **others: float) -> str:
    """The line that tells the simulator the ambient temperature, and its tolerances."""
    settings = {"temp": conditions.temperature_c, "reltol": 1e-6, "vntol": 1e-9, "abstol": 1e-13} | others
    return "options " + " ".join(f"{key}={number(value)}" for key, value in settings.items())
