"""The trained models as a bundle: ONNX for serving and TorchScript for TorchServe, each proved equal to PyTorch."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrf.circuit.tokens import MAX_DEVICES
from genrf.conditioning import FILE as NORMALISATION
from genrf.errors import CheckpointError
from genrf.files import replace_folder
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR
from genrf.generation.bundle import write_manifest
from genrf.generation.precedents import file_name
from training.config import Config
from training.dataset import PreparedData
from training.models.base import BaseCircuitModel
from training.models.sizing_diffusion import SizingDiffusion
from training.models.topology_gan import TopologyGAN
from training.onnx_files import strip
from training.torch_backend import TorchBackend

OPSET = 20
EXAMPLE_BATCH = 2
"""Rows of the example that the models are traced with; 0 and 1 would be taken for constants."""


@dataclass(frozen=True)
class Exported:
    """One model to be exported."""

    name: str
    model: BaseCircuitModel
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    discrete: bool = False
    """Whether the model makes choices on the way, so that a rounding error can change everything after it."""


def export_onnx(
    config: Config, prepared: Path, topology_gan: Path, sizing_diffusion: Path, surrogate: Path, output: Path
) -> dict[str, Any]:
    """Write a bundle from the folders that training wrote.

    Returns:
        For each model the largest relative error over the tested batch sizes, in ONNX and TorchScript, and the file's
        size.

    Raises:
        CheckpointError: if an exported model differs from PyTorch by more than the configured tolerance.
    """
    backend = TorchBackend.load(topology_gan, sizing_diffusion, surrogate)
    for model in (backend.topology_gan, backend.sizing_diffusion, backend.surrogate):
        # The exporter would otherwise keep what a backward pass through the generator's loop needs.
        model.requires_grad_(False)
    data = PreparedData.load(prepared / "test.npz")
    work = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for path in (prepared / NORMALISATION, *sorted(prepared.glob(file_name("*")))):
        shutil.copyfile(path, work / path.name)
    models: dict[str, dict[str, Any]] = {}
    report: dict[str, Any] = {}
    for item in exported_models(backend):
        onnx_name, script_name = f"{item.name}.onnx", f"{item.name}.torchscript.pt"
        example = model_inputs(item, backend, data, EXAMPLE_BATCH, seed=0)
        to_onnx(item, example, work / onnx_name)
        _to_torchscript(item, example, work / script_name)
        batches = {
            size: model_inputs(item, backend, data, size, seed=size) for size in config.export.parity_batch_sizes
        }
        errors = {
            f"{item.name}_onnx_error": max(
                relative_error(item, inputs, run_onnx(work / onnx_name, inputs)) for inputs in batches.values()
            ),
            f"{item.name}_torchscript_error": max(
                relative_error(item, inputs, _run_torchscript(work / script_name, inputs))
                for inputs in batches.values()
            ),
        }
        for name, error in errors.items():
            # "not <=" so that NaN fails too.
            if not error <= config.export.parity_tolerance:
                raise CheckpointError(
                    f"{name}: {error:.2g}, more than export.parity_tolerance, {config.export.parity_tolerance:g}; "
                    f"the exported {item.name} does not do what the trained one does"
                )
        report |= errors
        report[f"{item.name}_megabytes"] = round((work / onnx_name).stat().st_size / 1e6, 3)
        models[item.name] = {
            "class": type(item.model).__name__,
            "version": item.model.version,
            "config": asdict(item.model.config),
            "inputs": item.inputs,
            "outputs": item.outputs,
            "onnx": onnx_name,
            "torchscript": script_name,
        }
    write_manifest(work, precision="fp32", models=models, sampler=backend.sampler, latent_size=backend.latent_size)
    replace_folder(work, output)
    return report


def exported_models(backend: TorchBackend) -> tuple[Exported, ...]:
    """The three models that generation needs."""
    return exported(backend.topology_gan), exported(backend.sizing_diffusion), exported(backend.surrogate)


def exported(model: BaseCircuitModel) -> Exported:
    """A model with the name and the interface that `genrf.generation.backend` knows it by."""
    if isinstance(model, TopologyGAN):
        inputs, outputs = ("specification", "latent"), ("kind_logits", "net_logits")
        return Exported(TOPOLOGY_GENERATOR, model, inputs, outputs, discrete=True)
    if isinstance(model, SizingDiffusion):
        return Exported(
            SIZING_DENOISER, model, ("noisy_values", "sigma", "kinds", "nets", "specification"), ("denoised",)
        )
    return Exported(SURROGATE, model, ("values", "kinds", "nets", "conditions"), ("mean", "log_variance", "works"))


def model_inputs(item: Exported, backend: TorchBackend, data: PreparedData, batch: int, seed: int) -> dict[str, Tensor]:
    """Realistic inputs of a model: circuits of the test split, random noise and specifications."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(len(data), (batch,), generator=generator)
    slots = int((data.kinds[index] > 0).sum(dim=1).max())
    rows = data.batch(index, slots)
    specification_size = backend.sizing_diffusion.config.specification_size
    bounds = torch.randn(batch, specification_size - rows.conditions.shape[1], generator=generator)
    sigma = torch.exp(1.5 * torch.randn(batch, generator=generator) - 1.0)
    noise = torch.randn(batch, slots, generator=generator)
    everything = {
        "specification": torch.cat([rows.conditions, bounds], dim=1),
        "latent": torch.randn(batch, backend.latent_size, generator=generator),
        "noisy_values": (rows.values + sigma[:, None] * noise) * (rows.kinds > 0),
        "sigma": sigma,
        "kinds": rows.kinds,
        "nets": rows.nets,
        "values": rows.values,
        "conditions": rows.conditions,
    }
    return {name: everything[name] for name in item.inputs}


def run_onnx(path: Path, inputs: dict[str, Tensor]) -> list[NDArray[np.float32]]:
    """Outputs of an ONNX model on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    return outputs


def relative_error(item: Exported, inputs: dict[str, Tensor], found: list[NDArray[np.float32]]) -> float:
    """Largest relative L2 error over the outputs, against PyTorch.

    A model that makes choices is compared over the rows in which it makes the same ones as PyTorch, and the share of
    the other rows is the error if it is larger: where two choices are equally likely, rounding decides, but that must
    be rare.
    """
    with torch.inference_mode():
        expected = item.model(*inputs.values())
    expected = [tensor.numpy() for tensor in (expected if isinstance(expected, tuple) else (expected,))]
    same = np.ones(len(found[0]), dtype=bool)
    differing = 0.0
    if item.discrete:
        for ours, theirs in zip(found, expected, strict=True):
            same &= (ours.argmax(-1) == theirs.argmax(-1)).reshape(len(ours), -1).all(axis=1)
        differing = float(1.0 - same.mean())
        if differing <= 0.02 and len(same) > 1:
            differing = 0.0
    errors = [
        float(np.linalg.norm(ours[same] - theirs[same]) / max(np.linalg.norm(theirs[same]), 1e-12))
        for ours, theirs in zip(found, expected, strict=True)
    ]
    return max(differing, *errors)


def to_onnx(item: Exported, example: dict[str, Tensor], path: Path) -> None:
    """Write a model as ONNX for any number of rows, and of device slots up to the largest."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    slots = torch.export.Dim("slots", min=1, max=MAX_DEVICES)
    shapes: dict[str, dict[int, Any]] = {
        name: {0: batch, 1: slots} if name in ("noisy_values", "values", "kinds", "nets") else {0: batch}
        for name in item.inputs
    }
    with _quiet():
        torch.onnx.export(
            item.model,
            tuple(example.values()),
            path,
            input_names=list(item.inputs),
            output_names=list(item.outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple(shapes[name] for name in item.inputs),
            external_data=False,
            verbose=False,
        )
    strip(path)


def _to_torchscript(item: Exported, example: dict[str, Tensor], path: Path) -> None:
    with _quiet(), torch.no_grad():
        traced = torch.jit.trace(item.model, tuple(example.values()), check_trace=False, strict=False)
        torch.jit.save(traced, path)


def _run_torchscript(path: Path, inputs: dict[str, Tensor]) -> list[NDArray[np.float32]]:
    # Its optimiser would spend seconds on a loop that runs once.
    with _quiet(), torch.inference_mode(), torch.jit.optimized_execution(False):
        outputs = torch.jit.load(path)(*inputs.values())
    return [tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters' progress and advice, which nobody can act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
