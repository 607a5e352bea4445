"""The generator against looking it up and against searching, on held-out specifications, in SPICE.

    python benchmarks/design_quality.py --bundle genrf/pretrained    # on the specifications kept in the repository
    python benchmarks/design_quality.py --prepared artifacts/prepared --bundle artifacts/bundle
    python benchmarks/design_quality.py ... --classes lna filter --specifications 20 --minutes 9
    python benchmarks/design_quality.py ... --minutes 0              # only count what was tried so far

Every trial gives one method so many SPICE calls for one specification and stops once that is met. Methods are the
generator; the generator with precedents alone, without what the GAN proposes; with topologies drawn from the training data
instead; without precedents, with the GAN and with training topologies; retrieval, rescaled; random circuits; and CMA-ES and
BoTorch from scratch, which also get 10 and 100 times the calls.
What looks things up in training data needs the prepared folder and is left out without it. Specifications are the folder's, or
those of ``benchmarks/held_out.json``, whose topologies are held out in every dataset of the repository's seed.

Finished trials are appended to ``trials.jsonl`` in the work folder, and interrupted searches are kept beside it: the same
command goes on where a killed one or one with ``--minutes`` ended. Trials of another bundle, dataset or seed do not count.
Writes the result and one picture a class beside it, and prints one JSON line last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from genrf import classes, technology
from genrf.conditioning import Conditioning
from genrf.cores import cores
from genrf.errors import GenRFError, InvalidInputError
from genrf.generation.bundle import Bundle
from genrf.simulation.library import simulator_version
from training.comparison.quality.journal import Journal
from training.comparison.quality.options import numbers_by_class
from training.comparison.quality.plots import plot_success
from training.comparison.quality.report import comparisons, decided, hypervolumes, overall, summary, write_result
from training.comparison.quality.rows import mapped_rows, split_rows
from training.comparison.quality.run import run_trials
from training.comparison.quality.tasks import METHODS, NEEDS_BUNDLE, NEEDS_ROWS, Task, plan
from training.comparison.quality.worker import Setup
from training.config.loading import DEFAULT_PATH, load_config
from training.data.specifications import LEVELS, SPECIFICATIONS_FILE, read_specifications, specifications_hash
from training.running.machine import commit, describe

ROOT = Path(__file__).parents[1]
HELD_OUT = ROOT / "benchmarks" / "held_out.json"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, help="folder of train.npz, for methods that look things up in it")
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="specifications (those of --prepared, else ours)")
    parser.add_argument("--bundle", type=Path, help="folder of the generator's bundle; without it only baselines")
    parser.add_argument("--classes", nargs="+", default=list(classes.names()), choices=classes.names())
    parser.add_argument("--levels", nargs="+", default=list(LEVELS), choices=LEVELS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--specifications", type=int, default=200, metavar="N", help="of each class and level (200)")
    parser.add_argument(
        "--calls", nargs="+", default=["64"], metavar="N", help="SPICE calls, of all classes or as class=N (64)"
    )
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 10, 100], help="budgets of searches (1 10 100)")
    parser.add_argument("--processes", type=int, default=cores(), help="trials at once (one a core)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start nothing after so long (no limit)")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "design_quality", help="folder of finished trials")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "design_quality.json")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; returns the exit code."""
    given = options()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return measure(given)
    except GenRFError as error:
        print(f"design_quality: {error}", file=sys.stderr)
        return error.exit_code


def measure(given: argparse.Namespace) -> int:
    """Make the trials and write what they say."""
    deadline = time.monotonic() + 60 * given.minutes
    config = load_config(ROOT / DEFAULT_PATH)
    calls = numbers_by_class("--calls", given.calls, 64)
    methods = [method for method in METHODS if method in given.methods]
    bundle = Bundle.load(given.bundle) if given.bundle else None
    if bundle is None:
        methods = [method for method in methods if method not in NEEDS_BUNDLE]
    if given.prepared is None:
        methods = [method for method in methods if method not in NEEDS_ROWS]
    dataset = _dataset(given.prepared) if given.prepared else ""
    held_out = given.held_out or (given.prepared / SPECIFICATIONS_FILE if given.prepared else HELD_OUT)
    wanted = [
        item
        for item in read_specifications(held_out)
        if item.spec.circuit_class in given.classes and item.level in given.levels
    ]
    class_names = list(dict.fromkeys(item.spec.circuit_class for item in wanted))
    if not wanted:
        raise InvalidInputError(f"{held_out}: no held-out specifications of these classes and levels")
    if bundle is not None:
        # Said here once, rather than by every trial.
        for name in class_names:
            bundle.conditioning.encode_conditions(name, wanted[0].spec.conditions)
    process = technology.get(config.technology)
    tasks = plan(
        wanted,
        methods=methods,
        factors=given.factors,
        calls=calls,
        count=given.specifications,
        bundle=bundle.identity if bundle else "",
        dataset=dataset,
        technology=f"{process.version} {simulator_version()}",
        seed=config.seed,
    )
    journal = Journal(given.work / "trials.jsonl")
    with tempfile.TemporaryDirectory(prefix="design-quality-") as folder:
        rows = Path(folder)
        if given.prepared:
            split_rows(given.prepared / "train.npz", rows, class_names)
        setup = Setup(
            config=config,
            bundle=given.bundle,
            prepared=given.prepared,
            rows=rows if given.prepared else None,
            unfinished=given.work / "unfinished",
            deadline=deadline,
            machine=describe(),
        )
        interrupted = False
        try:
            run_trials(tasks, setup, journal, given.processes)
        except KeyboardInterrupt:
            interrupted = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        groups = decided(tasks, journal.entries)
        samples = config.evaluation.bootstrap_samples
        result = {
            "benchmark": "design_quality",
            "commit": commit(),
            "machines": sorted({entry.machine for own in groups.values() for entry in own}),
            "technology": process.version,
            "simulator": simulator_version(),
            "bundle": {"identity": bundle.identity[:16], "precision": bundle.precision} if bundle else {},
            "specifications": specifications_hash(held_out),
            "dataset": dataset,
            "seed": config.seed,
            "trials": sum(task.key in journal.entries for task in tasks),
            "planned": len(tasks),
            "entries": summary(groups, samples, config.seed),
            "comparisons": comparisons(groups, samples, config.seed),
            "overall": overall(groups, samples, config.seed),
        }
        if given.prepared:
            by_class = {name: mapped_rows(rows, name) for name in class_names}
            result["hypervolume"] = hypervolumes(groups, by_class, Conditioning.load(given.prepared))
    write_result(result, given.output)
    committed = given.output.resolve().parent == ROOT / "benchmarks" / "results"
    plot_success(result, ROOT / "docs" / "images" if committed else given.output.parent, given.output.stem)
    print_table(result)
    print(json.dumps(_headline(result, tasks, given.output)))
    return 130 if interrupted else 0


def print_table(result: dict[str, Any]) -> None:
    """Success at the full budget of every group."""
    for entry in result["entries"]:
        share = f"success_at_{entry['calls']}"
        low, high = entry[f"{share}_interval"]
        where = f"{entry['class']:7} {entry['level']:10} {entry['method']:20}"
        print(
            f"{where} {entry['calls']:5} calls  {100 * entry[share]:5.1f} % ({100 * low:.0f} to {100 * high:.0f})"
            f" of {entry['specifications']:4}, first {100 * entry['success_at_1']:5.1f} %, {entry['median_seconds']:.2f} s"
        )


def _headline(result: dict[str, Any], tasks: list[Task], output: Path) -> dict[str, Any]:
    success: dict[str, float] = {}
    for entry in result["entries"]:
        key = f"{entry['class']}/{entry['level']}/{entry['method']}@{entry['calls']}"
        success[key] = round(entry[f"success_at_{entry['calls']}"], 4)
    kept = {name: result[name] for name in ("benchmark", "commit", "machines", "trials", "planned")}
    return kept | {"output": str(output), "success": success}


def _dataset(prepared: Path) -> str:
    """Identity of the training data that methods look things up in."""
    with (prepared / "train.npz").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
