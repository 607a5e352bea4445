"""What is exported does what was trained, at any batch size and number of devices, or the export fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrf.errors import CheckpointError
from genrf.generation.backend import SIZING_DENOISER, SURROGATE, TOPOLOGY_GENERATOR, OnnxBackend
from genrf.generation.bundle import Bundle
from genrf.generation.precedents import file_name
from genrf.generation.sampler import sample
from tests.export.conftest import Trained
from tests.models.circuits import random_batch
from training.config.schema import Config
from training.export import export_onnx
from training.models.backend import TorchBackend

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODELS = (TOPOLOGY_GENERATOR, SIZING_DENOISER, SURROGATE)


def test_every_model_is_reported_equal_in_onnx(exported: tuple[Path, dict[str, Any]]) -> None:
    _, report = exported
    for name in MODELS:
        assert 0 <= report[f"{name}_onnx_error"] < 1e-4
        assert report[f"{name}_megabytes"] > 0


def test_the_bundle_is_whole_and_says_what_is_in_it(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = exported
    bundle = Bundle.load(folder)
    assert bundle.precision == "fp32"
    assert bundle.models[SIZING_DENOISER]["class"] == "SizingDiffusion"
    assert bundle.models[SURROGATE]["config"]["backbone"]["width"] == 16
    assert {path.name for path in folder.iterdir()} == {*bundle.files, "manifest.json"}
    assert {*(f"{name}.onnx" for name in MODELS), file_name("lna")} < set(bundle.files)
    for name in MODELS:
        assert b"stack_trace" not in Path(bundle.path(name)).read_bytes(), "the exporter's remarks are left out"


@pytest.mark.parametrize("batch", [1, 3, 8, 64])
def test_both_backends_agree_at_every_batch_size(
    exported: tuple[Path, dict[str, Any]], trained: Trained, batch: int
) -> None:
    bundle = Bundle.load(exported[0])
    ours = OnnxBackend(bundle, threads=1)
    theirs = TorchBackend.load(trained.topology_gan, trained.sizing_diffusion, trained.surrogate)
    rows = random_batch(batch, seed=batch, slots=5 + batch % 20)
    rng = np.random.default_rng(batch)
    kinds, nets, values, conditions = (t.numpy() for t in (rows.kinds, rows.nets, rows.values, rows.conditions))
    bounds = rng.standard_normal((batch, bundle.conditioning.specification_size - 5)).astype(np.float32)
    specification = np.concatenate([conditions, bounds], axis=1)
    sigma = rng.uniform(0.01, 20.0, batch).astype(np.float32)
    latent = rng.standard_normal((batch, bundle.latent_size)).astype(np.float32)
    for call, inputs in (
        ("denoise", (values, sigma, kinds, nets, specification)),
        ("predict", (values, kinds, nets, conditions)),
        ("propose", (specification, latent)),
    ):
        first, second = getattr(ours, call)(*inputs), getattr(theirs, call)(*inputs)
        if call == "denoise":
            first, second = (first,), (second,)
        for our, their in zip(first, second, strict=True):
            assert our.shape == their.shape
            if call == "propose":
                assert (our.argmax(-1) == their.argmax(-1)).all()
            else:
                np.testing.assert_allclose(our, their, atol=1e-4, rtol=1e-4)


def test_both_backends_draw_the_same_values(exported: tuple[Path, dict[str, Any]], trained: Trained) -> None:
    bundle = Bundle.load(exported[0])
    theirs = TorchBackend.load(trained.topology_gan, trained.sizing_diffusion, trained.surrogate)
    assert theirs.sampler == bundle.sampler
    rows = random_batch(12)
    noise = 20.0 * np.random.default_rng(0).standard_normal(rows.values.shape).astype(np.float32)
    bounds = np.zeros((12, bundle.conditioning.specification_size - 5), dtype=np.float32)
    specification = np.concatenate([rows.conditions.numpy(), bounds], axis=1)
    drawn = [
        sample(backend, noise, rows.kinds.numpy(), rows.nets.numpy(), specification, bundle.sampler)
        for backend in (OnnxBackend(bundle, threads=1), theirs)
    ]
    np.testing.assert_allclose(*drawn, atol=1e-4)


def test_a_model_that_comes_out_different_fails_the_export(
    config: Config, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter is replaced by a copy of what it would write, with one output a little off."""
    item = export_onnx.exported_models(
        TorchBackend.load(trained.topology_gan, trained.sizing_diffusion, trained.surrogate)
    )[1]
    monkeypatch.setattr(export_onnx, "exported_models", lambda _: (item,))
    monkeypatch.setattr(export_onnx, "to_onnx", lambda _, __, path: path.write_bytes(b""))

    def nearly(path: Path, inputs: dict[str, torch.Tensor]) -> list[Any]:
        with torch.inference_mode():
            return [item.model(*inputs.values()).numpy() * 1.001]

    monkeypatch.setattr(export_onnx, "run_onnx", nearly)
    with pytest.raises(CheckpointError, match=r"sizing_denoiser_onnx_error: 0.001, more than export.parity_tolerance"):
        export_onnx.export_onnx(config, *vars(trained).values(), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_choices_that_differ_are_an_error_unless_they_are_very_rare() -> None:
    logits = torch.eye(4).repeat(25, 1)  # (100, 4)

    class Chooser(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return logits[: len(x)]

    item = export_onnx.Exported("chooser", Chooser(), ("x",), ("logits",), discrete=True)  # type: ignore[arg-type]
    inputs = {"x": torch.zeros(100, 1)}
    same = logits.numpy().copy()
    assert export_onnx.relative_error(item, inputs, [same]) == 0.0
    one, ten = same.copy(), same.copy()
    one[0] = one[0][::-1]
    ten[:10] = ten[:10, ::-1]
    assert export_onnx.relative_error(item, inputs, [one]) == 0.0
    assert export_onnx.relative_error(item, inputs, [ten]) == pytest.approx(0.1)
