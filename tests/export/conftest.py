"""One small set of trained-looking models, exported once for all tests of this folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrf.generation.precedents import Precedents, file_name
from genrf.generation.sampler import SamplerSettings
from tests.models.circuits import TINY, conditioning, prepared_folder, tiny_config
from training.config.schema import Config
from training.export.export_onnx import export_onnx
from training.export.export_torchscript import export_torchscript
from training.models.sizing_diffusion import SizingDiffusion, SizingDiffusionConfig
from training.models.surrogate import Surrogate, SurrogateConfig
from training.models.topology_gan import TopologyGAN, TopologyGANConfig


@dataclass
class Trained:
    """Folders as the training steps leave them."""

    prepared: Path
    topology_gan: Path
    sizing_diffusion: Path
    surrogate: Path


@pytest.fixture(scope="session")
def config() -> Config:
    return tiny_config()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    names = conditioning()
    torch.manual_seed(0)
    models = {
        "topology_gan": TopologyGAN(
            TopologyGANConfig(specification_size=names.specification_size, code_size=4, width=16, critic_width=16)
        ),
        "sizing_diffusion": SizingDiffusion(
            SizingDiffusionConfig(specification_size=names.specification_size, backbone=TINY)
        ),
        "surrogate": Surrogate(
            SurrogateConfig(conditions_size=names.conditions_size, metrics=names.metrics, backbone=TINY)
        ),
    }
    with torch.no_grad():
        models["sizing_diffusion"].head.weight.normal_(std=0.3)
        # Equal weights, such as those that normalisation starts with, would be one tensor of an exported file.
        for parameter in (parameter for model in models.values() for parameter in model.parameters()):
            parameter.add_(0.02 * torch.randn_like(parameter))
    for name, model in models.items():
        model.save_checkpoint(folder / name / "model.pt")
    sampler = SamplerSettings(steps=6, conditions_size=names.conditions_size)
    (folder / "sizing_diffusion" / "sampler.json").write_text(json.dumps(asdict(sampler)))
    prepared = prepared_folder(folder / "prepared", rows=100)
    known = Precedents(
        kinds=np.zeros((1, 28), dtype=np.int8),
        nets=np.zeros((1, 28, 3), dtype=np.int8),
        values=np.zeros((1, 28), dtype=np.float16),
        metrics=np.zeros((1, len(names.metrics)), dtype=np.float16),
        conditions=np.zeros((1, names.conditions_size), dtype=np.float32),
    )
    known.save(prepared / file_name("lna"), compressed=True)
    return Trained(prepared, *(folder / name for name in models))


@pytest.fixture(scope="session")
def exported(config: Config, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("export") / "bundle"
    return folder, export_onnx(config, *vars(trained).values(), folder)


@pytest.fixture(scope="session")
def scripted(
    config: Config, exported: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("torchscript") / "models"
    return folder, export_torchscript(config, exported[0], folder)
