"""TorchScript of a bundle gives the bundle's numbers, lies apart from it, and is refused of a bundle that is rounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genrf.errors import CheckpointError
from genrf.files import sha256
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR
from genrf.generation.bundle import Bundle, write_manifest
from tests.export.conftest import Trained
from tests.export.test_restore import variant
from tests.models.circuits import random_batch
from training.config.schema import Config
from training.export import export_torchscript
from training.models.base import MODEL
from training.models.surrogate import Surrogate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODELS = (TOPOLOGY_GENERATOR, SIZING_DENOISER, SURROGATE)
Exported = tuple[Path, dict[str, Any]]


def test_every_model_gives_the_numbers_of_its_bundle(scripted: Exported) -> None:
    _, report = scripted
    for name in MODELS:
        assert 0 <= report[f"{name}_torchscript_error"] < 1e-5
        assert report[f"{name}_megabytes"] > 0


def test_the_folder_says_what_is_in_it_and_is_no_bundle(scripted: Exported, exported: Exported) -> None:
    folder, _ = scripted
    content = json.loads((folder / "torchscript.json").read_text())
    assert content["bundle"] == Bundle.load(exported[0]).identity
    assert list(content["models"]) == list(MODELS)
    for name, model in content["models"].items():
        assert model["sha256"] == sha256(folder / model["file"])
        request = json.loads((folder / f"{name}.request.json").read_text())
        assert list(request["inputs"]) == list(model["inputs"])
    assert content["models"][SURROGATE]["inputs"]["nets"] == {
        "type": "int64", "shape": ["B", "M", 3], "lowest": 0, "highest": 27,
    }  # fmt: skip
    assert not [name for name in Bundle.load(exported[0]).files if "torchscript" in name]
    with pytest.raises(CheckpointError, match=r"manifest\.json: cannot be read"):
        Bundle.load(folder)


def test_it_does_what_the_checkpoint_does(scripted: Exported, trained: Trained) -> None:
    model = Surrogate.load_checkpoint(trained.surrogate / MODEL)
    batch = random_batch(7, slots=19)
    inputs = {name: getattr(batch, name) for name in ("values", "kinds", "nets", "conditions")}
    with torch.inference_mode():
        expected = model(*inputs.values())
    found = export_torchscript.run_torchscript(torch.jit.load(scripted[0] / "surrogate.pt"), inputs)
    for array, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(array), wanted, rtol=1e-5, atol=1e-6)


def test_only_what_the_outputs_need_is_in_a_file(scripted: Exported) -> None:
    names = dict(torch.jit.load(scripted[0] / "topology_generator.pt").named_parameters())
    assert not names, "frozen: encoder and critics, which no bundle has, are left out"


def test_a_smaller_variant_is_refused(config: Config, exported: Exported, tmp_path: Path) -> None:
    bundle = Bundle.load(exported[0])
    folder = variant(bundle, tmp_path / "int8")
    write_manifest(
        folder, precision="int8", models=bundle.models, sampler=bundle.sampler, latent_size=bundle.latent_size
    )
    with pytest.raises(CheckpointError, match=r"manifest\.json: precision: int8, .* give a bundle in fp32"):
        export_torchscript.export_torchscript(config, folder, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_model_that_comes_out_different_is_refused(
    config: Config, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs TorchScript is replaced by something a little off."""
    honest = export_torchscript.run_torchscript
    monkeypatch.setattr(export_torchscript, "run_torchscript", lambda *given: [1.001 * each for each in honest(*given)])
    with pytest.raises(CheckpointError, match=r"\w+_torchscript_error: 0\.001, more than export\.parity_tolerance"):
        export_torchscript.export_torchscript(config, exported[0], tmp_path / "models")
    assert list(tmp_path.iterdir()) == []
