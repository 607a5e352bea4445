"""Weights of a bundle back in PyTorch, so that training goes on from models of which no checkpoint is left.

The exporter numbers and transposes most matrices. Which of a file's tensors is which of a model's parameters is read off a twin:
a model of the same configuration whose parameters are random, and so all different, exported the same way.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrf.circuit.tokens import KIND_TOKENS
from genrf.errors import CheckpointError
from genrf.generation.bundle import MANIFEST, Bundle
from genrf.metrics import current_label
from training.models.base import BaseCircuitModel, config_from_plain
from training.models.onnx_export import EXAMPLE_BATCH, Exported, exported, relative_error, run_onnx, to_onnx
from training.models.topology_gan import TopologyGAN

TOLERANCE = 2e-3
"""Relative error of the restored model against the file; half precision leaves 5e-4."""
TOLERANCE_INT8 = 0.1
"""The same for int8, where the file also rounds what flows between its layers; 3 % was seen."""
_INT8 = "_quantized"
_NUMBERED = re.compile(r"val_(\d+)")
_BUNDLED = "generator."
"""What the names of the part of the GAN start with that a bundle has."""
_SLOTS = 9
"""Device slots of the circuits that the models are compared on."""
Model = TypeVar("Model", bound=BaseCircuitModel)


def restore(model: BaseCircuitModel, folder: Path) -> str:
    """Give a model the weights that a bundle has for its kind: of the GAN the generator, whose encoder and critics start anew.

    Returns:
        The bundle's identity.

    Raises:
        CheckpointError: if the bundle is damaged, or has no such model or one of another version or configuration.
    """
    bundle = Bundle.load(folder)
    item = exported(model)
    entry = bundle.models[item.name]
    _check_same(model, entry, folder)
    file = Path(bundle.path(item.name))
    twin = _twin(type(model), model.config)
    stored, in_int8 = _dequantized(file, twin.turned)
    weights = model.state_dict()
    for name, (tensor, transposed) in twin.places.items():
        if isinstance(model, TopologyGAN) and not name.startswith(_BUNDLED):
            continue
        if tensor not in stored:
            raise CheckpointError(
                f"{folder}: {item.name} has no {name} that could be read back; start from a bundle as the pipeline writes it"
            )
        value = stored[tensor].T if transposed else stored[tensor]
        weights[name] = torch.from_numpy(value.astype(np.float32).reshape(tuple(weights[name].shape)).copy())
    with torch.random.fork_rng(devices=[]):
        restored = type(model)(model.config).eval().requires_grad_(False)
    restored.load_state_dict(weights)
    inputs = example_inputs(item, 2 * EXAMPLE_BATCH)
    error, tolerance = (
        relative_error(exported(restored), inputs, run_onnx(file, inputs)),
        TOLERANCE_INT8 if in_int8 else TOLERANCE,
    )
    # "not <=" so that NaN fails too.
    if not error <= tolerance:
        raise CheckpointError(f"{folder}: {item.name} read back differs by {error:.2g}, more than {tolerance:g}")
    model.load_state_dict(weights)
    return bundle.identity


def restored(kind: type[Model], folder: Path) -> Model:
    """A model of the configuration and with the weights that a bundle has for its kind, in evaluation mode; see `restore`.

    Raises:
        CheckpointError: if the bundle is damaged, or has no such model or one of another version or configuration.
    """
    entry = next((entry for entry in Bundle.load(folder).models.values() if entry["class"] == kind.__name__), None)
    if entry is None:
        raise CheckpointError(f"{folder / MANIFEST}: models: has no {kind.__name__}; export the models again")
    config = config_from_plain(kind.config_class, entry["config"], folder / MANIFEST)
    if hasattr(config, "metrics"):
        config = replace(config, metrics=tuple(current_label(name) for name in config.metrics))
    # What a bundle lacks starts at random, which must not disturb whoever counts on a seed.
    with torch.random.fork_rng(devices=[]):
        model = kind(config)
    restore(model, folder)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Twin:
    """Where an exported file of models of one configuration has what."""

    places: dict[str, tuple[str, bool]]
    """Parameter -> the tensor that holds it, or nothing, and whether transposed."""
    turned: frozenset[str]
    """Tensors that a product uses transposed."""


@lru_cache(maxsize=8)
def _twin(kind: type[BaseCircuitModel], config: Any) -> _Twin:
    """Exports a model with random parameters, which takes a while and comes out the same each time."""
    with tempfile.TemporaryDirectory(prefix="genrf-twin-") as work, torch.random.fork_rng(devices=[]):
        model = kind(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter.normal_()
        path = Path(work) / "twin.onnx"
        to_onnx(exported(model), example_inputs(exported(model), EXAMPLE_BATCH), path)
        content = _places(_tensors(path))
        turned = _turned(path)
    places = {
        name: content.get(parameter.numpy().tobytes(), ("", False)) for name, parameter in model.named_parameters()
    }
    return _Twin(places, turned)


def _check_same(model: BaseCircuitModel, entry: dict[str, Any], folder: Path) -> None:
    own = {"class": type(model).__name__, "version": model.version, **json.loads(json.dumps(asdict(model.config)))}
    theirs = {"class": entry["class"], "version": entry["version"], **entry["config"]}
    if "metrics" in theirs:
        theirs["metrics"] = [current_label(name) for name in theirs["metrics"]]
    for key in own.keys() | theirs.keys():
        if own.get(key) != theirs.get(key):
            raise CheckpointError(
                f"{folder}: {own['class']}: {key} is {theirs.get(key)}, expected {own.get(key)}; "
                "choose another bundle or the recipe that it was trained with"
            )


def _turned(path: Path) -> frozenset[str]:
    """What a file multiplies by transposed: the quantizer turns y = x W' + b into a product with W and a sum."""
    import onnx

    return frozenset(
        node.input[1]
        for node in onnx.load(path).graph.node
        if node.op_type == "Gemm" and any(item.name == "transB" and item.i for item in node.attribute)
    )


def _dequantized(path: Path, turned: frozenset[str]) -> tuple[dict[str, NDArray[Any]], bool]:
    """What a file stores, by the names and in the layout of its twin, and whether some of it was in int8."""
    tensors = _stored(path)
    names = [name.removesuffix(_INT8) for name in tensors if name.endswith(_INT8)]
    for name in names:
        # A scale for each column.
        value = (tensors[name + _INT8].astype(np.float32) - tensors[f"{name}_zero_point"]) * tensors[f"{name}_scale"]
        tensors[name] = value.T if name in turned else value
    return _renumbered(tensors), bool(names)


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    """What a file stores, by name."""
    return _renumbered(_stored(path))


def _stored(path: Path) -> dict[str, NDArray[Any]]:
    import onnx

    return {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}


def _renumbered(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Matrices that the exporter numbers, for want of a name, numbered from 0: its versions count otherwise, but in one order."""
    numbers = {
        name: int(found[1]) for name in tensors if (found := _NUMBERED.fullmatch(name)) and tensors[name].ndim == 2
    }
    places = {name: f"matrix {place}" for place, name in enumerate(sorted(numbers, key=lambda name: numbers[name]))}
    return {places.get(name, name): tensor for name, tensor in tensors.items()}


def _places(tensors: dict[str, NDArray[Any]]) -> dict[bytes, tuple[str, bool]]:
    """Content -> the tensor that has it, and whether transposed."""
    places = {}
    for name, tensor in tensors.items():
        places[tensor.tobytes()] = (name, False)
        if tensor.ndim == 2:
            places[np.ascontiguousarray(tensor.T).tobytes()] = (name, True)
    return places


def example_inputs(item: Exported, rows: int, slots: int = _SLOTS) -> dict[str, Tensor]:
    """Inputs of a model: circuits without meaning, since only what becomes of them is compared.

    Args:
        rows: B, of the batch; also the seed.
        slots: M, device slots of every circuit, all in use.
    """
    generator = torch.Generator().manual_seed(rows)
    inputs = {}
    for name in item.inputs:
        if name == "kinds":
            inputs[name] = torch.randint(1, max(KIND_TOKENS.values()) + 1, (rows, slots), generator=generator)
        elif name == "nets":
            inputs[name] = torch.randint(0, slots, (rows, slots, 3), generator=generator)
        elif name == "sigma":
            inputs[name] = torch.rand(rows, generator=generator) + 0.1
        elif name in ("conditions", "specification", "latent"):
            inputs[name] = torch.randn(rows, getattr(item.model.config, f"{name}_size"), generator=generator)
        else:
            inputs[name] = torch.randn(rows, slots, generator=generator)
    if isinstance(item.model, TopologyGAN):
        # It keeps the rules of a class.
        count = len(item.model.config.circuit_classes)
        inputs["specification"][:, :count] = torch.eye(count).repeat(rows, 1)[:rows]
    return inputs
