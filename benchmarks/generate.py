"""How long one specification takes, from the shell to verified designs on disk, against re-simulating alone.

    python benchmarks/generate.py [SPEC.yaml] [--runs 5]

Uses the released weights, or the bundle that GENRF_BUNDLE names. Each run is a process of its own that starts cold; the
files of the last run stay in a temporary folder and its best netlist is run by a plain ``ngspice -b``, whose metrics must be
those that were written. Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from genrf.circuit.netlist import run_standalone
from genrf.export.design_file import read_design

TOLERANCE = 1e-6


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specification", nargs="?", default="examples/lna_5ghz.yaml")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "designs"
        walls = []
        for _ in range(options.runs):
            start = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "genrf",
                "generate",
                options.specification,
                "--output",
                str(output),
                "--force",
            ]
            finished = subprocess.run(command, capture_output=True, text=True)
            walls.append(time.perf_counter() - start)
            print(f"{walls[-1]:.2f} s, exit code {finished.returncode}")
        if finished.returncode:
            print(finished.stderr, file=sys.stderr)
            return finished.returncode
        best = output / "design_1"
        design, spec = read_design(best / "design.json")
        written = design.metrics
        again = run_standalone(best / "netlist.spice", spec.circuit_class)
        difference = max(abs(again[name] - value) / max(abs(value), 1e-12) for name, value in written.items())
    result = {
        "specification": options.specification,
        "runs": options.runs,
        "median_wall_s": round(statistics.median(walls), 3),
        "max_wall_s": round(max(walls), 3),
        "ngspice_relative_difference": difference,
    }
    print(json.dumps(result))
    return 0 if difference < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
