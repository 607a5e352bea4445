"""A two-port in small signal by VACASK: operating point, S-parameters, stability and noise figure.

symbol  variable    meaning                                                     unit
F       factor      noise factor, source at T0 = 290 K                          1
S_o     onoise      noise at the output without that of source and load         V^2/Hz
G       gain        |V_out / V_source|^2 from the source's open-circuit voltage 1

F = 1 + S_o / (G 4 k T0 R_s) (IEEE definition; Gonzalez, Microwave Transistor Amplifiers, 4.2): the port resistances are
switched to make no noise, so S_o is the circuit's own, at its own temperature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.conditions import Conditions
from genrf.simulation.scattering import decibels, mu_minimum
from genrf.simulation.testbench import SimulationFailure
from genrf.simulation.two_port import LARGEST_REFLECTION, frequencies
from genrf.simulation.vacask import netlist as vacask_netlist
from genrf.simulation.vacask.netlist import instance, meter, name, number, options, thermal_net
from genrf.simulation.vacask.process import TIMEOUT_S, run
from genrf.simulation.vacask.rawfile import Plot
from genrf.technology.base import Technology

BOLTZMANN = 1.380649e-23
REFERENCE_TEMPERATURE_K = 290.0


@dataclass(frozen=True, slots=True)
class TransistorPoint:
    """A transistor at rest, all its parallel ones together."""

    ic_a: float
    vce_v: float
    rise_k: float
    """How much hotter than ambient its junctions are."""


@dataclass(frozen=True, slots=True)
class SmallSignal:
    """What VACASK says of a two-port."""

    frequency_hz: NDArray[np.float64]
    """Shape (points,)."""
    scattering: NDArray[np.complex128]
    """S-parameters, (points, 2, 2): ``[:, 1, 0]`` is S21. Each port is referred to its own impedance."""
    noise_hz: NDArray[np.float64]
    """Shape (noise points,)."""
    nf_db: NDArray[np.float64]
    """Noise figure at each, source at 290 K, (noise points,)."""
    mu_min: float
    """Smallest Edwards-Sinsky mu of both ports over `frequency_hz`."""
    power_w: float
    """Drawn from supply and bias sources."""
    transistors: Mapping[str, TransistorPoint]
    """By the designators of the circuit, in lower case."""

    def decibels_at(self, frequency_hz: float, output: int, source: int) -> float:
        """|S| in dB at the frequency of the sweep that is nearest, ports counted from 1."""
        index = int(np.argmin(np.abs(self.frequency_hz - frequency_hz)))
        return decibels(complex(self.scattering[index, output - 1, source - 1]))


def small_signal(
    circuit: Circuit,
    conditions: Conditions,
    technology: Technology,
    frequency_hz: NDArray[np.float64] | None = None,
    noise_hz: NDArray[np.float64] | None = None,
    *,
    excess_phase: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> SmallSignal:
    """Simulate a two-port whose ports are ``in`` and ``out`` in one VACASK process.

    Args:
        circuit: to be measured.
        conditions: supply, port impedances, corner and temperature.
        technology: one manufactured copy too.
        frequency_hz: of the S-parameters, (points,); by default those of `genrf.simulation.two_port`, 0.1 to 10 f0.
        noise_hz: of the noise figure, (noise points,); by default f0 alone.
        excess_phase: see `genrf.simulation.vacask.netlist.circuit_lines`.
        timeout_s: after which the process is killed.

    Raises:
        MissingToolError: if VACASK is not installed.
        SimulationFailure: with its cause. Device limits and negative resistance are for the caller to judge.
    """
    frequency = frequencies(conditions.frequency_hz) if frequency_hz is None else checked("frequency_hz", frequency_hz)
    noise = np.array([conditions.frequency_hz]) if noise_hz is None else checked("noise_hz", noise_hz)
    lines = [
        "two-port",
        *vacask_netlist.PREAMBLE,
        *two_port_lines(circuit, conditions, technology, excess_phase=excess_phase),
        "control",
        "abort always",
        *analyses(conditions, frequency, noise),
        "endc",
    ]
    results = run(lines, ANALYSES, timeout_s=timeout_s)
    return read(results, circuit, conditions, technology, frequency, noise)


ANALYSES = ("s", "s.op", "n")
"""Results of `analyses`: S-parameters, the operating point, noise."""


def two_port_lines(
    circuit: Circuit, conditions: Conditions, technology: Technology, *, excess_phase: bool = False
) -> list[str]:
    """The circuit with its supply and ports; these make no noise.

    Raises:
        SimulationFailure: ``invalid_value``, if the technology refuses the circuit.
    """
    return [
        *vacask_netlist.circuit_lines(circuit, conditions, technology, metered=True, excess_phase=excess_phase),
        instance("v_supply", [SUPPLY, GROUND], "vsource", dc=conditions.supply_v),
        instance("v_in", ["source_in", GROUND], "vsource", dc=0.0, mag=1.0),
        instance("r_in", ["source_in", "in"], "quiet", r=conditions.source_ohm),
        instance("v_out", ["source_out", GROUND], "vsource", dc=0.0),
        instance("r_out", ["source_out", "out"], "quiet", r=conditions.load_ohm),
    ]


def analyses(
    conditions: Conditions, frequency_hz: NDArray[np.float64], noise_hz: NDArray[np.float64], tag: str = ""
) -> list[str]:
    """Lines of the control block that leave `ANALYSES`, each name followed by a tag."""
    return [
        options(conditions),
        f'analysis s{tag} acsp ports=["v_in", "r_in", "v_out", "r_out"] writeop=1 values={_vector(frequency_hz)}',
        f'analysis n{tag} noise out="out" in="v_in" values={_vector(noise_hz)}',
    ]


def read(
    results: Mapping[str, Plot],
    circuit: Circuit,
    conditions: Conditions,
    technology: Technology,
    frequency_hz: NDArray[np.float64],
    noise_hz: NDArray[np.float64],
) -> SmallSignal:
    """Figures from the results of `analyses`, by the names without a tag.

    Raises:
        SimulationFailure: ``not_measurable`` if something is absent or the output has no signal.
    """
    sweep, noise, point = results["s"], results["n"], results["s.op"]
    scattering = np.stack([_vector_of(sweep, f"s({i},{j})") for i in (1, 2) for j in (1, 2)], axis=-1)
    scattering = scattering.reshape(-1, 2, 2)
    gain, output = _vector_of(noise, "gain").real, _vector_of(noise, "onoise").real
    if len(scattering) != len(frequency_hz) or len(gain) != len(noise_hz):
        raise SimulationFailure("not_measurable", "VACASK has left out frequencies")
    if not (gain > 0.0).all():
        raise SimulationFailure("not_measurable", "no signal reaches the output")
    factor = 1.0 + output / gain / (4.0 * BOLTZMANN * REFERENCE_TEMPERATURE_K * conditions.source_ohm)
    s11, s12, s21, s22 = scattering.reshape(-1, 4).T
    return SmallSignal(
        frequency_hz=frequency_hz,
        scattering=scattering,
        noise_hz=noise_hz,
        nf_db=10.0 * np.log10(factor),
        mu_min=mu_minimum(s11, s12, s21, s22),
        power_w=operating_power_w(point, circuit, conditions),
        transistors=operating_points(point, circuit, technology),
    )


def two_port_metrics(found: SmallSignal, conditions: Conditions) -> dict[str, float]:
    """The metrics that all amplifiers have in small signal."""
    f0 = conditions.frequency_hz
    return {
        "gain_db": found.decibels_at(f0, 2, 1),
        "s11_db": found.decibels_at(f0, 1, 1),
        "s22_db": found.decibels_at(f0, 2, 2),
        "mu_min": found.mu_min,
        "power_w": found.power_w,
    }


def cautions(found: SmallSignal, circuit: Circuit, technology: Technology) -> tuple[str, ...]:
    """What of a two-port nothing else should be believed with: limits that are broken at rest, ports that reflect more than
    they receive. ngspice's testbenches refuse such a circuit."""
    topology = circuit.topology
    said = []
    for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True):
        point = found.transistors.get(designator.lower())
        if point is not None:
            at_rest = {"vce": point.vce_v, "ic": point.ic_a}
            said += [f"power_w: {designator}: {text}" for text in technology.violations(device, value, at_rest)]
    for port, place in enumerate(("input", "output")):
        most = float(np.abs(found.scattering[:, port, port]).max())
        if most > LARGEST_REFLECTION:
            said.append(f"mu_min: negative resistance at the {place}: reflection up to {most:.4g}")
    return tuple(said)


def operating_power_w(point: Plot, circuit: Circuit, conditions: Conditions) -> float:
    """Power drawn from the supply ``v_supply`` and the bias sources, in W."""
    power = -conditions.supply_v * _scalar(point, "v_supply:flow(br)")
    topology = circuit.topology
    for designator, device, value in zip(topology.designators, topology.devices, circuit.values, strict=True):
        if device.kind == "bias_voltage":
            power -= value * _scalar(point, f"{designator.lower()}:flow(br)")
    return power


def operating_points(point: Plot, circuit: Circuit, technology: Technology) -> dict[str, TransistorPoint]:
    """Every transistor at rest, from a metered circuit's operating point."""

    def at(net: str) -> float:
        return 0.0 if net == GROUND else _scalar(point, net)

    found = {}
    for designator, device in zip(circuit.topology.designators, circuit.topology.devices, strict=True):
        if device.kind == "hbt":
            transistor = technology.transistor_name(designator.lower(), device.kind)
            found[designator.lower()] = TransistorPoint(
                ic_a=_scalar(point, f"{meter(transistor)}:flow(br)"),
                vce_v=at(device.nets[0]) - at(device.nets[2]),
                rise_k=_scalar(point, thermal_net(transistor)),
            )
    return found


def _scalar(plot: Plot, vector: str) -> float:
    return float(_vector_of(plot, vector)[0].real)


def _vector_of(plot: Plot, vector: str) -> NDArray[np.complex128]:
    if vector not in plot:
        raise SimulationFailure("not_measurable", f"VACASK has no result {name(vector)}")
    return plot[vector]


def _vector(values: NDArray[np.float64]) -> str:
    return f"[{', '.join(number(value) for value in values.tolist())}]"


def checked(field: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequencies that VACASK can be given.

    Raises:
        SimulationFailure: ``invalid_value``.
    """
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.ndim != 1 or not array.size or not all(math.isfinite(v) and v > 0.0 for v in array.tolist()):
        raise SimulationFailure("invalid_value", f"{field}: expected frequencies above 0 Hz, got {values!r}")
    return array
