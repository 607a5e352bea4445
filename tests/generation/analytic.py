"""Circuits whose metrics are formulas of their values, for searches whose answer is known.

All circuits of one topology simulate; gain and noise figure pull its normalised values towards two different points, and every
other topology fails. Between the two points lies the Pareto front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from genrf import classes, technology
from genrf.circuit.canonical import canonical_circuit
from genrf.circuit.tokens import encode
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning, fit
from genrf.conditions import Conditions
from genrf.generation.candidates import normalised_values
from genrf.generation.design import Design, DesignResult, FailedCircuit, ranked
from genrf.generation.models import Models
from genrf.generation.sampler import SamplerSettings
from genrf.metrics import Metrics
from genrf.simulation.outcome import Failure, Outcome, Simulation
from genrf.spec import DesignSpec
from tests.amplifiers import CASCODE, COMMON_EMITTER

CONDITIONS = Conditions(frequency_hz=10e9, supply_v=1.8)
OBJECTIVES = ("gain_db", "nf_db")
KNOWN = canonical_circuit(COMMON_EMITTER)
OTHER = canonical_circuit(CASCODE)
CENTRE = normalised_values(KNOWN, CONDITIONS.frequency_hz)
STEP = np.where(np.arange(len(CENTRE)) < 3, 0.6, 0.0).astype(np.float32)
"""From the centre to the point of best gain; as far the other way lies that of best noise figure."""


def formulas(circuit: Circuit) -> Metrics:
    """Gain 20 dB and noise figure 1 dB at best, falling and rising with the square of the distance from where that is."""
    values = normalised_values(circuit, CONDITIONS.frequency_hz)
    far_from_gain = float(((values - CENTRE - STEP) ** 2).sum())
    far_from_noise = float(((values - CENTRE + STEP) ** 2).sum())
    others = {"s11_db": -12.0, "s22_db": -12.0, "s12_db": -30.0, "bandwidth_hz": 1e9, "mu_min": 1.1, "power_w": 0.01}
    return Metrics({"gain_db": 20.0 - 4.0 * far_from_gain, "nf_db": 1.0 + far_from_noise, **others})


class AnalyticPool:
    """Stands in for `Judge`.

    Args:
        largest: circuits whose first value lies farther above the centre than this fail, like those of other topologies.
    """

    def __init__(self, largest: float = np.inf) -> None:
        self._largest = largest
        self.simulated: list[Circuit] = []

    def works(self, circuit: Circuit) -> bool:
        """Whether a circuit simulates."""
        values = normalised_values(circuit, CONDITIONS.frequency_hz)
        return circuit.topology == KNOWN.topology and float(values[0] - CENTRE[0]) <= self._largest

    def run_iter(self, jobs: Sequence[Simulation]) -> Iterator[Outcome]:
        """As `Judge.run_iter`."""
        for job in jobs:
            self.simulated.append(job.circuit)
            works = self.works(job.circuit)
            yield Outcome(formulas(job.circuit)) if works else Outcome(None, Failure("no_convergence", ""))

    def parts(self, jobs: Sequence[Simulation]) -> dict[str, np.ndarray]:
        """As `Judge.parts`, (circuits, 1) each."""
        failed = dict.fromkeys(classes.get("lna").label_metrics, np.nan)
        found = [formulas(job.circuit) if self.works(job.circuit) else failed for job in jobs]
        return {name: np.array([[metrics[name]] for metrics in found]) for name in failed}


class IgnorantBackend:
    """Models that know nothing: a topology that fails, values as they came, and the same prediction for all circuits."""

    latent_size = 4

    def __init__(self, metrics: int) -> None:
        self._metrics = metrics

    def propose(self, specification: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tokens = encode(OTHER.topology)
        count = (len(latent), 1, 1)
        return np.tile(np.eye(8)[tokens.kinds], count), np.tile(np.eye(28)[tokens.nets], (*count, 1))

    def denoise(self, noisy_values, sigma, kinds, nets, specification):  # type: ignore[no-untyped-def]
        return (noisy_values * (kinds > 0)).astype(np.float32)

    def predict(self, values, kinds, nets, conditions):  # type: ignore[no-untyped-def]
        ignorant = np.zeros((len(values), self._metrics), np.float32)
        return ignorant, ignorant, np.zeros(len(values), np.float32)


def conditioning() -> Conditioning:
    """In which gain has a mean of 15 dB, noise figure one of 3 dB, and both deviations of about 1 dB."""
    middle = {"gain_db": 15.0, "nf_db": 3.0}
    columns = {name: middle.get(name, 1.0) + np.linspace(-0.9, 0.9, 20) for name in classes.get("lna").label_metrics}
    return fit(("lna",), {"lna": columns})


def models() -> Models:
    """Ignorant ones."""
    names = conditioning()
    return Models(
        backend=IgnorantBackend(len(names.metrics)),  # type: ignore[arg-type]
        conditioning=names,
        sampler=SamplerSettings(steps=2, conditions_size=names.conditions_size),
        technology=technology.get("sg13g2"),
    )


def searched(spec: DesignSpec, count: int = 12, spread: float = 0.4, pool: AnalyticPool | None = None) -> DesignResult:
    """The result of a search that drew circuits around the centre."""
    from genrf.circuit.design_rules import DesignRules

    rng, process, pool = np.random.default_rng(0), technology.get("sg13g2"), pool or AnalyticPool()
    used = np.arange(len(CENTRE)) < len(KNOWN.values)
    drawn = [CENTRE + used * rng.normal(0.0, spread, len(CENTRE)) for _ in range(count)]
    rules = DesignRules(KNOWN.topology.circuit_class, CONDITIONS, process)
    circuits = [rules.sized(KNOWN.topology, values) for values in drawn]
    designs = [
        Design(
            circuit=circuit,
            metrics=formulas(circuit),
            met=spec.meets(formulas(circuit)),
            margin=spec.worst_margin(formulas(circuit)),
            provenance={"order": order, "source": "generator"},
        )
        for order, circuit in enumerate(circuits, start=1)
        if pool.works(circuit)
    ]
    failed = [FailedCircuit(circuit, "no_convergence") for circuit in circuits if not pool.works(circuit)]
    return DesignResult(
        spec=spec,
        designs=ranked(designs, spec),
        simulated=count,
        failed={"no_convergence": len(failed)} if failed else {},
        first_met=min((d.provenance["order"] for d in designs if d.met), default=None),
        seconds={"spice": 0.0},
        failed_circuits=tuple(failed),
    )
