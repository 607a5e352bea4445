"""Weights go from a checkpoint into a bundle and back; what cannot come back whole is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16

from genrf.errors import CheckpointError
from genrf.generation.bundle import Bundle, write_manifest
from tests.export.conftest import Trained
from training.config.schema import Config
from training.export.quantize import _dynamic as dynamic_int8
from training.fitting.surrogate import train_surrogate
from training.models.base import MODEL, BaseCircuitModel
from training.models.restore import restore
from training.models.sizing_diffusion import SizingDiffusion
from training.models.surrogate import Surrogate
from training.models.topology_gan import TopologyGAN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Exported = tuple[Path, dict[str, Any]]


def fresh(kind: type[BaseCircuitModel], checkpoint: Path) -> tuple[BaseCircuitModel, BaseCircuitModel]:
    """The trained model, and one of the same configuration with weights of its own."""
    trained = kind.load_checkpoint(checkpoint / MODEL)
    return trained, kind(trained.config)


def variant(bundle: Bundle, folder: Path) -> Path:
    """A copy that may be changed, then sealed again."""
    shutil.copytree(bundle.folder, folder)
    return folder


def seal(bundle: Bundle, folder: Path) -> None:
    (folder / "manifest.json").unlink()
    write_manifest(
        folder, precision="other", models=bundle.models, sampler=bundle.sampler, latent_size=bundle.latent_size
    )


def values_of(graph: onnx.GraphProto) -> set[str]:
    """The names of what is stored in a graph and of what its nodes compute."""
    return {item.name for item in graph.initializer} | {name for node in graph.node for name in node.output}


@pytest.mark.parametrize("kind", [SizingDiffusion, Surrogate])
def test_a_model_comes_back_from_its_bundle_as_it_was_trained(
    kind: type[BaseCircuitModel], trained: Trained, exported: Exported
) -> None:
    checkpoint = trained.sizing_diffusion if kind is SizingDiffusion else trained.surrogate
    original, model = fresh(kind, checkpoint)
    state = torch.random.get_rng_state()
    assert restore(model, exported[0]) == Bundle.load(exported[0]).identity
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, weight in original.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0.0, atol=0.0, msg=name)


def test_half_precision_comes_back_to_its_last_digit(trained: Trained, exported: Exported, tmp_path: Path) -> None:
    bundle = Bundle.load(exported[0])
    folder = variant(bundle, tmp_path / "fp16")
    path = folder / bundle.models["surrogate"]["onnx"]
    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
    seal(bundle, folder)
    original, model = fresh(Surrogate, trained.surrogate)
    restore(model, folder)
    for name, weight in original.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=1e-3, atol=1e-6, msg=name)


def test_int8_comes_back_to_half_a_step(trained: Trained, exported: Exported, tmp_path: Path) -> None:
    bundle = Bundle.load(exported[0])
    folder = variant(bundle, tmp_path / "int8")
    path = folder / bundle.models["surrogate"]["onnx"]
    dynamic_int8(path, path, [])
    seal(bundle, folder)
    original, model = fresh(Surrogate, trained.surrogate)
    restore(model, folder)
    for name, weight in original.state_dict().items():
        # 7 bits, with a scale for each column: at most half a step of the largest.
        step = weight.abs().max() / 63 if weight.ndim == 2 else torch.zeros(())
        assert ((model.state_dict()[name] - weight).abs() <= 0.51 * step + 1e-6).all(), name


def test_an_exporter_that_numbers_otherwise_makes_no_difference(
    trained: Trained, exported: Exported, tmp_path: Path
) -> None:
    bundle = Bundle.load(exported[0])
    folder = variant(bundle, tmp_path / "bundle")
    path = folder / bundle.models["surrogate"]["onnx"]
    content = onnx.load(path)
    names = {name: f"val_{100 + 3 * int(name[4:])}" for name in values_of(content.graph) if name.startswith("val_")}
    for part in content.graph.initializer:
        part.name = names.get(part.name, part.name)
    for node in content.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    del content.graph.value_info[:]
    onnx.save(content, path)
    seal(bundle, folder)
    original, model = fresh(Surrogate, trained.surrogate)
    restore(model, folder)
    for name, weight in original.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0.0, atol=0.0, msg=name)


def test_of_a_gan_the_generator_comes_back_and_the_rest_starts_anew(trained: Trained, exported: Exported) -> None:
    original, model = fresh(TopologyGAN, trained.topology_gan)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    restore(model, exported[0])
    for name, weight in model.state_dict().items():
        expected = original.state_dict()[name] if name.startswith("generator.") else before[name]
        torch.testing.assert_close(weight, expected, rtol=0.0, atol=0.0, msg=name)


def test_a_weight_that_cannot_be_read_back_leaves_the_model_as_it_was(
    trained: Trained, exported: Exported, tmp_path: Path
) -> None:
    bundle = Bundle.load(exported[0])
    folder = variant(bundle, tmp_path / "bundle")
    path = folder / bundle.models["surrogate"]["onnx"]
    content = onnx.load(path)
    for part in (*content.graph.initializer, *content.graph.node):
        if getattr(part, "name", "") == "head.0.bias":
            part.name = "other"
        for place, name in enumerate(getattr(part, "input", ())):
            if name == "head.0.bias":
                part.input[place] = "other"
    onnx.save(content, path)
    seal(bundle, folder)
    _, model = fresh(Surrogate, trained.surrogate)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"surrogate has no head\.0\.bias that could be read back"):
        restore(model, folder)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_training_from_a_bundle_of_another_configuration_is_refused(
    config: Config, trained: Trained, exported: Exported, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"Surrogate: backbone is \{.*\}, expected \{.*; choose another bundle"):
        train_surrogate(config, trained.prepared, tmp_path / "surrogate", exported[0])
