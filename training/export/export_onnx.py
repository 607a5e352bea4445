"""The trained models as a bundle: ONNX for serving, each proved equal to PyTorch."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genrf.conditioning import FILE as NORMALISATION
from genrf.errors import CheckpointError
from genrf.files import replace_folder
from genrf.generation.bundle import write_manifest
from genrf.generation.precedents import file_name
from training.config.schema import Config, ExportConfig
from training.data.tensors import PreparedData
from training.models.backend import TorchBackend
from training.models.onnx_export import (
    EXAMPLE_BATCH,
    Exported,
    exported,
    relative_error,
    run_onnx,
    to_onnx,
)


def export_onnx(
    config: Config, prepared: Path, topology_gan: Path, sizing_diffusion: Path, surrogate: Path, output: Path
) -> dict[str, Any]:
    """Write a bundle from the folders that training wrote.

    Returns:
        For each model the largest relative error over the tested batch sizes, and the file's size.

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
        onnx_name = f"{item.name}.onnx"
        example = model_inputs(item, backend, data, EXAMPLE_BATCH, seed=0)
        to_onnx(item, example, work / onnx_name)
        batches = [model_inputs(item, backend, data, size, seed=size) for size in config.export.parity_batch_sizes]
        error = max(relative_error(item, inputs, run_onnx(work / onnx_name, inputs)) for inputs in batches)
        check_error(f"{item.name}_onnx_error", error, config.export)
        report[f"{item.name}_onnx_error"] = error
        report[f"{item.name}_megabytes"] = round((work / onnx_name).stat().st_size / 1e6, 3)
        models[item.name] = {
            "class": type(item.model).__name__,
            "version": item.model.version,
            "config": asdict(item.model.config),
            "inputs": item.inputs,
            "outputs": item.outputs,
            "onnx": onnx_name,
        }
    write_manifest(work, precision="fp32", models=models, sampler=backend.sampler, latent_size=backend.latent_size)
    replace_folder(work, output)
    return report


def exported_models(backend: TorchBackend) -> tuple[Exported, ...]:
    """The three models that generation needs."""
    return exported(backend.topology_gan), exported(backend.sizing_diffusion), exported(backend.surrogate)


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


def check_error(name: str, error: float, settings: ExportConfig) -> None:
    """Refuse an exported model that is too far from the trained one.

    Args:
        name: the error's, which starts with the model's.
        error: as `training.models.onnx_export.relative_error` gives it.

    Raises:
        CheckpointError: if the error is above the configured tolerance, or not a number.
    """
    # "not <=" so that NaN fails too.
    if not error <= settings.parity_tolerance:
        raise CheckpointError(
            f"{name}: {error:.2g}, more than export.parity_tolerance, {settings.parity_tolerance:g}; "
            "the exported model does not do what the trained one does"
        )
