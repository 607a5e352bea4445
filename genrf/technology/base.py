"""What a process must offer: models in SPICE text, legal values, limits and corners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from genrf.circuit.topology import Circuit, Device
from genrf.technology.variation import Variation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Transistor:
    """The equal transistors that make a device, as numbers."""

    transistors: int
    parameters: Mapping[str, float]
    """VBIC's, of one of them, and ``rsub`` and ``csub``, its substrate's resistance in Ohm and capacitance in F."""
    overlaps_f: tuple[float, float]
    """Fixed capacitances of one of them between base and emitter and between base and collector, in F."""


class Technology(Protocol):
    """A foundry process. A second process implements this and nothing else changes."""

    name: str
    corners: tuple[str, ...]

    @property
    def version(self) -> str:
        """Version of the model files and of the devices made of them, part of the dataset's identity."""
        ...

    def value_range(self, kind: str) -> tuple[float, float]:
        """Smallest and largest legal value of a device kind, in SI units."""
        ...

    def design_range(self, kind: str, frequency_hz: float, supply_v: float) -> tuple[float, float]:
        """Smallest and largest value that a designer would accept at a frequency in Hz and a supply in V, in SI units."""
        ...

    def snap(self, kind: str, value: float) -> float:
        """The nearest legal value on the process's grid."""
        ...

    def instances(
        self,
        circuit: Circuit,
        corner: str = "typ",
        temperature_c: float = 27.0,
        variation: Variation | None = None,
    ) -> list[str]:
        """SPICE lines that instantiate every device of the circuit with its parasitics, named by its designator."""
        ...

    transistor_kinds: frozenset[str]
    """Device kinds that are made of transistors."""

    def models(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """SPICE lines of just the model cards that the circuit's instances refer to, parameters evaluated."""
        ...

    def vbic_cards(
        self,
        circuit: Circuit,
        corner: str,
        temperature_c: float,
        variation: Variation | None = None,
        *,
        excess_phase: bool = False,
    ) -> dict[str, Mapping[str, float]]:
        """Parameters of VBIC 1.3 for each of `models`, by name, for simulators that scale a card to the temperature.

        Args:
            excess_phase: whether the delay of the collector current is modelled.
        """
        ...

    def thermal_nets(self, circuit: Circuit) -> dict[str, str]:
        """Of `transistors` those that heat themselves, and the net of each one's temperature."""
        ...

    def held(self, netlist: Sequence[str], rise_k: Mapping[str, float]) -> tuple[list[str], list[str]]:
        """A ngspice netlist with every transistor at a junction temperature of its own, without self-heating.

        Args:
            netlist: lines of `instances` and `models` among others.
            rise_k: of every net of `thermal_nets` above ambient temperature, in K.

        Returns:
            The netlist, and commands that complete it once it is loaded.
        """
        ...

    def with_own_cards(self, netlist: Sequence[str]) -> list[str]:
        """A ngspice netlist in which no two transistors share a card, as `hold_commands` need it."""
        ...

    def hold_commands(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """`held` as the first commands of a ``.control`` block. They leave, of every transistor, ``unknown1.heat_NAME``: its
        rise of temperature over the absolute ambient temperature."""
        ...

    def thermal_resistances(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> dict[str, float]:
        """Thermal net of every transistor in `instances` that heats itself, and its thermal resistance in K/W."""
        ...

    def transistor_name(self, designator: str, kind: str) -> str:
        """Name of the SPICE transistor that makes a device of a kind that is made of one."""
        ...

    def transistors(self, circuit: Circuit) -> list[str]:
        """SPICE names of all transistors among `instances`."""
        ...

    def violations(self, device: Device, value: float, operating_point: dict[str, float]) -> list[str]:
        """Which of the process's device limits the operating point breaks (voltages in V, currents in A)."""
        ...

    def impact_ionisation(self, collector_base_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Collector current that a transistor's junction multiplies, relative to what enters it, at reverse voltages in V."""
        ...

    def draw(
        self, circuit: Circuit, rng: np.random.Generator, *, process: bool = True, mismatch: bool = True
    ) -> Variation:
        """Draw one manufactured copy of a circuit; leaving a part out does not change what is drawn for the other."""
        ...


class Process(Technology, Protocol):
    """A technology whose devices are also known as numbers, for the batched simulator."""

    def check(self, circuit: Circuit, corner: str, variation: Variation | None = None) -> None:
        """Refuse what `instances` refuses.

        Raises:
            InvalidInputError: naming the device, for a value out of range or off the emitter grid, or a malformed net;
                naming the factor, for one of a process variation that the technology does not know.
        """
        ...

    def elements(
        self,
        kind: str,
        values: NDArray[np.float64],
        corner: str,
        temperature_c: float,
        process: tuple[tuple[str, float], ...],
        factors: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Devices of one kind as numbers, of designed values (n,), each with its mismatch's factor.

        Returns:
            Of resistors resistance in Ohm, (n, 1); of inductors inductance in H, series and parallel resistance in Ohm, and
            capacitance in F to ground at each end, (n, 4); of capacitors capacitance in F, series resistance in Ohm and
            capacitance in F to ground at each end, (n, 3), the last where no end is ground.
        """
        ...

    def transistor(
        self, value: float, corner: str, temperature_c: float, process: tuple[tuple[str, float], ...]
    ) -> Transistor:
        """The transistors that make a device of `transistor_kinds`."""
        ...
