"""IHP SG13G2: a 130 nm SiGe BiCMOS process with 350 GHz HBTs, as far as ngspice can simulate it without plug-ins.

device          model
hbt             the PDK's npn13G2 (VBIC), cards derived from its text and overlap capacitances beside it
                (`genrf.technology.sg13g2.npn13g2`); above 10 emitters several in parallel
capacitor       MIM with the PDK's series resistance and bottom plate (`genrf.technology.sg13g2.mim_capacitor`)
inductor        a model of ours (`genrf.technology.sg13g2.inductor`): the PDK has none
resistor        linear, with corner and temperature of the PDK's rppd (`genrf.technology.sg13g2.resistor`); its own model
                needs a plug-in
bias_voltage    ideal
diode           npn13G2 with collector and base joined: its base-emitter junction
varactor        npn13G2 with emitter and base joined: its base-collector junction, meant to be reverse biased

Away from 27 degrees Celsius ngspice 39's VBIC scales the saturation currents but not the thermal voltage, so cards are
written for the temperature that they are used at (`genrf.technology.vbic_temperature`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from genrf.circuit.devices import KINDS
from genrf.circuit.topology import GROUND, SUPPLY, Circuit, Device, Topology
from genrf.errors import InvalidInputError
from genrf.technology.base import Transistor
from genrf.technology.sg13g2 import elements, held, model_cards, npn13g2
from genrf.technology.sg13g2 import statistics as sg13g2_statistics
from genrf.technology.sg13g2.inductor import SpiralInductor, largest_inductance
from genrf.technology.sg13g2.mim_capacitor import SMALLEST_F, mim_capacitor, plate_area_um2
from genrf.technology.sg13g2.resistor import resistances
from genrf.technology.variation import NOMINAL, Variation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEVICES_VERSION = 2
"""Counts what a device becomes in SPICE, the PDK's files being the same: rows simulated with another are not
comparable. 2: the transistor's overlap capacitances count in small-signal analyses."""
LEAST_VCE_V = 0.4
"""Collector-emitter voltage at rest below which a transistor that conducts saturates."""
LEAST_EMITTER_CURRENT_A = 1e-5
"""Collector current an emitter from which a transistor conducts."""
SELF_RESONANCE_RATIO = 2.0
"""How far above the frequency that it works at an inductor's self-resonance has to be."""
LARGEST_EMITTER_CURRENT_A = 3e-3
"""Collector current for which an emitter's model is valid: header of sg13g2_hbt_mod.lib, ``ic: <(0.003*Nx) A``."""

_RANGES = {
    "resistor": (1.0, 100e3),
    "inductor": (20e-12, 20e-9),
    "capacitor": (5e-15, 50e-12),
    "hbt": (1.0, 40.0),
    "bias_voltage": (0.0, 3.3),
    "diode": (1.0, 40.0),
    "varactor": (1.0, 200.0),
}
JUNCTIONS = ("hbt", "diode", "varactor")
"""Kinds that are made of transistors, and whose value is their number of emitters."""
_NET = re.compile(r"(0|[a-z][a-z0-9]{0,15})\Z")
_SIGNAL_GROUNDS = (GROUND, SUPPLY)


class SG13G2:
    """The process, read from the installed PDK package at first use."""

    name = "sg13g2"
    corners: tuple[str, ...] = ("typ", "bcs", "wcs")
    transistor_kinds = frozenset(JUNCTIONS)

    @property
    def version(self) -> str:
        """Version of the model files, and of the devices made of them."""
        return f"{model_cards.DISTRIBUTION} {model_cards.models_version()}, devices {DEVICES_VERSION}"

    def value_range(self, kind: str) -> tuple[float, float]:
        """Smallest and largest legal value of a device kind, in SI units."""
        return _RANGES[kind]

    def design_range(self, kind: str, frequency_hz: float, supply_v: float) -> tuple[float, float]:
        """See `genrf.technology.base.Technology.design_range`.

        No bias above the supply, inductors that resonate with themselves at twice the frequency or above, and capacitors
        of the size for which the PDK's ``cap_rfcmim`` is valid, 7 um square or more.
        """
        low, high = _RANGES[kind]
        if kind == "bias_voltage":
            return low, min(high, math.floor(supply_v * 1e3 + 1e-6) / 1e3)
        if kind == "inductor":
            return low, min(high, max(low, _rounded_down(largest_inductance(SELF_RESONANCE_RATIO * frequency_hz))))
        if kind == "capacitor":
            return SMALLEST_F, high
        return low, high

    def snap(self, kind: str, value: float) -> float:
        """The nearest legal value: 4 significant digits for R, L and C, 1 mV for a bias, whole transistors for
        emitters."""
        low, high = _RANGES[kind]
        value = min(max(float(value), low), high)
        if kind == "bias_voltage":
            return round(value, 3)
        if kind in JUNCTIONS:
            # Of some totals the nearest that can be drawn is split in another way, which moves it once more.
            while (drawn := float(math.prod(npn13g2.split_emitters(value)))) != value:
                value = drawn
            return value
        return float(f"{value:.4g}")

    def check(self, circuit: Circuit, corner: str, variation: Variation | None = None) -> None:
        """See `genrf.technology.base.Process.check`."""
        self._check_corner(corner)
        if variation is not None:
            _check_variation(circuit, variation)
        topology = circuit.topology
        if _within(topology, circuit.values):
            return
        for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True):
            _check(designator, device, value)

    def elements(
        self,
        kind: str,
        values: NDArray[np.float64],
        corner: str,
        temperature_c: float,
        process: tuple[tuple[str, float], ...],
        factors: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """See `genrf.technology.base.Technology.elements`."""
        if kind == "inductor":
            return elements.inductors(values)
        if kind == "capacitor":
            return elements.capacitors(values, corner, temperature_c, process, factors)
        ohm: NDArray[np.float64] = resistances(values, corner, temperature_c, dict(process).get("rsh_rppd", 1.0))
        return (ohm * factors)[:, None]

    def transistor(
        self, value: float, corner: str, temperature_c: float, process: tuple[tuple[str, float], ...]
    ) -> Transistor:
        """See `genrf.technology.base.Technology.transistor`."""
        return elements.transistor(value, corner, temperature_c, process)

    def instances(
        self,
        circuit: Circuit,
        corner: str = "typ",
        temperature_c: float = 27.0,
        variation: Variation | None = None,
    ) -> list[str]:
        """SPICE lines of every device with its parasitics, named by its designator in lower case.

        Nets keep their names; internal nodes contain an underscore, which nets may not. Shunt parasitics of all devices
        at a net are one capacitor ``cpar_<net>``.

        Raises:
            InvalidInputError: naming the device, for a value out of range or off the emitter grid, or a malformed net.
        """
        self.check(circuit, corner, variation)
        lines: list[str] = []
        shunt: dict[str, float] = {}
        process = dict((variation or NOMINAL).process)
        factors = (variation or NOMINAL).mismatch or (1.0,) * len(circuit.values)
        for designator, device, value, own in zip(
            circuit.topology.designators, circuit.topology.devices, circuit.values, factors, strict=True
        ):
            name = designator.lower()
            if device.kind in JUNCTIONS:
                lines += npn13g2.lines(self.transistor_name(name, device.kind), _terminals(device), value, own)
            elif device.kind == "resistor":
                a, b = device.nets
                ohm = resistances(value, corner, temperature_c, process.get("rsh_rppd", 1.0)) * own
                lines.append(f"{name} {a} {b} {ohm:.7g}")
            elif device.kind == "bias_voltage":
                lines.append(f"{name} {device.nets[0]} 0 {value:.7g}")
            elif device.kind == "inductor":
                a, b = device.nets
                spiral = SpiralInductor.of(value)
                lines += [
                    f"{name} {a} {name}_r {spiral.inductance_h:.7g}",
                    f"rp_{name} {a} {name}_r {spiral.parallel_ohm:.7g}",
                    f"rs_{name} {name}_r {b} {spiral.series_ohm:.7g}",
                ]
                for net in (a, b):
                    shunt[net] = shunt.get(net, 0.0) + spiral.side_f
            else:
                a, b = device.nets
                mim = _mim(value, corner, temperature_c)
                capacitance_f = mim.capacitance_f * process.get("cap_carea", 1.0) * own
                lines += [
                    f"{name} {a} {name}_r {capacitance_f:.7g}",
                    f"rs_{name} {name}_r {b} {mim.series_ohm:.7g}",
                ]
                if GROUND not in (a, b):
                    bottom_plate_f = mim.bottom_plate_f * process.get("cap_cpara", 1.0)
                    for net in (a, b):
                        shunt[net] = shunt.get(net, 0.0) + bottom_plate_f / 2.0
        for net, capacitance in shunt.items():
            if net not in _SIGNAL_GROUNDS:
                lines.append(f"cpar_{net} {net} 0 {capacitance:.7g}")
        return lines

    def models(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """One ``.model`` line for each number of emitters in the circuit, every parameter evaluated."""
        self._check_corner(corner)
        process = (variation or NOMINAL).process
        return [npn13g2.card(nx, corner, temperature_c, process) for nx in _emitters(circuit)]

    def vbic_cards(
        self,
        circuit: Circuit,
        corner: str,
        temperature_c: float,
        variation: Variation | None = None,
        *,
        excess_phase: bool = False,
    ) -> dict[str, Mapping[str, float]]:
        """See `genrf.technology.base.Technology.vbic_cards`."""
        self._check_corner(corner)
        process = (variation or NOMINAL).process
        return {
            npn13g2.model_name(nx): npn13g2.vbic_parameters(
                nx, corner, temperature_c, process, excess_phase=excess_phase
            )
            for nx in _emitters(circuit)
        }

    def thermal_nets(self, circuit: Circuit) -> dict[str, str]:
        """See `genrf.technology.base.Technology.thermal_nets`."""
        return {name: f"{name}_t" for name in self.transistors(circuit)}

    def held(self, netlist: Sequence[str], rise_k: Mapping[str, float]) -> tuple[list[str], list[str]]:
        """See `genrf.technology.base.Technology.held`."""
        return held.held(netlist, rise_k), []

    def with_own_cards(self, netlist: Sequence[str]) -> list[str]:
        """See `genrf.technology.base.Technology.with_own_cards`."""
        return held.with_own_cards(netlist)

    def hold_commands(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> list[str]:
        """See `genrf.technology.base.Technology.hold_commands`."""
        return held.hold_commands(self.transistors(circuit), self.models(circuit, corner, temperature_c, variation))

    def thermal_resistances(
        self, circuit: Circuit, corner: str, temperature_c: float, variation: Variation | None = None
    ) -> dict[str, float]:
        """See `genrf.technology.base.Technology.thermal_resistances`."""
        varied = variation or NOMINAL
        factors = varied.mismatch or (1.0,) * len(circuit.values)
        return {
            f"{self.transistor_name(designator.lower(), device.kind)}_t": npn13g2.thermal_resistance(
                value, own, corner, temperature_c, varied.process
            )
            for designator, device, value, own in zip(
                circuit.topology.designators, circuit.topology.devices, circuit.values, factors, strict=True
            )
            if device.kind in JUNCTIONS
        }

    def impact_ionisation(self, collector_base_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `genrf.technology.base.Technology.impact_ionisation`."""
        return npn13g2.multiplied(collector_base_v)

    def draw(
        self, circuit: Circuit, rng: np.random.Generator, *, process: bool = True, mismatch: bool = True
    ) -> Variation:
        """One manufactured copy of a circuit, drawn as the PDK draws it: see `genrf.technology.sg13g2.statistics`."""
        deviations = sg13g2_statistics.process_deviations()
        common = rng.standard_normal(len(deviations))
        own = rng.standard_normal(len(circuit.values))
        drawn = zip(deviations.items(), common.tolist(), strict=True)
        devices = zip(circuit.topology.devices, circuit.values, own.tolist(), strict=True)
        return Variation(
            process=tuple((name, 1.0 + sigma * z) for (name, sigma), z in drawn) if process else (),
            mismatch=tuple(1.0 + _mismatch_deviation(device.kind, value) * z for device, value, z in devices)
            if mismatch
            else (),
        )

    def transistor_name(self, designator: str, kind: str) -> str:
        """Name of the SPICE transistor that makes a device: SPICE tells kinds of element by the first letter."""
        return designator if kind == "hbt" else f"q_{designator}"

    def transistors(self, circuit: Circuit) -> list[str]:
        """See `genrf.technology.base.Technology.transistors`."""
        return [
            self.transistor_name(designator.lower(), device.kind)
            for designator, device in zip(circuit.topology.designators, circuit.topology.devices, strict=True)
            if device.kind in JUNCTIONS
        ]

    def violations(self, device: Device, value: float, operating_point: dict[str, float]) -> list[str]:
        """Which limits the operating point breaks.

        Args:
            device: any device; only those made of transistors have limits.
            value: the device's value.
            operating_point: ``ic``, in A, of all emitters together, and ``vce`` at rest, in V, where it is to be judged;
                for a junction the current through it and the voltage across it.
        """
        if device.kind not in JUNCTIONS:
            return []
        broken = []
        limit_v = npn13g2.largest_vce()
        vce, current = operating_point.get("vce"), operating_point["ic"]
        # Negated comparisons, so that a not-a-number counts as broken.
        if vce is not None and not abs(vce) <= limit_v:
            broken.append(f"|V_CE| = {abs(vce):.3f} V above {limit_v:g} V")
        conducts = device.kind == "hbt" and current > LEAST_EMITTER_CURRENT_A * value
        if vce is not None and conducts and vce < LEAST_VCE_V:
            broken.append(f"V_CE = {vce:.3f} V below {LEAST_VCE_V:g} V, where the transistor saturates")
        if not abs(current) <= LARGEST_EMITTER_CURRENT_A * value:
            broken.append(
                f"I_C = {abs(current) / value * 1e3:.2f} mA an emitter above {LARGEST_EMITTER_CURRENT_A * 1e3:g} mA"
            )
        return broken

    def _check_corner(self, corner: str) -> None:
        if corner not in self.corners:
            raise InvalidInputError(
                f"corner: {self.name} has no corner {corner!r}; choose from {', '.join(self.corners)}"
            )


def _emitters(circuit: Circuit) -> list[int]:
    """Numbers of emitters of the circuit's transistors, ascending."""
    return sorted(
        {
            npn13g2.split_emitters(value)[1]
            for device, value in zip(circuit.topology.devices, circuit.values, strict=True)
            if device.kind in JUNCTIONS
        }
    )


def _rounded_down(value: float) -> float:
    """The next lower number of four significant digits."""
    digit = 10.0 ** (math.floor(math.log10(value)) - 3)
    return float(f"{math.floor(value / digit) * digit:.4g}")


def _check_variation(circuit: Circuit, variation: Variation) -> None:
    if variation.mismatch and len(variation.mismatch) != len(circuit.values):
        raise InvalidInputError(
            f"variation: {len(variation.mismatch)} factors of mismatch for {len(circuit.values)} devices"
        )
    for name, _ in variation.process:
        if name not in sg13g2_statistics.process_deviations():
            known = ", ".join(sg13g2_statistics.process_deviations())
            raise InvalidInputError(f"variation: no {name} varies in this process; known are {known}")


def _within(topology: Topology, values: Sequence[float]) -> bool:
    """Whether nothing need be looked at more closely: plain numbers in their ranges, and emitters that can be drawn."""
    low, high, junctions = _bounds(topology)
    try:
        return all(a <= value <= b for a, value, b in zip(low, values, high, strict=True)) and all(
            math.prod(npn13g2.split_emitters(values[index])) == values[index] for index in junctions
        )
    except TypeError:
        return False


@lru_cache(maxsize=65536)
def _bounds(topology: Topology) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]:
    """Ranges of a topology's values, none if a net is malformed, and which of them count emitters."""
    named = all(_is_net(net) for net in topology.nets)
    ranges = [_RANGES[device.kind] if named else (math.inf, -math.inf) for device in topology.devices]
    junctions = tuple(index for index, device in enumerate(topology.devices) if device.kind in JUNCTIONS)
    return tuple(low for low, _ in ranges), tuple(high for _, high in ranges), junctions


def _check(designator: str, device: Device, value: float) -> None:
    low, high = _RANGES[device.kind]
    if not (isinstance(value, (int, float)) and low <= value <= high):
        kind = KINDS[device.kind]
        raise InvalidInputError(
            f"{designator}: {kind.value} must be from {low:g} to {high:g} {kind.unit}, got {value!r}"
        )
    if device.kind in JUNCTIONS:
        transistors, emitters = npn13g2.split_emitters(value)
        if transistors * emitters != value:
            raise InvalidInputError(
                f"{designator}: {value!r} emitters cannot be drawn as equal transistors of at most {npn13g2.LARGEST_NX};"
                f" the nearest that can is {transistors * emitters}"
            )
    for net in device.nets:
        if not _is_net(net):
            raise InvalidInputError(
                f"{designator}: net {net!r} must be 0 or lower-case letters and digits, letter first"
            )


@lru_cache(maxsize=4096)
def _is_net(name: str) -> bool:
    return _NET.match(name) is not None and name != "gnd"


def _terminals(device: Device) -> tuple[str, str, str]:
    """Collector, base and emitter net of the transistor that makes a device."""
    if device.kind == "diode":
        anode, cathode = device.nets
        return anode, anode, cathode
    if device.kind == "varactor":
        anode, cathode = device.nets
        return cathode, anode, anode
    collector, base, emitter = device.nets
    return collector, base, emitter


def _mismatch_deviation(kind: str, value: float) -> float:
    """Relative standard deviation between equal devices."""
    if kind in JUNCTIONS:
        return sg13g2_statistics.transistor_deviation(npn13g2.split_emitters(value)[0])
    if kind == "capacitor":
        return sg13g2_statistics.capacitor_deviation(plate_area_um2(value))
    return sg13g2_statistics.resistor_deviation(value) if kind == "resistor" else 0.0


_mim = lru_cache(maxsize=8192)(mim_capacitor)


TECHNOLOGY = SG13G2()
