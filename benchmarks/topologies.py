"""How good the topologies are that a bundle's generator writes, as written, before any choice or repair.

    python benchmarks/topologies.py --prepared artifacts/prepared
    python benchmarks/topologies.py --prepared artifacts/prepared --held-out benchmarks/held_out.json
    python benchmarks/topologies.py --prepared artifacts/prepared --bundle artifacts/bundle --classes lna --count 100

Draws so many of each class, spread over its held-out specifications of the exact level: how many pass the electrical rules,
how many of those give metrics in ngspice with one of a few sizings, how many are distinct, and how many of these no training
circuit has. Beside them stands the grammar that random circuits come from, sized in the same way. Writes the result and prints
it as one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genrf import classes
from genrf.circuit.topology import Topology
from genrf.errors import GenRFError
from genrf.files import write_json
from genrf.generation.bundle import Bundle
from genrf.generation.released import choose_bundle
from genrf.simulation.library import simulator_version
from genrf.spec import DesignSpec
from training.comparison.quality.options import numbers_by_class
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.data.breeding import fitting_topology
from training.data.rows import Rows
from training.data.specifications import SPECIFICATIONS_FILE, read_specifications, specifications_hash
from training.evaluation.topology_quality import topology_quality
from training.evaluation.trials import bundle_designer
from training.running.machine import commit, describe

ROOT = Path(__file__).parents[1]
OF_GRAMMAR = 200
"""Topologies of each class that are drawn from the grammar, at most."""


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, required=True, help="folder of specifications.json and train.npz")
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="specifications (those of --prepared)")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle (the released weights)")
    parser.add_argument("--classes", nargs="+", default=list(classes.names()), choices=classes.names())
    parser.add_argument(
        "--count", nargs="+", default=[], metavar="N", help="topologies, of all classes or as class=N (1000)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "topologies.json")
    given = parser.parse_args()
    try:
        result = measure(given)
    except GenRFError as error:
        print(f"topologies: {error}", file=sys.stderr)
        return error.exit_code
    write_json(given.output, result)
    print(json.dumps(result))
    return 0


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Judge the topologies of each class."""
    config = replace(load_config(ROOT / DEFAULT_PATH), classes=tuple(given.classes))
    counts = numbers_by_class("--count", given.count, 1000)
    fewer = {name: min(OF_GRAMMAR, count) for name, count in counts.items()}
    folder, _ = choose_bundle(given.bundle)
    bundle = Bundle.load(folder)
    held_out = given.held_out or given.prepared / SPECIFICATIONS_FILE
    specifications = read_specifications(held_out)
    train = Rows.load(given.prepared / "train.npz")
    with bundle_designer(config, bundle) as designer:
        quality = topology_quality(designer, _drawing(config, counts), specifications, train)
        baseline = topology_quality(designer, _drawing(config, fewer), specifications, train, from_grammar)
    return {
        "benchmark": "topologies",
        "commit": commit(),
        "machine": describe(),
        "simulator": simulator_version(),
        "bundle": {"identity": bundle.identity[:16], "precision": bundle.precision},
        "specifications": specifications_hash(held_out),
        "classes": quality,
        "grammar": baseline,
    }


def _drawing(config: Config, counts: dict[str, int]) -> Config:
    """The configuration with so many topologies of each class."""
    return replace(config, evaluation=replace(config.evaluation, topologies={"default": 1, **counts}))


def from_grammar(spec: DesignSpec, count: int, rng: np.random.Generator) -> list[Topology]:
    """Random topologies of a specification's class, legal by construction, that bear its supply."""
    return [fitting_topology(spec.circuit_class, spec.conditions.supply_v, rng) for _ in range(count)]


if __name__ == "__main__":
    sys.exit(main())
