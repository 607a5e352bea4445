"""How fast the denoiser and the surrogate run: ONNX Runtime against PyTorch, eager and compiled, same batch, same run.

Run with::

    python benchmarks/inference.py                                       # on the CPU, small networks
    python benchmarks/inference.py --recipe full --batch 256 1024 --repeats 200

Weights are random (speed does not depend on them) or, with ``--trained``, those of a training's folders. Inputs and
outputs stay on the device, bound to ONNX Runtime through its IO binding; each call is waited for, and the median is
reported. Differences are against PyTorch in fp32 without TF32. A provider or kind of arithmetic that the machine lacks is
skipped, and the last line, one JSON object, says so.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from synthetic_rows import write_prepared
from torch import Tensor, nn

from training.config.loading import DEFAULT_PATH, load_config
from training.data.tensors import PreparedData
from training.fitting.sizing_diffusion import sizing_diffusion_training
from training.fitting.surrogate import surrogate_training
from training.models.onnx_export import Exported, to_onnx
from training.running.machine import describe

Run = Callable[[], tuple[Tensor, ...]]
"""One call; its outputs stay on the device."""
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NAMES = {
    "sizing_denoiser": ("noisy_values", "sigma", "kinds", "nets", "specification"),
    "surrogate": ("values", "kinds", "nets", "conditions"),
}
OUTPUTS = {"sizing_denoiser": ("denoised",), "surrogate": ("mean", "log_variance", "works")}

PYTORCH = (
    *((numbers, "eager") for numbers in ("fp32", "tf32", "bf16", "fp16")),
    # Each takes some ten seconds to compile.
    *((numbers, how) for numbers in ("tf32", "fp16") for how in ("compiled", "graphs")),
    *(() if torch.cuda.is_available() else (("fp32", "compiled"),)),
)
"""Arithmetic, and how PyTorch runs the model."""


class Skipped(Exception):
    """The machine lacks what a variant needs."""


def example(name: str, model: nn.Module, data: PreparedData, batch: int, slots: int) -> dict[str, Tensor]:
    """Inputs on the CPU: rows of the test split with at most so many devices, random noise and specifications."""
    draws = torch.Generator().manual_seed(0)
    fitting = ((data.kinds > 0).sum(dim=1) <= slots).nonzero().flatten()
    rows = data.batch(fitting[torch.randint(len(fitting), (batch,), generator=draws)], slots)
    sigma = torch.exp(1.3 * torch.randn(batch, generator=draws) - 1.0)
    everything = {
        "values": rows.values,
        "noisy_values": (rows.values + sigma[:, None] * torch.randn(batch, slots, generator=draws)) * (rows.kinds > 0),
        "sigma": sigma,
        "kinds": rows.kinds,
        "nets": rows.nets,
        "conditions": rows.conditions,
    }
    if name == "sizing_denoiser":
        size = int(cast(Any, model).config.specification_size)
        bounds = torch.randn(batch, size - rows.conditions.shape[1], generator=draws)
        everything["specification"] = torch.cat([rows.conditions, bounds], dim=1)
    return {key: everything[key].contiguous() for key in NAMES[name]}


def torch_run(model: nn.Module, inputs: dict[str, Tensor], arithmetic: str, how: str) -> Run:
    """PyTorch: eager, compiled, or compiled with CUDA graphs."""
    if how == "graphs" and DEVICE.type != "cuda":
        raise Skipped("no GPU")
    if arithmetic in ("tf32", "fp16") and DEVICE.type != "cuda":
        raise Skipped(f"no {arithmetic} on a CPU")
    arguments = tuple(inputs.values())
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(arithmetic)
    function = model.forward
    if how != "eager":
        function = torch.compile(
            function, dynamic=False, fullgraph=True, mode="reduce-overhead" if how == "graphs" else None
        )

    def call() -> tuple[Tensor, ...]:
        with torch.inference_mode(), torch.autocast(DEVICE.type, dtype=dtype, enabled=dtype is not None):
            found = function(*arguments)
        return found if isinstance(found, tuple) else (found,)

    return call


def onnx_run(path: Path, name: str, inputs: dict[str, Tensor], outputs: list[Tensor], how: str) -> Run:
    """ONNX Runtime with inputs and outputs bound where they are."""
    import onnxruntime

    provider = "CUDAExecutionProvider" if DEVICE.type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise Skipped(f"onnxruntime has no {provider}")
    settings: dict[str, Any] = {}
    if DEVICE.type == "cuda":
        settings = {"use_tf32": "0" if how == "fp32" else "1", "enable_cuda_graph": "1" if "graphs" in how else "0"}
    elif how not in ("fp32", "fp16"):
        raise Skipped("no GPU")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=[(provider, settings)])
    if session.get_providers()[0] != provider:
        raise Skipped(f"{provider} cannot be loaded; ONNX Runtime falls back to {session.get_providers()[0]}")
    binding = session.io_binding()
    kinds = {torch.float32: np.float32, torch.int64: np.int64}
    for key, tensor in inputs.items():
        binding.bind_input(key, DEVICE.type, 0, kinds[tensor.dtype], tuple(tensor.shape), tensor.data_ptr())
    for key, tensor in zip(OUTPUTS[name], outputs, strict=True):
        binding.bind_output(key, DEVICE.type, 0, np.float32, tuple(tensor.shape), tensor.data_ptr())

    def call() -> tuple[Tensor, ...]:
        session.run_with_iobinding(binding)
        return tuple(outputs)

    return call


def measure(make: Callable[[], Run], expected: tuple[Tensor, ...], repeats: int) -> dict[str, Any]:
    """Median time of a call, memory of the GPU that it takes, and the largest difference from the expected outputs."""
    free = _release()
    call = make()
    started = time.perf_counter()
    for _ in range(3):
        found = call()
    _synchronise()
    setup = time.perf_counter() - started
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        found = call()
        _synchronise()
        times.append(time.perf_counter() - started)
    pairs = [(ours.float(), theirs) for ours, theirs in zip(found, expected, strict=True)]
    row: dict[str, Any] = {
        "milliseconds": round(1e3 * statistics.median(times), 4),
        "rows_per_second": round(len(expected[0]) / statistics.median(times)),
        "largest_difference": max(float((ours - theirs).abs().max()) for ours, theirs in pairs),
        "relative_difference": max(float((ours - theirs).norm() / theirs.norm()) for ours, theirs in pairs),
        "first_calls_seconds": round(setup, 2),
    }
    if DEVICE.type == "cuda":
        row["gpu_megabytes"] = round((free - torch.cuda.mem_get_info()[0]) / 1e6, 1)
    return row


def _synchronise() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def _release() -> int:
    """Give memory back; what is free on the GPU now."""
    torch._dynamo.reset()
    gc.collect()
    if DEVICE.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info()[0])


def compare(
    name: str, model: nn.Module, paths: dict[str, Path], data: PreparedData, batch: int, slots: int, repeats: int
) -> list[dict[str, Any]]:
    """All variants of one model at one batch."""
    on_cpu = example(name, model, data, batch, slots)
    inputs = {key: tensor.to(DEVICE) for key, tensor in on_cpu.items()}
    torch.set_float32_matmul_precision("highest")
    model.to(DEVICE)
    expected = tuple(tensor.float().clone() for tensor in torch_run(model, inputs, "fp32", "eager")())
    variants: dict[tuple[str, str, str], Callable[[], Run]] = {
        ("PyTorch", how, numbers): lambda how=how, numbers=numbers: torch_run(model, inputs, numbers, how)  # type: ignore[misc]
        for numbers, how in PYTORCH
    }
    for how, file in (
        ("fp32", "fp32"),
        ("tf32", "fp32"),
        ("tf32 graphs", "fp32"),
        ("fp16", "fp16"),
        ("fp16 graphs", "fp16"),
    ):
        numbers, _, graphs = how.partition(" ")
        variants["ONNX Runtime", graphs or "bound", numbers] = lambda how=how, file=file: onnx_run(  # type: ignore[misc]
            paths[file], name, inputs, [torch.full_like(tensor, torch.nan) for tensor in expected], how
        )
    rows = []
    for (runtime, how, numbers), make in variants.items():
        row: dict[str, Any] = {"model": name, "batch": batch, "runtime": runtime, "how": how, "arithmetic": numbers}
        torch.set_float32_matmul_precision("high" if numbers == "tf32" else "highest")
        try:
            row |= measure(make, expected, repeats)
        except Skipped as reason:
            row["skipped"] = str(reason)
        except Exception as error:  # of many types, from compilers and providers
            row["skipped"] = f"{type(error).__name__}: {error}"[:300]
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    model.to("cpu")
    return rows


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--overrides", default="{}", help='JSON, such as {"surrogate.width": 128}')
    parser.add_argument("--prepared", type=Path, help="prepared data; synthetic rows without")
    parser.add_argument("--trained", type=Path, help="folder with sizing_diffusion/model.pt and surrogate/model.pt")
    parser.add_argument("--batch", type=int, nargs="+", default=[256])
    parser.add_argument("--slots", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    import onnx
    import onnxruntime
    from onnxruntime.transformers.float16 import convert_float_to_float16

    if hasattr(onnxruntime, "preload_dlls") and DEVICE.type == "cuda":
        onnxruntime.preload_dlls()
    config = load_config(DEFAULT_PATH, arguments.recipe, json.loads(arguments.overrides))
    rows: list[dict[str, Any]] = []
    parameters = {}
    with tempfile.TemporaryDirectory() as folder:
        prepared = arguments.prepared or write_prepared(Path(folder), config.classes, 500)
        data = PreparedData.load(prepared / "test.npz")
        for name, section, build in (
            ("sizing_denoiser", "sizing_diffusion", sizing_diffusion_training),
            ("surrogate", "surrogate", surrogate_training),
        ):
            model = build(config, prepared).module.model
            if arguments.trained is not None:
                model = type(model).load_checkpoint(arguments.trained / section / "model.pt")
            else:
                with torch.no_grad():  # the denoiser's head starts at zero
                    for parameter in model.parameters():
                        if not parameter.any():
                            parameter.normal_(std=0.05)
            model.eval().requires_grad_(False)
            parameters[name] = sum(parameter.numel() for parameter in model.parameters())
            paths = {numbers: Path(folder) / f"{name}.{numbers}.onnx" for numbers in ("fp32", "fp16")}
            to_onnx(Exported(name, model, NAMES[name], OUTPUTS[name]), example(name, model, data, 2, 11), paths["fp32"])
            half = convert_float_to_float16(onnx.load(paths["fp32"]), keep_io_types=True)
            onnx.save(half, paths["fp16"])
            for batch in arguments.batch:
                rows += compare(name, model, paths, data, batch, arguments.slots, arguments.repeats)
    print(
        json.dumps(
            {
                "benchmark": "inference",
                "machine": describe(),
                "torch": torch.__version__,
                "onnxruntime": onnxruntime.__version__,
                "recipe": arguments.recipe,
                "slots": arguments.slots,
                "parameters": parameters,
                "rows": [row for row in rows if "skipped" not in row],
                "skipped": [row for row in rows if "skipped" in row],
            }
        )
    )


if __name__ == "__main__":
    main()
