"""How long one specification takes: from the shell to verified designs on disk, and warm to the first that meets it.

    python benchmarks/generate.py [SPEC.yaml] [--runs 5] [--warm 20]

Uses the released weights, or the bundle that GENRF_BUNDLE names. Each cold run is a process of its own, once with
``--until-met``, which stops at the first verified circuit, and once with every SPICE call; the files of the last run stay in
a temporary folder and its best netlist is run by a plain ``ngspice -b``, whose metrics must be those that were written. The
warm searches run in this process with another seed each and stop at the first batch that meets the specification, as a
server's would. Memory is that of the largest process of the cold runs. Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from genrf.circuit.netlist import run_standalone
from genrf.export.design_file import read_design
from genrf.generation.opening import open_designer
from genrf.generation.released import choose_bundle
from genrf.spec import DesignSpec

TOLERANCE = 2e-5
"""Band edges are interpolated in a fine sweep in the one, and found by looking closer in the other."""


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specification", nargs="?", default="examples/lna_5ghz.yaml")
    parser.add_argument("--runs", type=int, default=5, help="cold runs")
    parser.add_argument("--warm", type=int, default=20, help="warm searches")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "designs"
        first = _cold(options.specification, output, options.runs, "--until-met")
        walls = _cold(options.specification, output, options.runs)
        best = output / "design_1"
        design, spec = read_design(best / "design.json")
        written = design.metrics
        again = run_standalone(best / "netlist.spice", spec.circuit_class)
        difference = max(abs(again[name] - value) / max(abs(value), 1e-12) for name, value in written.items())
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    warm, met = _warm(options.specification, options.warm)
    result = {
        "specification": options.specification,
        "runs": options.runs,
        "first_median_wall_s": round(statistics.median(first), 3),
        "first_max_wall_s": round(max(first), 3),
        "median_wall_s": round(statistics.median(walls), 3),
        "max_wall_s": round(max(walls), 3),
        "peak_memory_mb": round(kilobytes / 1024),
        "warm_searches": options.warm,
        "warm_met": met,
        "warm_median_s": round(statistics.median(warm), 3),
        "warm_max_s": round(max(warm), 3),
        "ngspice_relative_difference": difference,
    }
    print(json.dumps(result))
    return 0 if difference < TOLERANCE else 1


def _cold(specification: str, output: Path, runs: int, *more: str) -> list[float]:
    """Seconds of each run from the shell."""
    command = [sys.executable, "-m", "genrf", "generate", specification, "--output", str(output), "--force", *more]
    walls = []
    for _ in range(runs):
        start = time.perf_counter()
        finished = subprocess.run(command, capture_output=True, text=True)
        walls.append(time.perf_counter() - start)
        if finished.returncode:
            raise SystemExit(f"{finished.stderr}exit code {finished.returncode}")
        print(f"{walls[-1]:.2f} s {' '.join(more)}")
    return walls


def _warm(specification: str, searches: int) -> tuple[list[float], int]:
    """Seconds of each search, models loaded and simulators started, and how many met the specification."""
    spec = DesignSpec.from_yaml(specification)
    folder, _ = choose_bundle(_named_bundle())
    seconds, met = [], 0
    with open_designer(folder) as designer:
        # The first search also pays for what the simulators read once.
        for seed in range(searches + 1):
            start = time.perf_counter()
            result = designer.design(spec, seed=seed, stop_when_met=True)
            if seed:
                seconds.append(time.perf_counter() - start)
                met += result.first_met is not None
    return seconds, met


def _named_bundle() -> Path | None:
    named = os.environ.get("GENRF_BUNDLE")
    return Path(named) if named else None


if __name__ == "__main__":
    sys.exit(main())
