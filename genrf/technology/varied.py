"""A process in which one manufactured copy of a circuit is simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from genrf.circuit.topology import Circuit, Device
from genrf.technology.base import Technology
from genrf.technology.variation import Variation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VariedTechnology:
    """A technology whose devices are those of one manufactured copy of a circuit; all else is the technology's own.

    Testbenches ask it as they ask any technology, so none of them knows of variation.
    """

    def __init__(self, technology: Technology, variation: Variation) -> None:
        self._technology = technology
        self._variation = variation
        self.name = technology.name
        self.corners = technology.corners
        self.transistor_kinds = technology.transistor_kinds

    @property
    def version(self) -> str:
        """See `Technology.version`."""
        return self._technology.version

    def value_range(self, kind: str) -> tuple[float, float]:
        """See `Technology.value_range`."""
        return self._technology.value_range(kind)

    def design_range(self, kind: str, frequency_hz: float, supply_v: float) -> tuple[float, float]:
        """See `Technology.design_range`."""
        return self._technology.design_range(kind, frequency_hz, supply_v)

    def snap(self, kind: str, value: float) -> float:
        """See `Technology.snap`."""
        return self._technology.snap(kind, value)

    def instances(
        self,
        circuit: Circuit,
        corner: str = "typ",
        temperature_c: float = 27.0,
        variation: Variation | None = None,
    ) -> list[str]:
        """See `Technology.instances`; this copy's variation, unless another is given."""
        return self._technology.instances(circuit, corner, temperature_c, variation or self._variation)

    def models(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """See `Technology.models`; this copy's variation, unless another is given."""
        return self._technology.models(circuit, corner, temperature_c, variation or self._variation)

    def vbic_cards(
        self,
        circuit: Circuit,
        corner: str,
        temperature_c: float,
        variation: Variation | None = None,
        *,
        excess_phase: bool = False,
    ) -> dict[str, Mapping[str, float]]:
        """See `Technology.vbic_cards`; this copy's variation, unless another is given."""
        return self._technology.vbic_cards(
            circuit, corner, temperature_c, variation or self._variation, excess_phase=excess_phase
        )

    def thermal_nets(self, circuit: Circuit) -> dict[str, str]:
        """See `Technology.thermal_nets`."""
        return self._technology.thermal_nets(circuit)

    def held(self, netlist: Sequence[str], rise_k: Mapping[str, float]) -> tuple[list[str], list[str]]:
        """See `Technology.held`."""
        return self._technology.held(netlist, rise_k)

    def with_own_cards(self, netlist: Sequence[str]) -> list[str]:
        """See `Technology.with_own_cards`."""
        return self._technology.with_own_cards(netlist)

    def hold_commands(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """See `Technology.hold_commands`; this copy's variation, unless another is given."""
        return self._technology.hold_commands(circuit, corner, temperature_c, variation or self._variation)

    def thermal_resistances(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> dict[str, float]:
        """See `Technology.thermal_resistances`; this copy's variation, unless another is given."""
        return self._technology.thermal_resistances(circuit, corner, temperature_c, variation or self._variation)

    def transistor_name(self, designator: str, kind: str) -> str:
        """See `Technology.transistor_name`."""
        return self._technology.transistor_name(designator, kind)

    def transistors(self, circuit: Circuit) -> list[str]:
        """See `Technology.transistors`."""
        return self._technology.transistors(circuit)

    def violations(self, device: Device, value: float, operating_point: dict[str, float]) -> list[str]:
        """See `Technology.violations`."""
        return self._technology.violations(device, value, operating_point)

    def impact_ionisation(self, collector_base_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Technology.impact_ionisation`."""
        return self._technology.impact_ionisation(collector_base_v)

    def draw(
        self, circuit: Circuit, rng: np.random.Generator, *, process: bool = True, mismatch: bool = True
    ) -> Variation:
        """See `Technology.draw`."""
        return self._technology.draw(circuit, rng, process=process, mismatch=mismatch)
