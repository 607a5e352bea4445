"""What is simulated: one run after another, each drawn from the seed and its own number alone.

So runs are the same in whatever order, on however many workers and after whatever interruption they are simulated, and
more of them can be added later.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genrf import __version__, technology
from genrf.circuit.topology import Circuit
from genrf.conditions import Conditions
from genrf.errors import InvalidInputError
from genrf.simulation.outcome import Simulation
from genrf.spec import DesignSpec

STATISTICS_CORNER = "typ"
"""The corner that the PDK's statistics are about."""


@dataclass(frozen=True, kw_only=True)
class YieldStudy:
    """A design, and what varies around it."""

    circuit: Circuit
    spec: DesignSpec
    """Its conditions are nominal; its corner is replaced by the typical one."""
    seed: int = 0
    process: bool = True
    """Whether process variation is drawn."""
    mismatch: bool = True
    """Whether mismatch is drawn."""
    temperature_c: tuple[float, float] | None = None
    """Range in which the temperature is uniform, in degrees Celsius; none: always the specification's."""
    supply_tolerance: float = 0.0
    """The supply is uniform within this share of its value on either side."""
    technology_name: str = technology.DEFAULT

    def __post_init__(self) -> None:
        if not 0.0 <= self.supply_tolerance < 1.0:
            raise InvalidInputError(f"supply tolerance: expected from 0 to 100 %, got {self.supply_tolerance:.4g}")
        low, high = self.temperature_c or (self.spec.conditions.temperature_c,) * 2
        if not low <= high:
            raise InvalidInputError(f"temperature: expected the lower one first, got {low:g}:{high:g}")
        for position in (0.0, 1.0):
            self.conditions(position, position)

    def conditions(self, temperature: float, supply: float) -> Conditions:
        """Conditions at a place from 0 to 1 in each range.

        Raises:
            InvalidInputError: for a temperature or supply outside what `Conditions` accepts.
        """
        nominal = self.spec.conditions
        low, high = self.temperature_c or (nominal.temperature_c,) * 2
        return replace(
            nominal,
            corner=STATISTICS_CORNER,
            temperature_c=low + temperature * (high - low),
            supply_v=nominal.supply_v * (1.0 + self.supply_tolerance * (2.0 * supply - 1.0)),
        )

    def simulation(self, run: int) -> Simulation:
        """The run of that number, from 0."""
        rng = np.random.default_rng((self.seed, run))
        temperature, supply = rng.random(2).tolist()
        process = technology.get(self.technology_name)
        variation = process.draw(self.circuit, rng, process=self.process, mismatch=self.mismatch)
        second = bool(self.spec.second_metrics)
        conditions = self.conditions(temperature, supply)
        return Simulation(self.circuit, conditions, self.spec.needs_signoff, variation, second)

    def corners(self) -> dict[str, Simulation]:
        """The design at each corner, under its nominal conditions."""
        return {
            corner: Simulation(
                self.circuit,
                replace(self.spec.conditions, corner=corner),
                self.spec.needs_signoff,
                second=bool(self.spec.second_metrics),
            )
            for corner in technology.get(self.technology_name).corners
        }

    def identity(self) -> dict[str, Any]:
        """All that the runs depend on, as plain data; bounds are not part of it, because runs are judged afterwards."""
        topology = self.circuit.topology
        devices = [
            [device.kind, *device.nets, float(value)]
            for device, value in zip(topology.devices, self.circuit.values, strict=True)
        ]
        design = json.dumps([topology.circuit_class, devices])
        given = self.spec.to_dict()
        return {
            "design": hashlib.sha256(design.encode()).hexdigest(),
            "conditions": {key: given[key] for key in given if key not in ("name", "constraints", "corner")},
            "sign-off metrics": self.spec.needs_signoff,
            "seed": self.seed,
            "process variation": self.process,
            "mismatch": self.mismatch,
            "temperature": None if self.temperature_c is None else list(self.temperature_c),
            "supply tolerance": self.supply_tolerance,
            "technology": technology.get(self.technology_name).version,
            "genrf": __version__,
        }
