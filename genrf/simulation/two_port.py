"""A two-port in small signal: operating point, S-parameters around f0 and a decade to either side, stability.

S-parameters at 11 linear points from 0.75 to 1.25 f0 and at 15 logarithmic points from 0.1 to 10 f0. The operating
point is a by-product of the first sweep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.conditions import Conditions
from genrf.simulation.band import POINTS, Sweep
from genrf.simulation.device_lines import device_lines
from genrf.simulation.testbench import Curve, Plots, SimulationFailure, Simulator
from genrf.technology.base import Technology

BAND_POINTS = 11
BAND = (0.75, 1.25)
"""The band sweep's ends relative to f0; f0 is its middle point."""
WIDE_POINTS_PER_DECADE = 7
WIDE = (0.1, 10.0)
"""The wide sweep's ends relative to f0; f0 is its middle point."""
CURVE_POINTS = 101
CURVE_SPAN = (0.5, 1.5)
LARGEST_REFLECTION = 1.0 + 1e-6
"""A port that reflects more than it receives has negative resistance; the margin is for rounding in lossless
circuits."""
PARAMETERS = ("S_1_1", "S_1_2", "S_2_1", "S_2_2")


def two_port_netlist(title: str, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
    """Title, sources, devices and models: ports ``in`` and ``out`` at 0 V DC, supply at ``vdd``.

    In a transient a port is a source with its impedance in series; the input's starts as a sine of no amplitude.

    Raises:
        SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
    """
    devices, models = device_lines(circuit, conditions, technology)
    return [
        title,
        f"v_supply {SUPPLY} 0 {conditions.supply_v:.7g}",
        f"v_in in 0 dc 0 ac 1 sin(0 0 {conditions.frequency_hz:.12g}) portnum 1 z0 {conditions.source_ohm:.7g}",
        f"v_out out 0 dc 0 ac 0 portnum 2 z0 {conditions.load_ohm:.7g}",
        *devices,
        *models,
        f".options temp={conditions.temperature_c:.7g}",
    ]


def two_tone_netlist(netlist: list[str], source_ohm: float) -> list[str]:
    """A `two_port_netlist` whose input port is two sine sources, ``v_in`` and ``v_tone``, and their resistance."""
    port = next(index for index, line in enumerate(netlist) if line.startswith("v_in "))
    tones = [
        "v_in source_in middle_in sin(0 0 1)",
        "v_tone middle_in 0 sin(0 0 1)",
        f"r_in source_in in {source_ohm:.7g}",
    ]
    # A second port without a first is an error: the load becomes a resistor.
    load = [f"r_out out 0 {line.split()[-1]}" if line.startswith("v_out ") else line for line in netlist[port + 1 :]]
    return [*netlist[:port], *tones, *load]


def sweeps(frequency_hz: float) -> list[str]:
    """Commands of the band sweep (plot ``sp1``) and the wide sweep (``sp2``)."""
    return [
        _sweep("lin", BAND_POINTS, BAND, frequency_hz),
        _sweep("dec", WIDE_POINTS_PER_DECADE, WIDE, frequency_hz),
    ]


def curve_sweep(frequency_hz: float) -> str:
    """Command of the sweep for plots, ``sp3`` if it follows `sweeps`."""
    return _sweep("lin", CURVE_POINTS, CURVE_SPAN, frequency_hz)


def transmission_sweep(simulator: Simulator) -> Sweep:
    """Simulates S21 of the deck that is loaded between two frequencies, for `genrf.simulation.band.band_around`."""

    def sweep(low_hz: float, high_hz: float) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
        simulator.command(f"sp lin {POINTS} {low_hz:.15g} {high_hz:.15g}")
        values = simulator.vector("", "S_2_1")
        if len(values) != POINTS:
            raise SimulationFailure("not_measurable", "a sweep ended early")
        return np.linspace(low_hz, high_hz, POINTS), values

    return sweep


def scattering_curves(plots: Plots, frequency_hz: float) -> dict[str, Curve]:
    """Curves ``s11`` ... ``s22`` from the `curve_sweep`."""
    frequency = np.linspace(*CURVE_SPAN, CURVE_POINTS) * frequency_hz
    return {name.replace("_", "").lower(): Curve(frequency, plots.vector("sp3", name)) for name in PARAMETERS}


@dataclass(frozen=True, slots=True)
class Scattering:
    """S-parameters of both sweeps."""

    frequency_hz: list[float]
    """Distinct frequencies, ascending, (25,)."""
    order: NDArray[np.int64]
    """Where each is in `values`."""
    values: NDArray[np.complex128]
    """S11, S12, S21, S22 at the band sweep's frequencies, then at the wide sweep's: (4, 26)."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures must know."""

    @property
    def centre(self) -> tuple[complex, complex, complex, complex]:
        """S11, S12, S21 and S22 at f0."""
        s11, s12, s21, s22 = self.values[:, BAND_POINTS // 2].tolist()
        return s11, s12, s21, s22


def read_scattering(plots: Plots, frequency_hz: float, *, unstable: bool = False) -> Scattering:
    """The results of `sweeps`.

    Args:
        plots: of a simulation that has run them.
        frequency_hz: f0, in Hz.
        unstable: whether a port may have negative resistance; there is a note then.

    Raises:
        SimulationFailure: ``oscillation`` if a port has negative resistance at any frequency.
    """
    values = np.concatenate([plots.vector(plot, name) for name in PARAMETERS for plot in ("sp1", "sp2")])
    frequency, order = _joined(frequency_hz)
    if values.size != 4 * (len(frequency) + 1):
        raise SimulationFailure("not_measurable", "a sweep ended early")
    values = values.reshape(4, -1)  # (4, 26): band sweep, then wide sweep
    magnitude = np.abs(values)
    notes = []
    for port, reflection in (("input", magnitude[0].max()), ("output", magnitude[3].max())):
        if reflection <= LARGEST_REFLECTION:
            continue
        said = f"negative resistance at the {port}: reflection up to {reflection:.4g}"
        if not unstable or not math.isfinite(reflection):
            raise SimulationFailure("oscillation", said)
        notes.append(f"mu_min: {said}; all figures are those of a circuit that does not oscillate, and this one may")
    return Scattering(frequency, order, values, tuple(notes))


def operating_power_w(plots: Plots, circuit: Circuit, conditions: Conditions, technology: Technology) -> float:
    """Check every transistor against its limits; return the power drawn from supply and bias sources, in W.

    Raises:
        SimulationFailure: ``device_limit``.
    """
    power = -conditions.supply_v * float(plots.vector("op1", "v_supply#branch")[0])
    voltage: dict[str, float] = {GROUND: 0.0}

    def at(net: str) -> float:
        if net not in voltage:
            voltage[net] = float(plots.vector("op1", net)[0])
        return voltage[net]

    broken = []
    topology = circuit.topology
    for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True):
        name = designator.lower()
        if device.kind == "bias_voltage":
            power -= value * float(plots.vector("op1", f"{name}#branch")[0])
        elif device.kind == "hbt":
            collector, _, emitter = device.nets
            point = {"vce": at(collector) - at(emitter), "ic": plots.device(name, "ic")}
            broken += [f"{designator}: {text}" for text in technology.violations(device, value, point)]
    if broken:
        raise SimulationFailure("device_limit", "; ".join(broken))
    return power


def operating_point_vectors(circuit: Circuit) -> list[str]:
    """Currents of the bias sources and voltages across the transistors, once each."""
    names: dict[str, None] = {}
    for designator, device in zip(circuit.topology.designators, circuit.topology.devices, strict=True):
        if device.kind == "bias_voltage":
            names[f"{designator.lower()}#branch"] = None
        elif device.kind == "hbt":
            names |= dict.fromkeys(net for net in (device.nets[0], device.nets[2]) if net != GROUND)
    return list(names)


def _sweep(spacing: str, points: int, span: tuple[float, float], centre_hz: float) -> str:
    low, high = (ratio * centre_hz for ratio in span)
    return f"sp {spacing} {points} {low:.12g} {high:.12g}"


def frequencies(centre_hz: float) -> NDArray[np.float64]:
    """Distinct frequencies of both sweeps, in Hz, ascending, (25,)."""
    return np.array(_joined(centre_hz)[0])


@lru_cache(maxsize=1024)
def _frequencies(centre_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of the band sweep and of the wide sweep, in Hz."""
    count = round(math.log10(WIDE[1] / WIDE[0]) * WIDE_POINTS_PER_DECADE) + 1
    return np.linspace(*BAND, BAND_POINTS) * centre_hz, np.geomspace(*WIDE, count) * centre_hz


@lru_cache(maxsize=1024)
def _joined(centre_hz: float) -> tuple[list[float], np.ndarray]:
    """Distinct frequencies of both sweeps, ascending, and where each is in the joined sweeps."""
    band, wide = _frequencies(centre_hz)
    joined = np.concatenate([band, wide])
    # The centre is in both sweeps; the band sweep's copy counts.
    keep = np.delete(np.arange(len(joined)), len(band) + len(wide) // 2)
    order = keep[np.argsort(joined[keep], kind="stable")]
    return joined[order].tolist(), order
