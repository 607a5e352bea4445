"""Judge the generator and its baselines on held-out specifications, every figure simulated.

For each specification every method may simulate the same number of circuits; what counts is how many it took until one met the
specification. Intervals are percentiles of a bootstrap over specifications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genrf import technology
from genrf.circuit.topology import Circuit
from genrf.conditioning import Conditioning
from genrf.cores import cores
from genrf.files import write_json
from genrf.generation.designer import Designer
from genrf.generation.precedents import precedents_in
from genrf.progress import progress_bar
from genrf.simulation.judge import Judge
from genrf.spec import DesignSpec
from training.config.schema import Config, per_class
from training.data.rows import Rows
from training.data.specifications import (
    SPECIFICATIONS_FILE,
    HeldOutSpecification,
    read_specifications,
    specifications_hash,
)
from training.evaluation.baselines import Listed, random_circuits, retrieved_circuits
from training.evaluation.headline import headline
from training.evaluation.hypervolume import hypervolumes
from training.evaluation.methods import RANDOM, RETRIEVAL
from training.evaluation.success import SUCCESS_AT, summarize
from training.evaluation.topology_quality import quality_of_class
from training.evaluation.trials import SourceTrial, Trial, generator_trials
from training.running.processes import Processes
from training.running.tracking import log_artifact


def evaluate_generator(
    config: Config, prepared: Path, topology_gan: Path, sizing_diffusion: Path, surrogate: Path, output: Path
) -> dict[str, Any]:
    """Evaluate the trained models; writes ``evaluation.json``, ``evaluation.csv``, ``success.png`` and pictures of circuits.

    Returns:
        A dozen figures to compare runs by, see `headline`, and of each class ``success_at_K/<class>/<level>/<method>``,
        the quality of the generator's topologies and hypervolumes.
    """
    from training.evaluation.report import write_report
    from training.evaluation.showpiece import draw_showpieces

    output.mkdir(parents=True, exist_ok=True)
    conditioning = Conditioning.load(prepared)
    specifications = read_specifications(prepared / SPECIFICATIONS_FILE)
    train = Rows.load(prepared / "train.npz")
    open_designer = partial(_open_designer, config, prepared, topology_gan, sizing_diffusion, surrogate)
    topologies = _topologies(open_designer, config, specifications, prepared)
    trials = generator_trials(open_designer, specifications, config.evaluation.calls)
    trials += baseline_trials(config, specifications, train, conditioning)
    result: dict[str, Any] = {
        "specifications": specifications_hash(prepared / SPECIFICATIONS_FILE),
        "calls": config.evaluation.calls,
        "topologies": topologies,
        "methods": summarize(trials, config),
        "hypervolume": hypervolumes(trials, train, conditioning, config.classes),
    }
    write_json(output / "evaluation.json", result)
    write_report(result, output)
    draw_showpieces(trials, specifications, config.technology, output)
    log_artifact(output, "evaluation")
    return headline(result) | flatten(result)


def _topologies(
    open_designer: Callable[[], Designer],
    config: Config,
    specifications: Sequence[HeldOutSpecification],
    prepared: Path,
) -> dict[str, dict[str, float]]:
    """Quality of the generator's topologies, classes side by side: sampling by itself does not fill many cores."""
    opened = partial(_judging, open_designer, config, specifications, prepared)
    workers = min(cores(), len(config.classes))
    with Processes(workers, opened) as processes:
        quality = dict(processes.map(config.classes))
    return {name: quality[name] for name in config.classes}


@contextmanager
def _judging(
    open_designer: Callable[[], Designer],
    config: Config,
    specifications: Sequence[HeldOutSpecification],
    prepared: Path,
) -> Iterator[Callable[[str], tuple[str, dict[str, float]]]]:
    """In a process: a function of a class's name."""
    train = Rows.load(prepared / "train.npz")
    with open_designer() as designer:
        yield lambda name: (name, quality_of_class(designer, config, specifications, train, name))


def _open_designer(
    config: Config, prepared: Path, topology_gan: Path, sizing_diffusion: Path, surrogate: Path
) -> Designer:
    from training.models.backend import TorchBackend

    backend = TorchBackend.load(topology_gan, sizing_diffusion, surrogate)
    return Designer(
        backend,
        Conditioning.load(prepared),
        backend.sampler,
        precedents=precedents_in(prepared),
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
    with Judge(technology=config.technology) as pool, progress_bar() as progress:
        for method, circuits in methods.items():
            for item in progress.track(specifications, description=method):
                calls = per_class(config.evaluation.calls, item.spec.circuit_class)
                running = SourceTrial.of(method, item, Listed(circuits(item.spec)), calls)
                while not running.over:
                    running.step(pool.run)
                trials.append(running.trial)
    return trials


def flatten(result: dict[str, Any]) -> dict[str, Any]:
    """The evaluation's figures of each class under names for MLflow, each with a slash."""
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
