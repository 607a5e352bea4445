"""How fast the models train, and where the time of a step goes.

Run with::

    python benchmarks/training_speed.py                                          # small, on synthetic rows
    python benchmarks/training_speed.py --recipe full --prepared artifacts/prepared --steps 300

Every line is one training through the project's own loop (optimizer, moving average, clipping, drawing of rows), timed
over its last steps; nothing is validated. Arithmetic and compiling are varied one at a time. A profile of 50 steps of the
first model, as its configuration has it, tells the share of the host's and the device's time that drawing rows, the
optimizer and the averages take, and which kinds of kernels the device spends its time on. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from synthetic_rows import write_prepared
from torch.profiler import ProfilerActivity, profile, record_function

from genrf.errors import GenRFError
from training.config.loading import DEFAULT_PATH, load_config
from training.config.schema import Config
from training.data.tensors import Batch, TrainingBatches
from training.fitting.callbacks import KeepRowsOnDevice, MovingAverage
from training.fitting.compile import CompileNetwork
from training.fitting.fit import LIGHTNING
from training.fitting.hardware import MatrixProducts, accelerator, arithmetic, lightning_precision
from training.fitting.muon import Muon
from training.fitting.throughput import GpuUtilisation
from training.running.machine import describe
from training.running.quiet import quiet

MODELS = ("sizing_diffusion", "surrogate", "topology_gan")
VARIANTS = (("fp32", "off"), ("tf32", "off"), ("bf16", "off"), ("tf32", "auto"), ("bf16", "auto"), ("bf16", "graphs"))
"""Arithmetic and compiling."""
PROFILED_STEPS = 50
KERNELS = {
    "matrix products": ("gemm", "cutlass", "cublas", "xmma", "nvjet", "bmm", "addmm", "mkldnn"),
    "compiled": ("triton",),
    "sums and norms": ("reduce", "norm", "softmax", "scan", "sum", "cumsum"),
    "copies and indexing": ("copy", "memcpy", "memset", "index", "gather", "scatter", "cat", "sort", "fill"),
}
"""Kinds of kernels by parts of their names; what is left works element by element."""

MARKS = ("Optimizer", "ProfilerStep", "##", "Torch-Compiled", "Compiled")
"""How the names of what is no kernel but a stretch of several begin."""


class Stopwatch(Callback):
    """Times the steps after the first few, and may profile them."""

    def __init__(self, skipped: int, profiler: profile | None = None) -> None:
        self._skipped, self._profiler = skipped, profiler
        self._created = time.perf_counter()
        self._started = self.setup_seconds = self.seconds = 0.0
        self._sampler: GpuUtilisation | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start once the first steps are done."""
        if batch_idx == 0:
            self.setup_seconds = time.perf_counter() - self._created
        if batch_idx == self._skipped:
            _synchronise()
            if torch.cuda.is_available():
                self._sampler = GpuUtilisation(pl_module.device)
                self._sampler.start()
            if self._profiler is not None:
                self._profiler.start()
            self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop when the device has done what it was told."""
        _synchronise()
        self.seconds = time.perf_counter() - self._started
        if self._profiler is not None:
            self._profiler.stop()
        if self._sampler is not None:
            self._sampler.stop()

    @property
    def utilisation(self) -> float | None:
        """Mean share of the time in which a kernel ran, in percent."""
        samples = self._sampler.samples if self._sampler is not None else []
        return round(sum(samples) / len(samples), 1) if samples else None


class Marked:
    """Rows to train on, their drawing marked for the profiler."""

    def __init__(self, batches: TrainingBatches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self._batches)
        while True:
            with record_function("drawing rows"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def run(
    name: str,
    config: Config,
    prepared: Path,
    precision: str,
    compiling: str,
    steps: int,
    skipped: int,
    profiler: profile | None = None,
) -> dict[str, Any]:
    """Train a model for some steps and time the last of them."""
    section = dataclasses.replace(
        getattr(config, name), precision=precision, compile=compiling, validate_every=steps + skipped
    )
    _free()
    module, batches, validation, _ = getattr(import_module(f"training.fitting.{name}"), f"{name}_training")(
        dataclasses.replace(config, **{name: section}), prepared
    )
    numbers = arithmetic(precision, module)
    stopwatch = Stopwatch(skipped, profiler)
    with quiet(*LIGHTNING):
        trainer = Trainer(
            accelerator=accelerator(),
            devices=1,
            precision=lightning_precision(numbers),
            max_epochs=1,
            limit_val_batches=0,
            gradient_clip_val=(section.gradient_clip or None) if module.automatic_optimization else None,
            callbacks=[
                MatrixProducts(numbers),
                KeepRowsOnDevice(batches, validation),
                CompileNetwork(compiling, batches),
                MovingAverage(section.ema_decay),
                stopwatch,
            ],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(module, Marked(batches))
    row = {
        "model": name,
        "parameters": sum(parameter.numel() for parameter in module.model.parameters()),
        "batch_size": section.batch_size,
        "precision": numbers,
        "compile": compiling,
        "setup_seconds": round(stopwatch.setup_seconds, 1),
        "milliseconds_per_step": round(1e3 * stopwatch.seconds / steps, 3),
        "rows_per_second": round(section.batch_size * steps / stopwatch.seconds),
        "gpu_utilisation_percent": stopwatch.utilisation,
    }
    if torch.cuda.is_available():
        row["gpu_peak_gigabytes"] = round(torch.cuda.max_memory_reserved() / 1e9, 3)
    return row


def profiled(name: str, config: Config, prepared: Path) -> dict[str, Any]:
    """Where the time of a step goes: shares of the host's wall time, and of the device's busy time."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    profiler = profile(activities=activities)
    marks: dict[str, list[tuple[type, str]]] = {
        "optimizer": [(Muon, "_orthogonal_step"), (Muon, "_adam_step")],
        "average": [(MovingAverage, "on_train_batch_end")],
    }
    originals = [(owner, method, getattr(owner, method)) for places in marks.values() for owner, method in places]
    for mark, places in marks.items():
        for owner, method in places:
            setattr(owner, method, _marked(getattr(owner, method), mark))
    section = getattr(config, name)
    try:
        row = run(name, config, prepared, section.precision, section.compile, PROFILED_STEPS, 10, profiler)
    finally:
        for owner, method, original in originals:
            setattr(owner, method, original)
    averages = profiler.key_averages()
    wall = row["milliseconds_per_step"] * PROFILED_STEPS * 1e3  # us
    host = dict.fromkeys(("drawing rows", *marks), 0.0)
    device = dict.fromkeys([*KERNELS, "element by element"], 0.0)
    launched = 0
    for event in averages:
        if event.key in host:
            host[event.key] += event.cpu_time_total
        # On a CPU operations take the place of kernels.
        own = event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total
        is_kernel = event.device_type.name == "CUDA" if torch.cuda.is_available() else event.key.startswith("aten::")
        if is_kernel and event.key not in host and not event.key.startswith(MARKS):
            lower = event.key.lower()
            kind = next((k for k, parts in KERNELS.items() if any(part in lower for part in parts)), None)
            device[kind or "element by element"] += own
            launched += event.count
    busy = sum(device.values())
    return {
        **row,
        "steps": PROFILED_STEPS,
        "host_share": {mark: round(spent / wall, 4) for mark, spent in host.items()},
        "device_busy_share": round(busy / wall, 4),
        "device_share": {kind: round(spent / max(busy, 1e-9), 4) for kind, spent in device.items()},
        "kernels_per_step": round(launched / PROFILED_STEPS),
    }


def _marked(function: Any, mark: str) -> Any:
    def call(*arguments: Any, **keywords: Any) -> Any:
        with record_function(mark):
            return function(*arguments, **keywords)

    return call


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _free() -> None:
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--overrides", default="{}", help='JSON, such as {"surrogate.batch_size": 1024}')
    parser.add_argument("--prepared", type=Path, help="prepared data; synthetic rows without")
    parser.add_argument("--rows", type=int, default=20_000, help="synthetic rows")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--skipped", type=int, default=5, help="steps before them")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--variants", help="such as bf16:off,bf16:auto; all that the machine has without")
    arguments = parser.parse_args()
    config = load_config(DEFAULT_PATH, arguments.recipe, json.loads(arguments.overrides))
    variants: tuple[tuple[str, str], ...] = VARIANTS if torch.cuda.is_available() else (("fp32", "off"),)
    if arguments.variants:
        variants = tuple(
            (numbers, how) for numbers, _, how in (v.partition(":") for v in arguments.variants.split(","))
        )
    names = arguments.models.split(",")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        prepared = arguments.prepared or write_prepared(Path(folder), config.classes, arguments.rows)
        for name in names:
            for precision, compiling in variants:
                if name == "topology_gan" and (compiling != "off" or precision == "bf16"):
                    continue  # never compiled, and its choices are made in 32 bits
                try:
                    row = run(name, config, prepared, precision, compiling, arguments.steps, arguments.skipped)
                except (RuntimeError, GenRFError) as error:  # such as too little memory, or no such arithmetic
                    row = {"model": name, "precision": precision, "compile": compiling, "error": str(error)[:300]}
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
        where = profiled(names[0], config, prepared)
    print(
        json.dumps(
            {
                "benchmark": "training",
                "machine": describe(),
                "torch": torch.__version__,
                "recipe": arguments.recipe,
                "data": str(arguments.prepared.name) if arguments.prepared else f"{arguments.rows} synthetic rows",
                "rows": rows,
                "profile": where,
            }
        )
    )


if __name__ == "__main__":
    main()
