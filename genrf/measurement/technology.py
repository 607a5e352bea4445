"""A user's netlist in the place of a process: the testbenches ask it for the lines of a circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from genrf.circuit.topology import SUPPLY, Circuit, Device, Topology
from genrf.errors import InvalidInputError
from genrf.measurement.own_cards import NOTE, hold_commands
from genrf.measurement.user_netlist import PROBE, UserNetlist

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genrf.technology.variation import Variation

_ONLY_NGSPICE = "netlist: only ngspice reads it; sign-off in another simulator needs a design of genrf"


@dataclass(frozen=True)
class NetlistTopology(Topology):
    """A stand-in for a circuit that only its netlist describes: bias sources, and the ports that it has."""

    ports: tuple[str, ...] = ()

    @cached_property
    def nets(self) -> tuple[str, ...]:
        """Ports, and nets of bias sources."""
        return (*self.ports, *(net for device in self.devices for net in device.nets))


class NetlistTechnology:
    """Implements `genrf.technology.base.Technology` for one netlist, whose lines are the instances.

    Device limits are unknown, so none is ever broken.
    """

    name = "netlist"
    corners: tuple[str, ...] = ("typ",)
    transistor_kinds: frozenset[str] = frozenset()

    def __init__(
        self,
        netlist: UserNetlist,
        bias_v: Sequence[float],
        thermal_ohm: Mapping[str, float],
        cards: Mapping[str, Mapping[str, float]],
    ) -> None:
        """
        Args:
            netlist: the user's.
            bias_v: voltage of each of its bias sources, in V.
            thermal_ohm: thermal resistance at each of its thermal nets, in K/W.
            cards: VBIC's parameters of each card that is known well enough to be scaled, by its name.
        """
        self.notes: list[str] = []
        self._netlist = netlist
        self._bias_v = bias_v
        self._thermal_ohm = thermal_ohm
        self._cards = cards

    @property
    def circuit(self) -> Circuit:
        """What the testbench believes it measures."""
        devices = [Device("bias_voltage", (net,)) for net, _ in self._netlist.bias]
        values = [*self._bias_v]
        if self._netlist.probed:
            # An oscillator's testbench looks for the net with the resonator's inductor.
            devices.append(Device("inductor", (PROBE, SUPPLY)))
            values.append(0.0)
        topology = NetlistTopology(self._netlist.circuit_class, tuple(devices), self._netlist.ports)
        return Circuit(topology, tuple(values))

    @property
    def version(self) -> str:
        """Nothing is known of the models' version."""
        return "user's models"

    def value_range(self, kind: str) -> tuple[float, float]:
        """No limits."""
        return 0.0, float("inf")

    def design_range(self, kind: str, frequency_hz: float, supply_v: float) -> tuple[float, float]:
        """No limits."""
        return self.value_range(kind)

    def snap(self, kind: str, value: float) -> float:
        """The value as it is."""
        return value

    def instances(
        self, circuit: Circuit, corner: str = "typ", temperature_c: float = 27.0, variation: Variation | None = None
    ) -> list[str]:
        """The user's lines, and the circuit's bias sources by their designators."""
        bias = [
            f"{designator.lower()} {device.nets[0]} 0 {value:.9g}"
            for designator, device, value in zip(
                circuit.topology.designators, circuit.topology.devices, circuit.values, strict=True
            )
            if device.kind == "bias_voltage"
        ]
        return [*self._netlist.definitions, *self._netlist.lines, *bias]

    def models(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """None: the user's lines hold their own."""
        return []

    def vbic_cards(
        self,
        circuit: Circuit,
        corner: str,
        temperature_c: float,
        variation: Variation | None = None,
        *,
        excess_phase: bool = False,
    ) -> dict[str, Mapping[str, float]]:
        """Refused: the user's cards are ngspice's to read.

        Raises:
            InvalidInputError: always.
        """
        raise InvalidInputError(_ONLY_NGSPICE)

    def thermal_resistances(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> dict[str, float]:
        """What ngspice has read of the user's cards."""
        return dict(self._thermal_ohm)

    def thermal_nets(self, circuit: Circuit) -> dict[str, str]:
        """Transistors whose cards have a thermal resistance."""
        return {name: net for net, name, _ in self._netlist.heated if net in self._thermal_ohm}

    def held(self, netlist: Sequence[str], rise_k: Mapping[str, float]) -> tuple[list[str], list[str]]:
        """The netlist as it is, and commands that alter its cards; none, and a note, where that cannot be done."""
        heated = tuple(entry for entry in self._netlist.heated if entry[0] in self._thermal_ohm)
        commands = hold_commands(heated, self._cards, rise_k)
        if commands is None and NOTE not in self.notes:
            self.notes.append(NOTE)
        return [*netlist], commands or []

    def with_own_cards(self, netlist: Sequence[str]) -> list[str]:
        """The netlist as it is: nothing is exported."""
        return [*netlist]

    def hold_commands(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """None: nothing is exported."""
        return []

    def transistor_name(self, designator: str, kind: str) -> str:
        """No device of a user's netlist is known to be a transistor."""
        return designator

    def transistors(self, circuit: Circuit) -> list[str]:
        """All bipolar transistors, whatever their model, also within subcircuits."""
        return [*self._netlist.transistors]

    def violations(self, device: Device, value: float, operating_point: dict[str, float]) -> list[str]:
        """None: the limits are unknown."""
        return []

    def impact_ionisation(self, collector_base_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """None: nothing is known of the transistors."""
        return 0.0 * collector_base_v

    def draw(
        self, circuit: Circuit, rng: np.random.Generator, *, process: bool = True, mismatch: bool = True
    ) -> Variation:
        """Nothing is known of how the devices vary."""
        raise InvalidInputError("a user's netlist does not say how its devices vary")
