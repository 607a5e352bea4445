"""Hypervolume against SPICE calls: the generator with refinement beside NSGA-II and BoTorch from scratch, and the training data.

Run with::

    python benchmarks/refinement.py --prepared runs/latest/prepared --specifications 8 --calls 256
    python benchmarks/refinement.py --prepared runs/latest/prepared --bounds useful --methods refined nsga2
    python benchmarks/refinement.py --spec examples/lna_28ghz.yaml --calls 128 --processes 1
    python benchmarks/refinement.py --held-out benchmarks/held_out_small_signal.json --level exact --methods refined bayesian

Every method may simulate the same number of circuits for the same specifications with the same seeds. What counts is the
volume that circuits meeting the specification dominate in the objectives (`training.comparison.front_volume`), as a share of
what all methods, seeds and the training data together dominate for that specification, so that specifications weigh the same.

``refined``    `Designer.design` with ``--first`` calls, then `Designer.refine` with the rest
``bayesian``   the same, but by Bayesian optimization where that would refine by descents
``generator``  `Designer.design` with all calls
``nsga2``      pymoo's NSGA-II, from random circuits of the grammar
``botorch``    qLogNEHVI on the best of random topologies
``training``   the front of training rows at the supply and near the frequency, as they were measured elsewhere in that band
``retuned``    the same rows, rescaled to the specification's frequency and simulated

With ``--bounds specification`` circuits must meet the held-out specification itself; with ``--bounds useful`` only what the
class asks of a useful circuit, at the specification's frequency and supply: a far wider front. Finished runs are lines of
the output file, and are not repeated. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genrf import classes, technology
from genrf.conditioning import Conditioning
from genrf.conditions import Constraint
from genrf.errors import GenRFError
from genrf.generation.bundle import Bundle
from genrf.generation.objectives import choose_objectives
from genrf.metrics import Metrics
from genrf.pareto import volume
from genrf.simulation.library import simulator_version
from genrf.simulation.outcome import Simulation
from genrf.simulation.pool import SimulatorPool
from genrf.spec import DesignSpec
from training.comparison.front_volume import reference_point, row_metrics, scaled, training_rows
from training.comparison.trade_off_trials import GENERATING, REFINING, SCRATCH, TECHNOLOGY, Task, carry_out
from training.data.rows import Rows
from training.data.specifications import SPECIFICATIONS_FILE, read_specifications
from training.evaluation.baselines import retuned_circuits
from training.running.machine import commit, describe

COLOURS = {
    "refined": "#c0392b",
    "bayesian": "#8e44ad",
    "generator": "#1f5fa8",
    "nsga2": "#27864a",
    "botorch": "#7a7a7a",
}
MOST_RETUNED = 400
"""Rows of the training front that are simulated again, at most."""


def chosen_specifications(arguments: argparse.Namespace) -> list[DesignSpec]:
    """The specifications to compare on, with the bounds asked for."""
    if arguments.spec:
        specs = [DesignSpec.from_yaml(path) for path in arguments.spec]
    elif arguments.prepared or arguments.held_out:
        items = read_specifications(arguments.held_out or arguments.prepared / SPECIFICATIONS_FILE)
        own = [i.spec for i in items if i.spec.circuit_class == arguments.circuit_class and i.level == arguments.level]
        specs = own[: arguments.specifications]
    else:
        sys.exit("--prepared, --held-out or --spec: give one of them, to say which specifications to compare on")
    if len({spec.circuit_class for spec in specs}) != 1:
        sys.exit("the specifications are of no class or of several: compare within one class at a time")
    if arguments.bounds == "useful":
        definition = classes.get(specs[0].circuit_class)
        bounds: dict[Constraint, None] = dict.fromkeys((*definition.useful, *definition.requirements))
        specs = [replace(spec, constraints=tuple(bounds), name=f"{spec.name}-useful") for spec in specs]
    return specs


def of_training(
    spec: DesignSpec, objectives: Sequence[str], train: Rows, conditioning: Conditioning, pool: SimulatorPool
) -> dict[str, list[list[float]]]:
    """Objectives of the training data's front, as measured and retuned; the number of the call is 0."""
    index = training_rows(spec, objectives, train, conditioning)
    measured = row_metrics(spec, objectives, train, conditioning, index)
    circuits = list(retuned_circuits(spec, train, index[:MOST_RETUNED], technology.get(TECHNOLOGY)))
    outcomes = pool.run([Simulation(circuit, spec.conditions) for circuit in circuits])
    met = [o.metrics for o in outcomes if o.metrics is not None and spec.meets(o.metrics)]
    return {
        name: [[0, *(metrics[objective] for objective in objectives)] for metrics in its]
        for name, its in (("training", measured), ("retuned", met))
    }


def shares(
    spec: DesignSpec,
    objectives: Sequence[str],
    conditioning: Conditioning,
    fronts: Sequence[list[list[float]]],
    checkpoints: Sequence[int],
) -> np.ndarray:
    """Share of the joint volume that each front has after so many calls, (fronts, checkpoints); NaN if nothing has any."""
    rows = [
        scaled(spec, objectives, conditioning, [Metrics(dict(zip(objectives, p[1:], strict=True))) for p in front])
        for front in fronts
    ]
    everything = np.concatenate(rows)
    if len(everything) == 0:
        return np.full((len(fronts), len(checkpoints)), np.nan)
    reference = reference_point(spec, objectives, conditioning, everything)
    whole = volume(everything, reference)
    found = np.full((len(fronts), len(checkpoints)), np.nan)
    for number, (front, points) in enumerate(zip(fronts, rows, strict=True)):
        calls = np.array([point[0] for point in front])
        for column, most in enumerate(checkpoints):
            if whole > 0.0:
                found[number, column] = volume(points[calls <= most], reference) / whole if len(points) else 0.0
    return found


def summarize(values: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Mean and its 95 % interval by bootstrap over specifications, of shares (specifications, checkpoints)."""
    samples = values[rng.integers(len(values), size=(2000, len(values)))].mean(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    return {
        "share": values.mean(axis=0).round(4).tolist(),
        "low": low.round(4).tolist(),
        "high": high.round(4).tolist(),
    }


def plot(report: dict[str, Any], path: Path) -> None:
    """Mean share of the joint hypervolume against calls."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    calls = report["checkpoints"]
    for name, curve in report["methods"].items():
        if name in COLOURS:
            axis.plot(calls, curve["share"], label=name, color=COLOURS[name], lw=1.8)
            axis.fill_between(calls, curve["low"], curve["high"], color=COLOURS[name], alpha=0.15, lw=0)
        else:
            style = "--" if name == "training" else ":"
            label = "training data" if name == "training" else "training data, retuned"
            axis.axhline(curve["share"][-1], color="#333333", ls=style, lw=1.2, label=label)
    axis.set_xscale("log", base=2)
    axis.set_xticks(calls, [str(call) for call in calls])
    axis.set_xlabel("SPICE calls")
    axis.set_ylabel("share of the joint hypervolume")
    axis.set_ylim(bottom=0.0)
    axis.set_title(f"{report['class']}: {', '.join(report['objectives'])}; {report['specifications']} specifications")
    axis.grid(True, lw=0.4, alpha=0.5)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=130)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("runs/latest/bundle"), help="folder of the models")
    parser.add_argument("--prepared", type=Path, help="folder of prepared data: specifications and training rows")
    parser.add_argument("--spec", type=Path, nargs="+", help="specification files instead")
    parser.add_argument(
        "--held-out", type=Path, help="file of held-out specifications, instead of those of prepared data"
    )
    parser.add_argument("--class", dest="circuit_class", default="lna", choices=classes.names())
    parser.add_argument("--level", default="relaxed", help="level of the held-out specifications (default relaxed)")
    parser.add_argument("--bounds", default="specification", choices=("specification", "useful"))
    parser.add_argument("--pareto", default="", help="objectives, separated by commas; by default the class's")
    parser.add_argument("--specifications", type=int, default=8, help="how many (default 8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of every method (default 0)")
    parser.add_argument("--calls", type=int, default=256, help="SPICE calls of each run (default 256)")
    parser.add_argument("--first", type=int, default=64, help="of which the search has before refinement (default 64)")
    parser.add_argument("--methods", nargs="+", default=[*GENERATING, *SCRATCH], choices=[*GENERATING, *SCRATCH])
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="runs at once")
    parser.add_argument("--output", type=Path, default=Path("runs/refinement/runs.jsonl"), help="finished runs")
    parser.add_argument("--plot", type=Path, help="file to plot into; by default beside the output")
    return parser.parse_args()


def main() -> None:
    """Run what is missing, print a table, plot, and the JSON line last."""
    arguments = read_arguments()
    try:
        specs = chosen_specifications(arguments)
        names = [name.strip() for name in arguments.pareto.split(",") if name.strip()]
        objectives = choose_objectives(specs[0], names)
        bundle = Bundle.load(arguments.bundle)
    except GenRFError as error:
        sys.exit(str(error))
    checkpoints = [c for c in (8, 16, 32, 64, 128, 256, 512, 1024, 2048) if c < arguments.calls] + [arguments.calls]
    tasks = [
        Task(
            method=method,
            specification=spec.to_dict(),
            objectives=objectives,
            seed=seed,
            calls=arguments.calls,
            first=min(arguments.first, arguments.calls) if method in REFINING else 0,
            bundle=bundle.identity if method in GENERATING else "",
        )
        for spec in specs
        for seed in arguments.seeds
        for method in arguments.methods
    ]
    runs = carry_out(tasks, arguments.bundle, arguments.output, arguments.processes)
    conditioning = Conditioning.load(arguments.prepared) if arguments.prepared else bundle.conditioning
    train = Rows.load(arguments.prepared / "train.npz") if arguments.prepared else None
    kinds = list(arguments.methods) + (["training", "retuned"] if train is not None else [])
    by_method: dict[str, list[np.ndarray]] = {kind: [] for kind in kinds}
    with SimulatorPool(workers=arguments.processes, technology=TECHNOLOGY) as pool:
        for spec in specs:
            own = [
                (t.method, r["points"]) for t, r in zip(tasks, runs, strict=True) if t.specification == spec.to_dict()
            ]
            if train is not None:
                own += of_training(spec, objectives, train, conditioning, pool).items()
            found = shares(spec, objectives, conditioning, [points for _, points in own], checkpoints)
            if np.isnan(found).any():
                continue  # Nothing that any method simulated meets this specification.
            for kind in kinds:
                mine = [row for row, (method, _) in zip(found, own, strict=True) if method == kind]
                by_method[kind].append(np.mean(mine, axis=0))
    rng = np.random.default_rng(0)
    used = len(by_method[kinds[0]])
    if used == 0:
        sys.exit("no method met any of the specifications: nothing to compare")
    methods = {kind: summarize(np.array(values), rng) for kind, values in by_method.items()}
    for kind in methods:
        seconds = [run["seconds"] for run in runs if run["task"]["method"] == kind]
        methods[kind] |= {"median_seconds": float(np.median(seconds))} if seconds else {}
    above = {
        f"{kind}_above_{other}": round(
            float(np.mean(np.array(by_method[kind])[:, -1] > np.array(by_method[other])[:, -1])), 3
        )
        for kind in arguments.methods
        for other in kinds[len(arguments.methods) :]
    }
    report = {
        "benchmark": "refinement",
        "class": specs[0].circuit_class,
        "objectives": list(objectives),
        "bounds": arguments.bounds,
        "level": arguments.level if not arguments.spec else None,
        "specifications": used,
        "seeds": arguments.seeds,
        "calls": arguments.calls,
        "first": arguments.first,
        "checkpoints": checkpoints,
        "methods": methods,
        "share_of_specifications": above,
        "bundle": bundle.identity,
        "training_rows": 0 if train is None else int((train.circuit_class == specs[0].circuit_class).sum()),
        "simulator": simulator_version(),
        "technology": technology.get(TECHNOLOGY).version,
        "machine": describe(),
        "commit": commit(),
    }
    print(f"{'calls':10}" + "".join(f"{calls:>9}" for calls in checkpoints))
    for kind, figures in methods.items():
        print(f"{kind:10}" + "".join(f"{share:9.3f}" for share in figures["share"]))
    plot(report, arguments.plot or arguments.output.with_suffix(".png"))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
