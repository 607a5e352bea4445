"""How a low-noise amplifier is measured: ports, sources, analyses, and metrics from their results.

One deck, three analyses. S-parameters at 11 linear points from 0.75 to 1.25 f0 and at 15 logarithmic points from 0.1 to
10 f0; noise at f0 with ``.noise``. ngspice's ``.sp`` noise figure is wrong for active circuits and is not used. Port
impedances make no noise in ``.noise``, so its input-referred density is the circuit's own noise alone, at the circuit's
temperature, referred to the source's open-circuit voltage. The operating point is a by-product of the first sweep.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from genrf.circuit.topology import GROUND, SUPPLY, Circuit
from genrf.errors import InvalidInputError
from genrf.lna.control import lna_control
from genrf.lna.metrics import SMALLEST_MAGNITUDE, bandwidth_hz, decibels, mu_minimum, noise_figure_db
from genrf.metrics import Metrics
from genrf.simulation.testbench import Curve, Deck, Measurement, Plots, SimulationFailure, Simulator
from genrf.spec import Conditions
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

# ngspice counts on where a plot of the same name exists, so the noise after two sweeps is noise2; with curves sp3 and
# noise3 follow.
_PARAMETERS = ("S_1_1", "S_1_2", "S_2_1", "S_2_2")


class LnaTestbench:
    """Two-port testbench: source at ``in``, load at ``out``, supply at ``vdd``. Ports are at 0 V DC."""

    def simulate(
        self,
        simulator: Simulator,
        circuit: Circuit,
        conditions: Conditions,
        technology: Technology,
        *,
        curves: bool = False,
        signoff: bool = False,
    ) -> Measurement:
        """See `genrf.simulation.testbench.Testbench.simulate`."""
        simulator.run(self.deck(circuit, conditions, technology, curves))
        return self.measure(simulator, circuit, conditions, technology, curves)

    def deck(self, circuit: Circuit, conditions: Conditions, technology: Technology, curves: bool = False) -> Deck:
        """The netlist, the small-signal analyses, and what `measure` reads of them."""
        analyses = [
            _sweep("lin", BAND_POINTS, BAND, conditions.frequency_hz),
            _sweep("dec", WIDE_POINTS_PER_DECADE, WIDE, conditions.frequency_hz),
            f"noise v(out) v_in lin 1 {conditions.frequency_hz:.12g} {conditions.frequency_hz:.12g}",
        ]
        if curves:
            analyses.append(_sweep("lin", CURVE_POINTS, CURVE_SPAN, conditions.frequency_hz))
            low, high = (ratio * conditions.frequency_hz for ratio in CURVE_SPAN)
            analyses.append(f"noise v(out) v_in lin {CURVE_POINTS} {low:.12g} {high:.12g}")
        return Deck(
            netlist=tuple(self.netlist(circuit, conditions, technology)),
            analyses=tuple(analyses),
            saved=(
                *_PARAMETERS,
                "inoise_spectrum",
                "inoise_total",
                "v_supply#branch",
                *_operating_point_vectors(circuit),
            ),
        )

    def netlist(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """Title, sources, devices and models."""
        try:
            devices = technology.instances(circuit, conditions.corner, conditions.temperature_c)
            models = technology.models(circuit, conditions.corner, conditions.temperature_c)
        except InvalidInputError as error:
            raise SimulationFailure("invalid_value", str(error)) from error
        return [
            "low-noise amplifier",
            f"v_supply {SUPPLY} 0 {conditions.supply_v:.7g}",
            f"v_in in 0 dc 0 ac 1 portnum 1 z0 {conditions.source_ohm:.7g}",
            f"v_out out 0 dc 0 ac 0 portnum 2 z0 {conditions.load_ohm:.7g}",
            *devices,
            *models,
            f".options temp={conditions.temperature_c:.7g}",
        ]

    def measure(
        self, plots: Plots, circuit: Circuit, conditions: Conditions, technology: Technology, curves: bool = False
    ) -> Measurement:
        """Label metrics from the results of `deck`; the same with and without `curves`."""
        power = self._operating_point(plots, circuit, conditions, technology)
        scattering = np.concatenate([plots.vector(plot, name) for name in _PARAMETERS for plot in ("sp1", "sp2")])
        frequency, order = _joined(conditions.frequency_hz)
        if scattering.size != 4 * (len(frequency) + 1):
            raise SimulationFailure("not_measurable", "a sweep ended early")
        scattering = scattering.reshape(4, -1)  # (4, 26): band sweep, then wide sweep
        magnitude = np.abs(scattering)
        for port, reflection in (("input", magnitude[0].max()), ("output", magnitude[3].max())):
            if not reflection <= LARGEST_REFLECTION:
                raise SimulationFailure(
                    "oscillation", f"negative resistance at the {port}: reflection up to {reflection:.4g}"
                )
        gains = 20.0 * np.log10(np.maximum(magnitude[2], SMALLEST_MAGNITUDE))
        s11, s12, s21, s22 = scattering[:, BAND_POINTS // 2].tolist()
        noise = float(plots.vector("noise2", "inoise_spectrum")[0])
        values = {
            "gain_db": decibels(s21),
            "nf_db": noise_figure_db(noise, conditions.source_ohm),
            "s11_db": decibels(s11),
            "s22_db": decibels(s22),
            "s12_db": decibels(s12),
            "bandwidth_hz": bandwidth_hz(frequency, gains[order].tolist(), conditions.frequency_hz),
            "mu_min": mu_minimum(*scattering),
            "power_w": power,
        }
        for name, value in values.items():
            if not math.isfinite(value):
                raise SimulationFailure("not_measurable", f"{name} is {value}")
        return Measurement(Metrics(values), self._curves(plots, conditions) if curves else {})

    def control(self, circuit: Circuit, conditions: Conditions, technology: Technology) -> list[str]:
        """See `genrf.simulation.testbench.Testbench.control`: `measure` again, in ngspice's own language."""
        return lna_control(circuit, conditions, self.deck(circuit, conditions, technology).analyses)

    def _operating_point(self, plots: Plots, circuit: Circuit, conditions: Conditions, technology: Technology) -> float:
        """Check every device against its limits; return the power drawn from supply and bias sources, in W."""
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

    def _curves(self, plots: Plots, conditions: Conditions) -> dict[str, Curve]:
        frequency = np.linspace(*CURVE_SPAN, CURVE_POINTS) * conditions.frequency_hz
        curves = {name.replace("_", "").lower(): Curve(frequency, plots.vector("sp3", name)) for name in _PARAMETERS}
        densities = plots.vector("noise3", "inoise_spectrum")
        noise = np.array([noise_figure_db(density, conditions.source_ohm) for density in densities])
        return curves | {"nf_db": Curve(frequency, noise)}


def _operating_point_vectors(circuit: Circuit) -> list[str]:
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
