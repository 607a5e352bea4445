"""What a second GPU gives: DDP over several processes against one, in speed and in quality.

Run with::

    python benchmarks/distributed.py                                                # two CPU processes, small
    python benchmarks/distributed.py --recipe full --prepared artifacts/prepared --devices 2 --steps 3000

Three trainings from the same seed on the same rows, each in processes of its own under torchrun:

    one         one process, the configured batch
    same batch  several processes that share that batch: the same steps on the same rows, so the same model but for the
                order of sums and the draws of noise
    more batch  each process has the configured batch: as many rows in proportionally fewer steps, at a learning rate
                that is larger by the square root

Speed is rows a second of training with its validations, after compiling; quality is the best validation loss. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def train_once(arguments: argparse.Namespace, prepared: Path, output: Path, devices: int, scale: int) -> dict[str, Any]:
    """One training in new processes; `scale` multiplies the batch and divides the steps."""
    command = [sys.executable]
    if devices > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    command += [
        str(Path(__file__).resolve()),
        *("--worker", str(output), "--prepared", str(prepared), "--recipe", arguments.recipe),
        *("--overrides", arguments.overrides, "--model", arguments.model, "--steps", str(arguments.steps)),
        *("--devices", str(devices), "--scale", str(scale)),
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    report = output / "report.json"
    if done.returncode or not report.exists():
        said = [line for line in done.stderr.splitlines() if "/" not in line.rsplit(" ", 1)[-1]]
        return {"devices": devices, "error": " | ".join(said[-6:])[-800:]}
    return {"devices": devices, **json.loads(report.read_text(encoding="utf-8"))}


def worker(arguments: argparse.Namespace) -> None:
    """Train in this process, one of `devices`."""
    from training.config.loading import DEFAULT_PATH, load_config
    from training.config.steps import STEPS

    name = arguments.model
    base = load_config(DEFAULT_PATH, arguments.recipe, json.loads(arguments.overrides))
    section = getattr(base, name)
    steps = max(1, arguments.steps // arguments.scale)
    laid = {
        **json.loads(arguments.overrides),
        f"{name}.devices": arguments.devices,
        f"{name}.batch_size": section.batch_size * arguments.scale,
        f"{name}.max_steps": steps,
        f"{name}.validate_every": max(1, steps // 5),
        f"{name}.learning_rate": section.learning_rate * math.sqrt(arguments.scale),
        f"{name}.early_stopping_patience": 1000,
    }
    config = load_config(DEFAULT_PATH, arguments.recipe, laid)
    STEPS[f"train_{name}"].load()(config, arguments.prepared, arguments.worker)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--overrides", default="{}", help='JSON, such as {"surrogate.batch_size": 1024}')
    parser.add_argument("--prepared", type=Path, help="prepared data; synthetic rows without")
    parser.add_argument("--model", default="sizing_diffusion")
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--scale", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        worker(arguments)
        return
    import torch
    from synthetic_rows import write_prepared

    from training.config.loading import DEFAULT_PATH, load_config
    from training.running.machine import commit, describe

    config = load_config(DEFAULT_PATH, arguments.recipe, json.loads(arguments.overrides))
    with tempfile.TemporaryDirectory() as folder:
        prepared = arguments.prepared or write_prepared(Path(folder), config.classes, 4000)
        runs: dict[str, dict[str, Any]] = {}
        for name, devices, scale in (
            ("one", 1, 1),
            ("same batch", arguments.devices, 1),
            ("more batch", arguments.devices, arguments.devices),
        ):
            runs[name] = train_once(arguments, prepared, Path(folder) / name.replace(" ", "-"), devices, scale)
            print(name, runs[name], file=sys.stderr, flush=True)
    one = runs["one"].get("rows_per_second")
    result = {
        "benchmark": "distributed",
        "commit": commit(),
        "overrides": json.loads(arguments.overrides),
        "machine": describe(),
        "torch": torch.__version__,
        "backend": "nccl" if torch.cuda.is_available() else "gloo",
        "recipe": arguments.recipe,
        "model": arguments.model,
        "batch_size": getattr(config, arguments.model).batch_size,
        "steps": arguments.steps,
        "runs": runs,
        "speed_up": {
            name: round(run["rows_per_second"] / one, 3)
            for name, run in runs.items()
            if one and "rows_per_second" in run
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
