"""A model as ONNX: its name and interface in a bundle, the export, and how far what was exported is from PyTorch."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrf.circuit.tokens import MAX_DEVICES
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR
from training.models.base import BaseCircuitModel
from training.models.onnx_files import strip
from training.models.sizing_diffusion import SizingDiffusion
from training.models.topology_gan import TopologyGAN
from training.running.quiet import quiet

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
        float(np.linalg.norm(ours[same] - theirs[same]) / max(float(np.linalg.norm(theirs[same])), 1e-12))
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
    with quiet_export():
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


@contextlib.contextmanager
def quiet_export() -> Iterator[None]:
    """Silence the exporters' progress and advice."""
    with (
        quiet("torch.onnx", "onnxscript", "onnx_ir", "torch.export"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        yield
