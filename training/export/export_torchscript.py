"""The models of a bundle as TorchScript, each shown to give the bundle's numbers: what `serving.torchserve` archives.

TorchServe alone reads it, which was archived upstream in August 2025 and gets no security patches; designs are served from a
bundle, by KServe's model server. So TorchScript is no part of a bundle or of the pipeline, but a folder of its own:

    NAME.pt             the model, traced: inputs by position, in the order that ``torchscript.json`` lists them
    NAME.request.json   a request that TorchServe answers with a prediction, by which its health is checked
    torchscript.json    identity of the bundle; of each model the file's SHA-256, inputs with type, shape and range, outputs

In shapes B is the batch, M the device slots of a circuit, at most 28.
"""

from __future__ import annotations

import shutil
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrf.circuit.devices import MAX_TERMINALS
from genrf.circuit.tokens import KIND_TOKENS, MAX_DEVICES, MAX_NETS
from genrf.errors import CheckpointError
from genrf.files import replace_folder, sha256, write_json
from genrf.generation.bundle import MANIFEST, Bundle
from training.config.schema import Config
from training.export.export_onnx import check_error
from training.models.onnx_export import EXAMPLE_BATCH, Exported, exported, quiet_export, relative_error, run_onnx
from training.models.restore import example_inputs, restored
from training.models.sizing_diffusion import SizingDiffusion
from training.models.surrogate import Surrogate
from training.models.topology_gan import TopologyGAN

FILE = "torchscript.json"
FORMAT = 1
PRECISION = "fp32"
KINDS = (TopologyGAN, SizingDiffusion, Surrogate)


def export_torchscript(config: Config, bundle: Path, output: Path) -> dict[str, Any]:
    """Write a bundle's models as TorchScript.

    Args:
        config: its section ``export`` says how near the numbers must be, and for which batch sizes.
        bundle: folder that `training.export.export_onnx.export_onnx` wrote, or the registry's champion.
        output: folder to write; replaced whole, once every model has passed.

    Returns:
        For each model the largest relative error against ONNX Runtime over the tested batch sizes and numbers of device
        slots, and the size of its file.

    Raises:
        CheckpointError: if the bundle is damaged or a smaller variant, whose rounding TorchScript would not have, or if a
            model differs by more than the configured tolerance.
    """
    source = Bundle.load(bundle)
    if source.precision != PRECISION:
        raise CheckpointError(
            f"{bundle / MANIFEST}: precision: {source.precision}, and TorchScript computes in {PRECISION}, so its numbers "
            f"would be others; give a bundle in {PRECISION}, such as runs/latest/bundle or artifacts/bundle"
        )
    work = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    models: dict[str, Any] = {}
    report: dict[str, Any] = {}
    try:
        for kind in KINDS:
            item = exported(restored(kind, bundle))
            path = work / f"{item.name}.pt"
            example = example_inputs(item, EXAMPLE_BATCH)
            _trace(item, example, path)
            # Circuits of all slots, then of one, in turn.
            sizes = zip(config.export.parity_batch_sizes, cycle((MAX_DEVICES, 1)), strict=False)
            batches = [example_inputs(item, rows, slots) for rows, slots in sizes]
            error = _difference(item, Path(source.path(item.name)), path, batches)
            check_error(f"{item.name}_torchscript_error", error, config.export)
            models[item.name] = {
                "file": path.name,
                "sha256": sha256(path),
                "inputs": _interface(example),
                "outputs": list(item.outputs),
            }
            request = {"inputs": {name: tensor.tolist() for name, tensor in example.items()}}
            write_json(work / f"{item.name}.request.json", request)
            report[f"{item.name}_torchscript_error"] = error
            report[f"{item.name}_megabytes"] = round(path.stat().st_size / 1e6, 3)
        write_json(work / FILE, {"format": FORMAT, "bundle": source.identity, "models": models})
        replace_folder(work, output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def run_torchscript(model: torch.jit.ScriptModule, inputs: dict[str, Tensor]) -> list[NDArray[np.float32]]:
    """Outputs of a TorchScript model on the CPU."""
    # Its optimizer would spend seconds on a graph that runs a few times.
    with quiet_export(), torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        outputs = model(*inputs.values())
    return [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]


def _trace(item: Exported, example: dict[str, Tensor], path: Path) -> None:
    with quiet_export(), torch.no_grad():
        traced = torch.jit.trace(item.model, tuple(example.values()), check_trace=False, strict=False)
        # Frozen, it holds what its outputs need: of the GAN the generator, without encoder and critics.
        torch.jit.save(torch.jit.freeze(traced, optimize_numerics=False), path)


def _difference(item: Exported, onnx: Path, script: Path, batches: list[dict[str, Tensor]]) -> float:
    """Largest relative error of TorchScript against PyTorch, and of the bundle's file against PyTorch."""
    with quiet_export():
        model = torch.jit.load(script)
    return max(
        relative_error(item, inputs, found)
        for inputs in batches
        for found in (run_torchscript(model, inputs), run_onnx(onnx, inputs))
    )


def _interface(example: dict[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Type, shape and range of each input."""
    known: dict[str, dict[str, Any]] = {
        "kinds": {"type": "int64", "shape": ["B", "M"], "lowest": 0, "highest": max(KIND_TOKENS.values())},
        "nets": {"type": "int64", "shape": ["B", "M", MAX_TERMINALS], "lowest": 0, "highest": MAX_NETS - 1},
        "values": {"type": "float32", "shape": ["B", "M"]},
        "noisy_values": {"type": "float32", "shape": ["B", "M"]},
        "sigma": {"type": "float32", "shape": ["B"], "above": 0.0},
    }
    return {
        name: known[name] if name in known else {"type": "float32", "shape": ["B", tensor.shape[1]]}
        for name, tensor in example.items()
    }
