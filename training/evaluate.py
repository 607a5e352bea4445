"""Judge the generator and its baselines on held-out specifications, every figure simulated.

For each specification every method may simulate the same number of circuits; what counts is how many it took until one met the
specification. Intervals are percentiles of a bootstrap over specifications.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from genrf import classes, technology
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning
from genrf.files import write_json
from genrf.generation.design import goodness
from genrf.generation.generate import Designer
from genrf.metrics import Metrics
from genrf.simulation.pool import Simulation, SimulatorPool
from genrf.spec import DesignSpec
from training.baselines import random_circuits, retrieved_circuits
from training.config import Config, per_class
from training.prepare import Rows
from training.progress import progress_bar
from training.specifications import (
    SPECIFICATIONS_FILE,
    HeldOutSpecification,
    read_specifications,
    specifications_hash,
)
from training.topology_quality import topology_quality
from training.trials import Trial, generator_trials

SUCCESS_AT = (1, 8, 16, 64)
RETRIEVAL = "retrieval"
RANDOM = "random"


def evaluate(
    config: Config, prepared: Path, topology_gan: Path, sizing_diffusion: Path, surrogate: Path, output: Path
) -> dict[str, Any]:
    """Evaluate the trained models; writes ``evaluation.json``, ``evaluation.csv`` and ``success.png``.

    Returns:
        ``success_at_K/<class>/<level>/<method>`` and the quality of the generator's topologies.
    """
    from training.evaluation_report import write_report

    output.mkdir(parents=True, exist_ok=True)
    conditioning = Conditioning.load(prepared)
    specifications = read_specifications(prepared / SPECIFICATIONS_FILE)
    train = Rows.load(prepared / "train.npz")
    open_designer = partial(_open_designer, config, prepared, topology_gan, sizing_diffusion, surrogate)
    with open_designer() as designer:
        topologies = topology_quality(designer, config, specifications, train)
    trials = generator_trials(open_designer, specifications, config.evaluation.calls)
    trials += baseline_trials(config, specifications, train, conditioning)
    result: dict[str, Any] = {
        "specifications": specifications_hash(prepared / SPECIFICATIONS_FILE),
        "calls": config.evaluation.calls,
        "topologies": topologies,
        "methods": summarise(trials, config),
        "hypervolume": hypervolumes(trials, train, conditioning, config.classes),
    }
    write_json(output / "evaluation.json", result)
    write_report(result, output)
    return flatten(result)


def _open_designer(
    config: Config, prepared: Path, topology_gan: Path, sizing_diffusion: Path, surrogate: Path
) -> Designer:
    from training.torch_backend import TorchBackend

    backend = TorchBackend.load(topology_gan, sizing_diffusion, surrogate)
    return Designer(
        backend,
        Conditioning.load(prepared),
        backend.sampler,
        workers=1,
        seed=config.seed,
        technology_name=config.technology,
    )


def baseline_trials(
    config: Config, specifications: Sequence[HeldOutSpecification], train: Rows, conditioning: Conditioning
) -> list[Trial]:
    """Retrieval and random circuits on the same specifications, with the same number of calls."""
    process = technology.get(config.technology)
    rng = np.random.default_rng((config.seed, 13))
    methods: dict[str, Callable[[DesignSpec], Iterable[Circuit]]] = {
        RETRIEVAL: lambda spec: retrieved_circuits(spec, train, conditioning, process),
        RANDOM: lambda spec: random_circuits(spec, process, rng),
    }
    trials = []
    with SimulatorPool(technology=config.technology) as pool, progress_bar() as progress:
        for method, circuits in methods.items():
            for item in progress.track(specifications, description=method):
                calls = per_class(config.evaluation.calls, item.spec.circuit_class)
                trials.append(_trial(method, item, circuits(item.spec), calls, pool))
    return trials


def _trial(
    method: str,
    item: HeldOutSpecification,
    circuits: Iterable[Circuit],
    calls: int,
    pool: SimulatorPool,
    batch: int = 16,
) -> Trial:
    trial = Trial(method, item.spec.circuit_class, item.level, item.spec.name, None, 0, {}, 0.0)
    start = time.perf_counter()
    source = iter(circuits)
    while trial.simulated < calls and trial.first_met is None:
        chosen = list(islice(source, min(batch, calls - trial.simulated)))
        if not chosen:
            break
        for outcome in pool.run([Simulation(circuit, item.spec.conditions) for circuit in chosen]):
            trial.simulated += 1
            if outcome.metrics is None:
                assert outcome.failure is not None
                trial.failed[outcome.failure.cause] = trial.failed.get(outcome.failure.cause, 0) + 1
                continue
            trial.metrics.append(outcome.metrics)
            if trial.first_met is None and item.spec.meets(outcome.metrics):
                trial.first_met = trial.simulated
    trial.seconds = time.perf_counter() - start
    return trial


def summarise(trials: Sequence[Trial], config: Config) -> list[dict[str, Any]]:
    """One entry a class, level and method: success@K with 95 % intervals, median calls, wall time, failures."""
    rng = np.random.default_rng((config.seed, 19))
    entries = []
    for circuit_class, level, method in dict.fromkeys((t.circuit_class, t.level, t.method) for t in trials):
        own = [t for t in trials if (t.circuit_class, t.level, t.method) == (circuit_class, level, method)]
        first = np.array([t.first_met if t.first_met is not None else np.inf for t in own])
        failed: dict[str, int] = {}
        for trial in own:
            for cause, count in trial.failed.items():
                failed[cause] = failed.get(cause, 0) + count
        entry: dict[str, Any] = {
            "class": circuit_class,
            "level": level,
            "method": method,
            "specifications": len(own),
            "median_calls_when_met": float(np.median(first[np.isfinite(first)])) if np.isfinite(first).any() else None,
            "simulated": sum(t.simulated for t in own),
            "failed": dict(sorted(failed.items())),
            "median_seconds": float(np.median([t.seconds for t in own])),
        }
        for calls in SUCCESS_AT:
            if calls <= per_class(config.evaluation.calls, circuit_class):
                met = first <= calls
                samples = met[rng.integers(len(met), size=(config.evaluation.bootstrap_samples, len(met)))].mean(axis=1)
                entry[f"success_at_{calls}"] = float(met.mean())
                entry[f"success_at_{calls}_interval"] = [float(v) for v in np.percentile(samples, [2.5, 97.5])]
        entries.append(entry)
    return entries


def hypervolumes(
    trials: Sequence[Trial], train: Rows, conditioning: Conditioning, class_names: Sequence[str], most: int = 400
) -> dict[str, dict[str, float]]:
    """Hypervolume of what each method simulated against that of the training data, a class.

    Specification metrics are scaled so that the training data's 1st and 99th percentile are 0 and 1 and the reference point is
    0; the volume is Monte Carlo's share of the box [0, 1.25] that is dominated, so that thousands of points in many
    metrics stay cheap. 1.0 means: as much as all training circuits together.
    """
    volumes: dict[str, dict[str, float]] = {}
    for name in class_names:
        definition = classes.get(name)
        useful = (train.circuit_class == name) & train.useful
        columns = [conditioning.metrics.index(metric) for metric in definition.specification_metrics]
        own = [
            Metrics(dict(zip(definition.specification_metrics, row, strict=True)))
            for row in train.measured[useful][:, columns]
        ]
        reference = goodness(name, own)
        if len(reference) == 0:
            continue
        low, high = np.percentile(reference, [1, 99], axis=0)
        points = np.random.default_rng(0).uniform(0.0, 1.25, size=(20_000, len(columns)))

        def share(
            gains: np.ndarray, low: np.ndarray = low, high: np.ndarray = high, points: np.ndarray = points
        ) -> float:
            scaled = (gains - low) / np.maximum(high - low, 1e-12)
            scaled = scaled[(scaled > 0).all(axis=1)]
            covered = np.zeros(len(points), dtype=bool)
            for start in range(0, len(scaled), most):
                block = scaled[start : start + most]
                rest = np.flatnonzero(~covered)
                covered[rest] = (points[rest][:, None, :] <= block[None]).all(axis=2).any(axis=1)
            return float(covered.mean())

        base = share(reference)
        volumes[name] = {"training_share_of_box": base}
        for method in dict.fromkeys(t.method for t in trials):
            metrics = [
                m
                for t in trials
                if t.method == method and t.circuit_class == name
                for m in t.metrics
                if definition.is_useful(m)
            ]
            volumes[name][method] = share(goodness(name, metrics)) / max(base, 1e-12) if metrics else 0.0
    return volumes


def flatten(result: dict[str, Any]) -> dict[str, Any]:
    """The evaluation's headline figures under MLflow-friendly names."""
    flat: dict[str, Any] = {}
    for entry in result["methods"]:
        for calls in SUCCESS_AT:
            if f"success_at_{calls}" in entry:
                key = f"success_at_{calls}/{entry['class']}/{entry['level']}/{entry['method']}"
                flat[key] = entry[f"success_at_{calls}"]
    for name, quality in result["topologies"].items():
        flat.update({f"topologies_{key}/{name}": value for key, value in quality.items()})
    for name, volumes in result["hypervolume"].items():
        flat.update({f"hypervolume_{key}/{name}": value for key, value in volumes.items()})
    return flat
